"""Random generators that depend only on what they are for: order, workers and restarts change no draw.

Called by every stage of data preparation that draws. Python's ``hash()`` would differ between runs.
"""

from __future__ import annotations

import hashlib
import json
import operator

import numpy as np


def stable_rng(*parts: str | int) -> np.random.Generator:
    """Return a generator seeded by a stable hash of ``parts``.

    Args:
        parts: what the draw is for, such as ``seed, "augment", item_id, epoch``; their boundaries count.
    Raises:
        TypeError: a part is neither text nor a whole number (others may print differently elsewhere).
    """
    names = [part if isinstance(part, str) else operator.index(part) for part in parts]
    digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
