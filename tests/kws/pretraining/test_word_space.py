"""The maps of words: phones are found where they are said, and what is learnt tells words apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.errors import ManifestError
from kws.heads.words import KNOWN_WORDS, window_frames
from kws.manifest import Recording
from kws.phone_attributes import SEGMENTS, embed, segment_means
from kws.pretraining.corpus import SpeechCorpus
from kws.pretraining.word_space import (
    Aligned,
    WordSpaceConfig,
    align,
    learn_attributes,
    learn_words,
    make_word_space,
)
from kws.weights import read_weights
from tests.support.training import noise, tiny_weights, write_wavs

FRAMES_EACH = 2
VOCABULARY = ("K AE T", "S IH L V ER", "D AO G IY", "M UW N", "W IH N D OW")
QUICK = WordSpaceConfig(steps=120, batch=64, num_phones=(3, 4, 5), learning_rate=0.02)


def spoken_by_attributes(count: int, seed: int) -> list[Aligned]:
    """Utterances of three words, whose features are a fixed random code of each phone, in noise."""
    generator = torch.Generator().manual_seed(0)
    codes = {phone: torch.randn(24, generator=generator) for phone in sorted({*" ".join(VOCABULARY).split()})}
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        chosen = [VOCABULARY[index].split() for index in rng.integers(len(VOCABULARY), size=3)]
        phones = [phone for word in chosen for phone in word]
        rows = torch.stack([codes[phone] for phone in phones]).repeat_interleave(FRAMES_EACH, dim=0)
        rows = rows + 0.3 * torch.from_numpy(rng.standard_normal(rows.shape)).float()
        ends = FRAMES_EACH * (1 + np.arange(len(phones))) - 1
        firsts = np.cumsum([0, *map(len, chosen)])[:-1]
        words = [(int(first), len(word)) for first, word in zip(firsts, chosen, strict=True)]
        found.append(Aligned(rows, ends, phones, words))
    return found


def test_the_window_of_a_word_ends_with_it():
    features = torch.arange(20.0)[:, None]
    entry = Aligned(features, np.array([3, 9]), ["K", "AE"], [])
    length = window_frames(3)
    torch.testing.assert_close(entry.parts(9, 3), segment_means(length) @ features[10 - length : 10])
    early = entry.parts(2, 3)  # before the recording there is nothing
    padded = torch.cat([torch.zeros(length - 3, 1), features[:3]])
    torch.testing.assert_close(early, segment_means(length) @ padded)
    assert entry.parts(9, 3).shape == (SEGMENTS, 1)


def test_phones_are_found_where_the_recognizer_hears_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = write_wavs(tmp_path, [noise(0.8), noise(0.8)])
    utterances = [
        Recording(paths[0], duration_s=0.8, phones="K AE T", extra={"word_phones": ["K AE0", "T"]}),
        Recording(paths[1], duration_s=0.8),  # what is said in it is not known
    ]
    recognizer = load_recognizer(tiny_weights(tmp_path / "encoder")).eval()
    heard = torch.full((1, 29, 40), -9.0)
    heard[..., 0] = 0.0
    for frame, phone in ((4, "K"), (5, "K"), (11, "AE"), (20, "T")):
        heard[0, frame, 0] = -9.0
        heard[0, frame, 1 + ["AA", "AE"].index(phone) if phone == "AE" else {"K": 20, "T": 31}[phone]] = 0.0
    logits = PhoneRecognizer.logits

    def planned(self: PhoneRecognizer, hidden: list[Tensor]) -> tuple[Tensor, Tensor]:
        assert logits(self, hidden)[0].shape == heard.shape
        return heard, heard

    monkeypatch.setattr(PhoneRecognizer, "logits", planned)
    (entry,) = align(recognizer, SpeechCorpus(utterances, progress=False), progress=False)
    assert entry.ends.tolist() == [5, 11, 20] and entry.phones == ["K", "AE", "T"]
    assert entry.words == [(0, 2), (2, 1)] and entry.features.shape[0] == 29
    with pytest.raises(ManifestError, match="no utterance has phones; give transcribed speech"):
        align(recognizer, SpeechCorpus(utterances[1:], progress=False), progress=False)


def test_attributes_are_learnt_so_that_a_word_is_nearest_to_its_own_window():
    space = learn_attributes(spoken_by_attributes(120, 1), QUICK)
    places = torch.stack([embed(word) for word in VOCABULARY])
    right = 0
    rows = [(entry, *word) for entry in spoken_by_attributes(40, 2) for word in entry.words]
    with torch.no_grad():
        for entry, first, length in rows:
            near = places @ space(entry.parts(int(entry.ends[first + length - 1]), length))
            right += VOCABULARY[int(near.argmax())] == " ".join(entry.phones[first : first + length])
    assert right / len(rows) > 0.9


def test_known_words_are_told_apart_and_lie_at_their_places():
    space = learn_words(spoken_by_attributes(120, 1), QUICK)
    assert space is not None and space.places.shape[0] == KNOWN_WORDS
    assert int((space.places.norm(dim=1) > 0).sum()) == len(VOCABULARY)
    right, rows = 0, [(entry, *word) for entry in spoken_by_attributes(40, 2) for word in entry.words]
    with torch.no_grad():
        for entry, first, length in rows:
            place = space(entry.parts(int(entry.ends[first + length - 1]), length))
            nearest = max(VOCABULARY, key=lambda word: float(place @ embed(word)))
            right += nearest == " ".join(entry.phones[first : first + length])
    assert right / len(rows) > 0.9
    unmarked = [entry._replace(words=[]) for entry in spoken_by_attributes(3, 1)]
    assert learn_words(unmarked, replace(QUICK, steps=1)) is None


def test_the_maps_of_a_recognizer_lie_in_its_folder(tmp_path: Path):
    paths = write_wavs(tmp_path, [noise(1.0, seed) for seed in range(3)])
    said = {"word_phones": ["K AE T", "S AH N"]}
    utterances = [Recording(path, duration_s=1.0, phones="K AE T S AH N", extra=said) for path in paths]
    folder = tiny_weights(tmp_path / "encoder")
    corpus = SpeechCorpus(utterances, progress=False)
    quick = WordSpaceConfig(steps=2, batch=4, num_phones=(3, 4))
    path = make_word_space(load_recognizer(folder), corpus, folder, quick)
    assert path.parent == folder
    assert {name.split(".")[0] for name in read_weights(path)} == {"attributes", "words"}
