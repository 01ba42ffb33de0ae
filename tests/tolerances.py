"""Largest allowed differences, in one place; tests use these names and no numbers of their own."""

from __future__ import annotations

CPU_REFACTOR = 0.0
"""The same arithmetic, written another way, on one processor."""

PADDED = 1e-5
"""A row in a padded batch against the row alone."""

STREAMING = 1e-5
"""A stream in pieces against the whole."""

ONNX = 1e-4
"""The exported float32 graph against torch; detections are identical."""

GPU = 1e-3
"""GPU against CPU, with TF32 off."""

BROWSER = 1e-3
"""The exported file in a browser against Python; detections are identical."""
