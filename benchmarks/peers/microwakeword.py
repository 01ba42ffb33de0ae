"""microWakeWord: its own models of four phrases (``pip install pymicro-wakeword``, models in the package)."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from kws.audio import seconds_to_samples
from kws.errors import ConfigError
from kws.studies.peers import PeerRequest
from kws.studies.scoring import TestScores

FEATURE_S = 0.01
"""Time between two features; a model takes some of them at once."""
BLOCK_S = 30.0
"""Audio of the stream given at once."""


def own_model(request: PeerRequest) -> TestScores:
    """Score the test audio with the package's model of the keyword; a peer of a study."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    names = {model.value.replace("_", " "): model for model in Model}
    if request.keyword not in names:
        raise ConfigError(f"peer: microWakeWord has no model of {request.keyword!r}, only {', '.join(names)}")
    model = MicroWakeWord.from_builtin(names[request.keyword])

    def scores(blocks: list[np.ndarray]) -> np.ndarray:
        model.reset()
        features = MicroWakeWordFeatures()
        heard = (each for block in blocks for each in features.process_streaming(block.tobytes()))
        found = [model.process_streaming_prob(each) for each in heard]
        return np.array(found[model.stride - 1 :: model.stride])  # a score for each so many features

    block, stream = seconds_to_samples(BLOCK_S), request.test.negatives
    starts = tqdm(range(0, len(stream), block), request.keyword, disable=None)
    return TestScores(
        {name: [scores([clip]) for clip in clips] for name, clips in request.test.positives.items()},
        scores([stream[start : start + block] for start in starts]),
        FEATURE_S * model.stride,
    )
