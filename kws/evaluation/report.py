"""One HTML page with what an evaluation found, pictures and sound inside, and its numbers beside it."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kws import audio
from kws.audio import SAMPLE_RATE, seconds_to_samples
from kws.counts import counted
from kws.errors import DependencyError
from kws.evaluation.metrics import Latency
from kws.evaluation.result import EvaluationResult, Example, KeywordResult, OperatingResult, SpeakerResult
from kws.pages import Picture, environment
from kws.text import normalize, shown

JSON_NAME, HTML_NAME = "evaluation.json", "report.html"

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Header and rows."""

SECTIONS = {
    "hit": ("What was heard?", "Heard, from the least to the most certain."),
    "miss": ("What was missed?", "Not heard, from the lowest to the highest score."),
    "false accept": (
        "What fired by mistake?",
        "Fired although the keyword was not said; the highest scores.",
    ),
    "closest": (
        "What came nearest to a mistake?",
        "The highest scores in the negatives that stayed below the threshold.",
    ),
}
"""Kind of example -> heading and what is shown."""


def write_report(result: EvaluationResult, output: Path) -> Path:
    """Write ``evaluation.json`` and ``report.html``.

    Args:
        result: from :func:`kws.evaluation.evaluate.evaluate`; the audio of its examples is read again.
        output: folder; made when missing.
    Returns:
        Path of the page.
    Raises:
        DependencyError: matplotlib or jinja2 is not installed.
        AudioError: a recording of an example cannot be read any more.
    """
    html = render(result)
    with audio.atomic_write(output / JSON_NAME) as temporary:
        text = json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_bytes(f"{text}\n".encode("utf-8", "backslashreplace"))  # bytes of no UTF-8 in names
    with audio.atomic_write(output / HTML_NAME) as temporary:
        temporary.write_text(shown(html), encoding="utf-8")
    return output / HTML_NAME


def render(result: EvaluationResult) -> str:
    """Return the page; raises as :func:`write_report`."""
    names = ", ".join(f"“{entry.keyword}”" for entry in result.keywords)
    return (
        environment()
        .get_template("evaluation.html")
        .render(
            title=f"Evaluation of {names}",
            model=result.model,
            negatives=_negatives(result),
            negative_notes=result.notes(),
            keywords=[_keyword(entry) for entry in result.keywords],
            provenance=[(key.replace("_", " "), str(value)) for key, value in result.provenance.items()],
        )
    )


def _negatives(result: EvaluationResult) -> str:
    known = counted(result.num_negative_speakers, "known speaker")
    speakers = f", {known}" if result.num_negative_speakers else ""
    left_out = (
        f" Left out, as label or text holds the keyword: {counted(result.num_left_out, 'more recording')}."
        if result.num_left_out
        else ""
    )
    return (
        f"False accepts were counted in {result.negative_hours:.3g} hours of audio without the keyword "
        f"({counted(result.num_negatives, 'recording')}, {counted(result.num_negative_originals, 'original')}"
        f"{speakers}), "
        f"scored as one stream.{left_out}"
    )


def _keyword(result: KeywordResult) -> dict[str, Any]:
    """Return everything that the page says about one keyword."""
    speakers = f", {counted(result.num_speakers, 'known speaker')}" if result.num_speakers else ""
    originals = counted(result.num_positive_originals, "original")
    copies = (
        f" They are copies of {originals}, so the intervals are too narrow."
        if result.num_positive_originals < result.num_positives
        else ""
    )
    clips = counted(result.num_positives, "clip")
    pictures, groups = _pictures(), result.operating[0].groups
    found = [(entry.name, entry.speakers) for entry in result.operating if entry.speakers]
    return {
        "name": result.keyword,
        "clips": f"Misses were counted in {clips} of the keyword{speakers}.{copies}",
        "notes": result.notes(),
        "cards": [_card(entry) for entry in result.operating],
        "doubts": [(entry.name, f"{entry.note}.") for entry in result.operating if entry.note],
        "det": Picture.of(pictures.det_curve(result), f"DET curve of {result.keyword}"),
        "answer": _answer(result),
        "condition": result.condition,
        "operating": _operating_table(result.operating),
        "groups": _group_table(result) if groups else None,
        "groups_picture": Picture.of(pictures.groups(result), "misses by condition and group")
        if groups
        else None,
        "groups_answer": _groups_answer(result) if groups else "",
        "speakers": _speaker_table(found) if found else None,
        "num_speakers": found[0][1].num_speakers if found else 0,
        "sections": [
            {
                "title": title,
                "text": f"{text} {_legend(kind)}",
                "examples": [_example(example, result.stored_threshold) for example in chosen],
            }
            for kind, (title, text) in SECTIONS.items()
            if (chosen := [example for example in result.examples if example.kind == kind])
        ],
    }


def _answer(result: KeywordResult) -> str:
    """Return in one sentence what the device does."""
    stored = result.operating[0]
    accepts = stored.false_accepts
    return (
        f"At the stored threshold {100 * stored.misses.rate:.1f} % are missed, at "
        f"{counted(accepts.events, 'false accept')} in {accepts.hours:.3g} h."
    )


def _groups_answer(result: KeywordResult) -> str:
    """Return in one sentence which group is missed most."""
    worst = max(result.operating[0].groups, key=lambda group: group.misses.rate)
    return f"Missed most: {worst.name}, {100 * worst.misses.rate:.1f} %."


def _card(entry: OperatingResult) -> dict[str, Any]:
    stored = entry.target_per_hour is None
    misses, accepts = entry.misses, entry.false_accepts
    return {
        "stored": stored,
        "title": "At the stored threshold"
        if stored
        else f"At {entry.target_per_hour:g} false accepts per hour",
        "missed": f"{100 * misses.rate:.1f} % missed",
        "interval": f"{misses.events} of {misses.trials} clips; "
        f"95 % interval {100 * misses.low:.1f} to {100 * misses.high:.1f} %",
        "accepts": f"{counted(accepts.events, 'false accept')} in {accepts.hours:.3g} h",
    }


def _operating_table(operating: Iterable[OperatingResult]) -> Table:
    rows = [
        (
            entry.name if entry.target_per_hour is None else f"at most {entry.name}",
            f"{entry.threshold:.4g}",
            f"{entry.misses.events} of {entry.misses.trials}",
            str(entry.misses),
            str(entry.false_accepts.events),
            str(entry.false_accepts),
            _delay(entry.latency, "p50_s"),
            _delay(entry.latency, "p95_s"),
        )
        for entry in operating
    ]
    header = (
        "operating point",
        "threshold",
        "missed",
        "miss rate",
        "false accepts",
        "rate",
        "latency p50",
        "p95",
    )
    return header, rows


def _group_table(result: KeywordResult) -> Table:
    """Return misses by condition and group."""
    operating = result.operating
    header = (
        "clips",
        "number",
        *(entry.name if entry.target_per_hour is None else f"at {entry.name}" for entry in operating),
    )
    rows = [
        (
            f"all, {result.condition}",
            str(operating[0].misses.trials),
            *(str(entry.misses) for entry in operating),
        ),
    ]
    for index, group in enumerate(operating[0].groups):
        misses = (str(entry.groups[index].misses) for entry in operating)
        rows.append((group.name, str(group.misses.trials), *misses))
    return header, rows


def _speaker_table(found: Sequence[tuple[str, SpeakerResult]]) -> Table:
    """Return misses of the mean speaker and of those who are missed most."""
    rows = [(name, f"{100 * each.mean:.1f} %", f"{100 * each.worst:.1f} %") for name, each in found]
    return ("operating point", "mean speaker", "the tenth missed most"), rows


def _legend(kind: str) -> str:
    end = "The dotted line is the end of the keyword. " if kind in ("hit", "miss") else ""
    fired = "The orange line is where it fired." if kind in ("hit", "false accept") else ""
    return end + fired


def _example(example: Example, threshold: float) -> dict[str, Any]:
    """Return picture, sound and words of one example."""
    waveform = _stretch(example)
    entry = example.utterance
    place = "" if example.kind in ("hit", "miss") else f", at {entry.offset_s + example.start_s:.1f} s"
    said = f" “{entry.text}”" if entry.text else ""
    delay = ""
    if example.fired_s is not None and example.speech_end_s is not None:
        delay = f", fired {_signed(example.fired_s - example.speech_end_s)} the end of the keyword"
    name = normalize(entry.item_id)
    picture = _pictures().timeline(example, waveform, threshold)
    return {
        "picture": Picture.of(picture, f"{example.kind}: score and spectrogram of {name}"),
        "sound": f"{example.kind}: {name}",
        "wav": _wav(waveform),
        "caption": f"highest score {example.peak:.3f}{delay}{said}",
        "place": f"{name}{place}",
    }


def _signed(delay_s: float) -> str:
    return f"{1000 * abs(delay_s):.0f} ms {'after' if delay_s >= 0 else 'before'}"


def _stretch(example: Example) -> np.ndarray:
    """Read the samples of an example, silence where it reaches past the end."""
    start, length = seconds_to_samples(example.start_s), seconds_to_samples(example.length_s)
    heard, position = np.zeros(length, np.float32), 0
    for piece in example.utterance.pieces():
        first, last = max(start, position), min(start + length, position + len(piece))
        if first < last:
            heard[first - start : last - start] = piece[first - position : last - position]
        position += len(piece)
        if position >= start + length:
            break
    return heard


def _wav(waveform: np.ndarray) -> str:
    """Return a 16-bit WAV file, which every browser plays, in base64."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(audio.to_int16(waveform).astype("<i2").tobytes())
    return base64.b64encode(buffer.getvalue()).decode()


def _delay(latency: Latency | None, name: str) -> str:
    return "–" if latency is None else f"{1000 * getattr(latency, name):.0f} ms"


def _pictures() -> ModuleType:
    """Import the module that needs matplotlib."""
    try:
        from kws.evaluation import pictures
    except ImportError as error:
        raise DependencyError(f'the report needs {error.name}: `pip install "kws[train]"`') from error
    return pictures
