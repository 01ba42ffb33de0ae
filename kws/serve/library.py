"""The models of the service: found in files and folders, opened once, and followed as the files change.

Clients hold a :class:`Catalog`, which never changes; the library has a new one when a file is added, replaced
or removed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kws.detector import Detector
from kws.errors import CheckpointError, KwsError
from kws.exported import MODEL_NAME, model_file
from kws.serve.logs import log
from kws.serve.settings import DecisionChoices, one_of

Fingerprint = tuple[int, int, int]
"""Time of change in nanoseconds, size in bytes and number of a file: another one means another content."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedFile:
    """One exported file, opened; its detector is asked for streams and hears none itself."""

    path: Path
    detector: Detector

    @property
    def label(self) -> str:
        """What the file is called: its name, or that of the folder of its run."""
        return self.path.parent.name if self.path.name == MODEL_NAME else self.path.stem


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One keyword of one file, under the name that clients choose it by."""

    name: str
    keyword: str
    file: ServedFile


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """What can be detected at one moment, in the order of the files."""

    models: dict[str, ServedModel] = field(default_factory=dict)

    def chosen(self, names: Sequence[str] | None) -> list[ServedModel]:
        """Return the models of these names, of all where there are none given; unknown names are left out."""
        wanted = self.models if names is None else dict.fromkeys(names)
        return [self.models[name] for name in wanted if name in self.models]


def catalog_of(files: Sequence[ServedFile]) -> Catalog:
    """Name the keywords of all files.

    A keyword is its own name. Where a file before has the same keyword, the name of the file follows in
    brackets, and its path where that is taken too.
    """
    models: dict[str, ServedModel] = {}
    for file in files:
        for keyword in file.detector.keywords:
            names = (keyword, f"{keyword} ({file.label})", f"{keyword} ({file.path})")
            name = next((name for name in names if name not in models), None)
            if name is not None:
                models[name] = ServedModel(name, keyword, file)
    return Catalog(models)


class ModelStore:
    """Follows files and folders; :meth:`refresh` is called again and again from one thread at a time.

    Args:
        sources: exported files, run folders, or folders that hold exported files or run folders.
        choices: what replaces the decisions in the files.
    Raises:
        CheckpointError: a source is missing, or a file that was named itself is no model.
        ConfigError: a choice does not fit a model.
    """

    def __init__(self, sources: Sequence[Path], choices: DecisionChoices) -> None:
        self._choices = choices
        self._files: dict[Path, tuple[Fingerprint, ServedFile]] = {}
        self._seen: dict[Path, Fingerprint] = {}
        self._refused: dict[Path, Fingerprint] = {}
        self._unreadable: set[Path] = set()
        self._folders = [source for source in sources if _is_collection(source)]
        self._sources = [source if source in self._folders else model_file(source) for source in sources]
        self.num_refused = 0
        for source in self._sources:
            if not source.exists():
                raise CheckpointError(
                    f"{source}: no such file or folder; give exported models, or make one: `kws export`"
                )
            if source not in self._folders:
                self._adopt(source, fingerprint(source), self._opened(source))
        self.refresh(settle=False)
        self.catalog = self._new_catalog()

    def refresh(self, settle: bool = True) -> bool:
        """Look what has changed and open what is new; a file that cannot be used leaves the old one in place.

        Args:
            settle: a file that changed since the last look waits for the next, as it may be half copied.
        Returns:
            Whether there is another catalog.
        """
        found = self._found()
        changed = False
        for path, mark in found.items():
            loaded = self._files.get(path)
            if (loaded is not None and loaded[0] == mark) or self._refused.get(path) == mark:
                continue
            if settle and self._seen.get(path) != mark:
                continue
            changed |= self._load(path, mark)
        self._seen = found
        for path in [path for path in self._files if path not in found]:
            _, file = self._files.pop(path)
            log("model removed", path=path, keywords=file.detector.keywords)
            changed = True
        self._refused = {path: mark for path, mark in self._refused.items() if path in found}
        if changed:
            self.catalog = self._new_catalog()
        return changed

    def _new_catalog(self) -> Catalog:
        """Return what can be detected now."""
        return catalog_of([self._files[path][1] for path in self._seen if path in self._files])

    def _adopt(self, path: Path, mark: Fingerprint, file: ServedFile) -> None:
        """Put an opened file in the place of the one before."""
        event = "model replaced" if path in self._files else "model added"
        self._files[path] = (mark, file)
        self._refused.pop(path, None)
        log(event, path=path, thresholds=file.detector.thresholds)

    def _load(self, path: Path, mark: Fingerprint) -> bool:
        """Open a file that is new or replaced; returns whether it is in use now."""
        try:
            file = self._opened(path)
        except (KwsError, OSError) as error:
            self._refused[path] = mark
            self.num_refused += 1
            kept = "the one before stays" if path in self._files else "it is left out"
            log("model refused", logging.WARNING, path=path, error=str(error), kept=kept)
            return False
        self._adopt(path, mark, file)
        return True

    def _opened(self, path: Path) -> ServedFile:
        """Open a file with the chosen decisions, and let it hear a moment of silence.

        Raises:
            CheckpointError: it is no model, or does not run.
            ConfigError: a choice does not fit it.
        """
        detector = Detector(path)
        if self._choices != DecisionChoices():
            keywords = detector.keywords
            detector = Detector(
                path,
                threshold=self._choices.thresholds_of(keywords) or None,
                refractory_s=one_of(self._choices.refractory_s, keywords, "refractory_s"),
                smoothing_frames=one_of(self._choices.smoothing_frames, keywords, "smoothing_frames"),
            )
        try:
            detector.new_stream().process(np.zeros(2 * detector.chunk_samples, np.float32))
        except KwsError:
            raise
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise CheckpointError(f"{path}: the graph does not run ({error}); export it again") from error
        return ServedFile(path, detector)

    def _found(self) -> dict[Path, Fingerprint]:
        """Return the files that are there now, in the order of the sources and then by name.

        A folder that cannot be read keeps what was found in it before: it may be unmounted for a moment.
        """
        found: dict[Path, Fingerprint] = {}
        for source in self._sources:
            try:
                paths = _exported_in(source) if source in self._folders else [source]
                self._unreadable.discard(source)
            except OSError as error:
                paths = [path for path in self._files if path == source or source in path.parents]
                found.update({path: self._files[path][0] for path in paths})
                if source not in self._unreadable:
                    self._unreadable.add(source)
                    log("folder unreadable", logging.WARNING, path=source, error=str(error))
                continue
            for path in paths:
                try:
                    found.setdefault(path, fingerprint(path))
                except OSError:  # removed since
                    continue
        return found


def fingerprint(path: Path) -> Fingerprint:
    """Return what changes with the content of a file.

    Raises:
        OSError: it is not there.
    """
    state = path.stat()
    return state.st_mtime_ns, state.st_size, state.st_ino


def _is_collection(source: Path) -> bool:
    """Tell a folder of models from a model file and from the folder of a run."""
    return source.is_dir() and not (source / MODEL_NAME).is_file()


def _exported_in(folder: Path) -> list[Path]:
    """Return the exported files in a folder and in the runs in it; hidden ones are being written.

    Raises:
        OSError: it cannot be read.
    """
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and (entry / MODEL_NAME).is_file():
            found.append(entry / MODEL_NAME)
        elif entry.suffix == ".onnx":
            found.append(entry)
    return found
