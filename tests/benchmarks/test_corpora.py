"""`benchmarks/corpora.py`: rows of a corpus become recordings with all that they say."""

from __future__ import annotations

from pathlib import Path

from benchmarks import corpora


def test_rows_become_recordings():
    row = {"path": "/data/a.flac", "duration_s": 1.5, "text": "hello", "speaker": "s1", "split": "test"}
    (found,) = corpora.utterances([row])
    assert (found.path, found.duration_s, found.text) == (Path("/data/a.flac"), 1.5, "hello")
    assert (found.label, found.speaker, found.split) == (None, "s1", "test")
