/**
 * Hear a keyword in a WAV with the C++ API of onnxruntime alone: nothing of this project is needed.
 *
 *     cmake -S . -B build -DONNXRUNTIME_ROOT=onnxruntime-linux-x64-1.22.0 && cmake --build build
 *     build/detect model.onnx call.wav            # time, keyword and score of each detection
 *     build/detect model.onnx call.wav --scores   # one line of JSON for each frame
 */
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

using Row = std::vector<double>;

/** Return the samples of a 16-bit mono WAV at 16 kHz, in [-1, 1]. */
std::vector<float> read_wav(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const auto number = [&](size_t at, int size) {  // the lowest byte first, whatever the processor
        uint32_t value = 0;
        for (int index = size - 1; index >= 0; --index) value = value << 8 | uint8_t(bytes.at(at + index));
        return value;
    };
    bool is_ours = false;  // whether its samples are of the only form that is read here
    if (bytes.compare(0, 4, "RIFF") != 0) throw std::runtime_error(path.string() + ": no WAV");
    for (size_t at = 12; at + 8 <= bytes.size(); at += 8 + number(at + 4, 4) + number(at + 4, 4) % 2) {
        if (bytes.compare(at, 4, "fmt ") == 0)
            is_ours = number(at + 10, 2) == 1 && number(at + 12, 4) == 16000 && number(at + 22, 2) == 16;
        if (!is_ours || bytes.compare(at, 4, "data") != 0) continue;
        std::vector<float> samples(std::min<size_t>(number(at + 4, 4), bytes.size() - at - 8) / 2);
        for (size_t index = 0; index < samples.size(); ++index)
            samples[index] = float(int16_t(number(at + 8 + 2 * index, 2))) / 32768.0f;
        return samples;
    }
    throw std::runtime_error(path.string() + ": expected 16-bit mono at 16 kHz");
}

/** Return the strings (raw, in UTF-8) and numbers of flat JSON in their order, such as a list or an object. */
std::vector<std::string> read_json(const std::string& text) {
    const std::string digits = "+-.eE0123456789";
    std::vector<std::string> found;
    for (size_t at = 0; at < text.size(); ++at) {
        std::string value;
        if (text[at] == '"') {
            for (++at; text.at(at) != '"'; ++at) {
                const bool escaped = text[at] == '\\';
                at += escaped;
                if (!escaped || text.at(at) != 'u') {
                    value += text.at(at);
                    continue;
                }
                const auto code = unsigned(std::stoul(text.substr(at + 1, 4), nullptr, 16));
                at += 4;
                if (code >= 0x800) value += {char(0xE0 | code >> 12), char(0x80 | (code >> 6 & 0x3F))};
                else if (code >= 0x80) value += char(0xC0 | code >> 6);
                value += char(code >= 0x80 ? 0x80 | (code & 0x3F) : code);
            }
        } else {
            while (at < text.size() && digits.find(text[at]) != std::string::npos) value += text[at++];
            if (value.empty()) continue;
            --at;
        }
        found.push_back(value);
    }
    return found;
}

int main(int count, char** words) try {
    if (count < 3) return std::fprintf(stderr, "detect MODEL WAV [--scores]\n"), 2;
    const bool show_scores = count > 3 && std::string(words[3]) == "--scores";
    const Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "detect");
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    Ort::Session session(environment, std::filesystem::u8path(words[1]).c_str(), options);
    Ort::AllocatorWithDefaultOptions allocator;
    const auto fact = [&, metadata = session.GetModelMetadata()](const char* name) {
        const auto text = metadata.LookupCustomMetadataMapAllocated(name, allocator);
        if (!text) throw std::runtime_error(std::string(words[1]) + " does not say its " + name);
        return std::string(text.get());
    };
    const auto keywords = read_json(fact("keywords")), pairs = read_json(fact("thresholds"));
    Row thresholds(keywords.size(), 2.0), ready_s(keywords.size(), 0.0);
    for (size_t index = 0; index + 1 < pairs.size(); index += 2) {  // keyword, threshold, keyword, ...
        const auto place = std::find(keywords.begin(), keywords.end(), pairs[index]);
        thresholds.at(place - keywords.begin()) = std::stod(pairs[index + 1]);
    }
    const size_t chunk = std::stoul(fact("chunk_samples"));
    const double hop_s = std::stod(fact("hop_samples")) / 16000, refractory_s = std::stod(fact("refractory_s"));

    // the state: zeros for a new stream; an axis without a size counts streams, here one
    std::vector<std::string> inputs{"waveform"}, outputs{"scores"};
    std::vector<Ort::Value> values;
    values.emplace_back(nullptr);  // the audio of a chunk
    for (size_t index = 0; index < session.GetInputCount(); ++index) {
        const std::string name = session.GetInputNameAllocated(index, allocator).get();
        if (name == "waveform") continue;
        auto shape = session.GetInputTypeInfo(index).GetTensorTypeAndShapeInfo().GetShape();
        std::replace_if(shape.begin(), shape.end(), [](int64_t size) { return size < 1; }, 1);
        values.push_back(Ort::Value::CreateTensor<float>(allocator, shape.data(), shape.size()));
        const auto size = values.back().GetTensorTypeAndShapeInfo().GetElementCount();
        std::fill_n(values.back().GetTensorMutableData<float>(), size, 0.0f);
        inputs.push_back(name);
        outputs.push_back("next_" + name);
    }
    std::vector<const char*> given, wanted;
    for (const auto& name : inputs) given.push_back(name.c_str());
    for (const auto& name : outputs) wanted.push_back(name.c_str());

    // half a second of silence and the look-ahead follow, so that the end is heard too
    auto waveform = read_wav(std::filesystem::u8path(words[2]));
    waveform.resize((waveform.size() + std::stoul(fact("lookahead_samples")) + 8000 + chunk - 1) / chunk * chunk);
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const int64_t shape[] = {1, int64_t(chunk)};
    std::vector<Row> recent(std::stoul(fact("smoothing_frames")), Row(keywords.size()));  // for the moving average
    std::vector<bool> above(keywords.size());
    for (size_t start = 0, frame = 0; start < waveform.size(); start += chunk) {
        values[0] = Ort::Value::CreateTensor<float>(memory, waveform.data() + start, chunk, shape, 2);
        auto made = session.Run({}, given.data(), values.data(), values.size(), wanted.data(), wanted.size());
        const float* score = made[0].GetTensorData<float>();
        const float* end = score + made[0].GetTensorTypeAndShapeInfo().GetElementCount();
        for (; score != end; score += keywords.size()) {
            recent[frame % recent.size()].assign(score, score + keywords.size());
            const double time_s = ++frame * hop_s;  // one row every hop
            if (show_scores) std::printf("{\"time_s\": %.3f, \"scores\": [", time_s);
            for (size_t column = 0; column < keywords.size(); ++column) {
                if (show_scores) std::printf("%s%.6f", column ? ", " : "", score[column]);
                double smoothed = 0;
                for (const auto& row : recent) smoothed += row[column] / recent.size();
                const bool was_above = above[column];
                above[column] = smoothed >= thresholds[column];
                if (!above[column] || was_above || time_s - hop_s < ready_s[column]) continue;
                ready_s[column] = time_s - hop_s + refractory_s;
                if (!show_scores) std::printf("%.2f s  %s  %.3f\n", time_s, keywords[column].c_str(), smoothed);
            }
            if (show_scores) std::printf("]}\n");
        }
        std::move(made.begin() + 1, made.end(), values.begin() + 1);  // the state after it
    }
} catch (const std::exception& error) {
    std::fprintf(stderr, "detect: %s\n", error.what());
    return 1;
}
