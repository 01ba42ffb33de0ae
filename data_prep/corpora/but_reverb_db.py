"""BUT ReverbDB: room impulse responses measured in nine rooms, from a stairwell to a lecture hall."""

from __future__ import annotations

from pathlib import Path

from data_prep.corpora.base import PublicCorpus, finish, require, rows, run_recipe, to_recording

ROOM = "VUT_FIT_"
"""How the folder of a room begins."""

LAYOUT = f"folders of rooms such as {ROOM}Q301"


def prepare_but_reverb_db(corpus_dir: str | Path, output: str | Path) -> Path:
    """Write a manifest of the responses, with ``label`` rir and the room in ``room``.

    Args:
        corpus_dir: holds the folders of the rooms.
        output: manifest to write (``.jsonl``).
    Raises:
        ManifestError: no room is there, or one is damaged.
        DependencyError: lhotse is not installed.
    """
    folder = require(corpus_dir, ["."], LAYOUT)
    parts = run_recipe("prepare_but_reverb_db", folder, folder, parts=["rir"])
    recordings = [
        to_recording(audio, "but_reverb_db", label="rir", extra={"room": _room(audio.sources[0].source)})
        for audio, _ in rows(parts["rir"])
    ]
    return finish(recordings, output, folder)


def _room(path: str) -> str:
    """Return the room of a response; the innermost folder of such a name."""
    named = [part for part in Path(path).parts if part.startswith(ROOM)]
    return named[-1].removeprefix(ROOM) if named else ""


CORPUS = PublicCorpus(
    name="but_reverb_db",
    url="https://speech.fit.vut.cz/software/but-speech-fit-reverb-database",
    license="CC BY 4.0",
    citation=(
        "I. Szöke, M. Skácel, L. Mošner, J. Paliesek, J. Černocký, Building and evaluation of a real room "
        "impulse response dataset, IEEE Journal of Selected Topics in Signal Processing 13(4), 2019"
    ),
    layout=LAYOUT,
    prepare=prepare_but_reverb_db,
)
