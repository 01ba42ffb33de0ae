"""Corpus recipes, each on a tiny folder in the layout of the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from data_prep import manifests
from data_prep.corpora import available_corpora, load_corpus, prepare_corpus
from data_prep.corpora.base import rows
from kws.errors import ConfigError, ManifestError
from kws.manifest import Recording
from tests.support.recordings import tone, write_audio

lhotse = pytest.importorskip("lhotse")

PITCHES: Iterator[int] = count(100, 7)


def write_all(folder: Path, *names: str) -> None:
    """Write tones under the given names."""
    for name in names:
        write_audio(folder / name, tone(0.3, hz=next(PITCHES)))


def by_name(folder: Path, path: Path) -> dict[str, Recording]:
    """Read a manifest; names are relative to the corpus folder."""
    found = manifests.read(path)
    assert all(item.duration_s == pytest.approx(0.3) and item.sample_rate == 16_000 for item in found)
    names = [item.path.relative_to(folder).as_posix() for item in found]
    assert len(set(names)) == len(names)
    return dict(zip(names, found, strict=True))


@pytest.fixture
def speech_commands(tmp_path: Path) -> Path:
    """Two words, one of them in each part, with noise and the separate test archive."""
    train, test = (
        tmp_path / "sc" / "speech_commands_v0.02",
        tmp_path / "sc" / "speech_commands_test_set_v0.02",
    )
    write_all(
        train, "yes/aa_nohash_0.wav", "yes/bb_nohash_0.wav", "cat/cc_nohash_1.wav", "cat/dd_nohash_0.wav"
    )
    write_all(train, "_background_noise_/running_tap.wav", "_background_noise_/white_noise.wav")
    (train / "validation_list.txt").write_text("yes/bb_nohash_0.wav\n")
    (train / "testing_list.txt").write_text("cat/dd_nohash_0.wav\n")
    write_all(test, "yes/ee_nohash_0.wav", "_unknown_/cat_dd_nohash_0.wav", "_silence_/1.wav")
    return tmp_path / "sc"


def test_speech_commands(speech_commands: Path, tmp_path: Path) -> None:
    found = by_name(speech_commands, prepare_corpus("speech_commands", speech_commands, tmp_path / "m.jsonl"))
    rows = {
        name.removeprefix("speech_commands_"): (item.split, item.label, item.text, item.speaker)
        for name, item in found.items()
    }
    assert rows == {
        "v0.02/_background_noise_/white_noise.wav": ("train", "background_noise", None, None),
        "v0.02/_background_noise_/running_tap.wav": ("dev", "background_noise", None, None),
        "v0.02/yes/aa_nohash_0.wav": ("train", "yes", "yes", "sc_aa"),
        "v0.02/yes/bb_nohash_0.wav": ("dev", "yes", "yes", "sc_bb"),
        "v0.02/cat/cc_nohash_1.wav": ("train", "cat", "cat", "sc_cc"),
        "test_set_v0.02/yes/ee_nohash_0.wav": ("test", "yes", "yes", "sc_ee"),
        "test_set_v0.02/_unknown_/cat_dd_nohash_0.wav": ("test", "cat", "cat", "sc_dd"),
    }
    manifests.validate(list(found.values()))


def test_manifest_is_the_same_each_time(speech_commands: Path, tmp_path: Path) -> None:
    first, second = (
        prepare_corpus("speech_commands", speech_commands, tmp_path / name).read_bytes()
        for name in ("a.jsonl", "b.jsonl")
    )
    assert first == second
    lines = [item.path for item in manifests.read(tmp_path / "a.jsonl") if item.split == "train"]
    assert lines == sorted(lines)


def test_recipes_list_audio_in_any_order_and_rows_sorts_it(tmp_path: Path) -> None:
    names = ["c.wav", "a.wav", "b.wav"]
    write_all(tmp_path, *names)
    recordings = [lhotse.Recording.from_file(tmp_path / name) for name in names]
    supervision = lhotse.SupervisionSegment("x", "b", 0.0, 0.3, text="hey")
    pairs = rows({"recordings": recordings, "supervisions": [supervision]})
    assert [(audio.id, item and item.text) for audio, item in pairs] == [
        ("a", None),
        ("b", "hey"),
        ("c", None),
    ]


def test_speech_commands_without_its_test_archive(speech_commands: Path, tmp_path: Path) -> None:
    (speech_commands / "speech_commands_test_set_v0.02").rename(tmp_path / "away")
    with pytest.raises(
        ManifestError, match=r"speech_commands_test_set_v0\.02 not found in it; unpack the corpus"
    ):
        prepare_corpus("speech_commands", speech_commands, tmp_path / "m.jsonl")


def test_librispeech(tmp_path: Path) -> None:
    folder = tmp_path / "LibriSpeech"
    for part, speaker in (("train-clean-100", 19), ("dev-clean", 84), ("test-other", 367)):
        book = folder / part / str(speaker) / "5"
        write_all(book, f"{speaker}-5-0000.flac", f"{speaker}-5-0001.flac")
        (book / f"{speaker}-5.trans.txt").write_text(
            f"{speaker}-5-0000 HE SAID\n{speaker}-5-0001 SHE SAID SO\n"
        )
    found = by_name(folder, prepare_corpus("librispeech", folder, tmp_path / "m.jsonl"))
    people = [("train", "ls_19"), ("dev", "ls_84"), ("test", "ls_367")]
    assert [(item.split, item.speaker) for item in found.values()] == [
        who for who in people for _ in range(2)
    ]
    second = found["test-other/367/5/367-5-0001.flac"]
    assert (second.text, second.language, second.extra) == ("SHE SAID SO", "en", {"part": "test-other"})


def test_musan(tmp_path: Path) -> None:
    folder = tmp_path / "musan"
    write_all(folder, "music/fma/music-fma-0000.wav", "music/fma/music-fma-0001.wav")
    write_all(folder, "noise/free-sound/noise-0.wav", "speech/us-gov/speech-0.wav")
    (folder / "music/fma/ANNOTATIONS").write_text(
        "music-fma-0000 jazz,folk Y ann\nmusic-fma-0001 rock N ben more\n"
    )
    found = by_name(folder, prepare_corpus("musan", folder, tmp_path / "m.jsonl"))
    assert Counter(item.label for item in found.values()) == {"music": 2, "noise": 1, "speech": 1}
    song = found["music/fma/music-fma-0000.wav"]
    assert (song.speaker, song.extra) == ("musan_ann", {"genres": ["jazz", "folk"], "vocals": True})
    assert found["noise/free-sound/noise-0.wav"].speaker is None


def test_rirs_noises(tmp_path: Path) -> None:
    folder = tmp_path / "RIRS_NOISES"
    write_all(folder / "pointsource_noises", "noise-free-sound-0000.wav")
    write_all(folder / "real_rirs_isotropic_noises", "RVB2014_type1_noise_1.wav")
    for room in ("small", "medium", "large"):
        write_all(folder / "simulated_rirs", f"{room}room/Room001/Room001-00001.wav")
    eight = np.stack([tone(0.3, hz=100 + 10 * index) for index in range(8)], axis=1)
    write_audio(folder / "real_rirs_isotropic_noises" / "air_type1_rir_1.wav", eight)
    found = by_name(folder, prepare_corpus("rirs_noises", folder, tmp_path / "m.jsonl"))
    assert Counter((item.label, item.extra["part"]) for item in found.values()) == {
        ("noise", "point_noise"): 1,
        ("noise", "iso_noise"): 1,
        ("rir", "real_rir"): 1,
        ("rir", "sim_rir"): 3,
    }
    assert found["real_rirs_isotropic_noises/air_type1_rir_1.wav"].extra["channels"] == 8


def test_but_reverb_db(tmp_path: Path) -> None:
    folder = tmp_path / "BUT"
    for room in ("Q301", "L207"):
        place = folder / f"VUT_FIT_{room}/MicID01/SpkID01_20170904_S/01"
        write_all(place / "RIR", "IR_sweep_15s_45Hzto22kHz_FS16kHz.v00.wav")
        write_all(place / "silence", "silence_16kHz_60sec.v00.wav")
    found = by_name(folder, prepare_corpus("but_reverb_db", folder, tmp_path / "m.jsonl"))
    assert [(item.label, item.extra["room"]) for item in found.values()] == [("rir", "L207"), ("rir", "Q301")]


ESC = {
    "1-100032-A-0.wav": "rose_bark.wav (http://www.freesound.org/people/nfrae/sounds/100032/) by nfrae [CC0]",
    "1-110389-A-0.wav": "dog_001.wav (http://www.freesound.org/people/a.com/sounds/110389/) by a.com [CC-BY]",
    "1-110389-B-0.wav": "dog_001.wav (http://www.freesound.org/people/a.com/sounds/110389/) by a.com [CC-BY]",
    "1-40730-A-1.wav": "rooster2.wav (http://www.freesound.org/people/p/sounds/40730/) by p [CC-Sampling+]",
    "2-11-A-1.wav": "x [brackets].wav (http://www.freesound.org/people/p/sounds/11/) by p [CC-BY-NC]",
}
"""Clip -> its line of LICENSE; one more clip has no line."""


def test_esc50_keeps_clips_that_anybody_may_use(tmp_path: Path) -> None:
    folder = tmp_path / "ESC-50-master"
    write_all(folder / "audio", *ESC, "3-12-A-1.wav")
    (folder / "meta").mkdir()
    lines = [f"- [{name.rsplit('-', 1)[0]}.ogg]:  clip derived from {terms}" for name, terms in ESC.items()]
    (folder / "LICENSE").write_text("# ESC-50\n\n101 - Dog:\n" + "\n".join(lines) + "\n")
    table = [
        f"{name},1,0,dog,True,{name.split('-')[1]},{name.split('-')[2]}" for name in [*ESC, "3-12-A-1.wav"]
    ]
    head = "filename,fold,target,category,esc10,src_file,take"
    (folder / "meta/esc50.csv").write_text("\n".join([head, *table]) + "\n")
    found = by_name(folder / "audio", prepare_corpus("esc50", folder, tmp_path / "m.jsonl"))
    assert {name: (item.speaker, item.extra["license"]) for name, item in found.items()} == {
        "1-100032-A-0.wav": ("esc_100032", "CC0"),
        "1-110389-A-0.wav": ("esc_110389", "CC-BY"),
        "1-110389-B-0.wav": ("esc_110389", "CC-BY"),
    }
    first = found["1-100032-A-0.wav"]
    assert (first.label, first.extra["category"]) == ("noise", "dog")
    assert first.extra["attribution"].startswith("clip derived from rose_bark.wav (http://www.freesound.org/")
    every = by_name(folder / "audio", prepare_corpus("esc50_all", folder, tmp_path / "all.jsonl"))
    assert len(every) == 6 and every["2-11-A-1.wav"].extra["license"] == "CC-BY-NC"
    (folder / "audio/1-100032-A-0.wav").write_bytes(b"no audio")
    with pytest.raises(ManifestError, match=r"is damaged .*unpack the corpus again"):
        prepare_corpus("esc50", folder, tmp_path / "m.jsonl")


def test_fleurs(tmp_path: Path) -> None:
    folder = tmp_path / "es_419"
    write_all(folder, "train/10.wav", "train/20.wav", "dev/30.wav")
    rows = [
        ("train", '1\t10.wav\tÉl dijo "no.\tél dijo no\té l |\t4800\tMALE'),
        ("train", "1\t20.wav\tÉl dijo.\tél dijo\té l |\t4800\tFEMALE"),
        ("train", "2\t21.wav\tNo está.\tno está\tn o |\t4800\tFEMALE"),
        ("dev", "3\t30.wav\tSí.\tsí\ts í |\t4800\tFEMALE"),
    ]
    for split in ("train", "dev"):
        lines = [line for part, line in rows if part == split]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = by_name(folder, prepare_corpus("fleurs", folder, tmp_path / "m.jsonl"))
    assert {name: (item.split, item.text, item.language) for name, item in found.items()} == {
        "train/10.wav": ("train", "él dijo no", "es"),
        "train/20.wav": ("train", "él dijo", "es"),
        "dev/30.wav": ("dev", "sí", "es"),
    }
    (folder / "dev.tsv").write_text("3\n")
    with pytest.raises(ManifestError, match=r"the part dev is damaged .*unpack the corpus again"):
        prepare_corpus("fleurs", folder, tmp_path / "m.jsonl")


@pytest.mark.parametrize(
    "name", ["esc50", "fleurs", "librispeech", "musan", "rirs_noises", "speech_commands"]
)
def test_a_folder_that_is_not_the_corpus_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"not found in it; unpack the corpus so that the folder holds"):
        prepare_corpus(name, tmp_path, tmp_path / "m.jsonl")
    with pytest.raises(ManifestError, match=r"nowhere: no such folder; unpack"):
        prepare_corpus(name, tmp_path / "nowhere", tmp_path / "m.jsonl")


def test_parts_without_audio_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pointsource_noises").mkdir()
    with pytest.raises(ManifestError, match=r"no audio found in it; unpack the corpus again"):
        prepare_corpus("rirs_noises", tmp_path, tmp_path / "m.jsonl")


def test_what_lhotse_cannot_read_is_named(tmp_path: Path) -> None:
    write_all(tmp_path / "noise", "a.wav")
    (tmp_path / "noise" / "broken.wav").write_bytes(b"no audio")
    with pytest.raises(ManifestError, match=r"lhotse cannot prepare it \(.*broken\.wav.*unpacked completely"):
        prepare_corpus("musan", tmp_path, tmp_path / "m.jsonl")


def test_registry_knows_license_and_citation_of_each() -> None:
    assert available_corpora() == (
        "but_reverb_db", "esc50", "esc50_all", "fleurs", "librispeech", "musan", "rirs_noises",
        "speech_commands",
    )  # fmt: skip
    for name in available_corpora():
        corpus = load_corpus(name)
        assert corpus.name == name and corpus.url.startswith("https://")
        assert any(word in corpus.license for word in ("CC BY", "Apache")) and "20" in corpus.citation
    with pytest.raises(
        ConfigError, match=r"corpus `voxceleb` is not known; known corpora: but_reverb_db, esc50"
    ):
        load_corpus("voxceleb")
