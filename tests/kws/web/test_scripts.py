"""The scripts of the browser folder compute what Python computes: decisions, resampling, types, texts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from kws.decisions import DecisionConfig, decide
from kws.resampling import SincStream
from kws.workflows.web import SOURCES
from tests.support.browser import NPM_PACKAGES
from tests.support.node import node, typescript
from tests.support.onnx_models import tone

HOP_S = 0.04

DECISIONS = """
const { Decider } = await import(folder + "decisions.js");
give(given.map(({ keywords, thresholds, settings, pieces }) => {
    const decider = new Decider(keywords, thresholds, settings, 0.04);
    return pieces.flatMap((piece) => decider.push(Float32Array.from(piece)).detections);
}));
"""

RESAMPLING = """
const { Resampler } = await import(folder + "resampler.js");
const sound = Float32Array.from(given.sound);
const inPieces = (length) => {
    const resampler = new Resampler(given.rate, 16000);
    const made = [];
    for (let start = 0; start < sound.length; start += length) {
        made.push(...resampler.push(sound.slice(start, start + length)));
    }
    return made;
};
give([sound.length, 128, 777].map(inPieces));
"""

WAITING = """
const { Pieces } = await import(folder + "pieces.js");
const piece = new Float32Array(1600);
const heard = [], lost = [], failed = [];
let go;
const pieces = new Pieces(
    (pcm) => {
        heard.push(pcm[0]);
        return heard.length > 3 ? undefined : new Promise((done) => { go = done; });
    },
    { onLost: (seconds) => lost.push(seconds), onError: (error) => failed.push(error.message) },
);
for (let number = 0; number < 70; number++) pieces.take(Float32Array.from(piece, () => number));
const before = [heard.length, lost.length];
for (let turn = 0; turn < 3; turn++) {
    await Promise.resolve();
    go?.();
    await new Promise((done) => setTimeout(done));
}
await pieces.last;
pieces.onAudio = () => { throw new Error("too much"); };
pieces.take(piece);
await pieces.last;
give({ before, heard, lost: lost.length, waitingS: pieces.waitingS, failed });
"""

TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "allowJs": True,
        "checkJs": True,
        "noEmit": True,
        "skipLibCheck": True,
        "target": "ES2023",
        "lib": ["ES2023", "DOM", "DOM.Iterable"],
        "module": "ESNext",
        "moduleResolution": "bundler",
        "types": [],
        "paths": {"onnxruntime-common": [f"{NPM_PACKAGES}/onnxruntime-common/dist/esm/index.d.ts"]},
    }
}

USE = """
import * as detectors from "./detector.js";
import * as microphones from "./microphone.js";
import * as resamplers from "./resampler.js";
import * as described from "./index.js";

export const same: typeof described = { ...detectors, ...microphones, ...resamplers };
const detector = await described.createDetector("hey.onnx", { threshold: { hey: 0.5 } });
const stop: () => void = detector.on("detection", ({ keyword, timeS }) => console.log(keyword, -timeS));
const { scores }: { scores: Float32Array } = await detector.push(new Int16Array(10));
const microphone = await described.openMicrophone((pcm) => detector.push(pcm), { onEnd: stop });
await microphone.close();
// @ts-expect-error: there is no such event
detector.on("nothing", () => undefined);
// @ts-expect-error: audio is no plain list
detector.push([1, 2]);
"""


def random_streams(count: int) -> list[tuple[list[str], DecisionConfig, np.ndarray, list[int]]]:
    """Streams of scores around their thresholds, of one to three keywords, with every setting."""
    random = np.random.default_rng(0)
    streams = []
    for _ in range(count):
        keywords = ["one", "two", "three"][: random.integers(1, 4)]
        config = DecisionConfig(
            tuple(random.choice([0.3, 0.5, 0.62, 0.9], len(keywords)).tolist()),
            int(random.integers(1, 5)),
            float(random.choice([0, 0.1, 0.28, 1.0])),
            float(random.choice([0, 0.08, 0.5])),
        )
        walk = np.cumsum(random.normal(0, 0.8, (120, len(keywords))), axis=0)
        scores = (1 / (1 + np.exp(-walk))).astype(np.float32)
        scores[random.random(scores.shape) < 0.02] = random.choice([0.0, 1.0])
        cuts = sorted(random.integers(0, 120, 5).tolist())
        streams.append((keywords, config, scores, cuts))
    return streams


def test_detections_are_those_of_python_for_every_setting_and_cut():
    streams = random_streams(300)
    expected = [decide(scores, keywords, config, HOP_S)[0] for keywords, config, scores, _ in streams]
    given = [
        {
            "keywords": keywords,
            "thresholds": config.thresholds,
            "settings": {
                "smoothingFrames": config.smoothing_frames,
                "refractoryS": config.refractory_s,
                "competeS": config.compete_s,
            },
            "pieces": [piece.ravel().tolist() for piece in np.split(scores, cuts)],
        }
        for keywords, config, scores, cuts in streams
    ]
    found = node(DECISIONS, SOURCES, given)
    assert sum(map(len, expected)) > 1000
    for there, here in zip(found, expected, strict=True):
        assert [
            (each["keyword"], each["frame"], each["score"], pytest.approx(each["timeS"], abs=1e-9))
            for each in there
        ] == [(each.keyword, each.frame, each.score, each.time_s) for each in here]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_another_rate_gives_the_samples_of_python_however_the_stream_is_cut(rate: int):
    noise = np.random.default_rng(rate).normal(0, 0.1, rate // 4)
    sound = (noise + tone(440, 0.25, rate_hz=rate)).astype(np.float32)
    expected = sound if rate == 16_000 else SincStream(rate, 16_000).resample_chunk(sound)
    for found in node(RESAMPLING, SOURCES, {"rate": rate, "sound": sound.tolist()}):
        assert len(found) == len(expected)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_lies_above_the_lower_rate_is_not_folded_back():
    sound = tone(15_000, 0.25, rate_hz=48_000)
    (found, *_) = node(RESAMPLING, SOURCES, {"rate": 48_000, "sound": sound.tolist()})
    assert np.abs(found[200:]).max() < 1e-4


def test_a_listener_who_is_too_slow_gets_five_seconds_in_order_and_is_told_of_the_rest():
    found = node(WAITING, SOURCES)
    assert found["before"][1] == found["lost"] == 20
    assert found["heard"] == list(range(50))
    assert abs(found["waitingS"]) < 1e-9 and found["failed"] == ["too much"]


@pytest.mark.slow
def test_the_types_are_those_of_the_scripts(tmp_path: Path):
    for path in (*SOURCES.glob("*.js"), *SOURCES.glob("*.d.ts")):
        if path.name not in ("sw.js", "microphone-worklet.js"):  # whose globals no page has
            shutil.copy(path, tmp_path)
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "ort.d.ts").write_text('export * from "onnxruntime-common";')
    (tmp_path / "use.ts").write_text(USE)
    (tmp_path / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    assert typescript(tmp_path, "onnxruntime-common") == []


def test_each_text_is_there_in_both_languages_with_the_same_values():
    source = (SOURCES / "texts.js").read_text("utf-8")
    english, chinese = source.partition("    zh: {")[::2]
    parts = [dict(re.findall(r'^        (\w+): "(.*)",$', part, re.M)) for part in (english, chinese)]
    values = [{name: sorted(re.findall(r"\{\w+\}", said)) for name, said in part.items()} for part in parts]
    assert len(parts[0]) > 30 and values[0] == values[1]
    page = (SOURCES / "index.html").read_text("utf-8") + (SOURCES / "page.js").read_text("utf-8")
    used = set(re.findall(r'data-(?:text|label)="(\w+)"|(?:text|say|stop)\("(\w+)"', page))
    assert {name for pair in used for name in pair if name} <= set(parts[0])
    shown = re.findall(r'data-text="(\w+)"[^>]*>([^<]+)<', page)
    assert {name: parts[0][name] for name, _ in shown} == dict(shown)
