"""Small archives in the layout of each publisher, as files of the server of :mod:`tests.support.hub`."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.public_data import catalog
from data_prep.public_data.base import CorpusFile
from tests.support.archives import write_tar, write_zip
from tests.support.hub import Hub
from tests.support.recordings import tone

PITCHES: Iterator[int] = count(100, 7)
SECONDS = 1.5
"""Length of every recording."""


def sound(ending: str = "wav", seconds: float = SECONDS) -> bytes:
    """Return a file of another tone at each call."""
    content = io.BytesIO()
    soundfile.write(content, tone(seconds, hz=next(PITCHES)), 16_000, format=ending)
    return content.getvalue()


def response() -> bytes:
    """Return a file of a room's answer to an impulse: it decays."""
    tail = np.random.default_rng(0).normal(0, 0.05, round(SECONDS * 16_000))
    tail *= np.exp(-np.arange(len(tail)) / 3000)
    tail[100] = 0.9
    content = io.BytesIO()
    soundfile.write(content, tail, 16_000, format="wav")
    return content.getvalue()


def librispeech(part: str, speakers: tuple[int, ...], clips: int = 2) -> dict[str, bytes]:
    """Return the files of a part of LibriSpeech."""
    files = {"LibriSpeech/README.TXT": b"about", "LibriSpeech/SPEAKERS.TXT": b"who"}
    for speaker in speakers:
        place = f"LibriSpeech/{part}/{speaker}/5"
        names = [f"{speaker}-5-{number:04d}" for number in range(clips)]
        files |= {f"{place}/{name}.flac": sound("flac") for name in names}
        files[f"{place}/{speaker}-5.trans.txt"] = "".join(f"{name} HE SAID\n" for name in names).encode()
    return files


def archives() -> dict[str, dict[str, bytes]]:
    """Return the files of each archive, by the name of the archive."""
    esc = f"ESC-50-{catalog.ESC50_COMMIT}"
    clips = {"1-1-A-0.wav": "CC0", "1-2-A-0.wav": "CC-BY", "1-3-A-0.wav": "CC-BY-NC"}
    table = ["filename,fold,target,category,esc10,src_file,take"]
    table += [f"{name},1,0,dog,True,{name.split('-')[1]},A" for name in clips]
    terms = [
        f"- [{name[:-6]}.ogg]: clip derived from x{name} by ann [{kind}]" for name, kind in clips.items()
    ]
    words = {f"./{word}/{who}_nohash_0.wav": sound() for word in ("yes", "cat") for who in ("aa", "bb")}
    tests = {f"./{word}/cc_nohash_0.wav": sound() for word in ("yes", "_silence_")}
    room = "VUT_FIT_Q301/MicID01/SpkID01_20170904_S/01"
    return {
        "train-clean-5.tar.gz": librispeech("train-clean-5", (19, 26)),
        "dev-clean-2.tar.gz": librispeech("dev-clean-2", (84,)),
        "dev-clean.tar.gz": librispeech("dev-clean", (174,)),
        "train-clean-100.tar.gz": librispeech("train-clean-100", (27,)),
        "speech_commands_v0.02.tar.gz": {
            "./validation_list.txt": b"yes/bb_nohash_0.wav\n",
            "./testing_list.txt": b"cat/bb_nohash_0.wav\n",
            **words,
            "./_background_noise_/white_noise.wav": sound(),
            "./_background_noise_/running_tap.wav": sound(),
        },
        "speech_commands_test_set_v0.02.tar.gz": tests,
        "musan.tar.gz": {
            "musan/README": b"about",
            "musan/music/fma/music-fma-0000.wav": sound(),
            "musan/music/fma/ANNOTATIONS": b"music-fma-0000 jazz Y ann\n",
            "musan/noise/free-sound/noise-free-sound-0000.wav": sound(),
            "musan/speech/us-gov/speech-us-gov-0000.wav": sound(),
        },
        "ESC-50.zip": {
            f"{esc}/LICENSE": "\n".join(terms).encode(),
            f"{esc}/README.md": b"about",
            f"{esc}/meta/esc50.csv": ("\n".join(table) + "\n").encode(),
            **{f"{esc}/audio/{name}": sound() for name in clips},
        },
        "rirs_noises.zip": {
            "RIRS_NOISES/README": b"about",
            "RIRS_NOISES/pointsource_noises/noise-free-sound-0000.wav": sound(),
            "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_noise_1.wav": sound(),
            "RIRS_NOISES/real_rirs_isotropic_noises/air_type1_rir_1.wav": response(),
            "RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav": sound(),
        },
        "BUT_ReverbDB_rel_19_06_RIR-Only.tgz": {
            f"{room}/RIR/IR_sweep_15s_45Hzto22kHz_FS16kHz.v00.wav": response(),
            f"{room}/silence/silence_16kHz_60sec.v00.wav": sound(),
            f"{room}/mic_meta.txt": b"where",
        },
    }


def publish(hub: Hub, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Put an archive of each corpus on a server, and let the catalog name these with size and checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, files in archives().items():
        write = write_zip if name.endswith(".zip") else write_tar
        hub.files[f"/{name}"] = write(folder / name, files).read_bytes()
    for name, data in catalog.CATALOG.items():
        parts = tuple(_there(hub, part) for part in data.parts)
        patch.setitem(catalog.CATALOG, name, replace(data, parts=parts))
    _publish_fleurs(hub, folder)
    patch.setattr(catalog, "HUB", hub.address)


def _there(hub: Hub, part: CorpusFile) -> CorpusFile:
    """Return a part of the catalog as the server has it; what has no checksum has none here either."""
    path = f"/{part.file.name}"
    given = {"url": f"{hub.address}{path}"}
    if part.file.digest is None:
        return replace(part, file=replace(part.file, **given, about=len(hub.files[path])))
    value = hashlib.new(part.file.digest_of, hub.files[path]).hexdigest()
    return replace(part, file=replace(part.file, **given, size=len(hub.files[path]), digest=value))


def _publish_fleurs(hub: Hub, folder: Path, language: str = "es_419") -> None:
    """Put one language of FLEURS on the server, with the lists that the hub makes."""
    lists: dict[str, list[Mapping[str, object]]] = {"": [], "/audio": []}
    for split, names in (("train", ("10", "20")), ("dev", ("30",))):
        table = "".join(f"1\t{name}.wav\tÉl dijo.\tél dijo\té l |\t4800\tMALE\n" for name in names).encode()
        sounds = {f"{split}/{name}.wav": sound() for name in names}
        archive = write_tar(folder / f"{split}.tar.gz", sounds).read_bytes()
        for above, name, content in (("", f"{split}.tsv", table), ("/audio", f"{split}.tar.gz", archive)):
            hub.files[f"/{catalog.FLEURS}/resolve/main/data/{language}{above}/{name}"] = content
            git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
            entry: dict[str, object] = {
                "path": f"data/{language}{above}/{name}",
                "size": len(content),
                "oid": git,
            }
            if above:
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            lists[above].append(entry)
    for above, entries in lists.items():
        path = f"/api/{catalog.FLEURS}/tree/main/data/{language}{above}"
        hub.files[path] = json.dumps(entries).encode()
