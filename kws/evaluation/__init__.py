"""Misses, false accepts and latency of a model on recordings, with a report."""
