"""Folders of commands: what others put there stays bit for bit, whatever is claimed, removed or killed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.cli import main
from kws.errors import AudioError, ConfigError, KwsError
from kws.training.checkpoints import newest_checkpoint
from kws.workflows import folders
from kws.workflows.export import check_free
from kws.workflows.train import train
from kws.workflows.train.request import claim_folder
from kws.workflows.written_files import CELL, CHECKPOINTS, LIST, PREPARED, PROBE, REPORT, RUN, FolderKind
from tests.support.runs import write_run
from tests.support.training import SHORT, noise, train_words, write_wavs

WRITTEN = (
    "run.json",
    "config.yaml",
    "weights.safetensors",
    ".weights.safetensors.a1_b2c3d",
    "metrics.json",
    "model.onnx",
    "data/positives.jsonl",
    "data/noise/report.md",
    "data/voices/0a1b2c3d/audio/train/keyword/000001-0a1b2c3d.flac",
    "cache/0123456789abcdef.int16",
    "cache/0123456789abcdef.json",
    "cache/synthetic/speech/0a1b2c3d/positives.jsonl",
    "checkpoints/last.ckpt",
    "checkpoints/.last.ckpt.12345678",
    "log/metrics-2.csv",
    "tensorboard/events.out.tfevents.1.machine.2.0",
    "evaluation/report.html",
    "control/weights.safetensors",
)
"""Files that a run leaves, in the order in which this test writes them."""
FOREIGN = (
    "notes.txt",
    "000.wav",
    "data/mine.jsonl",
    "data/voices/000.wav",
    "cache/mine.int16",
    "cache/synthetic/speech/mine.flac",
    "checkpoints/mine.ckpt",
    "checkpoints/.mine.ckpt.old",
    "log/mine/metrics.csv",
    "evaluation/notes.md",
    "recordings/metrics.json",
    "weights.safetensors.bak",
    "deep/er/run.json",
)
"""Names that people give, also beside and below those of a run."""
PLACES = ("", "p", "p/q", "p/q/r", "s", "link", "link/q", "p/up")


def contents(root: Path) -> dict[str, bytes | str]:
    """Return what each file below a folder holds, and where each link points."""
    found: dict[str, bytes | str] = {}
    for place, inner, files in os.walk(root):
        for name in [*inner, *files]:
            path = Path(place, name)
            if path.is_symlink():
                found[str(path.relative_to(root))] = os.readlink(path)
            elif path.is_file():
                found[str(path.relative_to(root))] = path.read_bytes()
    return found


def write(folder: Path, names: tuple[str, ...], text: str) -> None:
    """Write files, but for those that are there."""
    for name in names:
        path = folder / name
        with suppress(FileExistsError, NotADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(f"{text} {name}", "utf-8")


class Killed(BaseException):
    """The process is gone."""


def kill() -> None:
    raise Killed


def refuse() -> None:
    raise AudioError("a recording cannot be read")


def simulated_run(
    output: Path, sources: list[Path], seed: int, overwrite: bool, step: int, end: Callable[[], None]
) -> None:
    """Do what `kws train` does with its folder; ``end`` is called before its file number ``step``."""
    with folders.undone_when_refused(output, RUN):
        claim_folder(output, str(seed), overwrite, {"--weights": sources})
        for number, name in enumerate(WRITTEN):
            if number == step:
                end()
            if name != "run.json":
                path = output / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"written by {seed}", "utf-8")
        folders.clear(output, names=CHECKPOINTS)


@contextmanager
def killed_at_removal(number: int | None) -> Iterator[None]:
    """Kill the process before it removes its file of this number; None lets it live."""
    removals = iter(range(10**6))
    unlink = Path.unlink

    def remove(path: Path, missing_ok: bool = False) -> None:
        if next(removals) == number:
            raise Killed
        unlink(path, missing_ok=missing_ok)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "unlink", remove)
        yield


calls = st.tuples(
    st.sampled_from(PLACES),  # the output
    st.lists(st.sampled_from([*PLACES, "p/notes.txt", "p/q/000.wav"]), max_size=2),  # sources
    st.integers(1, 2),
    st.booleans(),
    st.integers(0, len(WRITTEN)),
    st.sampled_from([kill, refuse]),
    st.none() | st.integers(0, 30),  # when a removal is cut short
    st.lists(st.sampled_from(FOREIGN), max_size=3),  # what somebody puts there afterwards
)


@settings(max_examples=60, deadline=None)
@given(
    before=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(FOREIGN)), max_size=6),
    commands=st.lists(calls, min_size=1, max_size=4),
    relative=st.booleans(),
)
def test_whatever_is_run_and_killed_foreign_files_stay(before: list, commands: list, relative: bool):
    here = Path.cwd()
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "p" / "q").mkdir(parents=True)
        (root / "link").symlink_to("p")
        (root / "p" / "up").symlink_to("..")
        for place, name in before:
            write(root / place, (name,), "mine")
        foreign = contents(root)
        try:
            os.chdir(root / "p" if relative else here)
            for place, sources, seed, overwrite, step, end, removal, added in commands:
                output = root / place
                if relative:
                    output = Path(os.path.relpath(output))  # "." where the output is p
                given_sources = [root / source for source in sources]
                with suppress(KwsError, Killed), killed_at_removal(removal):
                    simulated_run(output, given_sources, seed, overwrite, step, end)
                if (root / place).is_dir():
                    write(root / place, tuple(added), "mine")
                    put = {str((root / place / name).resolve().relative_to(root.resolve())) for name in added}
                    foreign |= {name: held for name, held in contents(root).items() if name in put}
                left = contents(root)
                assert {name: left.get(name) for name in foreign} == foreign
        finally:
            os.chdir(here)


@pytest.mark.parametrize("step", range(0, 18, 4))
def test_a_process_that_ends_at_once_leaves_foreign_files(step: int, tmp_path: Path):
    process = os.fork()
    if process == 0:
        try:
            simulated_run(tmp_path / "run", [], 1, True, step, lambda: os._exit(9))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    write(tmp_path / "run", FOREIGN, "mine")
    mine = {str(Path("run", name)): f"mine {name}".encode() for name in FOREIGN}
    for seed in (2, 1):
        simulated_run(tmp_path / "run", [], seed, True, len(WRITTEN), kill)
    left = contents(tmp_path)
    assert {name: left.get(name) for name in mine} == mine
    assert left["run/weights.safetensors"] == b"written by 1"


def test_recordings_below_the_output_are_refused_and_stay(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    p = tmp_path / "p"
    write_wavs(p / "recordings", [noise(1, 1)])
    write_wavs(p / "speech", [noise(1, 2)])
    before = contents(p)
    words = train_words(recordings, p, positives=[p / "recordings"], negatives=p / "speech")
    for more in ([], ["--overwrite"], ["--seed", "3", "--overwrite"]):
        assert main([*words, *more]) == 2
        printed = capsys.readouterr().err
        assert f"--positives {p / 'recordings'}: is, or lies in, --output {p}" in printed
        assert "give an --output outside your own files" in printed
        assert contents(p) == before


def test_the_current_folder_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write(tmp_path, FOREIGN, "mine")
    before = contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--overwrite"]):
        assert main(["enroll", "hey robot", "--method", "phones", "--output", ".", *more]) == 2
        assert "holds something else than a run of `kws train` or `kws enroll` (such as 000.wav)" in (
            capsys.readouterr().err
        )
    assert contents(tmp_path) == before


def test_a_run_in_the_current_folder_is_made_anew_beside_other_files(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert main(train_words(recordings, Path())) == 0
    weights = Path("weights.safetensors").read_bytes()
    write(tmp_path, FOREIGN, "mine")
    assert main(train_words(recordings, Path(), "--seed", "3", "--overwrite")) == 0
    left = contents(tmp_path)
    assert {name: left.get(name) for name in FOREIGN} == {n: f"mine {n}".encode() for n in FOREIGN}
    assert left["weights.safetensors"] != weights


@pytest.mark.parametrize("link", [False, True])
def test_sources_are_kept_apart_in_either_direction(
    link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    other = tmp_path / "other"
    other.symlink_to("a" if link else "nowhere")
    outer = other if link else tmp_path / "a"
    for output, source, words in (
        (inner, inner, "is, or lies in"),
        (outer, inner, "is, or lies in"),
        (outer / "b" / ".." / "c", outer, "holds `output`"),
        (inner / "new", outer, "holds `output`"),
    ):
        with pytest.raises(ConfigError, match=f"`noise` .*{words}.*give an `output`"):
            folders.keep_apart(output, {"noise": [tmp_path / "elsewhere", source]})
    folders.keep_apart(inner, {"noise": [tmp_path / "a" / "bc", None]})
    folders.keep_apart(inner, {"noise": [outer]}, above=False)
    monkeypatch.chdir(inner)
    with pytest.raises(ConfigError, match=r"`output` \.:|`output` \.,"):
        folders.keep_apart(Path(), {"noise": [inner]})


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--keyword", "a", "--negatives", "{}", "--positives", "{}"],
        ["enroll", "hey robot", "--negatives", "{}"],
        ["enroll", "hey robot", "--lexicon", "{}/lexicon.txt"],
        ["probe", "--keyword", "a", "--negatives", "{}", "--positives", "{}"],
        ["prep", "{}"],
        ["eval", "{}/model.onnx", "--negatives", "{}", "--positives", "{}"],
        ["pretrain", "{}/recipe.yaml"],
        ["study", "{}/recipe.yaml", "--root", "{}"],
    ],
    ids=lambda words: " ".join(words[:3:2]),
)
def test_every_command_keeps_its_sources_apart(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    p = tmp_path / "p"
    write_wavs(p, [noise(1, 1)])
    (p / "model.onnx").write_bytes(b"")
    (p / "lexicon.txt").write_text("ROBOT R OW1 B AA2 T\n", "utf-8")
    recipe: dict = {name: [{"manifest": "s.jsonl"}] for name in ("train", "dev")}
    if words[0] == "study":
        recipe = {
            "keywords": [{"keyword": "a", "train": ["."], "test": ["."]}],
            "negatives": ["."],
            "test_negatives": ["."],
            "choices": {"head": {"policy": "head"}},
        }
    (p / "recipe.yaml").write_text(json.dumps(recipe), "utf-8")
    before = contents(tmp_path)
    assert main([*(word.format(p) for word in words), "--output", str(p)]) == 2
    assert f"is, or lies in, --output {p}" in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", [RUN, PROBE, PREPARED, REPORT], ids=lambda kind: kind.name)
def test_a_folder_of_other_files_is_refused(kind: FolderKind, tmp_path: Path):
    folders.claim(tmp_path / "new", kind)
    folders.claim(tmp_path / "new", kind)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [LIST]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / ".DS_Store").write_bytes(b"")
    folders.claim(tmp_path / "old", kind)
    for name in ("evaluation.json", "run.json", "metrics.json", "manifest.jsonl"):
        other = tmp_path / name.replace(".", "-")
        write(other, (name,), "mine")
        before = contents(other)
        with pytest.raises(ConfigError, match=f"holds something else than .*such as {name}"):
            folders.claim(other, kind)
        assert contents(other) == before
    with pytest.raises(ConfigError, match="holds something else"):
        folders.claim(tmp_path / "new", CELL)


def test_a_run_of_an_earlier_version_goes_on_and_loses_only_its_own(tmp_path: Path):
    run = tmp_path / "run"
    write(run, WRITTEN, "written")
    (run / "run.json").write_text('{\n  "identity": "1"\n}\n', "utf-8")
    (run / "metrics.json").unlink()
    before = contents(run)
    claim_folder(run, "1", overwrite=False)
    left = contents(run)
    assert left.pop(LIST) and left == before
    write(run, FOREIGN, "mine")
    with pytest.raises(ConfigError, match="holds a run of other settings"):
        claim_folder(run, "2", overwrite=False)
    claim_folder(run, "2", overwrite=True)
    assert contents(run).keys() == {*FOREIGN, LIST, "run.json"}


def test_links_are_neither_followed_nor_removed(tmp_path: Path):
    write(tmp_path / "far", ("0123456789abcdef.int16", "last.ckpt"), "mine")
    run = tmp_path / "run"
    claim_folder(run, "1", overwrite=False)
    (run / "cache").symlink_to(tmp_path / "far")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").symlink_to(tmp_path / "far" / "last.ckpt")
    before = contents(tmp_path)
    claim_folder(run, "2", overwrite=True)
    left = contents(tmp_path)
    assert {n: b for n, b in left.items() if "run.json" not in n} == {
        n: b for n, b in before.items() if "run.json" not in n
    }


@pytest.mark.slow
def test_all_that_a_finished_run_leaves_is_its_own_and_small(recordings: Path, tmp_path: Path):
    run = tmp_path / "run"
    summary = train(
        ["tone"],
        [recordings / "tone"],
        [recordings / "speech"],
        run,
        noise=[recordings / "noise"],
        overrides=[*SHORT, f"model.weights={recordings / 'encoder'}", "model.depth=2"],
        num_synthetic=0,
        num_workers=1,
        control=True,
    )
    left = contents(run)
    assert "control/weights.safetensors" in left and "tensorboard" in {path.name for path in run.iterdir()}
    assert not [name for name in left if name.startswith(("checkpoints", "cache", "control/checkpoints"))]
    size = sum(map(len, left.values())) / 1e6
    assert folders.size_mb(run) == pytest.approx(size)
    assert f"takes {size:.0f} MB on disk" in "\n".join(summary.lines())
    folders.clear(run, RUN)
    assert list(run.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("train", []),
        ("train", ["--noise", "{}/none"]),
        ("enroll", []),
        ("probe", []),
        ("prep", []),
        ("eval", []),
        ("quickstart", []),
    ],
)
def test_a_refused_command_leaves_no_folder(
    command: str, more: list[str], recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bad = tmp_path / "bad"
    bad.mkdir()
    for number in range(3):
        (bad / f"{number}.wav").write_bytes(b"RIFF, but no audio")
    speech = str(recordings / "speech")
    output = tmp_path / "new" / "run"
    words = {
        "train": train_words(recordings, output, negatives=None if more else bad),
        "enroll": ["enroll", "hey robot", "--method", "phones", "--negatives", str(bad)],
        "probe": ["probe", "--keyword", "a", "--positives", speech, "--negatives", str(bad)],
        "prep": ["prep", str(bad)],
        "quickstart": ["quickstart", "--keyword", "?!"],
        "eval": ["eval", str(bad / "0.wav"), "--positives", str(bad), "--negatives", speech],
    }[command]
    if command == "probe":
        words += ["--weights", str(recordings / "encoder")]
    if command != "train":
        words += ["--output", str(output)]
    assert main([*words, *(word.format(tmp_path) for word in more)]) == 2
    assert capsys.readouterr().err.startswith(f"kws {command}: ")
    assert {path.name for path in tmp_path.iterdir()} == {"bad"}


def test_what_can_go_on_is_kept_and_the_message_says_so(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    run = tmp_path / "run"
    monkeypatch.setattr("kws.checkpoint.save_model", full)
    assert main(train_words(recordings, run)) == 2
    assert f"no space left; {run} is kept: the same command goes on from there" in capsys.readouterr().err
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert list((run / "cache").glob("*.int16"))


def test_a_run_is_not_removed_for_recordings_that_cannot_be_read(recordings: Path, tmp_path: Path):
    run = tmp_path / "run"
    write(run, WRITTEN, "written")
    (run / "run.json").write_text('{"identity": "1"}', "utf-8")
    before = contents(run)
    with pytest.raises(KwsError, match="misspelt: no such file or folder"):
        train(["a"], [tmp_path / "misspelt"], [recordings / "speech"], run, overwrite=True)
    left = contents(run)
    assert left.pop(LIST) and left == before


def test_prep_replaces_its_manifest_and_keeps_other_files(tmp_path: Path):
    write_wavs(tmp_path / "in", [noise(1, seed) for seed in range(4)])
    output = tmp_path / "out"
    words = ["prep", str(tmp_path / "in"), "--output", str(output), "--workers", "1"]
    assert main(words) == 0
    write(tmp_path, ("out/notes.txt", "out/000.wav"), "mine")
    before = contents(tmp_path)
    assert main([*words, "--min-s", "0.5"]) == 2
    assert main([*words, "--min-s", "0.5", "--overwrite"]) == 0
    left = contents(tmp_path)
    own = {f"out/{name}" for name in PREPARED.files}
    assert {n: b for n, b in left.items() if n not in own} == {
        n: b for n, b in before.items() if n not in own
    }
    folders.clear(output, PREPARED)
    assert {path.name for path in output.iterdir()} == {"notes.txt", "000.wav"}


def test_export_replaces_nothing_that_it_has_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = write_run(tmp_path / "run")
    for name in ("recording.wav", "model.verify.json"):
        write(tmp_path, (name,), "mine")
    for output in ("recording.wav", "model.onnx"):
        assert main(["export", str(run), "--output", str(tmp_path / output)]) == 2
        assert "is there and was not written by `kws export`; give another file" in capsys.readouterr().err
    assert (tmp_path / "recording.wav").read_text("utf-8") == "mine recording.wav"
    (tmp_path / "recording.verify.json").write_text(json.dumps({"file": "recording.wav"}), "utf-8")
    check_free(tmp_path / "recording.wav")  # one that it has written


def test_reading_checkpoints_removes_only_what_training_had_begun(tmp_path: Path):
    write(tmp_path, (".last.ckpt.1a2b3c4_", ".mine.ckpt.old", ".last.ckpt.mine"), "written")
    assert newest_checkpoint(tmp_path) is None
    assert {path.name for path in tmp_path.iterdir()} == {".mine.ckpt.old", ".last.ckpt.mine"}
