"""Forgetting: nothing exactly where no borrowed layer moved, and what the layers put back really read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.synthesis import espeak
from kws import phones
from kws.audio_store import AudioStore
from kws.checkpoint import OperatingPoint, load_model, save_model
from kws.data import BatchConfig
from kws.decisions import DecisionSettings
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.errors import ConfigError
from kws.model import ModelConfig, build_model
from kws.pretraining.corpus import SpeechCorpus, log_mel, with_tail
from kws.pretraining.forgetting import measure_forgetting
from kws.training.config import TrainConfig
from kws.training.data import TrainingData
from kws.training.loop import fit
from kws.transfer import TransferConfig
from kws.workflows.pretrain import texts_as_phones
from tests.support.runs import write_run
from tests.support.training import noise, spoken, tiny_weights, write_utterances

TEXTS = ("turn on the kitchen light", "what time is it now")
POINT = OperatingPoint({"tone": 0.5}, DecisionSettings(), 1.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> SpeechCorpus:
    """Two sentences by a synthetic voice."""
    voice = espeak.voices(1, seed=1)[0]
    said = write_utterances(tmp_path_factory.mktemp("speech"), [voice.speak(text) for text in TEXTS])
    told = texts_as_phones(list(TEXTS), "en-us", None)
    return SpeechCorpus([replace(u, phones=p) for u, p in zip(said, told, strict=True)], progress=False)


def train(run: Path, policy: str) -> Path:
    """Fine-tune the shipped encoder on tones for two steps and save it."""
    torch.manual_seed(0)
    config = ModelConfig(("tone",), depth=3)
    model = build_model(config)
    words, others = ([make(seed=seed) for seed in range(2)] for make in (spoken, lambda seed: noise(3, seed)))
    store, negatives = (
        AudioStore(write_utterances(run / name, made), None, 1)
        for name, made in (("words", words), ("others", others))
    )
    settings = TrainConfig(
        transfer=TransferConfig(policy, encoder_rate=1.0),
        batch=BatchConfig(window_s=1.0, num_positives=2, num_negatives=2),
        epochs=1,
        steps_per_epoch=2,
        learning_rate=0.02,
        num_workers=0,
        precision="32-true",
    )
    fit(model, settings, TrainingData(store, [0, 0], negatives, words, [0, 0], False, negatives), run)
    save_model(run, model, config, POINT, training={}, metrics={}, provenance={})
    return run


def edits(reference: list[int], heard: list[int]) -> int:
    """Levenshtein distance, by the table."""
    table = np.zeros((len(reference) + 1, len(heard) + 1), int)
    table[:, 0], table[0] = range(len(reference) + 1), range(len(heard) + 1)
    for i, wanted in enumerate(reference, 1):
        for j, found in enumerate(heard, 1):
            changed = table[i - 1, j - 1] + (wanted != found)
            table[i, j] = min(changed, table[i - 1, j] + 1, table[i, j - 1] + 1)
    return int(table[-1, -1])


def by_hand(run: Path, corpus: SpeechCorpus) -> float:
    """Phone error rate with a run's layers in the shipped recogniser, set one by one, each file alone."""
    recognizer, tuned = load_recognizer(), load_model(run).encoder
    recognizer.encoder.stem = tuned.stem
    for index, layer in enumerate(tuned.layers):
        recognizer.encoder.layers[index] = layer
    total = 0
    for samples, reference in zip(corpus.audio, corpus.targets, strict=True):
        features = torch.from_numpy(log_mel(with_tail(samples), recognizer.encoder))[None]
        with torch.no_grad():
            best = recognizer(features)[0][0].argmax(1).tolist()
        total += edits(reference, phones.collapse(best))
    return total / sum(len(reference) for reference in corpus.targets)


def test_the_head_alone_forgets_exactly_nothing_and_all_layers_what_is_counted_by_hand(
    corpus: SpeechCorpus, tmp_path: Path
):
    head, everything = train(tmp_path / "head", "head"), train(tmp_path / "all", "all")
    kept, lost = measure_forgetting([head, everything], corpus)
    assert (kept.run, kept.depth, lost.run) == (head, 3, everything)
    assert 0 < kept.before < 0.6 and kept.after == kept.before == lost.before
    tuned, shipped = load_model(head).encoder.state_dict(), load_recognizer().encoder.state_dict()
    assert all(torch.equal(tensor, shipped[name]) for name, tensor in tuned.items())
    assert lost.after > lost.before
    assert lost.before == pytest.approx(by_hand(head, corpus))
    assert lost.after == pytest.approx(by_hand(everything, corpus))


def test_runs_whose_source_cannot_be_told_are_refused_by_name(corpus: SpeechCorpus, tmp_path: Path):
    tiny = write_run(tmp_path / "tiny")
    with pytest.raises(ConfigError, match=rf"{tiny}: the encoder has the shape .* give the recogniser that"):
        list(measure_forgetting([tiny], corpus))
    with pytest.raises(ConfigError, match=rf"{tiny}: the encoder has the shape"):
        list(measure_forgetting([tiny], corpus, tiny_weights(tmp_path / "weights")))
