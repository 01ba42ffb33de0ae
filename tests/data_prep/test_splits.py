"""Splits: stable, disjoint by speaker, never empty where asked, and honest about what they could not do."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep import manifests
from data_prep.config import SplitConfig
from data_prep.splits import split, unit_hash
from kws.errors import ManifestError
from kws.manifest import Recording


def people(count: int, each: int = 3, label: str | None = None) -> list[Recording]:
    """Return ``each`` recordings of ``count`` speakers."""
    return [
        Recording(Path(f"/data/{label}{person}/{index}.wav"), speaker=f"p{person}", label=label)
        for person in range(count)
        for index in range(each)
    ]


def sides(recordings: list[Recording]) -> dict[str | None, set[str | None]]:
    """Return the splits of each speaker."""
    found: dict[str | None, set[str | None]] = {}
    for item in recordings:
        found.setdefault(item.speaker, set()).add(item.split)
    return found


def test_speakers_are_disjoint_and_fractions_are_met() -> None:
    outcome = split(people(2000, each=2), SplitConfig(dev_fraction=0.1, test_fraction=0.2))
    assert all(len(found) == 1 for found in sides(outcome.recordings).values())
    counts = Counter(item.split for item in outcome.recordings)
    # binomial with n = 2000: four standard deviations are 54 and 72 speakers
    assert counts["dev"] / 2 == pytest.approx(200, abs=54)
    assert counts["test"] / 2 == pytest.approx(400, abs=72)
    assert outcome.notes == () and outcome.shared_speakers == ()
    manifests.validate(outcome.recordings)


def test_order_and_other_recordings_change_nothing() -> None:
    everyone = people(60)
    full = {item.path: item.split for item in split(everyone).recordings}
    for part in (everyone[::-1], everyone[90:]):
        assert {item.path: item.split for item in split(part).recordings}.items() <= full.items()
    moved = [replace(item, path=Path("/elsewhere") / item.path.relative_to("/data")) for item in everyone]
    assert [item.split for item in split(moved).recordings] == [full[item.path] for item in everyone]


def test_hash_does_not_depend_on_the_process() -> None:
    # int(blake2b(b"0\\nsplit\\nspeaker anna", digest_size=8).hexdigest(), 16) / 2**64, worked out apart
    code = "from data_prep.splits import unit_hash; print(unit_hash(0, 'split', 'speaker anna'))"
    root = Path(__file__).parents[2]
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {str(unit_hash(0, "split", "speaker anna"))} == {"0.6833616536345414"}


def test_seed_changes_the_split() -> None:
    first, second = (split(people(60), SplitConfig(seed=seed)).recordings for seed in (0, 1))
    assert [item.split for item in first] != [item.split for item in second]


def test_given_splits_stay_and_the_rest_of_a_speaker_follows() -> None:
    given = [replace(item, split="test") for item in people(40, each=1)]
    outcome = split([*given, *people(40, each=4)])
    assert {item.split for item in outcome.recordings} == {"test"}
    fixed = [replace(item, split="train") for item in people(3)]
    assert split(fixed).recordings == fixed


def test_without_speakers_files_are_split_and_a_note_says_so(caplog: pytest.LogCaptureFixture) -> None:
    files = [
        Recording(Path(f"/data/{index}.wav"), offset_s=start) for index in range(100) for start in (0.0, 1.0)
    ]
    outcome = split(files)
    assert len({item.split for item in outcome.recordings}) == 3
    manifests.validate(outcome.recordings)
    assert "200 of 200 recordings name no speaker and are split by file" in outcome.notes[0]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]  # told once


@pytest.mark.parametrize("seed", range(20))
def test_dev_and_train_are_never_empty(seed: int) -> None:
    outcome = split(people(2), SplitConfig(dev_fraction=0.01, test_fraction=0.0, seed=seed))
    assert {item.split for item in outcome.recordings} == {"train", "dev"}
    manifests.validate(outcome.recordings)


@pytest.mark.parametrize("seed", range(20))
def test_one_speaker_is_split_by_file_and_reported(seed: int) -> None:
    outcome = split(people(1, each=20), SplitConfig(seed=seed, ensure=("train", "dev", "test")))
    assert Counter(item.split for item in outcome.recordings) == {"train": 16, "dev": 2, "test": 2}
    assert outcome.shared_speakers == ("p0",)
    assert "everything is of one speaker, p0: 2 file(s) went to dev" in " ".join(outcome.notes)
    with pytest.raises(ManifestError, match="p0 in dev and test and train"):
        manifests.validate(outcome.recordings)
    manifests.validate(outcome.recordings, outcome.shared_speakers)


def test_empty_splits_stay_empty_when_not_asked_for() -> None:
    config = SplitConfig(dev_fraction=0.0, test_fraction=0.0, ensure=())
    assert {item.split for item in split(people(5), config).recordings} == {"train"}


def test_each_wanted_label_gets_into_each_wanted_split() -> None:
    mine = [Recording(Path(f"/mine/{index}.wav"), speaker="me", label="hey") for index in range(10)]
    outcome = split([*people(50, label="other"), *mine], SplitConfig(ensure_labels=("hey",)))
    assert {item.split for item in outcome.recordings if item.label == "hey"} == {"train", "dev"}
    assert outcome.shared_speakers == ("me",)
    two = [replace(item, speaker=f"me{index % 2}") for index, item in enumerate(mine)]
    outcome = split([*people(50, label="other"), *two], SplitConfig(ensure_labels=("hey",)))
    assert {item.split for item in outcome.recordings if item.label == "hey"} == {"train", "dev"}
    assert outcome.shared_speakers == ()
    with pytest.raises(ManifestError, match=r"split: no recording is labelled `nobody`"):
        split(mine, SplitConfig(ensure_labels=("nobody",)))


def test_a_single_recording_cannot_be_split() -> None:
    with pytest.raises(
        ManifestError, match=r"dev needs at least one recording, but of 1 there is no speaker or file"
    ):
        split(people(1, each=1))
