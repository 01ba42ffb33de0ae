/**
 * Hear a keyword in a WAV with Node: the module that `kws web` writes runs there as in a browser.
 *
 *     kws web model.onnx --output page/
 *     node detect.mjs page/ call.wav            # time, keyword and score of each detection
 *     node detect.mjs page/ call.wav --scores   # one line of JSON for each frame
 */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, audio, ...options] = process.argv.slice(2);
if (audio === undefined) {
    console.error("node detect.mjs PAGE WAV [--scores]; PAGE is a folder of `kws web`");
    process.exit(2);
}
const { createDetector } = await import(pathToFileURL(resolve(folder, "index.js")).href);

/** @returns {Promise<Int16Array>} the samples of a 16-bit mono WAV at 16 kHz */
async function readWav(path) {
    const bytes = await readFile(path);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes.toString("latin1", 0, 4) !== "RIFF" || view.getUint16(22, true) !== 1 || view.getUint32(24, true) !== 16000) {
        throw new Error(`${path}: expected 16-bit mono at 16 kHz`);
    }
    let place = 12; // the pieces of a WAV follow each other: name, length, content
    while (bytes.toString("latin1", place, place + 4) !== "data") {
        place += 8 + view.getUint32(place + 4, true) + (view.getUint32(place + 4, true) % 2);
    }
    const count = Math.min(view.getUint32(place + 4, true), bytes.length - place - 8) >> 1;
    return Int16Array.from({ length: count }, (_, index) => view.getInt16(place + 8 + 2 * index, true));
}

const detector = await createDetector(
    { onnx: await readFile(resolve(folder, "model.onnx")), metadata: JSON.parse(await readFile(resolve(folder, "model.json"))) },
    { wasm: await readFile(resolve(folder, "onnxruntime", "ort-wasm-simd-threaded.wasm")) },
);
const samples = await readWav(audio);
const hopS = detector.metadata.hopSamples / 16000;
let frame = 0;

for (let start = 0; start < samples.length; start += 1280) {
    // 80 ms at a time, as a microphone gives them
    const { scores, detections } = await detector.push(samples.subarray(start, start + 1280));
    for (let index = 0; options.includes("--scores") && index < scores.length; index += detector.keywords.length) {
        frame += 1;
        const row = Array.from(scores.subarray(index, index + detector.keywords.length));
        console.log(JSON.stringify({ time_s: Number((frame * hopS).toFixed(3)), scores: row }));
    }
    tell(detections);
}
tell(await detector.finish()); // the end of the recording is heard too

function tell(detections) {
    for (const { keyword, score, timeS } of options.includes("--scores") ? [] : detections) {
        console.log(`${timeS.toFixed(2)} s  ${keyword}  ${score.toFixed(3)}`);
    }
}
