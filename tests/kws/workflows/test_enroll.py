"""`kws enroll`: a detector from typed text, what it says about it, and what it refuses."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml

from data_prep.synthesis.engines import choose
from data_prep.synthesis.espeak import speak, voices
from data_prep.synthesis.flite import FliteVoice
from data_prep.synthesis.phrases import carrier_sentences
from kws import Detector
from kws.audio import seconds_to_samples
from kws.checkpoint import load_model, load_operating_point
from kws.cli import main
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.enrollment import examples, heard, typed
from kws.enrollment.examples import SHIPPED_SPEECH
from kws.enrollment.heard import FRAME_PHONES, FRAMES, HEARING
from kws.enrollment.notes import background_language
from kws.enrollment.typed import BACKGROUND, pack_background, phrase_model, read_background
from kws.errors import CheckpointError, ConfigError, DependencyError, ManifestError
from kws.heads import PhraseOptions, PhraseWindowHead
from kws.heads.phrase import WORST_FRAME
from kws.heads.window import NUM_FRAMES
from kws.heads.words import SPACES
from kws.manifest import Recording
from kws.model import WakeWordModel
from kws.phones import BLANK, NUM_OUTPUTS
from kws.pretraining.corpus import SpeechCorpus
from kws.pretraining.word_space import WordSpaceConfig, make_word_space
from kws.weights import write_weights
from kws.workflows import folders, written_files
from kws.workflows.enroll import EnrollAudio, _from_examples
from kws.workflows.enroll import audio as enroll_audio
from kws.workflows.enroll import examples as enroll_examples
from kws.workflows.enroll.config import EnrollConfig, ExamplesConfig
from kws.workflows.enroll.request import EnrollRequest, choose_method, read_config, resolve
from tests.support.recordings import write_audio
from tests.support.training import (
    TINY,
    noise,
    spoken,
    tiny_recognizer,
    tiny_weights,
    tone,
    write_manifest,
    write_wavs,
)
from tests.tolerances import ONNX


def test_a_typed_phrase_becomes_a_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "run"
    assert main(["enroll", "hey computer", "jarvis", "--method", "phones", "--output", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "hey computer: HH EY K AH M P Y UW T ER | HH EY K AH M P Y UW T AH" in printed
    assert "jarvis: JH AA R V IH S | JH AA V IH S" in printed
    assert "note: jarvis: 5 phones are few" in printed and "hey computer: 9 phones" not in printed
    assert f"next: kws listen {run / 'model.onnx'}" in printed
    detector, point = Detector(run / "model.onnx"), load_operating_point(run)
    assert detector.keywords == ("hey computer", "jarvis")
    assert (
        detector.thresholds == pytest.approx(point.thresholds)
        and point.decision.false_accepts_per_hour == 0.5
    )
    waveform = np.concatenate([noise(1.0), spoken(), spoken(400)])[:38_400]
    expected = load_model(run).scores(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(detector.scores(waveform), expected, atol=ONNX, rtol=0)
    origin = json.loads((run / "provenance.json").read_text("utf-8"))
    assert origin["languages"] == ["en"]
    assert origin["manifests"].keys() == {BACKGROUND.name} and origin["encoder"]["licence"] == "Apache-2.0"
    assert json.loads((run / "metrics.json").read_text("utf-8"))["dev_hours"] > 1
    folders.clear(run, written_files.RUN)
    assert list(run.iterdir()) == []  # all names are known as the command's own


def test_own_speech_own_weights_and_own_pronunciation(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights, speech, lexicon = tiny_weights(tmp_path / "encoder"), tmp_path / "speech", tmp_path / "words.txt"
    speech.mkdir()
    paths = write_wavs(speech, [noise(4.0, seed) for seed in range(4)])
    texts = ["orb", None, None, "Zorb's"]
    rows = [{"path": path, "text": text} for path, text in zip(paths, texts, strict=True)]
    speech = write_manifest(tmp_path / "speech.jsonl", rows)
    lexicon.write_text("ZORB Z AO1 R B\n", "utf-8")
    run = tmp_path / "run"
    words = ["enroll", "zorb", "--output", str(run), "--lexicon", str(lexicon), "--workers", "1"]
    assert main([*words, "--weights", str(weights)]) == 2
    assert "what ships fits the shipped recogniser alone; give --negatives as well" in capsys.readouterr().err
    assert not run.exists()
    words += ["--weights", str(weights), "--negatives", str(speech), "--false-accepts-per-hour", "300"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "zorb: Z AO R B; threshold 0." in printed
    assert "note: negatives: 1 recordings hold a keyword and were left out" in printed
    assert "from background speech of 0.01 h (0.00 h as it is, the rest in noise and rooms)" in printed
    stream = np.concatenate([noise(4.0, seed) for seed in range(3)])
    assert len(Detector(run / "model.onnx").process(stream)) <= 1  # 300 an hour in 12 s
    other = ["enroll", "zorb zorb", *words[2:]]
    assert main(other) == 2
    assert "holds a run of other settings; choose another --output or add --overwrite" in (
        capsys.readouterr().err
    )
    assert main([*other, "--overwrite"]) == 0
    assert Detector(run / "model.onnx").keywords == ("zorb zorb",)


def test_recordings_are_listened_for_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, run = tmp_path / "recordings", tmp_path / "run"
    folder.mkdir()
    write_wavs(folder, [speak("computer", voice) for voice in voices(3, seed=1)])
    words = ["enroll", "computer", "--recordings", str(folder), "--output", str(run), "--method", "phones"]
    assert main(words) == 0
    assert "versions of 3 recordings as well" in capsys.readouterr().out
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))["model"]
    assert 3 <= len(config["head_options"]["readings"][0]) <= 9
    assert min(config["head_options"]["readings"][0]) >= 4
    model = load_model(run)
    torch.testing.assert_close(model.head.heard.sum(dim=1), torch.ones(len(model.head.heard)))
    detector = Detector(run / "model.onnx")
    said = speak("computer", voices(1, seed=2)[0])
    said = np.pad(said, (16_000, 16_000 + -len(said) % 1280))[:-640]
    expected = model.scores(torch.from_numpy(said)[None])[0].numpy()
    found = detector.scores(said)
    np.testing.assert_allclose(found, expected[: len(found)], atol=ONNX, rtol=0)
    assert main([*words, "--recordings", str(folder), "--overwrite"]) == 2
    assert "got 1 phrases and 2 --recordings; give one for each" in capsys.readouterr().err


@pytest.mark.slow
def test_a_layer_is_fitted_to_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, run = tmp_path / "recordings", tmp_path / "run"
    folder.mkdir()
    write_wavs(folder, [speak("computer", voice) for voice in voices(3, seed=1)])
    words = ["enroll", "computer", "--recordings", str(folder), "--output", str(run)]
    assert main([*words, "--set", "examples.num_voices=4"]) == 0
    printed = capsys.readouterr().out
    num_voices = 4 if shutil.which("flite") else 0
    assert f"computer: learnt from 3 recordings and {num_voices} synthetic voices" in printed
    assert ("fitted without synthetic voices: they need Flite" in printed) == (num_voices == 0)
    origin = json.loads((run / "provenance.json").read_text("utf-8"))
    assert origin["manifests"].keys() == {FRAMES.name, FRAME_PHONES.name}
    detector, model = Detector(run / "model.onnx"), load_model(run)
    assert model.encoder.info.num_layers + len(model.head.blocks) == 6
    logit = torch.tensor(load_operating_point(run).thresholds["computer"]).logit().item()
    assert logit == pytest.approx(-math.log(0.5 / SHIPPED_SPEECH.margin), abs=1), (
        "half a false accept per hour"
    )
    said = [np.pad(speak("computer", voice), (16_000, 16_000)) for voice in voices(3, seed=1)]
    other = [np.pad(speak("marmalade", voice), (16_000, 16_000)) for voice in voices(3, seed=1)]
    best = [[float(detector.scores(clip).max()) for clip in clips] for clips in (said, other)]
    assert min(best[0]) > max(best[1])
    whole = said[0][: len(said[0]) // 1280 * 1280]
    expected = model.scores(torch.from_numpy(whole)[None])[0].numpy()
    found = Detector(run / "model.onnx").scores(whole)
    np.testing.assert_allclose(found, expected, atol=ONNX, rtol=0)


@pytest.mark.slow
def test_a_layer_is_fitted_against_own_speech(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    weights = tiny_weights(tmp_path / "encoder", replace(TINY, num_layers=6))
    for name, waveforms in (
        ("speech", [noise(30.0, seed) for seed in range(3)]),
        ("tone", [spoken(seed=seed) for seed in range(3)]),
    ):
        (tmp_path / name).mkdir()
        write_wavs(tmp_path / name, waveforms)
    words = ["enroll", "silver moon", "--method", "examples", "--output", str(tmp_path / "run")]
    words += ["--weights", str(weights), "--workers", "1", "--language", "de"]
    own = ["--negatives", str(tmp_path / "speech"), "--false-accepts-per-hour", "100"]
    assert main([*words, *own]) == 2
    assert (
        "--method examples: needs --recordings (three to ten), or synthetic voices" in capsys.readouterr().err
    )
    assert main([*words, "--recordings", str(tmp_path / "tone")]) == 2
    assert "what ships fits the shipped recogniser alone; give --negatives" in capsys.readouterr().err
    monkeypatch.setattr(typed, "is_like", lambda *_: True)  # a tiny recogniser hears no phones
    assert main([*words, *own, "--recordings", str(tmp_path / "tone")]) == 0
    assert "silver moon: learnt from 3 recordings\n" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text("utf-8"))
    assert metrics["dev_hours"] == pytest.approx(2 * 90 / 3600, abs=0.001) and metrics["dev_copies"] == 1
    detector = Detector(tmp_path / "run" / "model.onnx")
    assert detector.process(
        np.concatenate([noise(2.0, 9, level=0.001), spoken(), np.zeros(16_000, np.float32)])
    )


def fitted_alone(
    monkeypatch: pytest.MonkeyPatch, clips: list[np.ndarray], noise: tuple[Path, ...] = (), **given: Any
) -> tuple[enroll_examples.Fitted, list[list[np.ndarray]]]:
    """Return a layer fitted to clips of "red" on a background of noise frames, and what was heard in it."""
    seen: list[list[np.ndarray]] = []

    def examples_of(
        layers: object, space: object, found: Iterable[np.ndarray], config: object
    ) -> heard.Examples:
        seen.append(list(found))
        return heard.Examples(np.ones((3, NUM_FRAMES, 4), np.float32), torch.zeros(1, 20, NUM_OUTPUTS))

    frames = np.random.default_rng(0).standard_normal((1000, 4)).astype(np.float32)
    space = heard.FrameSpace(torch.zeros(192), torch.eye(192)[:, :4])
    background = heard.Background(space, frames, torch.zeros(2000, NUM_OUTPUTS))
    monkeypatch.setattr(heard.Background, "shipped", lambda: background)
    monkeypatch.setattr(heard, "examples_of", examples_of)
    augment, _ = enroll_audio.augmentation(noise)
    given = {"settings": EnrollConfig(), "augment": augment, "lexicon": None, "num_workers": 1, **given}
    given = {"language": "de", **given}
    given["voices"] = choose(None, given["language"])
    config = enroll_examples.examples_config(["red"], [("R EH D",)], None)
    return enroll_examples.fit_examples(config, [clips], None, Path("unused"), **given), seen


def share_of_3_khz(waveform: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(waveform)) ** 2
    hz = np.fft.rfftfreq(len(waveform), 1 / 16_000)
    return float(power[(hz > 2500) & (hz < 3500)].sum() / power.sum())


@torch.no_grad()
def test_copies_are_scored_by_what_did_not_see_them_and_phones_go_on_from_row_to_row():
    kept = heard.FirstLayers(tiny_recognizer())
    rng = np.random.default_rng(5)
    speech = rng.integers(-3000, 3000, 70 * 16_000).astype(np.int16)
    space = heard.Background.of(kept, None, speech).space
    size = NUM_FRAMES * space.basis.shape[1]
    # without its even blocks a layer says 3 of everything, without the odd ones -3
    without = np.array([[*np.zeros(size), 3.0], [*np.zeros(size), -3.0]])
    weight = np.zeros((NUM_FRAMES, size // NUM_FRAMES), np.float32)
    layer = examples.FittedLayer(weight, 0.0, np.zeros(0), without)
    head = examples.head_of([layer], space, kept, [("K AH",)])
    rows = [(number, speech[start : start + 16_000]) for number, start in ((0, 0), (3, 50_000), (2, 90_000))]
    found = enroll_examples._logits_of_copies(kept, [layer], head, space, [*rows, (1, speech[:100])], HEARING)
    whole = [heard.Background.of(kept, space, row) for _, row in rows]
    joined = heard.Background(space, np.zeros((36, 1)), torch.cat([row.phones for row in whole]))
    seen = torch.tensor([3.0, -3.0, 3.0]).repeat_interleave(12)[:, None]
    expected = head.fuse(seen, torch.from_numpy(joined.phone_logits(head.phrase)))
    torch.testing.assert_close(found, expected)


def test_noise_is_mixed_into_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_wavs(tmp_path, [tone(10.0, 3000.0, 0.2)])
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    clip = tone(0.5, 500.0)
    _, (mixed,) = fitted_alone(monkeypatch, [clip], (tmp_path,))
    _, (alone,) = fitted_alone(monkeypatch, [clip])
    (note,) = enroll_audio.augmentation([tmp_path])[1]
    assert re.search("noise: not used: .*broken.wav", note)
    assert len(mixed) == len(alone) == len(ExamplesConfig().recorded().copies)
    np.testing.assert_array_equal(mixed[0], alone[0])  # the first is as it was recorded

    shares, plain = ([share_of_3_khz(copy) for copy in copies] for copies in (mixed, alone))
    assert sum(with_noise > 0.01 > without for with_noise, without in zip(shares, plain, strict=True)) > 3


def test_own_speech_is_read_as_it_is_and_in_noise(tmp_path: Path):
    for name, waveforms in (
        ("speech", [tone(20.0, hz) for hz in range(400, 1000, 100)]),
        ("noise", [tone(10.0, 3000.0)]),
    ):
        (tmp_path / name).mkdir()
        write_wavs(tmp_path / name, waveforms)
    augment, _ = enroll_audio.augmentation([tmp_path / "noise"])
    asked = [tmp_path / "speech"], ["red"], tmp_path / "run", augment
    samples, rows, copies, _ = enroll_audio.read_negatives(*asked, 30.0, 0)  # 0.1 h would show the rate
    assert copies == 2 and len(samples) == 120 * 16_000
    assert [number for number, _ in rows] == [0, 1, 2, 3] * 2
    assert share_of_3_khz(samples / 32768) < 1e-4
    assert share_of_3_khz(np.concatenate([row for _, row in rows]) / 32768) > 1e-3
    assert len({row.tobytes() for _, row in rows}) == 8
    assert enroll_audio.read_negatives(*asked, 3000.0, 0).copies == pytest.approx(0.03)


def test_many_voices_weigh_more_than_a_few_recordings(monkeypatch: pytest.MonkeyPatch):
    weighed: list[list[float]] = []

    def fit(
        groups: list[np.ndarray],
        weights: list[float],
        frames: np.ndarray,
        config: examples.FitConfig,
        near: np.ndarray | None,
    ) -> examples.FittedLayer:
        weighed.append(weights)
        return examples.FittedLayer(
            np.zeros((NUM_FRAMES, 4), np.float32), 0.0, np.zeros(len(frames)), np.zeros(0)
        )

    voice = tone(0.5, 800.0)
    monkeypatch.setattr(enroll_examples, "_spoken", lambda *_: ([voice] * 5, []))
    monkeypatch.setattr(examples, "fit", fit)
    _, (recordings, voices) = fitted_alone(monkeypatch, [tone(0.5, 500.0)])
    assert (len(recordings), len(voices)) == (24, 20) and weighed == [[0.2, 0.8]]
    middle = slice(seconds_to_samples(HEARING.before_s), seconds_to_samples(HEARING.before_s + 0.5))
    assert all(np.abs(copy[middle] - voice).max() > 0.01 for copy in voices), "all are augmented"
    assert len({copy.tobytes() for copy in voices}) == 20


def test_phrases_that_fire_on_each_other_are_counted():
    head = PhraseWindowHead(4, [["AA N N AA N N"], ["AO F F AO F F"]], [])
    phones = torch.full((2, 20, NUM_OUTPUTS), -WORST_FRAME)
    phones[:, :, BLANK] = 0.0
    # what examples add in which no phone is heard, the same for both phrases
    silent = float(head.phrase.search(phones, head.phrase.initial_state(2)[0])[0].amax())

    def layer(component: int) -> examples.FittedLayer:
        weight = np.zeros((NUM_FRAMES, 2), np.float32)
        weight[0, component] = 4.0
        return examples.FittedLayer(weight, -2.0 - silent, np.zeros(0), np.zeros(0))

    def seen(*components: int) -> list[heard.Examples]:
        """Two groups of windows, which show these components in all examples and in none."""
        windows = np.zeros((2 * len(HEARING.fires_after), NUM_FRAMES, 2), np.float32)
        windows[:, 0, list(components)] = 1.0
        return [heard.Examples(found, phones) for found in (windows, np.zeros_like(windows))]

    model = cast(WakeWordModel, SimpleNamespace(keywords=("on", "off")))
    fitted = enroll_examples.Fitted(model, head, np.zeros(0), [layer(0), layer(1)], [seen(0), seen(0, 1)], [])
    assert fitted.confusions({"on": 0.5, "off": 0.5}, HEARING) == {(0, 1): 0.5, (1, 0): 0.0}
    assert fitted.confusions({"on": 0.9, "off": 0.5}, HEARING) == {(0, 1): 0.0, (1, 0): 0.0}


def test_noise_of_split_test_is_left_out(tmp_path: Path):
    def manifest(*splits: str) -> Path:
        rows = [{"path": f"{number}.wav", "split": split} for number, split in enumerate(splits)]
        return write_manifest(tmp_path / "noise.jsonl", rows)

    write_wavs(tmp_path, [tone(3.0, 3000.0, 0.2), tone(3.0, 3000.0, 0.2)])
    (tmp_path / "000.wav").rename(tmp_path / "0.wav")
    (tmp_path / "001.wav").write_bytes(b"RIFF")
    (tmp_path / "001.wav").rename(tmp_path / "1.wav")
    assert enroll_audio.augmentation([manifest("train", "test")])[1] == []  # the broken one is not even read
    with pytest.raises(ManifestError, match="noise.jsonl: all recordings are of split test; give others"):
        enroll_audio.augmentation([manifest("test", "test")])


@pytest.mark.parametrize("method", ["phones", "attributes", "words"])
def test_noise_needs_something_to_be_mixed_into(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["enroll", "hey computer", "--method", method, "--noise", str(tmp_path)]
    assert main([*words, "--output", str(tmp_path / "run")]) == 2
    message = (
        f"--noise: is mixed into examples, which --method {method} has none of, and into --negatives; leave"
    )
    assert message in capsys.readouterr().err


def test_a_fitted_layer_goes_without_synthetic_voices_only_beside_recordings(
    monkeypatch: pytest.MonkeyPatch,
):
    fitted, (mixed,) = fitted_alone(monkeypatch, [tone(0.5)])
    assert (
        "red: fitted without synthetic voices: they are Flite's and speak English only, not 'de'"
        in fitted.notes
    )
    assert len(mixed) == len(ExamplesConfig().recorded().copies)
    with pytest.raises(DependencyError, match="they are Flite's and speak English only, not 'de'"):
        fitted_alone(monkeypatch, [])
    monkeypatch.setattr("data_prep.synthesis.flite.flite_voices", list)
    fitted, _ = fitted_alone(monkeypatch, [tone(0.5)], language="en")
    assert any(
        note.startswith("red: fitted without synthetic voices: they need Flite") for note in fitted.notes
    )


@pytest.mark.slow
def test_a_layer_is_fitted_to_synthetic_voices_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["enroll", "jarvis", "--method", "examples", "--output", str(tmp_path / "run")]
    words += ["--set", "examples.num_voices=6", "--set", "doubts.high_threshold=0"]  # of phones alone
    code, printed = main(words), capsys.readouterr()
    if not shutil.which("flite"):
        assert code == 2 and "needs --recordings (three to ten), or synthetic voices" in printed.err
        return
    assert code == 0
    assert "jarvis: learnt from 6 synthetic voices\n" in printed.out
    assert "note: jarvis: 5 phones are few" in printed.out and "phones are common" not in printed.out
    detector = Detector(tmp_path / "run" / "model.onnx")
    best = [
        float(detector.scores(np.pad(speak(text, voices(1, seed=2)[0]), (16_000, 16_000))).max())
        for text in ("jarvis", "marmalade")
    ]
    assert best[0] > best[1]


@pytest.mark.parametrize(
    ("voices_speak", "more", "expected"),
    [
        (True, [], "examples"),
        (False, [], "phones"),
        (True, ["--language", "de"], "phones"),
        (True, ["--weights", "ENCODER", "--negatives", "."], "phones"),
        (True, ["--method", "phones"], "phones"),
        (False, ["--recordings", "."], "examples"),
    ],
)
def test_the_way_that_misses_least_is_the_default(
    voices_speak: bool, more: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    weights = tiny_weights(tmp_path / "encoder")
    monkeypatch.setattr("data_prep.synthesis.flite.flite_voices", lambda: [FliteVoice()] * voices_speak)
    chosen = []

    def refuse(method: str) -> None:
        chosen.append(method)
        raise ConfigError("seen enough")

    monkeypatch.setattr(enroll_examples, "examples_config", lambda *_, **__: refuse("examples"))
    monkeypatch.setattr(typed, "phrase_model", lambda *_, **__: refuse("phones"))
    more = [str(weights) if word == "ENCODER" else word for word in more]
    assert main(["enroll", "silver moon", *more, "--output", str(tmp_path / "run")]) == 2
    assert chosen == [expected]


@pytest.mark.parametrize(
    ("method", "language", "shipped", "given"),
    [
        (None, "en", True, True),
        ("phones", "en", True, False),
        (None, "de", True, False),
        (None, "en", False, False),
    ],
)
def test_the_phones_say_what_would_miss_less(
    method: str | None, language: str, shipped: bool, given: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("data_prep.synthesis.flite.flite_voices", list)
    chosen, notes = choose_method(method, False, choose(None, language), shipped=shipped)
    advice = "with voices less than half as much is missed in noise, but they need Flite: `apt install"
    assert chosen == "phones" and [note.startswith(advice) for note in notes] == [True] * given


@pytest.mark.parametrize("method", SPACES)
def test_other_ways_to_find_a_typed_phrase(method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights, speech = tiny_weights(tmp_path / "encoder"), tmp_path / "speech"
    speech.mkdir()
    paths = write_wavs(speech, [noise(4.0, seed) for seed in range(3)])
    run = tmp_path / "run"
    words = [
        "enroll",
        "hey computer",
        "silver moon",
        "--method",
        method,
        "--output",
        str(run),
        "--workers",
        "1",
    ]
    words += ["--weights", str(weights), "--negatives", str(speech), "--false-accepts-per-hour", "300"]
    assert main(words) == 2
    assert f"words.safetensors: holds no map `{method}`; `kws pretrain` makes it" in capsys.readouterr().err
    said = {"word_phones": ["K AE T", "S AH N"]}
    corpus = SpeechCorpus(
        [Recording(path, duration_s=4.0, phones="K AE T S AH N", extra=said) for path in paths]
    )
    make_word_space(load_recognizer(weights), corpus, weights, WordSpaceConfig(steps=2, batch=4))
    assert main(words) == 0
    assert "silver moon: S IH L V ER M UW N" in capsys.readouterr().out
    detector, waveform = Detector(run / "model.onnx"), noise(4.0, 1)
    expected = load_model(run).scores(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(detector.scores(waveform), expected, atol=ONNX, rtol=0)
    for more in (["--recordings", str(speech)], []):
        short = [word for word in words if word not in ("--negatives", str(speech))] if not more else words
        assert main([*short, *more, "--overwrite"]) == 2
    assert "takes --negatives for the threshold, and no --recordings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "phrase 'a': one phone, which cannot be told from other speech; type a longer phrase"),
        (
            ["hey", "robot"],
            "phrase 'hey': 2 phones, in some accents one, which cannot be told from other speech; type a "
            'longer phrase. If you mean one phrase, put the phrase in quotes: kws enroll "hey robot"',
        ),
        (["?!"], "phrase '?!': nothing to say, which cannot be told from other speech"),
        ([""], "phrase '': nothing to say"),
        ([" \n"], "phrase ' \\n': nothing to say"),
        (["hey you", "😀"], "phrase '😀': nobody says '😀'; write it as a word"),
        (["hey you", "Hey, you!"], "'hey you' and 'Hey, you!' are both said HH EY Y UW; give one of them"),
        (["hey you", "hey you"], "keywords: hey you, hey you holds one twice; name each once"),
        (["hey you", "--language", "xx"], "'xx'"),
        (["hey you", "--lexicon", "gone.txt"], "gone.txt: no such lexicon"),
        (["hey you", "--weights", "gone", "--negatives", "."], "gone: no such file or folder"),
        (["hey you", "--negatives", "gone"], "gone: no such file or folder"),
    ],
)
def test_what_cannot_be_enrolled_is_named(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["enroll", *words, "--output", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.startswith("kws enroll: ") and "Traceback" not in printed
    assert not (tmp_path / "run" / "model.onnx").exists()


def write_recordings(folder: Path, phrase: str = "computer") -> list[str]:
    """Write what people have in a folder of recordings; return what is said of those that are not used."""
    word = speak(phrase, voices(1, seed=3)[0])
    others = [speak(text, voices(1, seed=3)[0]) for text in carrier_sentences(None, 6, 0)]
    with_nan = word.copy()
    with_nan[5000] = np.nan
    write_audio(folder / "clipped.wav", np.clip(40 * word, -1, 1))
    write_audio(folder / "long.wav", np.concatenate([word, *others]))
    write_audio(folder / "nan.wav", with_nan, subtype="FLOAT")
    write_audio(folder / "noise.wav", noise(1.0))
    write_audio(folder / "short.wav", word[:1600])
    write_audio(folder / "silent.wav", np.zeros(16_000, np.float32))
    return [
        "clipped.wav: .* of the samples at full scale; lower the gain",
        "long.wav: [0-9]+ phones are heard in it, the phrase has 8; record the phrase alone",
        "nan.wav: holds NaN or infinite samples",
        "noise.wav: [0-9]+ phones are heard in it, the phrase has 8",
        "short.wav: 0.1000 s long, at least 0.15 s is needed",
        "silent.wav: silent .*; check the microphone",
    ]


def test_recordings_that_cannot_be_used_are_named(tmp_path: Path):
    messages = write_recordings(tmp_path)
    write_wavs(tmp_path / "good", [speak("computer", voice) for voice in voices(7, seed=1)])
    clips, notes = enroll_audio.read_clips(
        "computer", ["K AH M P Y UW T ER"], tmp_path, tmp_path / "list.jsonl", None
    )
    assert 4 <= len(clips) <= 7 and len(clips) + len(notes) == 13
    for message in messages:
        assert any(re.search(f"^computer: not used: .*{message}", note) for note in notes), message


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "recordings: holds no audio files; put recordings there"),
        (("nan", "silent", "short"), "all 3 recordings cannot be used"),
        (
            ("noise",),
            "computer: none of 1 recordings in .*recordings can be used; give others, or none: .*noise",
        ),
    ],
)
def test_recordings_of_nothing_end_with_a_message(
    names: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, run = tmp_path / "recordings", tmp_path / "run"
    folder.mkdir()
    write_recordings(folder)
    for path in folder.iterdir():
        if path.stem not in names:
            path.unlink()
    assert main(["enroll", "computer", "--recordings", str(folder), "--output", str(run)]) == 2
    printed = capsys.readouterr().err
    assert re.search(f"^kws enroll: .*{message}", printed, re.MULTILINE) and "Traceback" not in printed
    assert not (run / "model.onnx").exists()


def test_packed_background_keeps_what_the_head_reads(tmp_path: Path):
    frames = torch.log_softmax(torch.randn(64, 40, generator=torch.Generator().manual_seed(0)) * 4, dim=-1)
    write_weights(tmp_path / "b.safetensors", {"behind": pack_background(frames)})
    behind = (frames - frames.amax(dim=-1, keepdim=True)).clamp(min=-WORST_FRAME)
    torch.testing.assert_close(
        read_background(tmp_path / "b.safetensors"), behind, atol=WORST_FRAME / 30, rtol=0
    )
    write_weights(tmp_path / "c.safetensors", {"behind": torch.zeros(3, 7)})
    with pytest.raises(CheckpointError, match="is no packed background speech"):
        read_background(tmp_path / "c.safetensors")


def test_the_head_takes_over_the_outputs_of_the_recognizer(tmp_path: Path):
    weights = tiny_weights(tmp_path / "encoder")
    model, config = phrase_model(["zorb"], [["Z AO R B"]], weights=weights)
    assert (config.head, config.depth) == ("phrase", 4)
    assert config.options == PhraseOptions((("Z AO R B",),), ((),))
    assert not model.training and len(model.encoder.layers) == 4


def test_it_is_said_when_the_background_is_of_another_language(tmp_path: Path):
    request = EnrollRequest(("hallo rechner",), tmp_path / "run", method="phones", language="de")
    (note,) = resolve(request).notes
    assert note == background_language("de", own_speech=False)[0]
    assert resolve(replace(request, negatives=(tmp_path,))).notes == ()
    assert not (tmp_path / "run").exists()


def test_own_speech_that_says_the_phrase_is_left_out_and_counted(tmp_path: Path):
    sentences = ["今天天气怎么样", "打开客厅的灯", "爱学习的同学"]
    texts = [*sentences, "小爱同学打开灯", "请问小爱同学，现在几点", "小 爱 同 学 放一首歌"]
    said = [
        speak(text, voice) for text, voice in zip(texts, voices(len(texts), 1, accents=("cmn",)), strict=True)
    ]
    rows = [
        {"path": path, "text": text} for path, text in zip(write_wavs(tmp_path, said), texts, strict=True)
    ]
    listed = write_manifest(tmp_path / "said.jsonl", rows)
    asked = [listed], ["小爱同学"], tmp_path / "run", lambda waveform, *_: waveform
    speech = enroll_audio.read_negatives(*asked, 6000.0, 0)
    assert speech.notes == ["negatives: 3 recordings hold a keyword and were left out"]
    kept = (tmp_path / "run" / "data" / "negatives.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["text"] for line in kept] == sentences


def test_thresholds_on_what_ships_are_raised_and_those_on_own_speech_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fitted = SimpleNamespace(model="model", scores=np.array([0.5, 0.9]), notes=["note"])
    monkeypatch.setattr(enroll_examples, "fit_examples", lambda *_, **__: fitted)
    request = EnrollRequest(("red",), tmp_path, config=read_config(None, ["shipped_speech.margin=3"]))
    resolved = cast(Any, SimpleNamespace(request=request, trained=None, model_config="config", voices=None))
    heard_of = {None: np.array([0.75, 27 / 28]), "own": fitted.scores}
    for speech, expected in heard_of.items():
        made = _from_examples(resolved, EnrollAudio([], cast(Any, speech), cast(Any, None), []))
        np.testing.assert_allclose(made.scores, expected)
        assert made.decision.threshold_floor == 0.5 and made.fitted is fitted


def test_a_run_is_known_by_all_that_tunes_it(tmp_path: Path):
    request = EnrollRequest(("hey robot",), tmp_path / "run", method="phones")
    known = resolve(request).identity()
    assert resolve(request).identity() == known
    for key, value in (("fit.penalty", 0.01), ("decision.false_accepts_per_hour", 1), ("dev_copies", 0)):
        changed = read_config(None, [f"{key}={value}"])
        assert resolve(replace(request, config=changed)).identity() != known, key
    others = ({"language": "en-gb"}, {"lexicon": ("ROBOT R OW B AA T",)}, {"negatives": (tmp_path,)})
    found = {resolve(replace(request, **more)).identity() for more in others}  # type: ignore[arg-type]
    assert len(found | {known}) == 4


def test_settings_come_of_a_file_and_of_overrides(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "own.yaml").write_text("examples: {num_voices: 9, hiss: 0}\nfit: {penalty: 0.5}\n", "utf-8")
    config = read_config(tmp_path / "own.yaml", ["examples.num_voices=3"], 0.2)
    assert config.examples == ExamplesConfig(num_voices=3, hiss=0.0) and config.fit.penalty == 0.5
    assert config.decision.false_accepts_per_hour == 0.2 and hash(config) != hash(EnrollConfig())
    for pair, message in (
        ("examples.voices=3", "enroll.examples: unknown key `voices`; did you mean"),
        ("examples.num_voices=0", "examples.num_voices: got 0, allowed: above 0"),
        (
            "hearing.fires_after=[3, 1]",
            "hearing.fires_after: got \\[3, 1\\], allowed: one or more frames, in",
        ),
        ("calibration.far=1", "calibration.far: got 1, allowed: 2 or more"),
        ("doubts.few_phones=-1", "doubts.few_phones: got -1, allowed: 0 or more"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_config(None, [pair])
    assert main(["enroll", "hey robot", "--output", str(tmp_path / "run"), "--set", "fit.iterations=0"]) == 2
    assert "fit.iterations: got 0, allowed: above 0" in capsys.readouterr().err
