"""pocketsphinx: keyphrase search for a typed phrase (``pip install pocketsphinx``, 5.1, its English model).

The search hears the audio once with the keyword listed for each threshold of a ladder. Where a rung hears
it, the score is that of the strictest rung that does, so that the protocol chooses a rung as it chooses
thresholds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kws.audio import SAMPLE_RATE, seconds_to_samples
from kws.studies.peers import PeerRequest
from kws.studies.scoring import TestScores

BLOCK_S = 30.0
"""Audio given to the search at once."""
LADDER = tuple(range(0, 51, 2))
"""Its thresholds: ten to the minus these."""
FRAMES_PER_S = 100


class KeyphraseSearch:
    """pocketsphinx with one word listed once for each threshold of the ladder.

    Args:
        word: in its dictionary; every pronunciation there is listened for.
    """

    def __init__(self, word: str) -> None:
        from pocketsphinx import Config, Decoder, get_model_path

        dictionary = Path(get_model_path("en-us/cmudict-en-us.dict"))
        self.decoder = Decoder(
            Config(hmm=get_model_path("en-us/en-us"), dict=str(dictionary), loglevel="FATAL")
        )
        lines = (line.partition(" ") for line in dictionary.read_text(encoding="utf-8").splitlines())
        spoken = [phones for name, _, phones in lines if name.split("(")[0] == word]
        self.names = [f"{word}@{exponent}" for exponent in LADDER]
        for name in self.names:
            for number, phones in enumerate(spoken, start=1):
                self.decoder.add_word(name if number == 1 else f"{name}({number})", phones, True)
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "keyphrases"
            entries = zip(self.names, LADDER, strict=True)
            listed.write_text("".join(f"{name} /1e-{exponent}/\n" for name, exponent in entries), "utf-8")
            self.decoder.add_kws("ladder", str(listed))
        self.decoder.activate_search("ladder")

    def times(self, samples: np.ndarray) -> dict[str, list[float]]:
        """Return when each rung of the ladder heard the word in int16 audio, in seconds."""
        self.decoder.start_utt()
        self.decoder.process_raw(samples.tobytes(), full_utt=False)
        self.decoder.end_utt()
        found: dict[str, list[float]] = {name: [] for name in self.names}
        for segment in self.decoder.seg() or ():
            found[segment.word.strip().split("(")[0]].append(segment.end_frame / FRAMES_PER_S)
        return found

    def scores(self, samples: np.ndarray) -> np.ndarray:
        """Return (frames,) scores of int16 audio: of the strictest rung that heard the word in each."""
        found = np.zeros(max(1, len(samples) * FRAMES_PER_S // SAMPLE_RATE))
        for rung, times in enumerate(self.times(samples).values()):
            for time in times:
                frame = min(len(found) - 1, round(time * FRAMES_PER_S))
                found[frame] = max(found[frame], rung_score(rung))
        return found


def rung_score(rung: int) -> float:
    """Return the score of a rung of the ladder; the first is the strictest."""
    return 1.0 - (rung + 1) / (len(LADDER) + 1)


def keyphrase_search(request: PeerRequest) -> TestScores:
    """Search the test audio for the typed keyword; a peer of a study."""
    search = KeyphraseSearch(request.keyword)
    block, stream = seconds_to_samples(BLOCK_S), request.test.negatives
    starts = tqdm(range(0, len(stream), block), request.keyword, disable=None)
    return TestScores(
        {name: [search.scores(clip) for clip in clips] for name, clips in request.test.positives.items()},
        np.concatenate([search.scores(stream[start : start + block]) for start in starts]),
        1 / FRAMES_PER_S,
    )
