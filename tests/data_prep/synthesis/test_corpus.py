"""Synthetic corpora: manifests, repeatability, resuming, word salad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep import manifests
from data_prep.synthesis import corpus, espeak
from data_prep.synthesis.mandarin import WORDS
from data_prep.synthesis.phones import PronunciationError, text_to_phones
from kws import audio
from kws.errors import ConfigError

TEXTS = ["open the door", "seven blue birds", "thank you"]


def make(output, num=5, **options):
    voices = espeak.voices(4, seed=1, split="dev")
    return corpus.synthesize_corpus(output, TEXTS, num, voices, 3, "dev", **options)


def test_rows_agree_with_the_audio(tmp_path):
    recordings = manifests.read(make(tmp_path))
    assert [recording.text for recording in recordings] == [TEXTS[index % 3] for index in range(5)]
    assert recordings[2].phones == "TH AE NG K Y UW"
    for recording in recordings:
        waveform = audio.load(recording.path)
        assert recording.duration_s == pytest.approx(len(waveform) / audio.SAMPLE_RATE, abs=1e-3)
        assert (recording.split, recording.source, recording.language) == ("dev", "espeak-ng", "en")
        assert recording.speaker in {voice.id for voice in espeak.voices(4, seed=1, split="dev")}
        loud = np.flatnonzero(np.abs(waveform) > 10 ** (corpus.SILENCE_DB / 20) * np.abs(waveform).max())
        for margin in (loud[0], len(waveform) - 1 - loud[-1]):
            assert 0.01 * audio.SAMPLE_RATE < margin < 0.32 * audio.SAMPLE_RATE


def test_processes_make_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "ITEMS_PER_JOB", 3)
    here, there = make(tmp_path / "a"), make(tmp_path / "b", num_workers=2)
    assert here.read_bytes() == there.read_bytes()
    for one, two in zip(manifests.read(here), manifests.read(there), strict=True):
        assert one.path.read_bytes() == two.path.read_bytes()


def test_processes_of_an_earlier_call_write_where_this_one_says(tmp_path, monkeypatch):
    for place in ("here", "there"):  # the second call gets the processes of the first
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        made = manifests.read(make(Path("out"), num_workers=2))
        assert all(one.path.is_relative_to(tmp_path / place / "out") for one in made)
        assert all(one.path.is_file() for one in made)


def test_a_killed_run_is_continued_and_finished_files_are_kept(tmp_path, monkeypatch):
    whole = {
        recording.path.name: recording.path.read_bytes()
        for recording in manifests.read(make(tmp_path / "whole"))
    }
    speak, said = espeak.speak, []

    def killed(text, voice):
        said.append(text)
        if len(said) == 4:
            raise KeyboardInterrupt
        return speak(text, voice)

    monkeypatch.setattr(espeak, "speak", killed)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "cut")
    assert not (tmp_path / "cut" / "dev.jsonl").exists()
    finished = sorted((tmp_path / "cut").rglob("*.flac"))
    assert len(finished) == 3
    times = [path.stat().st_mtime_ns for path in finished]

    said.clear()
    monkeypatch.setattr(espeak, "speak", lambda text, voice: said.append(text) or speak(text, voice))
    recordings = manifests.read(make(tmp_path / "cut"))
    assert len(said) == 2
    assert [path.stat().st_mtime_ns for path in finished] == times
    assert {recording.path.name: recording.path.read_bytes() for recording in recordings} == whole
    assert len(list((tmp_path / "cut").rglob("*.*"))) == 6


def test_other_content_takes_no_stale_file(tmp_path):
    first = manifests.read(make(tmp_path))[0]
    voices = espeak.voices(4, seed=2, split="dev")
    second = manifests.read(corpus.synthesize_corpus(tmp_path, TEXTS, 5, voices, 3, "dev"))[0]
    assert first.path != second.path
    assert first.path.read_bytes() != second.path.read_bytes()


def test_opus_and_no_phones(tmp_path):
    recording = manifests.read(make(tmp_path, num=1, suffix=".opus", phones=False))[0]
    assert recording.path.suffix == ".opus"
    assert recording.phones is None
    assert np.abs(audio.load(recording.path)).max() > 0.1


def test_a_mandarin_corpus_has_many_voices_and_no_voice_in_two_splits(tmp_path):
    speakers = {}
    for split in ("train", "test"):
        texts = corpus.random_texts(WORDS, 6, 2, min_words=2, max_words=3)
        voices = espeak.voices(6, 2, accents=("cmn",), split=split)
        recordings = manifests.read(corpus.synthesize_corpus(tmp_path, texts, 6, voices, 2, split))
        assert [recording.text for recording in recordings] == texts
        assert {recording.language for recording in recordings} == {"cmn"}
        for recording in recordings:
            assert recording.phones == " ".join(text_to_phones(recording.text, "cmn"))
            assert np.abs(audio.load(recording.path)).max() > 0.05
        speakers[split] = {recording.speaker.split("-")[0] for recording in recordings}
        assert len(speakers[split]) > 2
    assert not speakers["train"] & speakers["test"]


def test_random_texts_use_every_word_equally():
    words = [f"w{index}" for index in range(50)]
    texts = corpus.random_texts(words, 200, 5, min_words=2, max_words=6)
    assert texts == corpus.random_texts(words, 200, 5, min_words=2, max_words=6)
    assert texts != corpus.random_texts(words, 200, 6, min_words=2, max_words=6)
    lengths = [len(text.split()) for text in texts]
    assert (min(lengths), max(lengths)) == (2, 6)
    counts = np.unique([word for text in texts for word in text.split()], return_counts=True)[1]
    assert len(counts) == 50
    assert counts.max() - counts.min() <= 1


def test_errors():
    with pytest.raises(ConfigError, match="3 utterances was given no texts"):
        corpus.synthesize_corpus("unused", [], 3, espeak.voices(1), 0, "train")
    with pytest.raises(ConfigError, match="given no voices"):
        corpus.synthesize_corpus("unused", TEXTS, 3, [], 0, "train")
    with pytest.raises(
        ConfigError, match=r"texts\[1\] is ' \.\.\.', which holds nothing to say; write words"
    ):
        corpus.synthesize_corpus("unused", ["thank you", " ..."], 3, espeak.voices(1), 0, "train")
    with pytest.raises(PronunciationError, match="'en-us' does not read 你 好"):
        corpus.synthesize_corpus("unused", ["你好"], 3, espeak.voices(1), 0, "train")
    with pytest.raises(ConfigError, match="language 'tlh' is unknown to eSpeak NG"):
        espeak.voices(3, accents=("tlh",))
    with pytest.raises(ConfigError, match="random texts from 0 words"):
        corpus.random_texts([], 3, 0)
