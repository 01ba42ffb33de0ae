"""What the pages call: hostile names, uploads beyond every limit, garbage, and each step's own address."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws.detector import Detector
from kws.studio.uploads import UploadLimits, shown_name
from kws.workflows.project.recordings import ProjectLimits
from tests.support.onnx_models import write_tone_model
from tests.support.studio import Studio, open_studio, wav
from tests.support.training import noise, spoken

TAKES = "/api/projects/tone/takes"


def upload(studio: Studio, content: bytes, role: str = "positives", name: str = "", speaker: str = "ann"):
    return studio.client.post(TAKES, params={"role": role, "name": name, "speaker": speaker}, content=content)


def test_a_project_is_made_and_a_wrong_keyword_is_told(studio: Studio):
    made = studio.client.post("/api/projects", json={"keyword": "hey computer", "language": "en"})
    assert (made.status_code, made.json()) == (201, {"name": "hey_computer"})
    for values in (
        {"keyword": "…"},
        {"keyword": "x" * 300},
        {"keyword": 3},
        {},
        {"keyword": "a", "language": "xx"},
    ):
        answer = studio.client.post("/api/projects", json=values)
        assert answer.status_code == 400 and answer.json()["error"], values
    assert studio.client.post("/api/projects", content=b"[1]").status_code == 400
    assert studio.client.post("/api/projects", content=b"{" * 70_000).status_code == 413


def test_a_take_is_checked_kept_played_and_deleted(studio: Studio):
    good, silent = upload(studio, wav(spoken())), upload(studio, wav(np.zeros(16_000, np.float32)))
    assert (good.status_code, good.json()["name"]) == (201, "positives/ann/001.wav")
    assert silent.json()["is_set_aside"] and silent.json()["found"]["fault"] == "silent"
    aside = f"{TAKES}/{silent.json()['name']}"
    kept = studio.client.put(aside).json()["name"]
    assert kept == "positives/ann/002.wav" and studio.client.put(aside).status_code == 404
    assert studio.client.get(f"{TAKES}/{kept}").content.startswith(b"RIFF")
    assert studio.client.delete(f"{TAKES}/{kept}").json() == {"ok": True}
    assert [take["name"] for take in studio.client.get("/api/projects/tone").json()["takes"]] == [
        "positives/ann/001.wav"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "../project.json",
        "..%2fproject.json",
        "positives/../project.json",
        "/etc/passwd",
        "%2e%2e/%2e%2e/x",
        ".job.lock",
    ],
)
def test_no_name_leads_out_of_the_recordings(name: str, studio: Studio):
    for method in ("GET", "PUT", "DELETE"):
        assert studio.client.request(method, f"{TAKES}/{name}").status_code in (404, 405)
    assert (studio.project.folder / "project.json").is_file()


@pytest.mark.parametrize("name", ["..", "%2e%2e", "tone%2f..", "..%2ftone", ".", "gone", "tone%00"])
def test_no_name_leads_out_of_the_projects(name: str, studio: Studio):
    for path in (f"/api/projects/{name}", f"/projects/{name}", f"/api/projects/{name}/report/report.html"):
        answer = studio.client.get(path)  # the client itself makes a path without .. of some
        assert answer.status_code in (404, 405) or answer.url.path == "/"
    assert studio.client.get(f"/static/{name}/app.py").status_code == 404


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\..\\x.wav", "a\0b.wav", "\u202etxt.wav", "x" * 500, ""]
)
def test_an_uploaded_file_gets_a_name_of_ours(name: str, studio: Studio):
    answer = upload(studio, wav(spoken()), name=name, speaker=name)
    assert answer.status_code == 201
    path = (studio.project.folder / answer.json()["name"]).resolve()
    assert path.name == "001.wav" and path.parent.parent == studio.project.folder / "positives"
    origin = answer.json()["found"]["origin"]
    assert len(origin) <= 80 and not set(origin) & set("/\\\0\u202e")
    outside = [found for found in studio.state.parent.parent.rglob("*") if found.is_file()]
    assert all(found.is_relative_to(studio.state.parent / "tone") for found in outside)


def test_a_name_is_shown_without_folders():
    assert shown_name("C:\\music\\call.wav") == shown_name("/home/x/call.wav") == "call.wav"
    assert shown_name("..") == shown_name("") == "" and shown_name("a\nb.wav") == "ab.wav"


@pytest.mark.parametrize(
    "content", [b"garbage" * 100, b"RIFF", b"\x00" * 10_000, b"<html>", b"#EXTM3U\nfile:///etc/passwd"]
)
@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.m3u8", "x.mp4"])
def test_garbage_is_refused_and_leaves_nothing(content: bytes, name: str, studio: Studio):
    answer = upload(studio, content, "negatives", name)
    assert answer.status_code == 400 and "/tmp" not in answer.json()["error"]
    assert studio.project.takes() == [] and upload(studio, b"").status_code == 400


def test_an_upload_is_bounded_whether_it_says_its_length_or_not(tmp_path: Path):
    with open_studio(tmp_path, UploadLimits(file_bytes=40_000)) as studio:
        assert upload(studio, wav(noise(1))).status_code == 201
        large = wav(noise(2))
        assert upload(studio, large).status_code == 413
        pieces = (large[start : start + 1000] for start in range(0, len(large), 1000))
        answer = studio.client.post(TAKES, params={"role": "positives"}, content=pieces)
        assert answer.status_code == 413 and len(studio.project.takes()) == 1


def test_recordings_are_bounded_in_length_number_and_sum(tmp_path: Path):
    limits = ProjectLimits(positives_s=1.5, num_takes=2)
    with open_studio(tmp_path / "number", limits=limits) as studio:
        assert "longer than 1.5 s" in upload(studio, wav(noise(2))).json()["error"]
        assert [upload(studio, wav(spoken(seed=seed))).status_code for seed in range(3)] == [201, 201, 400]
    with open_studio(tmp_path / "sum", limits=ProjectLimits(total_s=1.5)) as studio:
        assert [upload(studio, wav(noise(1, seed))).status_code for seed in range(3)] == [201, 201, 400]


def test_too_many_uploads_at_once_are_sent_away(tmp_path: Path):
    with open_studio(tmp_path, UploadLimits(waiting=0)) as studio:
        assert upload(studio, wav(spoken())).status_code == 503


def test_a_role_and_a_method_must_be_known(studio: Studio):
    assert upload(studio, wav(spoken()), role="../noise").status_code == 400
    assert studio.client.post("/api/projects/tone/job", json={"method": "rm"}).status_code == 400


def test_ways_voices_and_settings(studio: Studio):
    found = studio.client.get("/api/projects/tone/ways").json()
    assert found["ways"][0]["phones"] == "T OW N" and found["voices"]
    said = studio.client.get("/api/projects/tone/say", params={"way": "0"})
    assert said.headers["content-type"] == "audio/wav" and said.content.startswith(b"RIFF")
    for query in ({"voice": "espeak:../x"}, {"way": "99"}, {"way": "-1"}, {}):
        assert studio.client.get("/api/projects/tone/say", params=query).status_code == 404
    lexicon = found["ways"][0]["lexicon"]
    assert studio.client.patch("/api/projects/tone", json={"lexicon": lexicon}).status_code == 200
    assert studio.project.settings().lexicon == lexicon
    for wrong in ({"lexicon": {"TONE": ["X"]}}, {"threshold": 2}, {"false_accepts_per_hour": -1}):
        assert studio.client.patch("/api/projects/tone", json=wrong).status_code == 400
    assert studio.client.patch("/api/projects/tone", json={"keyword": "other"}).status_code == 200
    assert studio.project.settings().keyword == "tone"


def test_a_model_is_downloaded_at_the_threshold_that_is_set(studio: Studio, tmp_path: Path):
    export = "/api/projects/tone/export/model"
    assert studio.client.get(export).status_code == 400
    studio.project.run.mkdir()
    write_tone_model(studio.project.run / "model.onnx")
    assert studio.client.patch("/api/projects/tone", json={"threshold": 0.8}).status_code == 200
    answer = studio.client.get(export)
    assert 'filename="tone.onnx"' in answer.headers["content-disposition"]
    (tmp_path / "got.onnx").write_bytes(answer.content)
    assert Detector(tmp_path / "got.onnx").thresholds == {"tone": 0.8}
    assert studio.client.patch("/api/projects/tone", json={"threshold": None}).status_code == 200
    assert studio.project.settings().threshold is None


def test_a_report_may_show_itself_and_run_nothing(studio: Studio):
    report = "/api/projects/tone/report/report.html"
    assert studio.client.get(report).status_code == 404
    studio.project.report.mkdir()
    (studio.project.report / "report.html").write_text("<p>report")
    (studio.project.report / "evaluation.json").write_text("{}")
    policy = studio.client.get(report).headers["content-security-policy"]
    assert "sandbox" in policy and "script-src" not in policy and "default-src 'none'" in policy
    assert studio.client.get("/api/projects/tone/report/evaluation.json").status_code == 404
