"""Hear a keyword in a WAV with onnxruntime and numpy alone: no package of this project is imported.

    python detect.py model.onnx call.wav            # time, keyword and score of each detection
    python detect.py model.onnx call.wav --scores   # one line of JSON for each frame

The file format is in docs/guide/device.md. A program in another language does the same steps.
"""

from __future__ import annotations

import json
import sys
import wave

import numpy as np
import onnxruntime


def read_wav(path: str) -> np.ndarray:
    """Return (samples,) float32 in [-1, 1] of a 16-bit mono WAV at 16 kHz."""
    with wave.open(path, "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, 16_000):
            raise SystemExit(f"{path}: expected 16-bit mono at 16 kHz")
        return np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)


def main(model: str, audio: str, show_scores: bool) -> None:
    """Run the graph chunk by chunk, carry its state, and apply threshold and refractory time."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    keywords, thresholds = json.loads(facts["keywords"]), json.loads(facts["thresholds"])
    chunk, hop_s = int(facts["chunk_samples"]), int(facts["hop_samples"]) / 16_000
    smoothing, refractory_s = int(facts["smoothing_frames"]), float(facts["refractory_s"])

    # the state: zeros for a new stream; an axis with a name counts streams, here one
    state = {
        node.name: np.zeros([size if isinstance(size, int) else 1 for size in node.shape], np.float32)
        for node in session.get_inputs()
        if node.name != "waveform"
    }
    outputs = ["scores", *(f"next_{name}" for name in state)]

    # half a second of silence and the look-ahead follow, so that the end is heard too
    waveform = read_wav(audio)
    rest = int(facts["lookahead_samples"]) + 8_000
    waveform = np.concatenate([waveform, np.zeros(rest + -(len(waveform) + rest) % chunk, np.float32)])

    recent = [np.zeros(len(keywords))] * (smoothing - 1)  # frames before, for the moving average
    above = dict.fromkeys(keywords, False)
    ready_s = dict.fromkeys(keywords, 0.0)
    frame = 0
    for start in range(0, len(waveform), chunk):
        piece = waveform[None, start : start + chunk]  # (1, chunk)
        scores, *after = session.run(outputs, {"waveform": piece, **state})
        state = dict(zip(state, after, strict=True))
        for row in scores[0]:  # (keywords,), one every hop
            frame += 1
            time_s = frame * hop_s
            if show_scores:
                print(json.dumps({"time_s": round(time_s, 3), "scores": [round(float(s), 6) for s in row]}))
            recent = [*recent, row][-smoothing:]
            smoothed = np.mean(recent, axis=0)
            for keyword, score in zip(keywords, smoothed, strict=True):
                rises = score >= thresholds[keyword] and not above[keyword]
                above[keyword] = bool(score >= thresholds[keyword])
                if rises and time_s - hop_s >= ready_s[keyword]:
                    ready_s[keyword] = time_s - hop_s + refractory_s
                    if not show_scores:
                        print(f"{time_s:.2f} s  {keyword}  {score:.3f}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2], "--scores" in sys.argv[3:])
