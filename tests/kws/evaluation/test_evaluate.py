"""A whole evaluation on tones: a detector of 1000 Hz, clips that hold it, and noise that does not."""

from __future__ import annotations

import base64
import io
import json
import re
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.cli import main
from kws.errors import ConfigError, ManifestError
from kws.evaluation.evaluate import evaluate, num_originals, select_positives
from kws.evaluation.heard import HeardAudio
from kws.evaluation.protocol import TestProtocol
from kws.evaluation.report import render
from kws.evaluation.result import EvaluationResult
from kws.manifest import Recording
from kws.workflows.evaluate import default_output, read_utterances
from kws.workflows.protocol_audio import open_audio
from tests.support.browser import axe, chromium, complaints, shown_on
from tests.support.onnx_models import silence, tone, write_tone_model

NEGATIVE_S = 30.0


def write(path: Path, waveform: np.ndarray) -> Path:
    rng = np.random.default_rng(len(waveform))
    audio.save(path, waveform + rng.normal(0, 1e-3, len(waveform)).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, one too quiet, and three negatives, the second with one long and one short tone."""
    folder = tmp_path_factory.mktemp("data")
    write_tone_model(folder / "m.onnx")
    rows = []
    for index, amplitude in enumerate((0.5, 0.5, 0.4, 0.03)):
        path = write(
            folder / f"positives/{index}.wav",
            np.concatenate([silence(0.5), tone(1000, 0.4, amplitude), silence(0.5)]),
        )
        rows.append(
            {
                "path": str(path),
                "label": "Tone",
                "speaker": f"s{index % 2}",
                "gender": "fmff"[index],
                "age": 8 + 10 * index,
                "split": "test",
            }
        )
    rows.append({**rows[0], "split": "train"})
    (folder / "positives.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for index in range(3):
        parts = [silence(NEGATIVE_S / 3)]
        if index == 1:
            parts = [silence(2), tone(1000, 0.8, 0.2), silence(3), tone(1000, 0.2, 0.13), silence(4)]
        write(folder / f"negatives/{index}.wav", np.concatenate(parts))
    for color in range(2):
        rng = np.random.default_rng(color)
        audio.save(folder / f"noise/{color}.wav", rng.normal(0, 0.1, 32_000).astype(np.float32))
    return folder


def utterances(data: Path, kind: str) -> list[Recording]:
    source = data / ("positives.jsonl" if kind == "positives" else kind)
    return read_utterances([source], "test")


@pytest.fixture(scope="module")
def result(data: Path) -> EvaluationResult:
    """With a condition that leaves nothing to hear, written to `data/out`."""

    def mute(waveform: np.ndarray, item: str, lead: int, tail: int) -> np.ndarray:
        return np.zeros(lead + len(waveform) + tail, np.int16)

    protocol = TestProtocol(conditions={"clean": {}, "muted": {"snr_db": 0.0}})
    return evaluate(
        data / "m.onnx",
        utterances(data, "positives"),
        utterances(data, "negatives"),
        data / "out",
        heard=HeardAudio(protocol, {"muted": mute}),
        false_accepts_per_hour=[0.5, 200.0],
        provenance={"seed": 3},
    )


def test_events_are_counted_at_the_stored_threshold(result: EvaluationResult):
    (keyword,) = result.keywords
    stored = keyword.operating[0]
    assert (keyword.num_positives, keyword.num_speakers, stored.threshold) == (4, 2, 0.5)
    assert (stored.misses.events, stored.misses.trials) == (1, 4)
    assert stored.misses.high == pytest.approx(0.8059, abs=1e-4)  # Clopper-Pearson of 1 in 4
    assert stored.false_accepts.events == 2
    assert stored.false_accepts.per_hour == pytest.approx(2 * 3600 / NEGATIVE_S)
    assert result.negative_hours == pytest.approx(NEGATIVE_S / 3600)
    assert (result.num_negatives, result.num_negative_originals) == (3, 3)


def test_latency_is_from_the_end_of_the_tone(result: EvaluationResult):
    delay = result.keywords[0].operating[0].latency
    assert delay is not None
    assert delay.num_clips == 3
    assert delay.p50_s == pytest.approx(-0.36, abs=0.05)  # fires within 80 ms of the start of a tone of 0.4 s


def test_a_rate_allows_as_many_events_as_fit_and_tells_what_it_cannot_show(result: EvaluationResult):
    strict, lenient = result.keywords[0].operating[1:]
    assert (strict.name, strict.false_accepts.events) == ("0.5 per hour", 0)
    assert strict.threshold > 0.99  # above the tone in the negatives
    assert strict.note is None
    assert result.notes() == [
        "0.0083 h of negatives are too few to show 0.5 or 200 per hour; give 6 h or more"
    ]
    assert (lenient.false_accepts.events, lenient.misses.events) == (1, 1)  # 200 / h in 30 s is one
    assert [point.false_accepts.events for point in result.keywords[0].det][0] == 0


def test_groups_and_conditions_are_judged_at_the_same_threshold(result: EvaluationResult):
    groups = {
        (group.field, group.value): (group.misses.events, group.misses.trials)
        for group in result.keywords[0].operating[0].groups
    }
    assert groups == {
        ("gender", "f"): (1, 3),
        ("gender", "m"): (0, 1),
        ("age", "under 13"): (0, 1),
        ("age", "13 or older"): (1, 3),
        ("condition", "muted"): (4, 4),
    }
    (muted,) = result.keywords[0].det_by_condition.items()  # all are missed at every threshold
    assert (muted[0], [(point.misses.events, point.misses.trials) for point in muted[1]]) == (
        "muted",
        [(4, 4)],
    )


def test_the_hardest_negatives_name_file_and_time(data: Path, result: EvaluationResult):
    first, second = result.keywords[0].hardest_negatives[:2]
    assert (Path(first.path).name, Path(second.path).name) == ("1.wav", "1.wav")
    assert first.score > 0.99 > second.score > 0.5
    assert 2.0 < first.time_s < 2.9
    assert 5.8 < second.time_s < 6.1


def test_examples_show_what_was_decided(result: EvaluationResult):
    by_kind: dict[str, list] = {}
    for example in result.keywords[0].examples:
        by_kind.setdefault(example.kind, []).append(example)
    assert {kind: len(entries) for kind, entries in by_kind.items()} == {
        "hit": 3,
        "miss": 1,
        "false accept": 2,
        "closest": 2,
    }
    hit, accept = by_kind["hit"][0], by_kind["false accept"][0]
    assert hit.fired_s == pytest.approx(0.56, abs=0.05)
    assert accept.start_s + accept.fired_s == pytest.approx(2.06, abs=0.05)
    assert by_kind["miss"][0].fired_s is None


def test_the_numbers_are_written_as_json(data: Path, result: EvaluationResult):
    stored = json.loads((data / "out" / "evaluation.json").read_text())
    assert stored == json.loads(json.dumps(result.to_dict()))
    assert stored["provenance"]["seed"] == 3
    assert len(stored["provenance"]["model_sha256"]) == 64
    assert stored["provenance"]["config_hash"] == "000000000000"
    assert stored["keywords"][0]["operating"][0]["misses"]["events"] == 1
    assert "examples" not in stored["keywords"][0]


def test_the_report_holds_pictures_sound_and_words(data: Path, result: EvaluationResult):
    page = (data / "out" / "report.html").read_text()
    sounds = re.findall(r'src="data:audio/wav;base64,([^"]+)"', page)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert (
        len(sounds) == len(result.keywords[0].examples) == len(pictures) - 2
    )  # and the DET curve and the groups
    assert all(base64.b64decode(picture)[:8] == b"\x89PNG\r\n\x1a\n" for picture in pictures)
    example = result.keywords[0].examples[0]
    with wave.open(io.BytesIO(base64.b64decode(sounds[0]))) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (16_000, round(example.length_s * 16_000))
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    assert np.abs(samples).max() == pytest.approx(0.5 * 32_768, rel=0.25)  # the tone, not the silence
    for text in (
        "25.0 % missed",
        "1 of 4 clips",
        "2 false accepts",
        "too few to show 0.5 or 200 per hour",
        "muted",
    ):
        assert text in page
    assert not re.search(r"https?://|<script|<link", page)  # nothing is loaded, nothing runs


@pytest.mark.slow
def test_the_report_can_be_read_by_everybody_in_light_and_dark_and_on_a_phone(
    data: Path, result: EvaluationResult
):
    with chromium() as driver:
        driver.get((data / "out" / "report.html").as_uri())
        for dark, width in ((False, None), (True, None), (False, 360), (True, 360)):
            shown_on(driver, dark=dark, width=width)
            assert axe(driver) == []
            assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert complaints(driver) == []


def test_text_from_manifests_is_escaped(data: Path):
    positives = [
        Recording(entry.path, duration_s=entry.duration_s, text="tone <script>", label="tone")
        for entry in utterances(data, "positives")
    ]
    found = evaluate(
        data / "m.onnx", positives[:1], utterances(data, "negatives"), false_accepts_per_hour=[1.0]
    )
    page = render(
        replace(found, keywords=(replace(found.keywords[0], examples=found.keywords[0].examples[:1]),))
    )
    assert "<script>" not in page
    assert "tone &lt;script&gt;" in page


def test_an_earlier_result_is_kept(data: Path, result: EvaluationResult):
    arguments = (data / "m.onnx", utterances(data, "positives"), utterances(data, "negatives"), data / "out")
    with pytest.raises(ConfigError, match="give `overwrite=True`"):
        evaluate(*arguments)


def test_wrong_keywords_rates_and_data_are_named(data: Path):
    model, positives, negatives = (
        data / "m.onnx",
        utterances(data, "positives"),
        utterances(data, "negatives"),
    )
    with pytest.raises(ConfigError, match="unknown 'bell'; this model knows tone"):
        evaluate(model, positives, negatives, keyword="bell")
    with pytest.raises(ConfigError, match="`false_accepts_per_hour`: got 0"):
        evaluate(model, positives, negatives, false_accepts_per_hour=[0.0])
    with pytest.raises(ManifestError, match="no negatives are left: 4 recordings hold a keyword"):
        evaluate(model, positives, positives)
    with pytest.raises(ManifestError, match="no clip is labelled 'tone'; found bell"):
        evaluate(model, [Recording(Path("a.wav"), duration_s=1.0, label="bell")], negatives)
    with pytest.raises(ManifestError, match="no recordings of split dev; there are test, train"):
        read_utterances([data / "positives.jsonl"], "dev")


@pytest.mark.parametrize(
    ("label", "text", "held"),
    [
        ("hey_computer", None, True),
        (None, "Hey, Computer!", True),
        (None, "heycomputer", True),
        ("speech", "so I said hey computer twice", True),
        ("confusable", "hey computers", False),
    ],
)
def test_a_keyword_is_found_by_label_or_whole_words(label: str | None, text: str | None, held: bool):
    clip, plain = (
        Recording(Path("a.wav"), duration_s=1.0, label=label, text=text),
        Recording(Path("b.wav"), text="hey computer", duration_s=1.0),
    )
    assert (clip in select_positives([clip, plain], "hey computer", alone=True)) is held


def test_unlabeled_clips_belong_to_the_only_keyword():
    bare, other = Recording(Path("a.wav")), Recording(Path("b.wav"), label="bell")
    assert select_positives([bare, other], "tone", alone=True) == [bare]
    with pytest.raises(ManifestError, match="found bell, unlabelled"):
        select_positives([bare, other], "tone", alone=False)


def test_copies_and_stretches_of_one_recording_count_once():
    paths = [Recording(Path("a.wav")), Recording(Path("a.wav"), duration_s=1.0, offset_s=1.0)]
    copies = [Recording(Path(f"{index}.wav"), extra={"original": "b.wav"}) for index in range(3)]
    assert num_originals(paths + copies) == 2


def test_the_command_prints_a_table_and_writes_the_report(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["eval", str(data / "m.onnx"), "--positives", str(data / "positives.jsonl")]
    arguments += [
        "--negatives",
        str(data / "negatives"),
        "--output",
        str(tmp_path),
        "--false-accepts-per-hour",
        "0.5",
        "1",
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert re.search(r"stored threshold +0\.5000 +1/4 +25\.0 % \[0\.6, 80\.6\] +2 in 0\.00833 h", printed)
    assert "gender f (3)" in printed
    assert str(tmp_path / "report.html") in printed
    assert (tmp_path / "report.html").is_file()
    assert main(arguments) == 2
    assert "give --overwrite" in capsys.readouterr().err


def test_noise_is_any_source_and_only_that_of_the_split_is_mixed_in(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [
        {"path": str(data / f"noise/{index}.wav"), "split": split}
        for index, split in enumerate(("test", "train"))
    ]
    (tmp_path / "noise.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["eval", str(data / "m.onnx"), "--positives", str(data / "positives.jsonl"), "--output"]
    words += [str(tmp_path / "report"), "--negatives", str(data / "negatives"), "--noise"]
    assert main([*words, str(tmp_path / "noise.jsonl")]) == 0
    assert "room and noise 5 dB" in capsys.readouterr().out
    (tmp_path / "noise.jsonl").write_text(json.dumps(rows[1]))
    assert main([*words, str(tmp_path / "noise.jsonl"), "--overwrite"]) == 2
    assert "noise.jsonl: no recordings of split test; there are train" in capsys.readouterr().err


def test_conditions_depend_on_seed_condition_and_clip_alone(data: Path, tmp_path: Path):
    noise = read_utterances([data / "noise"], "test")
    audio.save(tmp_path / "clips" / "a.wav", np.concatenate([tone(1000, 1.0), silence(1.0)]))
    audio.save(tmp_path / "clips" / "b.wav", np.concatenate([tone(1000, 1.0), silence(1.0)]))
    first, second = read_utterances([tmp_path / "clips"], "test")

    def heard(clip: Recording, seed: int = 0) -> np.ndarray:
        return open_audio(TestProtocol(seed=seed), noise).clip(clip, "noise 10 dB").samples

    again, other, seeded = heard(first), heard(second), heard(first, seed=1)
    np.testing.assert_array_equal(heard(first), again)
    assert not np.array_equal(again, other) and not np.array_equal(again, seeded)
    dry = open_audio(TestProtocol(), noise).clip(first, "clean").samples
    added, spoken = again.astype(float) - dry, dry[3 * 16_000 : 4 * 16_000].astype(float)
    ratio_db = 10 * np.log10(np.square(spoken).mean() / np.square(added).mean())
    assert ratio_db == pytest.approx(10.0, abs=0.3)
    assert np.abs(added[:16_000]).mean() > 100  # long before the clip


def test_the_report_lies_in_the_folder_or_beside_the_file(tmp_path: Path):
    assert default_output(tmp_path) == tmp_path / "evaluation"
    assert default_output(tmp_path / "hey.onnx") == tmp_path / "hey-evaluation"
