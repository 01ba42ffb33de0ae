"""``kws prep``: from folders to a checked, split manifest with a report; done work is not done again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep import checks, manifests
from data_prep.config import CheckConfig, PrepConfig, SourceConfig, SplitConfig
from data_prep.prepare import prepare
from kws.config import load_config
from kws.decoded_audio import DecodedAudio
from kws.errors import ConfigError, ManifestError
from kws.manifest import Recording
from tests.support.recordings import tone, write_audio, write_tones


@pytest.fixture
def config(tmp_path: Path) -> PrepConfig:
    """Twelve recordings of four speakers, a folder of negatives without speakers, and three bad files."""
    wavs = tmp_path / "wavs"
    recordings = [
        replace(item, speaker=f"p{index % 4}")
        for index, item in enumerate(write_tones(wavs, 12, label="hey"))
    ]
    manifests.write(recordings, wavs / "manifest.jsonl")
    for index in range(6):
        write_audio(tmp_path / "other" / f"{index}.wav", tone(1.5, hz=900 + index))
    write_audio(tmp_path / "other" / "silent.wav", np.zeros(16_000))
    write_audio(tmp_path / "other" / "again.wav", tone(1.5, hz=900))
    (tmp_path / "other" / "broken.wav").write_bytes(b"nothing")
    return PrepConfig(
        sources=(
            SourceConfig(wavs / "manifest.jsonl", language="en", label="unused"),
            SourceConfig(tmp_path / "other", split="train", label="negative", name="room"),
        ),
        output=tmp_path / "out",
        split=SplitConfig(ensure_labels=("hey",)),
    )


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read through."""
    names: list[str] = []
    measure = checks.measure

    def noting(recording: Recording, *decoded: DecodedAudio | None) -> checks.Stats:
        names.append(recording.path.name)
        return measure(recording, *decoded)

    monkeypatch.setattr(checks, "measure", noting)
    return names


def test_manifest_holds_the_good_recordings_with_splits(config: PrepConfig) -> None:
    result = prepare(config)
    found = manifests.read(result.manifest)
    assert [item.label for item in found] == ["hey"] * 12 + ["negative"] * 6
    assert {item.language for item in found[:12]} == {"en"} and found[12].language is None
    assert {item.source for item in found[12:]} == {"room"} and {item.split for item in found[12:]} == {
        "train"
    }
    assert {item.split for item in found[:12]} >= {"train", "dev"}
    assert {(item.duration_s, item.sample_rate) for item in found} == {(0.5, 16_000), (1.5, 16_000)}
    manifests.validate(found)


def test_report_says_what_was_left_out_and_why(config: PrepConfig) -> None:
    result = prepare(config)
    report = json.loads((config.output / "report.json").read_text(encoding="utf-8"))
    assert report == result.report
    assert (report["num_found"], report["num_kept"], report["num_left_out"]) == (21, 18, 3)
    assert report["left_out_by_kind"] == {"corrupt": 1, "duplicate": 1, "silent": 1}
    hours = sum(hours for labels in report["hours"].values() for hours in labels.values())
    assert hours == pytest.approx((12 * 0.5 + 6 * 1.5) / 3600)
    assert report["hours"]["train"]["negative"] == pytest.approx(6 * 1.5 / 3600)
    assert sum(row["num_speakers"] for row in report["splits"].values()) == 4
    assert report["splits"]["train"]["num_without_speaker"] == 6
    assert report["lengths"] == {"0 - 0.5 s": 12, "0.5 - 1 s": 0, "1 - 2 s": 6}
    assert report["provenance"]["config"]["split"]["ensure_labels"] == ["hey"]
    page = (config.output / "report.md").read_text(encoding="utf-8")
    assert "18 of 21 recordings kept, 3 left out" in page
    # `0.wav` sorts before `again.wav`, so the second is the copy; its line names both
    for name, reason in (("broken", "cannot be decoded"), ("silent", "silent"), ("0", "same samples as")):
        assert any(f"{name}.wav" in line and reason in line for line in page.splitlines())
    assert "| negative | 0.003 |" in page


def test_report_names_what_was_passed_by(config: PrepConfig) -> None:
    (config.sources[1].path / "talk.docx").touch()
    result = prepare(config)
    assert any(note.endswith("1 file passed by: 1 .docx") for note in result.report["notes"])
    assert "1 file passed by: 1 .docx" in (config.output / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("labels", [("hey",), ("hey", None)])
def test_the_manifest_of_one_speaker_can_be_prepared_again(
    tmp_path: Path, labels: tuple[str | None, ...]
) -> None:
    sources = []
    for label in labels:
        write_tones(tmp_path / f"wavs {label}", 12)
        for path in (tmp_path / f"wavs {label}").iterdir():
            write_audio(path, tone(hz=sum(path.name.encode()), seconds=0.5 if label else 0.7))
        sources.append(SourceConfig(tmp_path / f"wavs {label}", label=label, speaker="anna"))
    first = prepare(PrepConfig(sources=tuple(sources), output=tmp_path / "data"))
    again = prepare(PrepConfig(sources=(SourceConfig(first.manifest),), output=tmp_path / "again"))
    assert [entry.split for entry in manifests.read(again.manifest)] == [
        entry.split for entry in manifests.read(first.manifest)
    ]
    assert any("anna is the only speaker and in dev and train" in note for note in again.report["notes"])


def test_a_manifest_with_one_of_two_speakers_on_both_sides_is_refused(tmp_path: Path) -> None:
    recordings = write_tones(tmp_path / "wavs", 3)
    told = zip(recordings, ("anna", "anna", "ben"), ("train", "dev", "train"), strict=True)
    path = manifests.write([replace(r, speaker=s, split=p) for r, s, p in told], tmp_path / "m.jsonl")
    with pytest.raises(ManifestError, match="anna in dev and train"):
        prepare(PrepConfig(sources=(SourceConfig(path),), output=tmp_path / "data"))


def test_second_run_does_nothing_and_gives_the_same(config: PrepConfig, measured: list[str]) -> None:
    first = prepare(config)
    content = first.manifest.read_bytes()
    measured.clear()
    again = prepare(replace(config, num_workers=1))
    assert (first.was_done, again.was_done, measured) == (False, True, [])
    assert again.report == first.report and again.manifest.read_bytes() == content


def test_interrupted_run_goes_on_where_it_stopped(
    config: PrepConfig, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = checks.measure

    def failing(recording: Recording, *decoded: DecodedAudio | None) -> checks.Stats:
        if recording.path.name == "5.wav":
            raise KeyboardInterrupt
        return measure(recording, *decoded)

    with monkeypatch.context() as patch:
        patch.setattr(checks, "measure", failing)
        with pytest.raises(KeyboardInterrupt):
            prepare(replace(config, num_workers=1))
    assert not (config.output / "manifest.jsonl").exists()
    with (config.output / "measurements.jsonl").open("a") as cache:
        cache.write('{"key": "torn')
    before = set(measured)
    measured.clear()
    resumed = prepare(replace(config, num_workers=1))
    assert not resumed.was_done
    assert "5.wav" in measured and "000.wav" in before and "000.wav" not in measured
    fresh = prepare(replace(config, output=config.output.with_name("fresh")))
    assert resumed.manifest.read_text().replace("../", "") == fresh.manifest.read_text().replace("../", "")
    assert resumed.report["findings"] == fresh.report["findings"]


def test_other_settings_or_recordings_need_overwrite(
    config: PrepConfig, tmp_path: Path, measured: list[str]
) -> None:
    prepare(config)
    changed = replace(config, checks=CheckConfig(min_s=0.4))
    with pytest.raises(
        ManifestError, match=r"manifest\.jsonl: exists and was made from other settings .*`overwrite=True`"
    ):
        prepare(changed)
    measured.clear()
    assert prepare(changed, overwrite=True).was_done is False
    # `broken.wav` could not be measured, so it is the only one that is read again
    assert measured == ["broken.wav"]
    write_audio(tmp_path / "other" / "new.wav", tone(1.5, hz=50))
    with pytest.raises(ManifestError, match="other settings or recordings"):
        prepare(changed)
    measured.clear()
    assert prepare(changed, overwrite=True).report["num_kept"] == 19
    assert sorted(measured) == ["broken.wav", "new.wav"]


def test_file_that_changed_is_read_again(config: PrepConfig, tmp_path: Path, measured: list[str]) -> None:
    prepare(config)
    write_audio(tmp_path / "other" / "silent.wav", tone(2.0, hz=77))
    measured.clear()
    assert prepare(config, overwrite=True).report["num_kept"] == 19
    assert sorted(measured) == ["broken.wav", "silent.wav"]


def test_speaker_given_to_two_splits_stops_it(config: PrepConfig, tmp_path: Path) -> None:
    path = tmp_path / "wavs" / "manifest.jsonl"
    recordings = [
        replace(item, split=("train", "dev")[index % 3 == 0])
        for index, item in enumerate(manifests.read(path))
    ]
    manifests.write(recordings, path)
    with pytest.raises(ManifestError, match=r"4 speaker\(s\) in more than one split: p0 in dev and train"):
        prepare(config)
    assert not (config.output / "manifest.jsonl").exists()


def test_single_speaker_is_prepared_with_a_note(tmp_path: Path) -> None:
    write_tones(tmp_path / "me", 10)
    config = PrepConfig((SourceConfig(tmp_path / "me", label="hey", speaker="me"),), tmp_path / "out")
    result = prepare(config)
    assert {item.split for item in manifests.read(result.manifest)} == {"train", "dev"}
    assert "shares the voice with train" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_config_from_yaml_values(tmp_path: Path) -> None:
    values = {
        "sources": [{"path": "wavs", "label": "hey"}],
        "checks": {"min_s": 1},
        "split": {"ensure": ["dev"], "dev_fraction": 0.25},
    }
    config = load_config(PrepConfig, values, "prep.yaml")
    assert config.sources == (SourceConfig(Path("wavs"), "hey"),)
    assert (config.checks.min_s, config.split.ensure, config.split.dev_fraction) == (1.0, ("dev",), 0.25)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"no recordings were named; give at least one folder"),
        ({"sources": [{"path": "a"}], "num_workers": -1}, r"workers: got -1"),
        (
            {"sources": [{"path": "a", "split": "valid"}]},
            r"sources\.split: got 'valid', allowed: train, dev, test",
        ),
        ({"sources": [{"path": "a", "lable": "x"}]}, r"unknown key `lable`; did you mean `label`"),
        ({"checks": {"min_s": 2, "max_s": 1}}, r"shortest length 2\.0 s \(`min_s`\) .* the longest, 1\.0 s"),
        (
            {"checks": {"clip_warn_share": 0.5}},
            r"clip_warn_share 0\.5 must be above 0 and not above clip_reject",
        ),
        ({"checks": {"max_left_out": 1.5}}, r"checks\.max_left_out: got 1\.5"),
        ({"split": {"dev_fraction": 0.6, "test_fraction": 0.4}}, r"together be below 1; lower them"),
        ({"split": {"ensure": ["valid"]}}, r"split\.ensure: got valid, allowed: train, dev, test"),
    ],
)
def test_bad_config_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(PrepConfig, values, "prep.yaml")
