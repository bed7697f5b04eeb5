"""The nearest known pixels of every pixel to its left, right, top and bottom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, kernel

FAR = np.float32(1e9)  # "there is none"


@dataclass(frozen=True)
class Neighbours:
    """Known values in the four directions.

    Attributes:
        values: Value of the nearest known pixel; left, right, top, bottom  # [4, H, W]
        distances: How many pixels away it is, ``FAR`` if there is none  # [4, H, W]
    """

    values: NDArray[np.float32]
    distances: NDArray[np.float32]

    @property
    def found(self) -> NDArray[np.float32]:
        """Number of directions with a known pixel  # [H, W]"""
        return (self.distances < FAR).sum(axis=0).astype(np.float32)

    @property
    def gap(self) -> NDArray[np.float32]:
        """Pixels between two known ones of a row or column, the lesser of both; at least ``FAR`` if no pair is complete."""
        distances = self.distances
        return np.minimum(distances[0] + distances[1], distances[2] + distances[3])

    def mean(self, fallback: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean of all directions, weighted by the inverse square of the distance; ``fallback`` where there is none  # [H, W]"""
        weights = np.where(self.distances < FAR, 1 / np.maximum(self.distances, 0.5) ** 2, 0)
        return _weighted(self.values, weights, fallback)

    def across(self, fallback: NDArray[np.float32]) -> NDArray[np.float32]:
        """On the line between the two known pixels of a row or a column, whichever are closer together.

        Args:
            fallback: Taken where the chosen line has no known pixel; one with a single one takes its value  # [H, W]

        Returns:
            # [H, W]
        """
        distances = self.distances
        weights = np.where(distances < FAR, 1 / np.maximum(distances, 0.5), 0)
        row = _weighted(self.values[:2], weights[:2], fallback)
        column = _weighted(self.values[2:], weights[2:], fallback)
        closer = np.minimum(distances[0] + distances[1], FAR) < np.minimum(distances[2] + distances[3], FAR)
        return np.where(closer, row, column)


def find_neighbours(values: NDArray[np.float32], known: NDArray[np.bool_], *, own: bool = True) -> Neighbours:
    """Looks from every pixel in four directions.

    Args:
        values: Read where known  # [H, W]
        known: # [H, W]
        own: Whether a known pixel is its own neighbour at distance 0; if not, it sees the next one.
    """
    found = np.zeros((4, *known.shape), dtype=np.float32)
    distances = np.full((4, *known.shape), FAR, dtype=np.float32)
    for reverse in (False, True):
        step = slice(None, None, -1) if reverse else slice(None)
        _along_rows(values[:, step], known[:, step], own, found[0 + reverse][:, step], distances[0 + reverse][:, step])
        _down_columns(values[step], known[step], own, found[2 + reverse][step], distances[2 + reverse][step])
    return Neighbours(found, distances)


def _weighted(values: NDArray[np.float32], weights: NDArray[np.float32], fallback: NDArray[np.float32]) -> NDArray[np.float32]:
    total = weights.sum(axis=0)
    return np.where(total > 0, (weights * values).sum(axis=0) / np.where(total > 0, total, 1), fallback).astype(np.float32)


@kernel(EXACT)
def _along_rows(values, known, own, found, distances):
    """The last known pixel before each one of a row; with ``own`` the pixel itself counts."""
    height, width = known.shape
    for y in range(height):
        last, steps = np.float32(0), FAR
        for x in range(width):
            steps += np.float32(1)
            if own and known[y, x]:
                last, steps = values[y, x], np.float32(0)
            found[y, x], distances[y, x] = last, min(steps, FAR)
            if known[y, x]:
                last, steps = values[y, x], np.float32(0)


@kernel(EXACT)
def _down_columns(values, known, own, found, distances):
    """The same down each column, row by row."""
    height, width = known.shape
    last, steps = np.zeros(width, np.float32), np.full(width, FAR, np.float32)
    for y in range(height):
        for x in range(width):
            steps[x] += np.float32(1)
            if own and known[y, x]:
                last[x], steps[x] = values[y, x], np.float32(0)
            found[y, x], distances[y, x] = last[x], min(steps[x], FAR)
            if known[y, x]:
                last[x], steps[x] = values[y, x], np.float32(0)
