"""Damaged files of every kind: each opens or gives an error of kws; no crash, hang or unbounded memory.

    python -m benchmarks.fuzz --files 400

Files are cut, flipped, stretched and lied about, from seeds. They are opened in processes of bounded memory;
one that dies or takes too long is counted with the file that it had.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

MEMORY_BYTES = 4_000_000_000
"""Address space that a process may have."""
LIMIT_S = 60.0
"""Longest time for a file."""
SIZE_LIMIT = 6_000_000
"""Base files above this are not mutated: reading them would be most of the time."""

Mutation = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one damaged file."""

    name: str
    """Of the base file and the mutation."""
    said: str
    """``ok``, the class of an error of kws with its message, or what else happened."""

    @property
    def fine(self) -> bool:
        """Whether it opened or gave an error of kws."""
        return self.said == "ok" or self.said.startswith("KwsError ")


def cut(data: bytes, generator: np.random.Generator) -> bytes:
    """Keep a beginning."""
    return data[: int(generator.integers(len(data)))]


def flip(data: bytes, generator: np.random.Generator) -> bytes:
    """Flip up to 64 bits."""
    changed = bytearray(data)
    for place in generator.integers(len(data), size=int(generator.integers(1, 65))):
        changed[place] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def flip_ends(data: bytes, generator: np.random.Generator) -> bytes:
    """Flip bits of the first and the last 4 kB, where names, shapes, lengths and metadata are."""
    changed = bytearray(data)
    for _ in range(int(generator.integers(1, 9))):
        near = int(generator.integers(min(4096, len(data))))
        place = near if generator.random() < 0.5 else len(data) - 1 - near
        changed[place] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def overwrite(data: bytes, generator: np.random.Generator) -> bytes:
    """Fill a stretch with zeros, ones or noise."""
    start, length = int(generator.integers(len(data))), int(generator.integers(1, 2048))
    kind = generator.integers(3)
    fill = [b"\0" * length, b"\xff" * length, generator.bytes(length)][kind]
    return data[:start] + fill + data[start + length :]


def stretch(data: bytes, generator: np.random.Generator) -> bytes:
    """Say a stretch twice, or leave it out."""
    start, length = int(generator.integers(len(data))), int(generator.integers(1, 2048))
    if generator.random() < 0.5:
        return data[: start + length] + data[start:]
    return data[:start] + data[start + length :]


def lie(data: bytes, generator: np.random.Generator) -> bytes:
    """Put a very large number where a length or a size may be: eight bytes, or digits of text."""
    number = int(generator.choice([2**63 - 1, 2**40, 2**31, -1, 0]))
    digits = [place for place in range(len(data)) if data[place : place + 1].isdigit()][:20_000]
    if digits and generator.random() < 0.7:
        place = digits[int(generator.integers(len(digits)))]
        return data[:place] + str(number).encode() + data[place + 1 :]
    place = int(generator.integers(min(64, len(data))))
    return data[:place] + (number % 2**64).to_bytes(8, "little") + data[place + 8 :]


def nest(data: bytes, generator: np.random.Generator) -> bytes:
    """Open very many brackets, or repeat the whole many times."""
    place = int(generator.integers(len(data)))
    if generator.random() < 0.5:
        return data[:place] + b"[{" * 50_000 + data[place:]
    return data[:place] + b"[" * 100_000 + data[place:]


def words(data: bytes, generator: np.random.Generator) -> bytes:
    """Put a word that is a value of another type in the place of a number or a word."""
    choice: Sequence[bytes] = [b"null", b"NaN", b"Infinity", b"[]", b"{}", b'"', b"1e999", b"\xff\xfe", b"!!"]
    parts = data.split(b" ")
    parts[int(generator.integers(len(parts)))] = choice[int(generator.integers(len(choice)))]
    return b" ".join(parts)


BINARY: tuple[Mutation, ...] = (cut, flip, flip_ends, overwrite, stretch, lie)
TEXT: tuple[Mutation, ...] = (cut, flip, overwrite, stretch, lie, nest, words)


def mutations(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield damaged files: name, base file inside the folder, content.

    Args:
        folder: with the base files, see :func:`base_files`.
        count: how many.
        seed: of all that is drawn.
    """
    bases = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for number in range(count):
        generator = np.random.default_rng((seed, number))
        base = bases[number % len(bases)]
        kinds = TEXT if base.suffix in (".json", ".jsonl", ".yaml") else BINARY
        mutate = kinds[(number // len(bases)) % len(kinds)]
        name = base.relative_to(folder).as_posix()
        yield f"{name} {mutate.__name__} {number}", name, mutate(base.read_bytes(), generator)


def open_file(path: Path, base: str) -> None:
    """Open a file as the program that reads files of its kind does; raises what that raises.

    Args:
        path: damaged.
        base: name of the file that it was made from, inside a folder of :func:`base_files`.
    """
    from kws import Detector, audio
    from kws.checkpoint import load_model, load_operating_point
    from kws.config import read_yaml
    from kws.manifest import read_manifest

    if path.suffix == ".onnx":
        detector = Detector(path)
        detector.process(np.zeros(16_000, np.float32))
        detector.finish()
    elif base.startswith("run/"):
        load_model(path.parent)
        load_operating_point(path.parent)
    elif path.suffix == ".jsonl":
        for recording in read_manifest(path):
            recording.load()
    elif path.suffix == ".wav":
        audio.load(path)
    else:
        read_yaml(path)


def base_files(folder: Path) -> None:
    """Write a sound file of each kind: exported models, a run, a manifest, settings, audio."""
    from kws import audio
    from kws.config import to_dict
    from kws.evaluation.protocol import TestProtocol
    from tests.support.onnx_models import tone, write_tone_model
    from tests.support.runs import write_run

    write_tone_model(folder / "tone.onnx", {"low": 500.0, "high": 1000.0})
    run = write_run(folder / "run")
    for path in run.iterdir():
        if path.name not in ("config.yaml", "weights.safetensors"):
            path.unlink()
    from export.to_onnx import export

    scratch = write_run(folder / "scratch")
    export(scratch, folder / "exported.onnx")
    for path in (*scratch.iterdir(), folder / "exported.verify.json"):
        path.unlink()
    scratch.rmdir()
    audio.save(folder / "audio" / "a.wav", tone(500, 1.0))
    row = {"path": "audio/a.wav", "text": "low", "duration_s": 1.0, "speaker": "s", "split": "test"}
    (folder / "manifest.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    import yaml

    (folder / "protocol.yaml").write_text(yaml.safe_dump(to_dict(TestProtocol())), encoding="utf-8")


WORKER = "from benchmarks.fuzz import work; work()"


def work() -> None:
    """Open the files that lines of JSON on the input name, and say of each what happened."""
    import resource

    from kws.errors import KwsError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    told, sys.stdout = sys.stdout, sys.stderr  # whatever else prints
    for line in sys.stdin:
        values = json.loads(line)
        try:
            open_file(Path(values["path"]), values["base"])
            said = "ok"
        except KwsError as error:
            said = f"KwsError {type(error).__name__}: {error}"
        except BaseException as error:  # what is counted here
            said = f"FOREIGN {type(error).__name__}: {error}"
        print(json.dumps(said[:400]), file=told, flush=True)


def fuzz(count: int, seed: int = 0, progress: bool = False) -> list[Outcome]:
    """Open damaged files in processes of their own and return what became of each.

    Args:
        count: how many.
        seed: of all that is drawn.
        progress: show a bar.
    """
    found = []
    with tempfile.TemporaryDirectory() as place:
        bases = Path(place) / "bases"
        bases.mkdir()
        base_files(bases)
        worker = _Worker()
        for name, base, content in tqdm(
            mutations(bases, count, seed),
            "fuzz",
            total=count,
            unit="file",
            disable=None if progress else True,
        ):
            path = bases / base
            sound = path.read_bytes()
            path.write_bytes(content)
            found.append(Outcome(name, worker.ask(path, base)))
            path.write_bytes(sound)
        worker.close()
    return found


class _Worker:
    """A process that opens files, started anew where it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, path: Path, base: str) -> str:
        """Return what the process says of a file, or that it died or took too long."""
        import select

        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"path": str(path), "base": base}) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], LIMIT_S)[0]:
            self.close()
            return f"HANGS for more than {LIMIT_S:g} s"
        line = process.stdout.readline()
        if line:
            return str(json.loads(line))
        code = process.wait()
        self._process = None
        return f"DIES with {code}"

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None


def main() -> None:
    """Run and print what was not fine."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=400, help="damaged files (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    arguments = parser.parse_args()
    found = fuzz(arguments.files, arguments.seed, progress=True)
    for outcome in found:
        if not outcome.fine:
            print(f"{outcome.name}: {outcome.said}")
    kinds = Counter("opened" if each.said == "ok" else each.said.split()[0] for each in found)
    print(f"{len(found)} damaged files: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}")
    sys.exit(0 if all(outcome.fine for outcome in found) else 1)


if __name__ == "__main__":
    main()
