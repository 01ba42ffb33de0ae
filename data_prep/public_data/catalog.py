"""The corpora that ``kws data fetch`` knows.

Addresses are those of the publishers. Checksums are theirs too: the MD5 of openslr.org, and what the hub says
of FLEURS. The SHA-256 of LibriSpeech and Speech Commands are those of torchaudio, that of its test archive is
what public projects recorded. BUT ReverbDB, and the archive that GitHub makes of ESC-50, have none.
"""

from __future__ import annotations

import difflib
import re

from data_prep.corpora import load_corpus
from data_prep.fetching import FetchError, RemoteFile, hub_entries, hub_file
from data_prep.public_data.base import CorpusFile, PublicData
from kws.errors import ConfigError

OPENSLR = "https://www.openslr.org/resources"
TENSORFLOW = "https://storage.googleapis.com/download.tensorflow.org/data"
ESC50_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"
"""Of karolpiczak/ESC-50: the content of its archive cannot change."""
HUB = "https://huggingface.co"
FLEURS = "datasets/google/fleurs"
"""FLEURS on the hub."""
FLEURS_SPLITS = ("train", "dev")
"""Its test sentences stay unheard."""
LANGUAGE = re.compile(r"[a-z]{2,3}(_[a-z0-9]+)+")
"""Language of FLEURS, such as ``es_419`` and ``cmn_hans_cn``."""
LIBRISPEECH = "LibriSpeech"
"""Folder in the archives of LibriSpeech."""


def _part(
    url: str, size: int, digest: str, kind: str, unpacked_mb: int, into: str = "", keep: str = "*"
) -> CorpusFile:
    """Return an archive whose size and checksum are known; ``keep`` is patterns with spaces between."""
    file = RemoteFile(url, url.rpartition("/")[2], size, digest, kind)
    return CorpusFile(file, unpacked_mb, into, tuple(keep.split()))


def _librispeech(part: str, size: int, digest: str, kind: str = "sha256") -> CorpusFile:
    number = 31 if part in ("train-clean-5", "dev-clean-2") else 12
    return _part(f"{OPENSLR}/{number}/{part}.tar.gz", size, digest, kind, round(1.1e-6 * size))


def _speech_commands(name: str, size: int, digest: str, unpacked_mb: int) -> CorpusFile:
    return _part(f"{TENSORFLOW}/{name}.tar.gz", size, digest, "sha256", unpacked_mb, name)


def _esc50(name: str, what: str, hours: str, is_commercial: bool) -> PublicData:
    file = RemoteFile(
        f"https://github.com/karolpiczak/ESC-50/archive/{ESC50_COMMIT}.zip", "ESC-50.zip", None, None,
        about=646_000_000,
    )  # fmt: skip
    part = CorpusFile(file, 900, keep=("*/audio/*.wav", "*/meta/esc50.csv", "*/LICENSE"))
    return PublicData(
        name,
        load_corpus(name),
        what,
        ("noise",),
        hours,
        646,
        f"ESC-50-{ESC50_COMMIT}",
        (part,),
        is_commercial,
    )


_LISTED = (
    PublicData(
        "mini_librispeech",
        load_corpus("librispeech"),
        "English audiobooks: the parts train-clean-5 and dev-clean-2",
        ("negatives",),
        "7",
        459,
        LIBRISPEECH,
        (
            _librispeech("train-clean-5", 332_954_390, "5df7d4e78065366204ca6845bb08f490", "md5"),
            _librispeech("dev-clean-2", 126_046_265, "6d7ab67ac6a1d2c993d050e16d61080d", "md5"),
        ),
    ),
    PublicData(
        "librispeech_dev_clean",
        load_corpus("librispeech"),
        "English audiobooks by 40 other readers",
        ("negatives",),
        "5.4",
        338,
        LIBRISPEECH,
        (
            _librispeech(
                "dev-clean", 337_926_286, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"
            ),
        ),
    ),
    PublicData(
        "librispeech_train_clean_100",
        load_corpus("librispeech"),
        "English audiobooks by 251 readers",
        ("negatives",),
        "100",
        6387,
        LIBRISPEECH,
        (
            _librispeech(
                "train-clean-100",
                6_387_309_499,
                "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
            ),
        ),
    ),
    PublicData(
        "speech_commands",
        load_corpus("speech_commands"),
        "35 English words by 2600 people, and six recordings of background noise",
        ("negatives", "noise"),
        "29",
        2541,
        "",
        (
            _speech_commands(
                "speech_commands_v0.02",
                2_428_923_189,
                "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
                3600,
            ),
            _speech_commands(
                "speech_commands_test_set_v0.02",
                112_563_277,
                "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
                200,
            ),
        ),
    ),
    PublicData(
        "musan",
        load_corpus("musan"),
        "speech in twelve languages, music, and noises",
        ("negatives", "noise"),
        "109",
        11_086,
        "musan",
        (
            _part(
                f"{OPENSLR}/17/musan.tar.gz",
                11_086_114_085,
                "0c472d4fc0c5141eca47ad1ffeb2a7df",
                "md5",
                13_000,
            ),
        ),
    ),
    _esc50("esc50", "everyday sounds: the clips of ESC-50 that anybody may use", "up to 2.8", True),
    _esc50("esc50_all", "everyday sounds: all clips of ESC-50", "2.8", False),
    PublicData(
        "rirs_noises",
        load_corpus("rirs_noises"),
        "room impulse responses that were measured, and noises; without its simulated rooms",
        ("rooms", "noise"),
        "",
        1311,
        "RIRS_NOISES",
        (
            _part(
                f"{OPENSLR}/28/rirs_noises.zip",
                1_311_166_223,
                "e6f48e257286e05de56413b4779d8ffb",
                "md5",
                3000,
                keep="*/pointsource_noises/* */real_rirs_isotropic_noises/* */README*",
            ),
        ),
    ),
    PublicData(
        "but_reverb_db",
        load_corpus("but_reverb_db"),
        "2325 room impulse responses measured in nine rooms",
        ("rooms",),
        "",
        9300,
        "BUT_ReverbDB",
        (
            CorpusFile(
                RemoteFile(
                    "http://merlin.fit.vutbr.cz/ReverbDB/BUT_ReverbDB_rel_19_06_RIR-Only.tgz",
                    "BUT_ReverbDB_rel_19_06_RIR-Only.tgz",
                    None,
                    None,
                    about=9_300_000_000,
                ),
                2000,
                "BUT_ReverbDB",
                ("*/RIR/*.wav", "*README*", "*LICEN[CS]E*"),
            ),
        ),
    ),
)
CATALOG: dict[str, PublicData] = {data.name: data for data in _LISTED}
"""Name -> corpus; those of FLEURS are ``fleurs:LANGUAGE``."""


def fleurs(language: str = "LANGUAGE") -> PublicData:
    """Return a language of FLEURS."""
    return PublicData(
        f"fleurs:{language}",
        load_corpus("fleurs"),
        "sentences read in one of 102 languages, such as fleurs:es_419",
        ("negatives",),
        "12",
        2000,
        language,
    )


def find(name: str) -> PublicData:
    """Return what can be fetched under a name.

    Raises:
        ConfigError: nothing can.
    """
    kind, _, language = name.partition(":")
    if kind == "fleurs":
        if LANGUAGE.fullmatch(language):
            return fleurs(language)
        raise ConfigError(
            f"{name!r} names no language of FLEURS; give one as fleurs:es_419, by the names at "
            f"{load_corpus('fleurs').url}"
        )
    if name not in CATALOG:
        near = difflib.get_close_matches(name, CATALOG, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"{name!r} cannot be fetched, allowed are {', '.join(CATALOG)} and fleurs:LANGUAGE{meant}"
        )
    return CATALOG[name]


def parts_of(data: PublicData) -> tuple[CorpusFile, ...]:
    """Return the files of a corpus; those of FLEURS as the hub has them now.

    Raises:
        FetchError: the hub cannot be reached, or does not know the language.
    """
    if data.parts:
        return data.parts
    language = data.root
    listed = f"{HUB}/api/{FLEURS}/tree/main/data/{language}"
    tables, audio = hub_entries(listed), hub_entries(f"{listed}/audio")
    found = []
    for split in FLEURS_SPLITS:
        for entries, remote in ((tables, f"{split}.tsv"), (audio, f"audio/{split}.tar.gz")):
            entry = entries.get(remote.rpartition("/")[2])
            if entry is None:
                raise FetchError(f"{listed}: does not list {remote}; try again later")
            file = hub_file(entry, f"{HUB}/{FLEURS}/resolve/main/data/{language}/{remote}", remote)
            found.append(CorpusFile(file, round(4e-6 * file.expected_size) + 1, language))
    return tuple(found)
