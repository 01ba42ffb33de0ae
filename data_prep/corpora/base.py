"""What a corpus recipe is, and the step they share: Lhotse's recordings and supervisions to our manifest."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep import manifests
from kws import audio
from kws.errors import DependencyError, ManifestError
from kws.manifest import Recording


@dataclass(frozen=True, slots=True)
class PublicCorpus:
    """A public corpus: where it is, under which terms, and how it becomes a manifest."""

    name: str
    """Name on the command line."""
    url: str
    """Where a person gets it."""
    license: str
    """Licence, as its authors give it."""
    citation: str
    """What to cite."""
    layout: str
    """What the unpacked folder must hold."""
    prepare: Callable[[str | Path, str | Path], Path]
    """``prepare(corpus_dir, output)`` writes the manifest ``output`` and returns its path."""
    needs_lhotse: bool = True
    """It calls a recipe of Lhotse."""


def need_lhotse() -> None:
    """Look whether Lhotse is there, without loading it.

    Raises:
        DependencyError: it is not installed.
    """
    if importlib.util.find_spec("lhotse") is None:
        raise DependencyError("corpus recipes need lhotse: `pip install 'kws[train]'`")


def run_recipe(name: str, folder: Path, *arguments: Any, **options: Any) -> dict[str, Any]:
    """Call a function of ``lhotse.recipes`` and return its parts.

    Raises:
        ManifestError: Lhotse finds no audio, the same name twice, or a file that it cannot read.
        DependencyError: lhotse is not installed.
    """
    need_lhotse()
    import lhotse.recipes

    try:
        found: dict[str, Any] = getattr(lhotse.recipes, name)(*arguments, **options)
        return found
    except Exception as error:  # recipes assert, index empty lists and pass on errors of the audio library
        raise ManifestError(
            f"{folder}: lhotse cannot prepare it ({error!r}); check that the corpus is unpacked completely"
        ) from error


def require(corpus_dir: str | Path, parts: Iterable[str], layout: str, any_of: bool = False) -> Path:
    """Return the absolute corpus folder when its parts are there.

    Args:
        corpus_dir: the unpacked corpus.
        parts: files or folders that must exist in it.
        layout: what the folder must hold, for the message.
        any_of: one of the parts is enough.
    Raises:
        ManifestError: the folder or a part is missing.
    """
    folder = Path(corpus_dir).expanduser().absolute()
    wanted = list(parts)
    missing = [part for part in wanted if not (folder / part).exists()]
    if not folder.is_dir() or (len(missing) == len(wanted) if any_of else missing):
        what = f"{', '.join(missing)} not found in it" if folder.is_dir() else "no such folder"
        raise ManifestError(f"{folder}: {what}; unpack the corpus so that the folder holds {layout}")
    return folder


def rows(part: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Pair Lhotse recordings with their supervision, sorted by path: recipes list them in any order."""
    supervisions = {item.recording_id: item for item in part.get("supervisions", ())}
    pairs = [(item, supervisions.get(item.id)) for item in part["recordings"]]
    return sorted(pairs, key=lambda pair: pair[0].sources[0].source)


def to_recording(item: Any, source: str, **values: Any) -> Recording:
    """Return our recording for a Lhotse recording, with the values of the recipe."""
    return Recording(
        path=Path(item.sources[0].source).absolute(),
        duration_s=item.duration,
        sample_rate=item.sampling_rate,
        source=source,
        **values,
    )


def from_header(path: Path, source: str, **values: Any) -> Recording:
    """Return our recording for a file that no recipe of Lhotse reads, with what its header says.

    Raises:
        AudioError: it is missing or no audio.
    """
    facts = audio.info(path)
    return Recording(
        path=path, duration_s=audio.duration_s(path), sample_rate=facts.sample_rate, source=source, **values
    )


def finish(recordings: list[Recording], output: str | Path, folder: Path) -> Path:
    """Write the manifest.

    Raises:
        ManifestError: the recipe found no audio.
    """
    if not recordings:
        raise ManifestError(f"{folder}: no audio found in it; unpack the corpus again")
    return manifests.write(recordings, output)
