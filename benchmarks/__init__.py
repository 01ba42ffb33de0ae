"""Commands that measure what RESULTS.md states."""
