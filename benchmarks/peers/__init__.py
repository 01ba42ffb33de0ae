"""Detectors of others, for ``peer: benchmarks.peers.MODULE:FUNCTION`` in a study."""
