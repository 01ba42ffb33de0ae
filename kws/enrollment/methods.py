"""Names of the ways in which ``kws enroll`` finds a phrase."""

from __future__ import annotations

PHONES = "phones"
"""Its phones one after the other."""
EXAMPLES = "examples"
"""A layer fitted to recordings and synthetic voices, and its phones beside it."""
ATTRIBUTES = "attributes"
"""The attributes of its phones in a window as a whole."""
WORDS = "words"
"""A combination of known words that are like it."""
METHODS = (PHONES, EXAMPLES, ATTRIBUTES, WORDS)
TEXT_ALONE = (ATTRIBUTES, WORDS)
"""Those that take no recordings, and whose threshold needs speech without the phrase."""
