"""Speech, transcripts and weights that people really have, in pretraining: used, or left out and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from data_prep.augmentation.banks import NoiseBank
from data_prep.synthesis.espeak import Voice
from kws import audio
from kws.cli import main
from kws.encoders.sources.embedded import EmbeddedEncoder
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.errors import CheckpointError, ConfigError, KwsError, ManifestError
from kws.manifest import Recording
from kws.phones import encode
from kws.pretraining import loop as module
from kws.pretraining.batches import TrainingBatches
from kws.pretraining.checks import fewest_frames, shortage
from kws.pretraining.config import PretrainConfig
from kws.pretraining.corpus import SpeechCorpus, keep_versions
from kws.pretraining.loop import begin_with, pretrain
from kws.pretraining.sources import SpeechSourceConfig, load_sources, read_sources
from kws.pretraining.task import phone_error_rate
from kws.pretraining.teachers import EncoderTeacher, TeacherConfig
from kws.workflows.pretrain import texts_as_phones
from tests.support.pretraining import TINY, no_change, write_speech
from tests.support.recordings import write_audio
from tests.support.training import noise, tiny_weights, tone, write_manifest, write_wavs


def with_nan() -> np.ndarray:
    waveform = tone(1.0)
    waveform[5000] = np.nan
    return waveform


def cut_short(path: Path) -> None:
    write_audio(path, noise(1.0))
    path.write_bytes(path.read_bytes()[:9000])


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "corrupt.wav": (lambda path: path.write_bytes(b"RIFF" + bytes(range(250))), "cannot be decoded as audio"),
    "empty.wav": (lambda path: path.write_bytes(b""), "cannot be decoded as audio"),
    "cut.wav": (cut_short, "0.28 s could be read, the manifest says 1.00 s; copy the file again"),
    "cut.flac": (cut_short, "cut.flac: "),
    "nan.wav": (lambda path: write_audio(path, with_nan(), subtype="FLOAT"), "holds NaN or infinite samples"),
    "silent.wav": (lambda path: write_audio(path, np.full(16_000, 0.1)), "silent; record it again"),
    "folder.wav": (lambda path: path.mkdir(), "no such file"),
    "gone.wav": (lambda path: None, "no such file; check the path in the manifest"),
}
"""File name -> how it is made and what is said of it."""

LINES: list[tuple[dict[str, Any], str]] = [
    ({"phones": "K XX"}, "unknown phone 'XX' in 'K XX'; allowed: AA AE"),
    ({"phones": "ə b"}, "unknown phone 'ə' in 'ə b'"),
    ({"phones": "K AE " * 40}, "1.00 s, 34 frames with the tail, cannot hold the 80 phones of the transcri"),
    ({"phones": "K " * 20}, "1.00 s, 34 frames with the tail, cannot hold the 20 phones"),  # a blank between
    ({"text": "[[k@?t]]"}, "'?' in '[[k@?t]]' has no ARPAbet phone"),
    ({"text": " ... "}, "text ' ... ' holds nothing to say"),
    ({"text": "😀"}, "text '😀' holds nothing to say"),
    ({"text": "   "}, "text '   ' holds nothing to say; write what is said there, or remove the line"),
    ({"text": ""}, "no transcript"),
    ({"text": "大 cat"}, "eSpeak's 'en-us' does not read 大; try `language=cmn`"),
    ({}, "no transcript"),
]
"""Transcript of a good file of one second, and what is said of it."""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``recipe.yaml`` beside the speech of :func:`write_speech`, with a language."""
    monkeypatch.setattr(module, "STATISTICS_UTTERANCES", 1)
    write_speech(tmp_path)
    (tmp_path / "recipe.yaml").write_text(
        "train: [{manifest: speech.jsonl, language: en-us}]\ndev: [{manifest: speech.jsonl, splits: [dev]}]\n"
        "encoder: {num_mels: 8, dimension: 12, num_layers: 2, kernel: 3}\nmiddle: 1\nsteps: 2\nbatch_s: 2\n"
        "evaluate_every: 1\nnum_workers: 0\nprecision: 32-true\naugment_strength: 0\nmax_left_out: 0.9\n",
        "utf-8",
    )
    return tmp_path / "recipe.yaml"


def add_lines(manifest: Path, rows: list[dict[str, Any]]) -> None:
    with manifest.open("a", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({"path": "wavs/000.wav", "split": "train", **row}) + "\n")


def command(recipe: Path, *settings: str) -> list[str]:
    words = ["pretrain", str(recipe), "--output", str(recipe.parent / "run")]
    return words + [word for setting in settings for word in ("--set", setting)]


def test_what_cannot_be_learnt_from_is_left_out_and_named(recipe: Path, capsys: pytest.CaptureFixture[str]):
    folder = recipe.parent
    clean = load_sources((SpeechSourceConfig(folder / "speech.jsonl"),))
    write_audio(folder / "good.wav", tone(1.0))
    for name, (make, _) in BROKEN.items():
        make(folder / name)
    rows = [{"path": name, "phones": "K AE T", "duration_s": 1.0} for name in BROKEN]
    rows += [{"path": "good.wav", **values} for values, _ in LINES]
    add_lines(folder / "speech.jsonl", [*rows, {"path": "gone.wav", "phones": "K"}])  # without a length
    messages = [message for _, message in (*BROKEN.values(), *LINES)] + ["gone.wav: no such file"]
    assert main([*command(recipe), "--cache", str(folder / "decoded")]) == 0
    assert (folder / "decoded").is_dir() and not (folder / "run" / "cache").exists()
    lines = (folder / "run" / "left_out.jsonl").read_text("utf-8").splitlines()
    found = {entry["where"]: entry for entry in map(json.loads, lines)}
    for number, message in enumerate(messages, start=7):
        assert message in found[f"{folder / 'speech.jsonl'}, line {number}"]["reason"], number
    assert len(found) == len(messages) + 1  # and the line of the speech itself that has no phones
    printed = f"note: left out of train: {len(found)}; {folder / 'run' / 'left_out.jsonl'} says why"
    assert printed in capsys.readouterr().out
    metrics = json.loads((folder / "run" / "metrics.json").read_text("utf-8"))
    assert metrics["train_utterances"] == 3 and metrics["left_out"] == {"train": len(found), "dev": 0}
    trained_on = json.loads((folder / "run" / "speech.json").read_text("utf-8"))
    assert trained_on["speech"] == clean.digest()


HALF = "max_left_out=0.5"


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (
            [{"phones": "K XX"}] * 4,
            [HALF],
            "4 of 7 lines cannot be used (max_left_out allows 50%)",
        ),
        ([{"text": "[[?]]"}] * 4, [HALF], "eSpeak phoneme '?' in '[[?]]' has no ARPAbet phone"),
        ([{"phones": "K", "path": "gone.wav"}] * 4, [HALF], "gone.wav: no such file"),
        ([{"phones": "K " * 99}], ["max_left_out=0"], "cannot hold the 99 phones"),
        ([], ["train=[{manifest: speech.jsonl, language: xx}]"], "language 'xx' is unknown to eSpeak NG"),
        ([], ["train=[{manifest: speech.jsonl, language: no}]"], "expected str, got False; YAML takes no"),
        (
            [{"duration_s": "x", "phones": "K"}],
            [],
            "speech.jsonl, line 7: `duration_s` is 'x', expected a number",
        ),
        ([], ["test=[{manifest: gone.jsonl}]"], "gone.jsonl: cannot be read (No such file or directory)"),
        ([], ["noise=gone"], "gone: no such file or folder; give a folder of recordings"),
        ([], ["init=gone"], "gone: holds no config.yaml; give the output folder of `kws pretrain`"),
        ([], ["teacher={source: speech_embedding, path: gone, layer: 1}"], "gone: no speech embedding"),
        ([], ["teacher={source: embedded, depth: 99, layer: 1}"], "teacher: depth: got 99, allowed: 1 to 10"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_cannot_be_pretrained_on_ends_with_one_message(
    recipe: Path,
    capsys: pytest.CaptureFixture[str],
    rows: list[dict[str, Any]],
    settings: list[str],
    message: str,
):
    add_lines(recipe.parent / "speech.jsonl", rows)
    assert main(command(recipe, *settings)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "kws pretrain: " in line]
    assert line.startswith("kws pretrain: ") and message in line
    assert not (recipe.parent / "run" / "weights.safetensors").exists()


def test_what_may_be_missing_is_looked_for_before_audio_is_read(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def read(self: Recording) -> np.ndarray:
        raise AssertionError("audio was read")

    monkeypatch.setattr(Recording, "load", read)
    gone = (SpeechSourceConfig(tmp_path / "gone.jsonl"),)
    for changes, error in (
        ({"init": Path("gone")}, CheckpointError),
        ({"teacher": TeacherConfig("embedded", path=Path("gone"), layer=1)}, CheckpointError),
        ({"test": gone}, ManifestError),
        ({"dev": gone}, ManifestError),
    ):
        with pytest.raises(error, match="gone"):
            pretrain(replace(config, **changes), tmp_path / "run", root=tmp_path)


def test_weights_that_cannot_be_a_beginning_are_refused(tmp_path: Path):
    folder = tiny_weights(tmp_path / "earlier", TINY)
    model = load_recognizer(folder)
    begin_with(model, folder)
    path = folder / "weights.safetensors"
    whole = path.read_bytes()
    save_file({**load_file(path), "output.1.bias": torch.full((40,), torch.nan)}, path)
    with pytest.raises(CheckpointError, match=r"init: .*earlier: output.1.bias is not finite; give"):
        begin_with(model, folder)
    path.write_bytes(whole[:500])
    with pytest.raises(CheckpointError, match=r"init: .*weights.safetensors: no readable safetensors"):
        begin_with(model, folder)
    (folder / "config.yaml").write_text("model: {keywords: [a]}\n", "utf-8")
    with pytest.raises(CheckpointError, match=r"config.yaml: is not of a recogniser; give the output folder"):
        begin_with(model, folder)


def test_a_teacher_that_says_nonsense_is_refused_and_another_one_heard_anew(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    weights = tiny_weights(tmp_path / "teacher", TINY)
    taught = replace(config, teacher=TeacherConfig("embedded", path=weights, depth=1, layer=1))
    whole = load_file(weights / "weights.safetensors")
    damaged = {name: torch.full_like(tensor, torch.nan) for name, tensor in whole.items()}
    save_file(damaged, weights / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"teacher: gives values that are not finite for .*wav; its we"):
        pretrain(taught, tmp_path / "run", no_change)
    save_file(whole, weights / "weights.safetensors")
    heard: list[int] = []
    embed = EncoderTeacher.embed
    monkeypatch.setattr(EncoderTeacher, "embed", lambda self, wave: (heard.append(1), embed(self, wave))[1])
    monkeypatch.setattr(module, "CtcTask", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    for scale, count in ((1.0, 3), (1.0, 3), (2.0, 6)):
        save_file({name: scale * tensor for name, tensor in whole.items()}, weights / "weights.safetensors")
        with pytest.raises(KeyboardInterrupt):
            pretrain(taught, tmp_path / "run", no_change)
        assert len(heard) == count  # other weights in the same place are another teacher


def test_files_that_are_deleted_after_the_manifest_was_read_are_left_out(tmp_path: Path):
    folder = write_speech(tmp_path)
    lines = read_sources((SpeechSourceConfig(folder / "speech.jsonl"),))
    (folder / "wavs" / "001.wav").unlink()
    corpus = lines.corpus()
    assert [entry.path.name for entry in corpus.utterances] == ["000.wav", "002.wav"]
    assert [(entry.where, entry.is_fault) for entry in corpus.left_out] == [
        (f"{folder / 'speech.jsonl'}, line 6", False),
        (f"{folder / 'speech.jsonl'}, line 2", True),
    ]
    for entry, samples in zip(corpus.utterances, corpus.audio, strict=True):
        np.testing.assert_array_equal(samples, audio.to_int16(entry.load()))
    for path in (folder / "wavs").iterdir():
        path.unlink()
    with pytest.raises(
        ManifestError, match=r"all 3 lines cannot be used .*, line 1: .*000.wav: no such file"
    ):
        lines.corpus()


def test_any_rate_and_number_of_channels_is_resampled_whatever_the_manifest_says(tmp_path: Path):
    text, phones = "hey computer", "HH EY K AH M P Y UW T ER"
    waveform = Voice().speak(text)
    write_audio(tmp_path / "16.wav", waveform)
    write_audio(tmp_path / "8.wav", audio.resample(waveform, 16_000, 8_000), 8_000)
    write_audio(tmp_path / "22.wav", audio.resample(waveform, 16_000, 22_050), 22_050)
    stereo = audio.resample(waveform, 16_000, 44_100)
    write_audio(tmp_path / "44.wav", np.stack([stereo, stereo], axis=1), 44_100)
    names = ("16", "8", "22", "44")
    rows = [{"path": f"{name}.wav", "phones": phones, "sample_rate": 11_025} for name in names]
    manifest = write_manifest(tmp_path / "m.jsonl", [{**row, "split": "train"} for row in rows])
    corpus = load_sources((SpeechSourceConfig(manifest),))
    assert not corpus.left_out and len(corpus.audio) == 4
    recognizer = load_recognizer()
    rates = {}
    for utterance, samples in zip(corpus.utterances, corpus.audio, strict=True):
        np.testing.assert_array_equal(samples, audio.to_int16(audio.load(utterance.path)))
        assert abs(len(samples) - len(waveform)) <= 2
        one = SpeechCorpus([utterance], progress=False)
        rates[utterance.path.stem] = phone_error_rate(recognizer, one)["all"]
    assert rates["22"] == rates["44"] == rates["16"] < 0.5
    assert rates["8"] <= rates["16"] + 0.2  # what lies above 4 kHz is lost


def test_an_augmentation_that_leaves_too_few_frames_for_the_phones_is_not_used(tmp_path: Path):
    (path,) = write_wavs(tmp_path, [noise(1.0)])
    many = " ".join(["K", "AE"] * 12)  # 24 of 34 frames
    corpus = SpeechCorpus([Recording(path, duration_s=1.0, phones=many)], versions=[2], progress=False)

    def faster(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        return waveform[:: 2 if epoch == 1 else 1].copy()

    encoder = EmbeddedEncoder(TINY)
    batches = TrainingBatches(corpus, batch_s=1.0, augment=faster, encoder=encoder, num_steps=2)
    assert [int(batches.batch(step).lengths) for step in range(2)] == [34, 34]
    keep_versions(corpus, augment=faster, encoder=encoder, seed=0, num_workers=0, progress=False)
    assert [len(version) for version in corpus.kept[0]] == [136, 136]
    corpus.kept, corpus.targets = [[]], [encode("K AE T")]
    assert int(batches.batch(1).lengths) == 17


@pytest.mark.parametrize(("said", "frames"), [("K", 1), ("K AE T", 3), ("K K", 3), ("K K K AE AE", 8)])
def test_ctc_needs_a_frame_for_each_phone_and_a_blank_between_equal_ones(said: str, frames: int):
    assert fewest_frames(encode(said)) == frames
    targets = torch.tensor([encode(said)])
    even = torch.full((frames, 1, 40), 1 / 40).log()
    for count in range(1, frames + 1):
        lengths = torch.tensor([count]), torch.tensor([targets.shape[1]])
        loss = torch.nn.functional.ctc_loss(even, targets, *lengths)
        assert bool(torch.isfinite(loss)) == (count == frames)


def test_phones_need_as_many_frames_as_their_time_and_the_tail_have():
    entry = Recording(Path("short.wav"), duration_s=0.04)
    ten = list(range(10))  # 0.04 s and the tail of 0.36 s are ten frames of 0.04 s
    assert shortage(entry, ten, 640) is None and shortage(entry, [], 0) is None
    reason = shortage(entry, [*ten, 10], 640)
    assert reason == (
        "short.wav: 0.04 s, 10 frames with the tail, cannot hold the 11 phones of the transcript; mend the "
        "transcript or the length"
    )


def test_one_text_of_many_that_cannot_be_read_is_told_apart():
    texts = ["hey"] * 5 + ["[[?]]"] + ["you"] * 6 + ["[[k@?t]]"]
    found = texts_as_phones(texts, "en-us", None)
    assert found[:5] == ["HH EY"] * 5 and found[6:12] == ["Y UW"] * 6
    assert isinstance(found[5], KwsError) and "'[[?]]'" in str(found[5])
    assert isinstance(found[12], KwsError) and "'[[k@?t]]'" in str(found[12])
    assert texts_as_phones([], "en-us", None) == []


def test_ages_that_are_no_numbers_are_groups_of_their_own(tmp_path: Path):
    paths = write_wavs(tmp_path, [noise(0.5, seed) for seed in range(4)])
    ages = [12, "34", "thirties", None]
    corpus = SpeechCorpus(
        [
            Recording(path, duration_s=0.5, phones="K", extra={"age": age})
            for path, age in zip(paths, ages, strict=True)
        ],
        progress=False,
    )
    rates = phone_error_rate(load_recognizer(tiny_weights(tmp_path / "encoder", TINY)), corpus, by=("age",))
    assert rates.keys() == {"all", "age=child", "age=adult", "age=thirties"}


def test_words_cannot_be_learnt_without_a_transcript(tmp_path: Path):
    (path,) = write_wavs(tmp_path, [noise(0.5)])
    with pytest.raises(ManifestError, match="words: no utterance of `train` has a transcript"):
        SpeechCorpus([Recording(path, duration_s=0.5)], progress=False).sample(1)


def test_noise_that_cannot_be_read_is_left_out(tmp_path: Path):
    good = write_wavs(tmp_path, [noise(0.5, 1), noise(0.5, 2)])
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"x")
    bank, left_out = NoiseBank.of_readable([good[0], bad, good[1]])
    assert bank.paths == tuple(good) and len(left_out) == 1 and "bad.wav: cannot be decoded" in left_out[0]
    np.testing.assert_array_equal(bank.recordings[1], audio.load(good[1]))
    assert bank.digest() == NoiseBank(tuple(good)).digest() != NoiseBank(tuple(good[::-1])).digest()
    with pytest.raises(ConfigError, match=r"noise: none of 1 recordings can be read; the first: .*bad.wav"):
        NoiseBank.of_readable([bad])
