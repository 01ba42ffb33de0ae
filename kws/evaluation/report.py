"""One HTML page with what an evaluation found, pictures and sound inside, and its numbers beside it."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from types import ModuleType

import numpy as np

from kws import audio
from kws.audio import SAMPLE_RATE, seconds_to_samples
from kws.counts import counted
from kws.errors import DependencyError
from kws.evaluation import page
from kws.evaluation.metrics import Latency
from kws.evaluation.result import EvaluationResult, Example, KeywordResult, OperatingResult
from kws.text import normalize, shown

JSON_NAME, HTML_NAME = "evaluation.json", "report.html"

SECTIONS = {
    "hit": ("Hits", "Heard, from the least to the most certain."),
    "miss": ("Misses", "Not heard, from the lowest to the highest score."),
    "false accept": ("Worst false accepts", "Fired although the keyword was not said; the highest scores."),
    "closest": (
        "Closest to a false accept",
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
        DependencyError: matplotlib is not installed.
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
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f"<title>Evaluation of {escape(names)}</title><style>{page.STYLE}</style><main>",
        f"<h1>Evaluation of {escape(names)}</h1><p class=dim>{escape(result.model)}</p>",
        f"<p>{_negatives(result)}</p>",
    ]
    for entry in result.keywords:
        parts += _keyword(entry, several=len(result.keywords) > 1)
    parts += [page.READING, _provenance(result), "</main></html>"]
    return "\n".join(parts)


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
        f"scored as one stream.{left_out}{_remarks(result.notes())}"
    )


def _remarks(notes: Sequence[str]) -> str:
    return "".join(f" <strong>Note: {escape(note)}.</strong>" for note in notes)


def _keyword(result: KeywordResult, *, several: bool) -> list[str]:
    """Return everything about one keyword."""
    speakers = f", {counted(result.num_speakers, 'known speaker')}" if result.num_speakers else ""
    originals = counted(result.num_positive_originals, "original")
    copies = (
        f" They are copies of {originals}, so the intervals are too narrow."
        if result.num_positive_originals < result.num_positives
        else ""
    )
    heading = f"<h2>“{escape(result.keyword)}”</h2>" if several else ""
    parts = [
        heading,
        f"<p>Misses were counted in {counted(result.num_positives, 'clip')} of the keyword{speakers}.{copies}"
        f"{_remarks(result.notes())}</p>",
        "<div class=cards>",
        *(_card(entry) for entry in result.operating),
        "</div>",
        _notes(result.operating),
        "<h3>Misses against false accepts</h3><figure class=det>",
        page.image(_pictures().det_curve(result), f"DET curve of {result.keyword}"),
        "<figcaption>Down and to the left is better. Each step is a threshold; the band is the 95 % interval "
        f"of the miss rate, {escape(result.condition)}, the other lines other conditions. A count of zero is "
        "drawn at “none”: hours or clips are too few to see how far below it lies.</figcaption></figure>",
        "<h3>Operating points</h3>",
        _operating_table(result.operating),
        *_group_table(result),
        *_speaker_table(result.operating),
    ]
    for kind, (title, text) in SECTIONS.items():
        chosen = [example for example in result.examples if example.kind == kind]
        if chosen:
            parts.append(f"<h3>{title}</h3><p class=dim>{text} {_legend(kind)}</p><div class=examples>")
            parts += [_example(example, result.stored_threshold) for example in chosen]
            parts.append("</div>")
    return parts


def _notes(operating: Iterable[OperatingResult]) -> str:
    """Return the doubts about the operating points, in a box."""
    notes = [f"<b>{escape(entry.name)}</b>: {escape(entry.note)}." for entry in operating if entry.note]
    return f"<p class=note>{'<br>'.join(notes)}</p>" if notes else ""


def _card(entry: OperatingResult) -> str:
    title = (
        "At the stored threshold"
        if entry.target_per_hour is None
        else f"At {entry.target_per_hour:g} false accepts per hour"
    )
    kind = "card stored" if entry.target_per_hour is None else "card"
    misses, accepts = entry.misses, entry.false_accepts
    return (
        f"<div class='{kind}'><span>{title}</span><b>{100 * misses.rate:.1f} % missed</b>"
        f"<span>{misses.events} of {misses.trials} clips; "
        f"95 % interval {100 * misses.low:.1f} to {100 * misses.high:.1f} %</span>"
        f"<span>{_count(accepts.events, 'false accept')} in {accepts.hours:.3g} h</span></div>"
    )


def _operating_table(operating: Iterable[OperatingResult]) -> str:
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
    return page.table(header, rows)


def _group_table(result: KeywordResult) -> list[str]:
    """Return misses by condition and group, when there are any."""
    operating = result.operating
    if not operating[0].groups:
        return []
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
        name = group.value if group.field == "condition" else f"{group.field}: {group.value}"
        rows.append(
            (name, str(group.misses.trials), *(str(entry.groups[index].misses) for entry in operating))
        )
    text = "<p class=dim>Miss rates with 95 % intervals; each column at one threshold, given above.</p>"
    return ["<h3>Misses by condition and group</h3>", text, page.table(header, rows)]


def _speaker_table(operating: Sequence[OperatingResult]) -> list[str]:
    """Return misses of the mean speaker and of those who are missed most, when enough are known."""
    found = [(entry.name, entry.speakers) for entry in operating if entry.speakers]
    if not found:
        return []
    rows = [(name, f"{100 * each.mean:.1f} %", f"{100 * each.worst:.1f} %") for name, each in found]
    text = f"<p class=dim>Miss rates of {found[0][1].num_speakers} speakers, each of whom counts as much.</p>"
    header = ("operating point", "mean speaker", "the tenth missed most")
    return ["<h3>Misses by speaker</h3>", text, page.table(header, rows)]


def _legend(kind: str) -> str:
    end = "The dotted line is the end of the phrase. " if kind in ("hit", "miss") else ""
    fired = "The orange line is where it fired." if kind in ("hit", "false accept") else ""
    return end + fired


def _example(example: Example, threshold: float) -> str:
    """Return picture, player and words of one example."""
    waveform = _stretch(example)
    picture = _pictures().timeline(example, waveform, threshold)
    entry = example.utterance
    place = "" if example.kind in ("hit", "miss") else f", at {entry.offset_s + example.start_s:.1f} s"
    said = f" “{escape(entry.text)}”" if entry.text else ""
    delay = ""
    if example.fired_s is not None and example.speech_end_s is not None:
        delay = f", fired {_signed(example.fired_s - example.speech_end_s)} the end of the phrase"
    name = escape(normalize(entry.item_id))
    caption = f"highest score {example.peak:.3f}{delay}{said}<br><small>{name}{place}</small>"
    return (
        f"<figure>{page.image(picture, f'{example.kind}: score and spectrogram')}"
        f"<audio controls preload=metadata src='data:audio/wav;base64,{_wav(waveform)}'></audio>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _provenance(result: EvaluationResult) -> str:
    rows = [(key.replace("_", " "), str(value)) for key, value in result.provenance.items()]
    return f"<h2>Where the numbers come from</h2>{page.table((), rows, 'facts')}"


def _pictures() -> ModuleType:
    """Import the module that needs matplotlib."""
    try:
        from kws.evaluation import pictures
    except ImportError as error:
        raise DependencyError(f'the report needs {error.name}: `pip install "kws[train]"`') from error
    return pictures
