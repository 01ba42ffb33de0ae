"""A wake word from its text, found in a stream of synthetic voices; what ``kws quickstart`` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kws.workflows import folders
from kws.workflows.notices import quiet_libraries
from kws.workflows.written_files import QUICKSTART

if TYPE_CHECKING:
    import numpy as np

    from kws.decisions import Detection
    from kws.workflows.enroll import Enrolled


STREAM_REPEATS = 8
"""Times that the phrase is spoken in the stream, each by another voice."""


AROUND = 3
"""Recordings of other speech for each time."""


PAUSE_S = 0.8


EARLY_S, LATE_S = 0.5, 1.0
"""A detection so long before the end of the phrase, or after it, is of the phrase."""


AGAIN_S = 2.0
"""A later one up to here is of what is left of it when the next speech begins."""


@dataclass(frozen=True)
class QuickstartResult:
    """What the quickstart made.

    Attributes:
        enrolled: the detector, and what is known of it.
        stream: the recording that it was shown.
        spoken_s: when the phrase ended there, in seconds.
        detections: what the detector heard there.
    """

    enrolled: Enrolled
    stream: Path
    spoken_s: tuple[float, ...]
    detections: tuple[Detection, ...]

    @property
    def model(self) -> Path:
        """The exported detector."""
        return self.enrolled.model

    @property
    def heard(self) -> int:
        """How many times of those that the phrase was said it was heard."""
        return sum(self.detection_of(end_s) is not None for end_s in self.spoken_s)

    @property
    def wrong(self) -> tuple[Detection, ...]:
        """What fired where the phrase was not said."""
        right = [self.detection_of(end_s) for end_s in self.spoken_s]
        return tuple(detection for detection in self.detections if detection not in right)

    def detection_of(self, end_s: float) -> Detection | None:
        """Return the detection of the phrase that ended at a time; None where it was missed."""
        near = (d for d in self.detections if end_s - EARLY_S <= d.time_s <= end_s + LATE_S)
        return next(near, None)

    def is_again(self, detection: Detection) -> bool:
        """Tell whether a wrong detection follows the phrase so soon that it was taken for it once more."""
        return any(end_s < detection.time_s <= end_s + AGAIN_S for end_s in self.spoken_s)

    def lines(self) -> list[str]:
        """Return what was said and heard in the stream, in order of time, and how often."""
        found = []
        for end_s in self.spoken_s:
            detection = self.detection_of(end_s)
            heard = (
                f"heard at {detection.time_s:5.1f} s, score {detection.score:.2f}" if detection else "MISSED"
            )
            found.append((end_s, f"{end_s:5.1f} s  the phrase ends: {heard}"))
        for wrong in self.wrong:
            why = "HEARD AGAIN as the next speech begins" if self.is_again(wrong) else "FIRED on other speech"
            found.append((wrong.time_s, f"{wrong.time_s:5.1f} s  {why}, score {wrong.score:.2f}"))
        again = sum(map(self.is_again, self.wrong))
        counts = (
            f"heard: {self.heard} of {len(self.spoken_s)}; heard again: {again}; fired on other speech: "
            f"{len(self.wrong) - again}"
        )
        return [*(line for _, line in sorted(found)), counts]


@folders.leaves_nothing(QUICKSTART)
@quiet_libraries()
def quickstart(
    keyword: str,
    output: Path,
    *,
    language: str = "en",
    voices: Sequence[str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> QuickstartResult:
    """Enroll a keyword, find it in a stream of synthetic voices, and say what comes next.

    Args:
        keyword: what the device shall wake on.
        output: folder for ``detector/`` (with ``model.onnx``), ``speech/`` and ``stream.wav``.
        language: eSpeak language code of the keyword.
        voices: synthesisers that say the keyword, or voices of them as ``ENGINE:VOICE``; None takes the best
            that are installed.
        seed: of the voices in the stream.
        overwrite: replace what another keyword left in ``output/detector``.
        say: called with each line for the person.
    Raises:
        KwsError: the keyword cannot be spoken, or the folder holds something else.
    """
    from kws.listening import listen
    from kws.workflows.enroll import enroll

    started = time.monotonic()
    folders.claim(output, QUICKSTART)
    say(f"1/3 making a detector of {keyword!r} from its text")
    enrolled = enroll([keyword], output / "detector", language=language, voices=voices, overwrite=overwrite)
    for line in enrolled.lines()[:-1]:
        say(f"    {line}")
    say("2/3 speaking it, among other speech, in synthetic voices that the detector never learnt from")
    stream, spoken_s = write_stream(keyword, output, language, seed, voices)
    say(f"3/3 listening to {stream}")
    detections: list[Detection] = []
    listen(enrolled.model, file=stream, on_detection=detections.append)
    result = QuickstartResult(enrolled, stream, spoken_s, tuple(detections))
    for line in result.lines():
        say(f"    {line}")
    say("    These voices are SYNTHETIC: real people are harder")
    say(f"done in {time.monotonic() - started:.0f} s")
    return result


def write_stream(
    keyword: str, output: Path, language: str, seed: int, voices: Sequence[str] | None = None
) -> tuple[Path, tuple[float, ...]]:
    """Have the keyword said among other speech by voices for tests; also return when it ends, in seconds."""
    from data_prep.synthesis.engines import choose
    from data_prep.synthesis.keyword import SPEECH, synthesize_keyword
    from kws.manifest import read_manifest

    positives, negatives = synthesize_keyword(
        keyword,
        output / "speech",
        STREAM_REPEATS,
        AROUND * STREAM_REPEATS,
        seed,
        splits={"test": 1.0},
        confusable_share=0.0,
        language=language,
        speakers=choose(voices, language).speakers,
        num_workers=2,
    )
    others = [entry.load() for entry in read_manifest(negatives) if entry.label == SPEECH]
    return join_stream([entry.load() for entry in read_manifest(positives)], others, output / "stream.wav")


def join_stream(
    phrases: Sequence[np.ndarray], others: Sequence[np.ndarray], path: Path
) -> tuple[Path, tuple[float, ...]]:
    """Write a recording of phrases with other speech before each; also return when each ends, in seconds.

    Args:
        phrases: (samples,) float32 each, silent at most at their ends.
        others: the same, shared out evenly.
        path: of the recording.
    """
    import numpy as np

    from kws import audio
    from kws.speech_span import TRAINING, speech_span

    pause = np.zeros(audio.seconds_to_samples(PAUSE_S), np.float32)
    pieces, ends = [pause], []
    for index, phrase in enumerate(phrases):
        for other in others[index :: len(phrases)]:
            pieces += [other, pause]
        spoken = phrase[: speech_span(phrase, TRAINING)[1]]
        pieces += [spoken, pause]
        ends.append(sum(map(len, pieces[:-1])) / audio.SAMPLE_RATE)
    audio.save(path, np.concatenate([*pieces, pause]))
    return path, tuple(round(end, 2) for end in ends)
