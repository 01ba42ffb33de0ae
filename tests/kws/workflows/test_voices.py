"""`kws voices` and `--voices`, by files in Kokoro's format made here and a hub on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import kws
from data_prep import manifests
from data_prep.fetching import FetchError
from data_prep.synthesis import kokoro
from kws import audio
from kws.cli import main
from kws.errors import ConfigError
from kws.workflows.recordings import Synthesis, synthesize, with_voices
from tests.support.hub import Hub, serving
from tests.support.voices import write_kokoro


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of voices."""
    monkeypatch.setenv("KWS_VOICES", str(tmp_path / "voices"))
    return tmp_path / "voices"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A release on this machine whose files hum."""
    made = write_kokoro(tmp_path / "release")
    with serving() as found:
        known = []
        for name in (kokoro.MODEL, kokoro.STYLES):
            content = (made / name).read_bytes()
            found.files[f"/{Path(name).name}"] = content
            known.append((name, len(content), hashlib.sha256(content).hexdigest()))
        monkeypatch.setattr(kokoro, "RELEASE", f"{found.address}/")
        monkeypatch.setattr(kokoro, "FILES", tuple(known))
        yield found


def test_voices_are_listed_with_how_to_get_them(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["voices"]) == 0
    shown = capsys.readouterr().out
    assert "eSpeak NG (GPL-3.0-or-later): installed" in shown
    assert "Kokoro (Apache-2.0): not installed: kws voices fetch kokoro" in shown
    assert f"fetched voices lie in {folder}" in shown
    write_kokoro(folder)
    assert main(["voices", "--language", "es"]) == 0
    shown = capsys.readouterr().out
    assert "Kokoro (Apache-2.0): installed\n  es: kokoro:ef_dora kokoro:em_alex kokoro:em_santa\n" in shown
    assert "a command takes: espeak, kokoro\n" in shown and "af_heart" not in shown
    found = kws.voices("es")
    assert {voice.language.split("-")[0] for voice in found.voices} == {"es"}


def test_voices_are_fetched_and_heard(
    hub: Hub, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["voices", "fetch", "kokoro"]) == 0
    shown = capsys.readouterr()
    assert f"MB in {folder / 'kokoro'}, checksums fit" in shown.out and shown.err == "", (
        "no bar but on a terminal"
    )
    output = tmp_path / "hello.wav"
    words = ["voices", "say", "kokoro:af_heart", "hey computer", "--output", str(output)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{output}: 0.70 s by kokoro:af_heart\n"
    assert len(audio.load(output)) == 11_200
    assert main(words) == 2
    assert "is there already; give --overwrite, or another --output" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--speed", "1.25"]) == 0
    assert len(audio.load(output)) == 8960
    assert kws.say("kokoro", "hello", tmp_path / "any.wav").voice == "kokoro:af_alloy"


def test_a_fetch_that_fails_says_what_to_do(hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]):
    hub.files["/voices-v1.0.bin"] = b"other"
    with pytest.raises(FetchError, match="the connection ended after 5 of"):
        kws.fetch_voices("kokoro")
    assert not kokoro.is_installed()
    hub.files.clear()
    assert main(["voices", "fetch", "kokoro"]) == 2
    assert "the server says 404" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch"], "`fetch` needs a name: kokoro, or piper:NAME"),
        (
            ["fetch", "flite"],
            "voice 'flite': nothing to fetch; what can be fetched is kokoro, and piper:NAME",
        ),
        (["fetch", "kokro"], "there is no engine 'kokro'"),
        (["say", "espeak:en-us"], "`say` needs a voice, a text in quotes, and where it goes"),
        (["list", "kokoro"], "got 'kokoro' too many"),
        (["say", "kokoro:bob", "hi", "--output", "x.wav"], "voice 'bob' is not one of Kokoro's"),
        (
            ["say", "kokoro", "hi", "--output", "x.wav"],
            "no such file; Kokoro's voices need it: `kws voices f",
        ),
        (["say", "espeak:xx", "hi", "--output", "x.wav"], "language 'xx' is unknown to eSpeak NG"),
        (
            ["say", "espeak", "hi", "--speed", "9", "--output", "x.wav"],
            "--speed is 9, this voice speaks at 0.5",
        ),
    ],
)
def test_what_is_asked_wrongly_is_named(
    words: list[str], message: str, folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["voices", *words]) == 2
    assert message in capsys.readouterr().err and not Path("x.wav").exists()


def test_a_phrase_is_prepared_by_the_voices_that_are_named(folder: Path, tmp_path: Path):
    write_kokoro(folder)
    made = kws.synthesize(
        "hey robot", tmp_path / "spoken", num_positives=4, num_negatives=2, voices=["kokoro"], num_workers=1
    )
    rows = [*manifests.read(made.positives), *manifests.read(made.negatives)]
    assert {row.source for row in rows} == {"kokoro"} and "by eSpeak NG and Kokoro" in made.note


def test_training_hears_the_voices_that_are_named(folder: Path, tmp_path: Path):
    write_kokoro(folder)
    asked = with_voices(Synthesis(keyword=4), ["espeak", "kokoro"])
    assert asked.voices == ("espeak", "kokoro")
    made = synthesize(["hey robot"], asked, tmp_path / "made", num_recordings=5, seed=0, num_workers=1)
    assert [row.source for row in made.keywords] == ["espeak-ng", "kokoro"] * 2
    assert {row.source for row in made.speech} == {"espeak-ng", "kokoro"}
    with pytest.raises(ConfigError, match="no engine 'nobody'"):
        with_voices(Synthesis(), ["nobody"])


def test_the_identity_of_a_run_holds_its_voices(folder: Path, tmp_path: Path):
    from kws.workflows.train.request import TrainRequest, read_overrides, read_settings, resolve

    write_kokoro(folder)
    given = read_overrides(None, [])
    settings = read_settings(("red",), given)
    plain = TrainRequest(
        ("red",), (), (tmp_path / "speech",), tmp_path / "run", *settings, given.given(),
        synthesis=with_voices(Synthesis(), ["espeak"]),
    )  # fmt: skip
    natural = replace(plain, synthesis=with_voices(Synthesis(), ["kokoro", "espeak"]))
    assert natural.synthesis.voices == ("espeak", "kokoro")
    assert resolve(plain).identity != resolve(natural).identity
    assert resolve(natural).identity == resolve(replace(natural, num_workers=3)).identity


def test_the_identity_of_an_enrollment_holds_its_voices(folder: Path, tmp_path: Path):
    from kws.workflows.enroll.request import EnrollRequest, resolve

    write_kokoro(folder)
    asked = EnrollRequest(("silver moon",), tmp_path / "run", method="examples", voices=("espeak", "kokoro"))
    identities = {resolve(replace(asked, voices=names)).identity() for names in (asked.voices, ("kokoro",))}
    assert len(identities) == 2 and resolve(asked).identity() in identities
