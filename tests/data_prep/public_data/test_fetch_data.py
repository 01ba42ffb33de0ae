"""Corpora fetched from a server on this machine, each in its publisher's layout, and checked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep import manifests
from data_prep.corpora import base
from data_prep.fetching import FetchError
from data_prep.public_data import CATALOG, check, fetch_data, fetched_in, find, folder, store
from data_prep.public_data.base import ROLES
from data_prep.rooms import read_rooms
from kws.errors import ConfigError, DependencyError, ManifestError
from tests.support.archives import write_tar
from tests.support.corpora import SECONDS, publish
from tests.support.hub import Hub, serving

pytest.importorskip("lhotse")

EXPECTED = {
    "mini_librispeech": {"negatives": 6},
    "librispeech_dev_clean": {"negatives": 2},
    "librispeech_train_clean_100": {"negatives": 2},
    "speech_commands": {"negatives": 4, "noise": 2},
    "musan": {"negatives": 2, "noise": 1},
    "esc50": {"noise": 2},
    "esc50_all": {"noise": 3},
    "rirs_noises": {"noise": 2, "rooms": 1},
    "but_reverb_db": {"rooms": 1},
    "fleurs:es_419": {"negatives": 3},
}
"""Name -> recordings of each role in the small archives."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The publishers, on this machine."""
    with serving() as found:
        publish(found, tmp_path / "publishers", monkeypatch)
        yield found


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """A folder for fetched audio."""
    return tmp_path / "data"


def get(name: str, into: Path, **options: bool) -> dict[str, int]:
    """Fetch a corpus and return how many recordings it has, by role."""
    found, _ = fetch_data(name, into, accept_noncommercial=True, **options)
    return found.recordings


def test_the_catalog_is_covered_and_marks_what_is_not_free_for_business():
    assert EXPECTED.keys() - {"fleurs:es_419"} == CATALOG.keys()
    for name, data in CATALOG.items():
        assert data.is_commercial == ("NC" not in data.corpus.license), name
        assert set(data.roles) <= set(ROLES) and data.roles, name
        urls = [part.file.url for part in data.parts]
        assert all(url.startswith("https://") for url in urls) or name == "but_reverb_db"
        told = sum(part.file.expected_size for part in data.parts)
        assert data.download_mb == pytest.approx(told / 1e6, abs=1), name
    assert not find("esc50_all").is_commercial


@pytest.mark.parametrize("name", EXPECTED)
def test_a_corpus_is_fetched_unpacked_and_listed(hub: Hub, into: Path, name: str):
    found, was_there = fetch_data(name, into, accept_noncommercial=True)
    assert not was_there and found.place == into / find(name).folder
    assert found.recordings == EXPECTED[name] and set(found.recordings) == set(find(name).roles)
    for role, number in found.recordings.items():
        recordings = manifests.read(found.manifest(role))
        assert len(recordings) == number
        assert all(entry.length_s == pytest.approx(SECONDS) and entry.path.exists() for entry in recordings)
        assert not any(line.startswith('{"path": "/') for line in found.manifest(role).open())
    assert found.name == name and len(found.sources) == len(hub.asked) - 2 * name.startswith("fleurs")
    assert {entry.name for entry in found.place.iterdir()} == {
        "audio", "data.json", "LICENSE.txt", "SHA256SUMS", *(f"{role}.jsonl" for role in found.recordings),
    }  # fmt: skip
    terms = (found.place / "LICENSE.txt").read_text()
    assert f"License: {find(name).corpus.license}" in terms and find(name).corpus.citation in terms
    assert [entry.name for entry in into.iterdir() if entry.name != found.place.name] == ["downloads"]
    assert list((into / "downloads").iterdir()) == [], "archives are gone when all is in place"
    (checked,) = check(into)
    assert checked.problems == () and checked.num_files == len(
        (found.place / "SHA256SUMS").open().readlines()
    )
    asked = len(hub.asked)
    assert fetch_data(name, into, accept_noncommercial=True) == (found, True) and len(hub.asked) == asked


def test_splits_are_those_of_the_corpus_where_there_are_several(hub: Hub, into: Path):
    get("mini_librispeech", into)
    get("librispeech_dev_clean", into)
    splits = {
        data.name: {entry.split for entry in manifests.read(data.manifest("negatives"))}
        for data in fetched_in(into)
    }
    assert splits == {"mini_librispeech": {"train", "dev"}, "librispeech_dev_clean": {None}}


def test_only_clips_that_anybody_may_use_stay_of_esc50(hub: Hub, into: Path):
    get("esc50", into)
    assert sorted(path.name for path in into.rglob("*.wav")) == ["1-1-A-0.wav", "1-2-A-0.wav"]
    terms = (into / "esc50" / "LICENSE.txt").read_text()
    assert "1-2-A-0.wav: clip derived from x1-2-A-0.wav by ann [CC-BY]\n" in terms
    assert "Commercial use: yes" in terms and "1-3-A" not in terms


def test_responses_of_rooms_are_read_by_training(hub: Hub, into: Path):
    get("rirs_noises", into)
    assert not list(into.rglob("simulated_rirs"))
    bank = read_rooms([into / "rirs_noises" / "rooms.jsonl"])
    assert bank is not None and len(bank.responses) == 1


def test_what_forbids_business_must_be_accepted(hub: Hub, into: Path):
    with pytest.raises(ConfigError, match="esc50_all: its license, CC BY-NC 3.0, forbids commercial use"):
        fetch_data("esc50_all", into)
    assert hub.asked == [] and not into.exists()
    found, _ = fetch_data("esc50_all", into, accept_noncommercial=True)
    assert found.told("noise") == "esc50_all, 0.00 h, CC BY-NC 3.0 (no commercial use)"
    assert "Commercial use: no" in (found.place / "LICENSE.txt").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mini_librispech", "cannot be fetched, allowed are .* and fleurs:LANGUAGE; did you mean mini_libri"),
        ("fleurs", "'fleurs' names no language of FLEURS; give one as fleurs:es_419"),
        ("fleurs:../x", "names no language"),
    ],
)
def test_an_unknown_name_is_refused(name: str, message: str, into: Path):
    with pytest.raises(ConfigError, match=message):
        fetch_data(name, into)


def test_a_language_that_the_hub_does_not_have_is_told(hub: Hub, into: Path):
    with pytest.raises(FetchError, match="data/xx_xx: the server says 404"):
        fetch_data("fleurs:xx_xx", into)


def test_a_stopped_fetch_goes_on(hub: Hub, into: Path):
    hub.cut_after = 5000
    with pytest.raises(FetchError, match="the connection ended after 5000 of"):
        get("mini_librispeech", into)
    assert fetched_in(into) == []
    hub.cut_after = None
    assert get("mini_librispeech", into) == EXPECTED["mini_librispeech"]
    assert ("/train-clean-5.tar.gz", "bytes=5000-") in hub.asked


def test_a_wrong_checksum_leaves_nothing_that_could_be_trained_on(hub: Hub, into: Path):
    hub.files["/musan.tar.gz"] = hub.files["/musan.tar.gz"][:-1] + b"x"
    with pytest.raises(FetchError, match=r"musan.tar.gz: its checksum is \w{32}, expected \w{32}; what came"):
        get("musan", into)
    assert fetched_in(into) == [] and not (into / "musan").exists()


def test_without_a_network_the_message_says_where_to_put_the_archive_by_hand(
    hub: Hub, into: Path, tmp_path: Path
):
    content = hub.files.pop("/musan.tar.gz")
    place = into / "downloads" / "musan" / "musan.tar.gz"
    url = f"{hub.address}/musan.tar.gz"
    with pytest.raises(
        FetchError, match=f"404.*By hand: download {url} elsewhere and put it there as {place}"
    ):
        get("musan", into)
    place.write_bytes(content)
    asked = len(hub.asked)
    assert get("musan", into) == EXPECTED["musan"] and len(hub.asked) == asked


def test_an_archive_of_another_layout_is_refused_and_leaves_only_the_archive(
    hub: Hub, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_tar(tmp_path / "other.tgz", {"a/RIR/notes.wav": b"no audio", "../evil/RIR/x.wav": b"evil"})
    hub.files["/BUT_ReverbDB_rel_19_06_RIR-Only.tgz"] = (tmp_path / "other.tgz").read_bytes()
    with pytest.raises(FetchError, match="leads out of the folder"):
        get("but_reverb_db", into)
    assert not list(tmp_path.rglob("evil")) and not list(into.glob(".*"))
    shutil.rmtree(into)
    write_tar(tmp_path / "other.tgz", {"a/RIR/notes.wav": b"no audio"})
    hub.files["/BUT_ReverbDB_rel_19_06_RIR-Only.tgz"] = (tmp_path / "other.tgz").read_bytes()
    with pytest.raises(ManifestError, match="lhotse cannot prepare it"):
        get("but_reverb_db", into)
    assert fetched_in(into) == [] and not list(into.glob(".*"))


def test_a_full_disk_is_seen_before_anything_is_fetched(
    hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage(0, 0, 100_000_000))
    with pytest.raises(
        ConfigError, match=r"has 100 MB free, and musan needs about 13,200 MB while it is unp"
    ):
        get("musan", into)
    assert hub.asked == []


def test_overwrite_fetches_again_and_touches_nothing_else(hub: Hub, into: Path):
    get("esc50", into)
    (into / "esc50" / "audio" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="mine.txt: was not fetched; move it"):
        get("esc50", into, overwrite=True)
    assert (into / "esc50" / "audio" / "mine.txt").read_text() == "mine"


def test_what_a_list_names_outside_the_folder_is_not_removed(hub: Hub, into: Path):
    get("esc50", into)
    victim = into / "victim"
    victim.write_text("mine")
    with (into / "esc50" / "SHA256SUMS").open("a") as sums:
        sums.write(f"0  ../victim\n0  {victim}\n")
    get("esc50", into, overwrite=True)
    assert victim.read_text() == "mine"


def test_without_lhotse_nothing_is_fetched_that_needs_it(
    hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="corpus recipes need lhotse: `pip install"):
        get("musan", into)
    assert hub.asked == [] and get("esc50", into) == EXPECTED["esc50"]


def test_overwrite_replaces_what_is_damaged(hub: Hub, into: Path):
    get("esc50", into)
    next(into.rglob("*.wav")).unlink()
    assert get("esc50", into, overwrite=True) == EXPECTED["esc50"]
    assert check(into)[0].problems == ()


def test_a_folder_of_others_is_not_touched(hub: Hub, into: Path):
    (into / "musan").mkdir(parents=True)
    with pytest.raises(ConfigError, match="musan: is there, but was not fetched; move it, or give another"):
        get("musan", into)
    assert hub.asked == []


def test_a_check_names_what_is_missing_changed_and_unreadable(hub: Hub, into: Path):
    get("mini_librispeech", into)
    get("esc50", into)
    assert [item.data.name for item in check(into)] == ["esc50", "mini_librispeech"]
    first, second, third = sorted(into.rglob("*.flac"))[:3]
    first.unlink()
    second.write_bytes(b"no audio")
    shutil.copyfile(next(into.rglob("*.wav")), third)
    esc, mini = check(into)
    told = "\n".join(mini.problems)
    assert esc.problems == ()
    assert f"{first}: is missing" in told and f"{second}: its checksum is another one" in told
    assert f"{third}: its checksum" in told and told.count(str(second)) == 2, "it cannot be read either"
    assert len(check(into / "esc50")) == 1
    (into / "esc50" / "data.json").write_text("{}")
    with pytest.raises(ConfigError, match="data.json: cannot be read .*remove the folder and fetch it again"):
        check(into)
    with pytest.raises(ConfigError, match="holds no fetched audio; `kws data fetch` brings some"):
        check(into / "mini_librispeech" / "audio")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils' sha256sum")
def test_the_checksums_are_those_that_sha256sum_checks(hub: Hub, into: Path):
    get("esc50", into)
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=into / "esc50", capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.count(": OK\n") == 6


def test_a_record_holds_what_came(hub: Hub, into: Path):
    get("esc50", into)
    get("musan", into)
    esc, musan = fetched_in(into)
    for data, name in ((esc, "ESC-50.zip"), (musan, "musan.tar.gz")):
        (source,) = data.sources
        content = hub.files[f"/{name}"]
        assert (source.size, source.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert esc.sources[0].publisher == ""
    assert musan.sources[0].publisher == f"md5 {hashlib.md5(hub.files['/musan.tar.gz']).hexdigest()}"


def test_the_folder_is_that_of_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KWS_DATA", str(tmp_path))
    assert folder() == tmp_path and fetched_in(tmp_path / "nowhere") == []
