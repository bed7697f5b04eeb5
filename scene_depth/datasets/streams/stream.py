"""The protocol of training data: a frame for every (seed, index), whoever asks and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scene_depth.datasets.frames.frame import DepthFrame, FrameSource
from scene_depth.errors import InputError


class FrameStream(Protocol):
    """An endless row of frames. Workers, processes and restarts may ask for any part of it in any order."""

    def __len__(self) -> int:
        """Number of different frames."""
        ...

    def sample(self, seed: int, index: int) -> DepthFrame:
        """The frame at a place of the row.

        Args:
            seed: Seed of the order.
            index: Place in the row, 0 or more.

        Returns:
            Picture, true depth (0 where there is none), what sensors measured, and object numbers where there are any.
        """
        ...


@dataclass(frozen=True)
class ShuffledStream:
    """The frames of a data set, each once an epoch, in another order every epoch.

    Attributes:
        frames: At least one.
    """

    frames: Sequence[FrameSource]

    def __post_init__(self) -> None:
        if not self.frames:
            raise InputError("frames", "none", "at least one")

    def __len__(self) -> int:
        return len(self.frames)

    def sample(self, seed: int, index: int) -> DepthFrame:
        """The frame at a place of the row."""
        return self.frames[shuffled_position(len(self.frames), seed, index)].load()


@dataclass(frozen=True)
class MixedStream:
    """Frames of several streams, drawn with given shares.

    Attributes:
        streams: The streams.
        weights: Positive, of any sum.
    """

    streams: tuple[FrameStream, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.streams) != len(self.weights) or not self.streams or min(self.weights) <= 0:
            raise InputError("weights", self.weights, f"{len(self.streams)} positive numbers")

    def __len__(self) -> int:
        return sum(len(stream) for stream in self.streams)

    def sample(self, seed: int, index: int) -> DepthFrame:
        """The frame at a place of the row."""
        draw = np.random.default_rng((seed, 1, index)).random() * sum(self.weights)
        chosen = min(int(np.searchsorted(np.cumsum(self.weights), draw, side="right")), len(self.streams) - 1)
        return self.streams[chosen].sample(seed, index)


def shuffled_position(count: int, seed: int, index: int) -> int:
    """Place of entry ``index`` of the endless shuffled row of ``count`` things; each comes once in every ``count`` entries.

    A Feistel permutation of the places of an epoch, walked until it lands inside (cycle walking), so that nothing is stored and
    any entry is found at once.
    """
    epoch, place = divmod(index, count)
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    keys = np.random.SeedSequence((seed, epoch)).generate_state(4).tolist()
    while True:
        place = _feistel(place, half, keys)
        if place < count:
            return place


def _feistel(value: int, half: int, keys: list[int]) -> int:
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for key in keys:
        mixed = (right * 0x9E3779B1 + key) & 0xFFFFFFFF
        mixed = ((mixed ^ (mixed >> 15)) * 0x85EBCA77) & 0xFFFFFFFF
        left, right = right, left ^ ((mixed ^ (mixed >> 13)) & mask)
    return (left << half) | right
