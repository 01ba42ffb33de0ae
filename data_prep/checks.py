"""Can these recordings be used? Reads each through once, says what is wrong, and leaves the bad ones out.

Called by ``data_prep.prepare`` and before a training run. A file is read block by block, so ten hours need no
more memory than one minute. ``measurements`` does the reading; this module judges.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

from data_prep.config import CheckConfig
from data_prep.measurements import MeasurementCache, Stats, measure
from kws.audio import SAMPLE_RATE
from kws.decoded_audio import DecodedAudio
from kws.errors import AudioError, ManifestError
from kws.manifest import Recording

logger = logging.getLogger(__name__)

LENGTH_TOLERANCE_S = 0.05
"""A manifest may promise this much more than the file holds before a warning is given, in seconds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a recording that a person should know."""

    kind: str
    """missing, empty, corrupt, decoder, nonfinite, range, offset, short, long, silent, clipped, duplicate,
    length, header, rate or channels; the first seven are kinds of :class:`kws.errors.AudioError`."""
    level: str
    """``reject`` (left out), ``warning`` (kept, look at it) or ``note`` (handled)."""
    message: str
    """What is wrong and what to do, with the file's name in front."""


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Result of checking one recording."""

    recording: Recording
    """The recording; length and rate are filled in when it could be read."""
    stats: Stats | None
    """Measurements; None when it could not be read."""
    findings: tuple[Finding, ...] = ()
    """Everything found."""

    @property
    def rejection(self) -> Finding | None:
        """Return why the recording cannot be used, or None when it can."""
        return next((finding for finding in self.findings if finding.level == "reject"), None)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of checking a list of recordings."""

    kept: list[Recording]
    """Usable recordings in the order given, with length and rate filled in."""
    left_out: list[FileCheck]
    """Recordings that cannot be used; ``rejection`` says why."""
    checks: list[FileCheck]
    """Every check, in the order given."""


def check_file(
    recording: Recording | str | Path,
    config: CheckConfig | None = None,
    known: Stats | None = None,
    decoded: DecodedAudio | None = None,
) -> FileCheck:
    """Read one recording through and judge it.

    Args:
        recording: a recording or the path of an audio file.
        config: limits.
        known: measurements of the same file from an earlier run; it is then not read again.
        decoded: keeps the samples of what is read.
    Returns:
        Measurements and findings; nothing is raised for audio that is bad in any way.
    """
    config = config or CheckConfig()
    if not isinstance(recording, Recording):
        recording = Recording(path=Path(recording).absolute())
    name = str(recording.path)
    if not recording.path.is_file():
        return _unreadable(recording, "missing", f"{name}: no such file; mend the path in the manifest")
    if recording.path.stat().st_size == 0:
        return _unreadable(recording, "empty", f"{name}: empty file (0 bytes); record it again or remove it")
    try:
        stats = known or measure(recording, decoded)
    except AudioError as error:
        return _unreadable(recording, error.kind, str(error))
    findings = (*_rejections(name, stats, config), *_remarks(name, recording, stats, config))
    found = replace(recording, duration_s=stats.duration_s, sample_rate=stats.sample_rate)
    return FileCheck(found, stats, findings)


def check_all(
    recordings: Sequence[Recording],
    config: CheckConfig | None = None,
    num_workers: int = 0,
    progress: bool | None = None,
    cache: str | Path | None = None,
    decoded: DecodedAudio | None = None,
) -> CheckResult:
    """Check recordings side by side, find copies, and leave out what cannot be used.

    Args:
        recordings: any number; of several with the same samples the first is kept.
        config: limits, and the share that may be left out.
        num_workers: threads (decoding and arithmetic release the interpreter lock); 0 takes every core.
            Inside ``joblib.parallel_config(backend=…)`` that backend is used: Dask spreads it over machines.
        progress: show a bar; None shows it on a terminal only.
        cache: file that keeps measurements, so that an interrupted or repeated check reads no file twice.
        decoded: keeps the samples of what is read; for threads alone.
    Raises:
        ManifestError: nothing is left, or more than ``config.max_left_out`` of the recordings is left out.
    """
    config = config or CheckConfig()
    if not recordings:
        raise ManifestError("no recordings to check; give a folder or manifest that holds some")
    with MeasurementCache(cache) as known:
        tasks = (
            delayed(check_file)(recording, config, known.get(recording), decoded) for recording in recordings
        )
        workers = min(num_workers or cpu_count(), len(recordings))
        results = Parallel(n_jobs=workers, prefer="threads", return_as="generator", batch_size=8)(tasks)
        checks = []
        for recording, check in zip(
            recordings,
            tqdm(
                results, "checking", len(recordings), unit="file", disable=True if progress is False else None
            ),
            strict=True,
        ):
            known.put(recording, check.stats)
            checks.append(check)
    checks = _mark_copies(checks)
    left_out = [check for check in checks if check.rejection]
    kept = [check.recording for check in checks if not check.rejection]
    if not kept or len(left_out) > config.max_left_out * len(checks):
        raise ManifestError(_too_many(left_out, len(checks), config))
    if left_out:
        logger.info("%d of %d recordings left out; the report says why", len(left_out), len(checks))
    return CheckResult(kept, left_out, checks)


def count_kinds(checks: Sequence[FileCheck], level: str) -> dict[str, int]:
    """Return how many findings of each kind there are at a level, most frequent first."""
    counts = Counter(finding.kind for check in checks for finding in check.findings if finding.level == level)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def left_out_notes(result: CheckResult) -> list[str]:
    """Say how many recordings are left out for which kinds of reason, and what a missing decoder is."""
    reasons = [check.rejection for check in result.left_out if check.rejection]
    kinds = Counter(reason.kind for reason in reasons)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    notes = [f"{len(reasons)} of {len(result.checks)} files cannot be used ({listed}); see report.md"]
    return notes + [reason.message for reason in reasons if reason.kind == "decoder"][:1]


def _unreadable(recording: Recording, kind: str, message: str) -> FileCheck:
    """Return the check of a recording that could not be measured."""
    return FileCheck(recording, None, (Finding(kind, "reject", message),))


def _rejections(name: str, stats: Stats, config: CheckConfig) -> Iterator[Finding]:
    """Yield reasons to leave a readable recording out."""
    if stats.duration_s < config.min_s:
        yield Finding(
            "short",
            "reject",
            f"{name}: {stats.duration_s:.4f} s long, at least {config.min_s:g} s is needed; record it again",
        )
    if stats.duration_s > config.max_s:
        yield Finding(
            "long",
            "reject",
            f"{name}: {stats.duration_s:.1f} s long, at most {config.max_s:g} s is allowed; cut it",
        )
    if stats.peak_db < config.silence_peak_db or stats.rms_db < config.silence_rms_db:
        yield Finding(
            "silent",
            "reject",
            f"{name}: silent (peak {stats.peak_db:.0f} dB, power {stats.rms_db:.0f} dB of full scale); check "
            "the microphone and record it again",
        )
    if stats.clipped_share >= config.clip_reject_share:
        yield Finding(
            "clipped",
            "reject",
            f"{name}: {stats.clipped_share:.1%} of the samples at full scale; lower the gain and "
            "record it again",
        )


def _remarks(name: str, recording: Recording, stats: Stats, config: CheckConfig) -> Iterator[Finding]:
    """Yield what is worth knowing about a recording that may be kept."""
    if config.clip_warn_share <= stats.clipped_share < config.clip_reject_share:
        share = f"{stats.clipped_share:.2%} of the samples at full scale"
        yield Finding("clipped", "warning", f"{name}: {share}; lower the gain next time")
    if recording.duration_s is not None and recording.duration_s > stats.duration_s + LENGTH_TOLERANCE_S:
        yield Finding(
            "length",
            "warning",
            f"{name}: {stats.duration_s:.3f} s could be read, the manifest says {recording.duration_s:.3f} "
            "s; is the file cut short?",
        )
    if stats.header_note is not None:
        yield Finding("header", "warning", f"{name}: {stats.header_note}")
    if stats.sample_rate != SAMPLE_RATE:
        yield Finding(
            "rate", "note", f"{name}: {stats.sample_rate} Hz, converted to {SAMPLE_RATE} Hz on reading"
        )
    if stats.channels != 1:
        yield Finding("channels", "note", f"{name}: {stats.channels} channels, averaged to one on reading")


def _mark_copies(checks: list[FileCheck]) -> list[FileCheck]:
    """Reject each usable recording whose samples came before in the list."""
    first: dict[str, Recording] = {}
    marked = []
    for check in checks:
        if check.rejection is None and check.stats is not None:
            original = first.setdefault(check.stats.digest, check.recording)
            if original is not check.recording:
                differ = original.label != check.recording.label
                labels = (
                    f", labelled {original.label} there and {check.recording.label} here" if differ else ""
                )
                message = f"{check.recording.path}: same samples as {original.path}{labels}; remove one"
                check = replace(check, findings=(Finding("duplicate", "reject", message), *check.findings))
        marked.append(check)
    return marked


def _too_many(left_out: Sequence[FileCheck], total: int, config: CheckConfig) -> str:
    """Say how many recordings of each kind are left out, with one example each."""
    reasons = [check.rejection for check in left_out if check.rejection]
    counts = Counter(reason.kind for reason in reasons)
    example = {reason.kind: reason.message for reason in reversed(reasons)}
    listed = "".join(f"\n  {count} {kind}, as {example[kind]}" for kind, count in counts.most_common())
    what = "all" if len(left_out) == total else f"{len(left_out)} of"
    return (
        f"{what} {total} recordings cannot be used, at most {config.max_left_out:.0%} may be left out; "
        f"mend or remove these:{listed}"
    )
