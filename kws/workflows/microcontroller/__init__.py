"""A trained or typed keyword for a microcontroller; what ``kws export --format microwakeword`` does."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.workflows import folders, written_files
from kws.workflows.notices import quiet_libraries

if TYPE_CHECKING:
    from export.microwakeword import MicroFiles
    from kws.student.training import DistillConfig

COMPARED_S = 600.0
"""Audio on which the runtime is compared with the network, in seconds."""


@dataclass(frozen=True)
class MicroExport:
    """What was made for one keyword.

    Attributes:
        keyword: the phrase.
        files: what a device takes.
        metrics: contents of ``NAME.metrics.json``.
        notes: what the person should know.
    """

    keyword: str
    files: MicroFiles
    metrics: dict[str, Any]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the sentences to print."""
        from kws.training.copies import hours_text
        from kws.workflows.summary import summary_lines

        facts, metrics = self.files.facts, self.metrics
        made = [
            f"{self.files.model}  {facts.num_bytes / 1000:.1f} kB, arena {facts.arena_bytes / 1000:.1f} kB, "
            f"{facts.multiply_adds / 1000:.1f} thousand multiply-adds every 30 ms",
            f"{self.files.manifest}",
            f"  TensorFlow Lite differs by at most {self.files.max_difference} of 256 on "
            f"{self.files.compared_s / 60:.0f} min of speech",
            f"  threshold {metrics['threshold']:.3f} for {metrics['false_accepts_per_hour']:g} false "
            f"accepts/h, from {hours_text(metrics['dev_hours'], metrics['dev_copies'])}; made in "
            f"{metrics['wall_s']:.0f} s",
        ]
        return summary_lines(made, self.notes, [f"next: kws listen {self.files.manifest}"])


@quiet_libraries()
def export_microwakeword(
    run: Path,
    output: Path | None = None,
    *,
    negatives: Sequence[Path] = (),
    noise: Sequence[Path] = (),
    voices: Sequence[str] | None = None,
    false_accepts_per_hour: float | None = None,
    config: DistillConfig | None = None,
    num_workers: int = 2,
    overwrite: bool = False,
) -> list[MicroExport]:
    """Teach a small int8 network what a detector hears, and write it for the firmware of microWakeWord.

    Args:
        run: finished run of ``kws train`` or ``kws enroll``; each of its keywords becomes a model.
        output: folder for the files; None is ``RUN/microwakeword``. A stopped export in it goes on.
        negatives: speech without the keywords; none takes that of the run.
        noise: recordings to mix in; none takes those of the run, and makes noise where it had none.
        voices: synthesizers that say the keywords; None takes eSpeak and the best that is installed.
        false_accepts_per_hour: rate that the cutoff is chosen for; None takes that of the run.
        config: how the network is trained; None takes the defaults.
        num_workers: processes, and threads of the training.
        overwrite: start anew where ``output`` holds other files of such an export.
    Returns:
        What was made, keyword by keyword.
    Raises:
        ConfigError: there is no speech without the keywords, or ``output`` holds something else.
        DependencyError: the packages of the extra ``esp`` are not installed.
        KwsError: a file cannot be read or run.
    """
    from export.tflite_file import schema
    from kws.detector import Detector
    from kws.json_text import parse_json
    from kws.student.features import open_frontend
    from kws.student.training import DistillConfig

    open_frontend()
    schema()
    place = output if output is not None else run / "microwakeword"
    model = _exported(run)
    folders.keep_apart(place, {"negatives": negatives, "noise": noise}, above=False)
    folders.claim(place, written_files.MICROCONTROLLER)
    if overwrite:
        folders.clear(place, names=list(written_files.MICROCONTROLLER.files))
        folders.claim(place, written_files.MICROCONTROLLER)
    speech, mixed, notes = _sources(run, place, negatives, noise, Detector(model).keywords)
    language = next(iter(parse_json(Detector(model).metadata.get("languages", '["en"]'))), "en")
    asked = _Asked(run, model, place, speech, mixed, voices, false_accepts_per_hour, language, num_workers)
    return [
        _export_one(asked, keyword, config or DistillConfig(), notes) for keyword in Detector(model).keywords
    ]


@dataclass(frozen=True)
class _Asked:
    """What one call wishes, with the sources that were found."""

    run: Path
    model: Path
    output: Path
    speech: Path
    noise: Path | None
    voices: Sequence[str] | None
    false_accepts_per_hour: float | None
    language: str
    num_workers: int


def _exported(run: Path) -> Path:
    """Return the exported file of a run, which is made where there is none yet."""
    from export.to_onnx import MODEL_FILE, export

    return run / MODEL_FILE if (run / MODEL_FILE).is_file() else export(run)


def _sources(
    run: Path, place: Path, negatives: Sequence[Path], noise: Sequence[Path], keywords: Sequence[str]
) -> tuple[Path, Path | None, tuple[str, ...]]:
    """Return manifests of speech with splits and of noise, and what was left out of them."""
    from kws.workflows.recordings import prepare_training
    from kws.workflows.train.fetched import take, with_taken

    held = {name: run / "data" / f"{name}.jsonl" for name in ("negatives", "noise")}
    own = {name: [path] if path.is_file() else [] for name, path in held.items()}
    speech, mixed = list(negatives) or own["negatives"], list(noise) or own["noise"]
    taken = take(speech, mixed)
    prepared = prepare_training(
        keywords, (), with_taken(speech, taken, "negatives"), with_taken(mixed, taken, "noise"),
        place / "data", cache=place / "cache",
    )  # fmt: skip
    return prepared.negatives, prepared.noise, (*(each.note for each in taken), *prepared.notes)


def _export_one(asked: _Asked, keyword: str, config: DistillConfig, notes: Sequence[str]) -> MicroExport:
    """Make the model of one keyword, or return it where it was made before."""
    from export.microwakeword import export_student, file_name
    from kws.audio import seconds_to_samples
    from kws.checkpoint import load_operating_point
    from kws.student.features import STEP_SAMPLES
    from kws.student.training import train_student
    from kws.weights import write_json
    from kws.workflows.microcontroller.audio import gather_student_audio, make_rows
    from kws.workflows.microcontroller.cutoff import choose_cutoff, decision_of, dev_features

    started, identity = time.monotonic(), _identity(asked, keyword, config)
    earlier = _made_before(asked.output, keyword, identity)
    if earlier is not None:
        return earlier
    work = asked.output / "work" / f"{file_name(keyword)}-{identity}"
    audio, said = gather_student_audio(
        asked.run, keyword, asked.language, asked.speech, asked.noise, asked.voices, work, asked.num_workers,
        config.seed,
    )  # fmt: skip
    kinds = make_rows(audio, asked.model, keyword, work, asked.num_workers)
    student = train_student(kinds, config, work / "student.pt")
    settings = decision_of(load_operating_point(asked.run).decision, asked.false_accepts_per_hour)
    dev = dev_features(audio, settings.false_accepts_per_hour, asked.num_workers)
    point, doubts = choose_cutoff(student, dev, kinds, keyword, settings)
    compared = dev.clean[: seconds_to_samples(COMPARED_S) // STEP_SAMPLES]
    threshold = point.thresholds[keyword]
    files = export_student(student, asked.output, keyword, threshold, compared, [asked.language])
    metrics = {
        "keyword": keyword,
        "identity": identity,
        "threshold": threshold,
        "compared_s": files.compared_s,
        "max_difference": files.max_difference,
        "false_accepts_per_hour": settings.false_accepts_per_hour,
        "dev_hours": round(point.dev_hours, 3),
        "dev_copies": round(dev.copies, 3),
        "recordings": len(audio.real),
        "negative_hours": round(audio.speech.hours, 3),
        "wall_s": round(time.monotonic() - started, 1),
    }
    write_json(_metrics_path(files.manifest), metrics)
    folders.clear(asked.output, names=written_files.MICRO_WORK)
    return MicroExport(keyword, files, metrics, (*notes, *said, *doubts))


def _metrics_path(manifest: Path) -> Path:
    return manifest.with_name(f"{manifest.stem}.metrics.json")


def _made_before(output: Path, keyword: str, identity: str) -> MicroExport | None:
    """Return what a finished export of the same settings made of a keyword; None where there is none.

    Raises:
        ConfigError: it was made with other settings.
    """
    from export.microwakeword import MicroFiles, file_name
    from export.tflite_facts import read_facts
    from kws.errors import ConfigError
    from kws.json_text import parse_json

    model = output / f"{file_name(keyword)}.tflite"
    manifest = model.with_suffix(".json")
    held = _metrics_path(manifest)
    if not all(path.is_file() for path in (model, manifest, held)):
        return None
    metrics = parse_json(held.read_bytes())
    if metrics.get("identity") != identity:
        raise ConfigError(
            f"`output` {output}: holds {model.name} of other settings; choose another `output` or add "
            "`overwrite=True`"
        )
    facts = read_facts(model.read_bytes())
    files = MicroFiles(model, manifest, facts, metrics["compared_s"], metrics["max_difference"])
    note = f"{keyword}: was made before; add `overwrite=True` to make it anew"
    return MicroExport(keyword, files, metrics, (note,))


def _identity(asked: _Asked, keyword: str, config: DistillConfig) -> str:
    """Return eight letters that differ where anything differs of which rows and weights are made."""
    from kws.config import config_hash, to_dict

    held = {path.name: path.read_text(encoding="utf-8") for path in (asked.speech, asked.noise) if path}
    model = hashlib.sha256(asked.model.read_bytes()).hexdigest()
    named = {"keyword": keyword, "language": asked.language, "voices": list(asked.voices or ())}
    return config_hash({**held, **named, "model": model, "config": to_dict(config)})[:8]
