"""The folder of a project: what is in it, and how recordings come in, are set aside, kept and removed.

The layout is that of a recording session, so that ``kws train`` takes its parts as they are::

    project.json             keyword, language and what was found out about each recording
    positives/SPEAKER/001.wav
    negatives/SPEAKER/001.wav
    noise/001.wav
    set-aside/               recordings with a fault that nobody has decided to keep yet
    run/  report/  export/   what training, evaluation and export leave
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from kws import audio
from kws.config import load_config, to_dict
from kws.errors import ConfigError, KwsError
from kws.text import normalize
from kws.workflows.recording_folder import RecordingFolder, speaker_name

Role = Literal["positives", "negatives", "noise"]
ROLES: tuple[Role, ...] = get_args(Role)
FILE = "project.json"
SET_ASIDE = "set-aside"
LONGEST_KEYWORD = 60
"""Letters of a keyword."""


@dataclass(frozen=True, slots=True)
class FoundInTake:
    """What was found out about a recording when it came in."""

    fault: str = ""
    """As :class:`kws.workflows.takes.TakeCheck` names it; empty where it is good."""
    note: str = ""
    """A sentence about it."""
    origin: str = ""
    """Name of the file that it was made of; empty where it was recorded here."""


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """Contents of ``project.json``."""

    keyword: str
    """What the device shall wake on."""
    language: str = "en"
    """eSpeak language code of the keyword."""
    lexicon: dict[str, list[str]] = field(default_factory=dict)
    """Word in upper case -> its phones, where somebody has picked how the keyword is said."""
    false_accepts_per_hour: float = 0.5
    """Rate that the threshold is chosen for."""
    threshold: float | None = None
    """Threshold of the exported model, where somebody has moved it; None is that of the training."""
    overrides: dict[str, list[str]] = field(default_factory=dict)
    """`enroll` or `train` -> ``key=value`` changes of its settings."""
    num_synthetic: int | None = None
    """Synthetic recordings beside those of a trained model; None decides by their number."""
    found: dict[str, FoundInTake] = field(default_factory=dict)
    """Name of a recording -> what was found out about it."""


@dataclass(frozen=True, slots=True)
class ProjectTake:
    """One recording of a project.

    Attributes:
        name: path in the project, with ``/``.
        role: what it is used as.
        speaker: who speaks; empty for noise.
        length_s: in seconds.
        found: what was found out about it.
        is_set_aside: it has a fault and nothing uses it yet.
    """

    name: str
    role: Role
    speaker: str
    length_s: float
    found: FoundInTake
    is_set_aside: bool


class Project:
    """One project; its methods may be called from several threads.

    Args:
        folder: that holds ``project.json``.
    Raises:
        ConfigError: it holds none, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = _LOCKS.of(folder)
        self.settings()

    @property
    def run(self) -> Path:
        """Folder of the trained model."""
        return self.folder / "run"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.folder / "report"

    @property
    def model(self) -> Path | None:
        """The exported model; None before training."""
        path = self.run / "model.onnx"
        return path if path.is_file() else None

    def settings(self) -> ProjectSettings:
        """Read ``project.json``.

        Raises:
            ConfigError: it is missing or damaged.
        """
        path = self.folder / FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: no project ({error}); make one, or choose another folder") from error
        settings = load_config(ProjectSettings, values, FILE)
        entries = cast(dict[str, dict[str, str]], settings.found)
        found = {name: load_config(FoundInTake, entry, FILE) for name, entry in entries.items()}
        return replace(settings, found=found)

    @contextmanager
    def _changing(self) -> Iterator[list[ProjectSettings]]:
        """Give the settings in a list whose last element is written at the end; one thread at a time."""
        with self._lock:
            held = [self.settings()]
            yield held
            if held[-1] != held[0]:
                _write(self.folder, held[-1])

    def change(
        self,
        *,
        lexicon: dict[str, list[str]] | None = None,
        false_accepts_per_hour: float | None = None,
        threshold: float | None = None,
    ) -> None:
        """Change settings; None leaves one as it is.

        Raises:
            ConfigError: a value is out of range.
        """
        with self._changing() as held:
            settings = held[-1]
            if lexicon is not None:
                settings = replace(settings, lexicon=lexicon)
            if false_accepts_per_hour is not None:
                if not 0.01 <= false_accepts_per_hour <= 100:
                    raise ConfigError(
                        f"`false_accepts_per_hour`: got {false_accepts_per_hour}, allowed: 0.01 to 100"
                    )
                settings = replace(settings, false_accepts_per_hour=false_accepts_per_hour)
            if threshold is not None:
                if not 0 < threshold <= 1:
                    raise ConfigError(f"`threshold`: got {threshold}, allowed: above 0, at most 1")
                settings = replace(settings, threshold=threshold)
            held.append(settings)

    def forget_threshold(self) -> None:
        """Go back to the threshold of the training."""
        with self._changing() as held:
            held.append(replace(held[-1], threshold=None))

    def takes(self) -> list[ProjectTake]:
        """Return all recordings, those too that a command has put there, in order of role and name."""
        found = self.settings().found
        takes = []
        for is_set_aside, root in ((False, self.folder), (True, self.folder / SET_ASIDE)):
            for role in ROLES:
                for path in sorted((root / role).rglob("*")):
                    if path.suffix.lower() not in audio.AUDIO_SUFFIXES or path.name.startswith("."):
                        continue
                    name = path.relative_to(self.folder).as_posix()
                    speaker = "" if path.parent == root / role else path.parent.name
                    try:
                        length_s = audio.duration_s(path)
                    except KwsError:
                        continue
                    takes.append(
                        ProjectTake(
                            name, role, speaker, length_s, found.get(name, FoundInTake()), is_set_aside
                        )
                    )
        return takes

    def take(self, name: str) -> ProjectTake:
        """Return one recording.

        Raises:
            ConfigError: there is none of this name.
        """
        for take in self.takes():
            if take.name == name:
                return take
        raise ConfigError(f"{name!r}: no recording of this project")

    def add(
        self, role: Role, waveform: np.ndarray, speaker: str, found: FoundInTake, text: str = ""
    ) -> ProjectTake:
        """Write a recording under the next number, aside where it has a fault.

        Args:
            role: what it is.
            waveform: (samples,) float32 at 16 kHz.
            speaker: who speaks; any text. Noise has none.
            found: what was found out about it.
            text: what was read in other speech, where that is known.
        """
        with self._changing() as held:
            place = self.folder / SET_ASIDE if found.fault else self.folder
            recorded, speaker = RecordingFolder(place, held[0].keyword), safe_name(speaker, "me")
            if role == "positives":
                path = recorded.save_take(waveform, speaker)
            elif role == "negatives":
                path = recorded.save_negative(waveform, speaker, text)
            else:
                path = recorded.save_noise(waveform)
            name = path.relative_to(self.folder).as_posix()
            held.append(replace(held[-1], found={**held[-1].found, name: found}))
        return self.take(name)

    def keep(self, name: str) -> ProjectTake:
        """Use a recording that was set aside.

        Raises:
            ConfigError: there is none of this name.
        """
        take = self.take(name)
        if not take.is_set_aside:
            return take
        with self._changing() as held:
            path = self.folder / name.removeprefix(f"{SET_ASIDE}/")
            numbers = (path.with_name(f"{number:03d}{path.suffix}") for number in itertools.count(1))
            path = next(each for each in (path, *itertools.islice(numbers, 9999)) if not each.exists())
            path.parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).rename(path)
            self._refresh()
            kept = path.relative_to(self.folder).as_posix()
            found = {key: value for key, value in held[-1].found.items() if key != name}
            held.append(replace(held[-1], found={**found, kept: take.found}))
        return self.take(kept)

    def remove(self, name: str) -> None:
        """Delete a recording.

        Raises:
            ConfigError: there is none of this name.
        """
        take = self.take(name)
        with self._changing() as held:
            (self.folder / take.name).unlink(missing_ok=True)
            self._refresh()
            found = {key: value for key, value in held[-1].found.items() if key != name}
            held.append(replace(held[-1], found=found))

    def _refresh(self) -> None:
        """Write the lists of what lies there anew."""
        for place in (self.folder, self.folder / SET_ASIDE):
            RecordingFolder(place, self.settings().keyword).refresh()


class _Locks:
    """One lock for each folder, shared by all objects of it."""

    def __init__(self) -> None:
        self._guard, self._held = threading.Lock(), dict[Path, threading.RLock]()

    def of(self, folder: Path) -> threading.RLock:
        """Return the lock of a folder."""
        with self._guard:
            return self._held.setdefault(folder.absolute(), threading.RLock())


_LOCKS = _Locks()


def safe_name(text: str, default: str) -> str:
    """Return letters, digits and dashes of a text as the name of a file or folder.

    Args:
        text: anything, also ``../``, control characters and names of devices.
        default: returned where nothing is left.
    """
    try:
        return speaker_name(text)
    except ConfigError:
        return default


def as_role(text: str) -> Role:
    """Return a role by its name.

    Raises:
        ConfigError: there is none of this name.
    """
    if text not in ROLES:
        raise ConfigError(f"`role`: got {text!r}, allowed: {', '.join(ROLES)}")
    return text


def create_project(parent: Path, keyword: str, language: str = "en") -> Project:
    """Make the folder of a new project, named after its keyword.

    Args:
        parent: folder of all projects; made when missing.
        keyword: what the device shall wake on.
        language: eSpeak language code.
    Raises:
        KwsError: the keyword is empty, too long, or cannot be said in the language.
    """
    from data_prep.synthesis.phrases import check_phrase

    keyword = normalize(keyword)
    if len(keyword) > LONGEST_KEYWORD:
        raise ConfigError(f"`keyword`: {len(keyword)} letters; give at most {LONGEST_KEYWORD}")
    check_phrase(keyword, "en-us" if language == "en" else language)
    stem = safe_name(keyword, "keyword")
    with _LOCKS.of(parent):
        names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
        folder = next((parent / name for name in names if not (parent / name).exists()), None)
        if folder is None:
            raise ConfigError(f"{parent}: holds too many projects of {keyword!r}; remove some")
        folder.mkdir(parents=True)
        _write(folder, ProjectSettings(keyword, language))
    return Project(folder)


def list_projects(parent: Path) -> list[Project]:
    """Return the projects in a folder by name; other folders are passed by."""
    found = []
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        try:
            found.append(Project(path))
        except KwsError:
            continue
    return found


def open_project(parent: Path, name: str) -> Project:
    """Return the project of a name, which is a folder directly in ``parent``.

    Raises:
        ConfigError: there is none.
    """
    if name not in (path.name for path in (parent.iterdir() if parent.is_dir() else ())):
        raise ConfigError(f"{name!r}: no project of this name")
    return Project(parent / name)


def _write(folder: Path, settings: ProjectSettings) -> None:
    with audio.atomic_write(folder / FILE) as temporary:
        text = json.dumps(to_dict(settings), indent=1, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")
