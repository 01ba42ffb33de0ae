"""Commands that measure what docs/results states."""
