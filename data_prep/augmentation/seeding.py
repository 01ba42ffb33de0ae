"""Random generators that depend only on what they are for, so that order, workers and restarts change no draw.

Called by every stage of data preparation that draws something; Python's ``hash()`` differs between runs and is not used.
"""

from __future__ import annotations

import hashlib
import json
import operator

import numpy as np


def stable_rng(*parts: str | int) -> np.random.Generator:
    """Return a generator seeded by a stable hash of ``parts``.

    Args:
        parts: what the draw is for, such as ``(seed, "augment", item_id, epoch)``; ``("a", "b")`` differs from ``("ab",)``.
    Raises:
        TypeError: a part is neither text nor a whole number (a float or a path may print differently elsewhere).
    """
    names = [part if isinstance(part, str) else operator.index(part) for part in parts]
    digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
