"""`kws data` as a person calls it, with publishers on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import kws
from data_prep import manifests
from kws.cli import main
from kws.errors import ConfigError
from kws.workflows.train import fetched, request
from tests.support.corpora import publish
from tests.support.hub import Hub, serving
from tests.support.training import train_words

pytest.importorskip("lhotse")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of fetched audio."""
    monkeypatch.setenv("KWS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The publishers, on this machine."""
    with serving() as found:
        publish(found, tmp_path / "publishers", monkeypatch)
        yield found


def test_the_list_says_what_each_is_for_and_under_which_terms(
    folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
):
    assert main(["data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    assert rows["name"] == "for hours download license commercial use here"
    assert rows["mini_librispeech"] == "negatives 7 459 MB CC BY 4.0 yes -"
    assert rows["esc50_all"] == "noise 2.8 ~646 MB CC BY-NC 3.0 NO -"
    assert rows["fleurs:LANGUAGE"] == "negatives 12 ~2,000 MB CC BY 4.0 yes -"
    assert lines[-1] == f"fetched audio lies in {folder}"
    kws.fetch_data("esc50")
    kws.fetch_data("fleurs:es_419")
    assert main(["data", "list"]) == 0
    rows = {line.split()[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines()}
    assert (rows["esc50"], rows["musan"], rows["fleurs:es_419"]) == ("yes", "-", "yes")


def test_corpora_are_fetched_and_checked(
    folder: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["data", "fetch", "mini_librispeech", "rirs_noises"]) == 0
    place = folder / "mini_librispeech"
    assert capsys.readouterr().out.splitlines() == [
        f"mini_librispeech: 0.00 h of negatives in {place}",
        f"license: CC BY 4.0; {place / 'LICENSE.txt'} says whom to name",
        "checksums fit",
        "training takes it as `negatives` where none are given",
        f"rirs_noises: 0.00 h of noise, 1 response of rooms in {folder / 'rirs_noises'}",
        f"license: Apache License 2.0; {folder / 'rirs_noises' / 'LICENSE.txt'} says whom to name",
        "checksums fit",
        "training takes it as `noise` where none are given",
        f"for training: `rooms` {folder / 'rirs_noises' / 'rooms.jsonl'}",
    ]
    assert main(["data", "check"]) == 0
    told = capsys.readouterr().out
    assert "mini_librispeech: 13 files, checksums fit, all can be read; 0.00 h of negatives\n" in told
    next(place.rglob("*.flac")).write_bytes(b"")
    assert main(["data", "check", str(folder / "rirs_noises"), str(place)]) == 1
    told = capsys.readouterr().out
    assert "mini_librispeech: 13 files, 2 problems\n" in told
    assert "fetch it again with --overwrite: mini_librispeech" in told
    assert main(["data", "fetch", "mini_librispeech", "--overwrite"]) == 0
    assert main(["data", "check"]) == 0


def test_another_folder_and_what_has_no_checksum_are_told(
    folder: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = tmp_path / "other"
    words = ["data", "fetch", "esc50_all", "--output", str(other)]
    assert main(words) == 2
    assert "CC BY-NC 3.0, forbids commercial use, and may" in capsys.readouterr().err
    assert main([*words, "--accept-noncommercial"]) == 0
    told = capsys.readouterr().out
    sha256 = hub.sha256("/ESC-50.zip")
    assert f"ESC-50.zip has no published checksum; what came has the SHA-256 {sha256}\n" in told
    assert "license: CC BY-NC 3.0 (no commercial use); " in told
    assert f"for training: `noise` {other / 'esc50_all' / 'noise.jsonl'}\n" in told and not folder.exists()
    assert main([*words, "--accept-noncommercial"]) == 0
    assert capsys.readouterr().out.startswith("esc50_all: was there already, 0.00 h of noise in ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch"], "`fetch` needs a name; `kws data` lists them"),
        (["fetch", "musna"], "'musna' cannot be fetched, allowed are mini_librispeech, "),
        (["list", "musan"], "got 'musan' too many; `fetch` takes names, and `check` folders"),
        (["check"], "holds no fetched audio; `kws data fetch` brings some"),
    ],
)
def test_what_is_asked_wrongly_is_named(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["data", *words]) == 2
    assert message in capsys.readouterr().err


def test_python_calls_the_same(folder: Path, hub: Hub, tmp_path: Path):
    fetched = kws.fetch_data("musan", tmp_path / "there", progress=False)
    assert fetched.data.manifest("noise").exists() and not fetched.is_default
    assert kws.check_data([tmp_path / "there"]).is_good
    assert kws.list_data().fetched == ()
    with pytest.raises(ConfigError, match="holds no fetched audio"):
        kws.check_data()


def identity_of(monkeypatch: pytest.MonkeyPatch, recordings: Path, *words: str) -> str:
    """Return what identifies the run that `kws train` would make."""
    found: list[str] = []

    def claim(output: Path, identity: str, *_: object) -> None:
        found.append(identity)
        raise ConfigError("enough")

    with monkeypatch.context() as patch:
        patch.setattr(request, "claim_folder", claim)
        given = ["--keyword", "tone", "--positives", str(recordings / "tone"), "--voices", "espeak"]
        assert main(["train", *given, *words, "--output", "unwritten"]) == 2
    return found[0]


def test_without_negatives_training_says_how_to_get_some(
    folder: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    assert main(["train", "--keyword", "tone", "--output", str(run)]) == 2
    assert capsys.readouterr().err == (
        f"kws train: --negatives: none were given, and none were fetched into {folder}: `kws data fetch "
        "mini_librispeech` brings 7 h of English speech (459 MB, CC BY 4.0); or give own recordings of other "
        "speech, without the keyword\n"
    )
    assert not run.exists()
    for none in (None, []):
        with pytest.raises(ConfigError, match="`negatives`: none were given"):
            kws.train(["tone"], [recordings / "tone"], none, run)


def test_what_was_fetched_identifies_the_run_only_where_it_is_taken(
    folder: Path, hub: Hub, recordings: Path, monkeypatch: pytest.MonkeyPatch
):
    speech = ["--negatives", str(recordings / "speech")]
    both = [*speech, "--noise", str(recordings / "speech")]
    given, made_noise = (identity_of(monkeypatch, recordings, *words) for words in (both, speech))
    kws.fetch_data("mini_librispeech")
    assert identity_of(monkeypatch, recordings, *speech) == made_noise
    only_speech = identity_of(monkeypatch, recordings)
    kws.fetch_data("esc50")
    assert identity_of(monkeypatch, recordings, *both) == given
    with_noise = identity_of(monkeypatch, recordings, *speech)
    every = identity_of(monkeypatch, recordings)
    assert len({given, made_noise, only_speech, with_noise, every}) == 5
    manifest = folder / "esc50" / "noise.jsonl"
    manifest.write_text(manifest.read_text() + "\n")
    assert identity_of(monkeypatch, recordings) != every, "another content is another run"


def test_noise_may_be_refused_from_python(folder: Path, hub: Hub):
    kws.fetch_data("esc50")
    assert [each.role for each in fetched.take([Path("speech")], None)] == ["noise"]
    assert fetched.take([Path("speech")], []) == fetched.take([Path("speech")], [Path("noise")]) == ()


def test_training_takes_what_was_fetched_and_says_so(
    folder: Path, hub: Hub, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    kws.fetch_data("mini_librispeech")
    kws.fetch_data("esc50_all", accept_noncommercial=True)
    run = tmp_path / "run"
    words = train_words(recordings, run)
    at = words.index("--negatives")
    assert main(words[:at] + words[at + 2 :]) in (0, 1)
    told = capsys.readouterr().out
    assert "note: negatives: mini_librispeech, 0.00 h, CC BY 4.0\n" in told
    assert "note: noise: esc50_all, 0.00 h, CC BY-NC 3.0 (no commercial use)\n" in told
    assert {row.source for row in manifests.read(run / "data" / "negatives.jsonl")} == {
        "librispeech",
        "esc50",
    }
    remembered = json.loads((run / "provenance.json").read_text())["fetched"]
    assert [(each["role"], each["name"], each["license"]) for each in remembered] == [
        ("negatives", "mini_librispeech", "CC BY 4.0"),
        ("noise", "esc50_all", "CC BY-NC 3.0"),
    ]
