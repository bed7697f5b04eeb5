"""What each pixel of a pointmap result is: matched by another view, seen by one alone, contradicted, edge, shell, border."""

from __future__ import annotations

FLAG_NAMES = ("matched", "single-view", "contradicted", "edge", "shell", "border", "missing")
"""Meaning of each number in a map of flags."""
MATCHED, SINGLE_VIEW, CONTRADICTED, EDGE, SHELL, BORDER, MISSING = range(7)
