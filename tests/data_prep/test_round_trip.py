"""What a manifest holds comes back from it: every column, whoever reads it."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import manifests
from kws.manifest import SPLITS, Recording, read_manifest
from kws.text import typed

TEXTS = st.none() | st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
SECONDS = st.floats(0.01, 1e5, allow_nan=False) | st.sampled_from([0.1, 1.0, 1e-3])
PLAIN = st.integers() | TEXTS.filter(bool) | st.booleans() | st.lists(st.integers(), max_size=2)

RECORDINGS = st.builds(
    Recording,
    st.just(Path("a.wav")),
    *(TEXTS, TEXTS, TEXTS, st.sampled_from([None, *SPLITS]), TEXTS),
    duration_s=SECONDS,
    sample_rate=st.none() | st.integers(1, 400_000),
    language=TEXTS,
    source=TEXTS,
    offset_s=st.just(0.0) | SECONDS,
    extra=st.dictionaries(st.sampled_from(["gender", "é", "a b", "place", "id"]), PLAIN, max_size=3),
)


@given(st.lists(RECORDINGS, min_size=1, max_size=4), st.sampled_from(["m.jsonl", "m.jsonl.gz"]))
@settings(max_examples=80, deadline=None)
def test_every_column_comes_back(given_recordings: list[Recording], name: str) -> None:
    """Texts come back in the one form that they have from the door on; see `kws.text`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.wav").touch()
        recordings = [
            dataclasses.replace(recording, path=Path(folder).resolve() / "a.wav")
            for recording in given_recordings
        ]
        path = manifests.write(recordings, Path(folder) / name)
        expected = [
            dataclasses.replace(
                recording,
                **{
                    column: value and typed(column, value)
                    for column in ("text", "label", "speaker", "phones", "language", "source")
                    for value in [getattr(recording, column)]
                },
            )
            for recording in recordings
        ]
        assert manifests.read(path) == expected
        assert read_manifest(path) == expected
