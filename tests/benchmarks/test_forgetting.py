"""The benchmark of forgetting as it is called: a table to read, a row of each run to keep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from benchmarks import forgetting
from kws.encoders.sources.embedded_weights import load_recognizer
from tests.support.runs import write_run
from tests.support.training import noise, tiny_weights, tone, write_manifest, write_wavs


def test_prints_a_table_and_keeps_a_row_of_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(forgetting, "RESULTS", tmp_path / "results" / "forgetting.jsonl")
    paths = write_wavs(tmp_path / "wavs", [tone(0.5) + noise(0.5, seed) for seed in range(3)])
    spoken = [{"phones": "K AE T"}, {"text": "cat"}, {"phones": "D AO G", "split": "train"}]
    rows = [{"path": path, "split": "test", **said} for path, said in zip(paths, spoken, strict=True)]
    manifest = write_manifest(tmp_path / "speech.jsonl", rows)
    weights = tiny_weights(tmp_path / "encoder")
    run = write_run(tmp_path / "late", shape=load_recognizer(weights).encoder.shape(), depth=2)
    values = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    values["training"] = {"transfer": {"policy": "late"}, "regularizers": {"ewc": 100.0}, "seed": 4}
    (run / "config.yaml").write_text(yaml.safe_dump(values), "utf-8")

    words = [str(run), "--manifest", str(manifest), "--weights", str(weights), "--language", "en-us"]
    forgetting.main(words)
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("| run | policy | depth | regularisers |") and len(table) == 3
    forgetting.main([*words, "--limit", "1"])
    text = forgetting.RESULTS.read_text("utf-8")
    whole, limited = map(json.loads, text.splitlines())
    assert (whole["utterances"], whole["phones"], limited["utterances"]) == (2, 6, 1)
    assert whole["manifest"] == f"{tmp_path.name}/speech.jsonl" and str(tmp_path.parent) not in text
    assert (whole["run"], whole["depth"], whole["policy"], whole["seed"]) == ("late", 2, "late", 4)
    assert whole["regularizers"] == {"ewc": 100.0} and whole["config_hash"] == "0123456789ab"
    before, after = whole["phone_error_rate_before"], whole["phone_error_rate_after"]
    shown = f"{100 * before:.1f} | {100 * after:.1f} | {100 * (after - before):+.1f} |"
    assert before > 0 and table[2] == f"| late | late | 2 | ewc 100 | {shown}"
