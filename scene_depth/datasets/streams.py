"""Endless rows of training frames from procedural worlds and from data sets on disk, each frame by (seed, index)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from scene_depth.datasets.frames import LAYOUTS, DepthFrame, FrameSource, find_frames
from scene_depth.datasets.frames.resize import cropped_frame, mirrored_frame, resized_frame
from scene_depth.errors import InputError
from scene_depth.options import split_options
from scene_depth.registry import Registry

FRAME_STREAMS = Registry(
    "frame stream",
    "scene_depth.frame_streams",
    {name: f"{find.__module__}:{find.__name__}" for name, (find, _) in LAYOUTS.items()},
    arguments=0,
)
"""Where frames come from, by name: a function that takes options (``path`` among them, where frames are read from files) and
gives a list of ``FrameSource``. The layouts of data sets on disk are built in; the generator of worlds registers "procedural"."""
PROCEDURAL = "procedural"
LEAST_VALID = 0.005
ATTEMPTS = 16


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


@dataclass(frozen=True)
class SourceConfig:
    """One source of frames.

    Attributes:
        layout: "auto" or a name of ``frames.LAYOUTS`` ("hypersim", "vkitti2", "kitti-tree", "nyu-scenes", ...) for a data set on
            disk; or any other name of ``FRAME_STREAMS``, such as "procedural", or ``module:function`` or ``file.py:function``.
        path: Folder of the data set.
        split: "train", "val" or "test" where the layout has splits; "" for what is for evaluation.
        weight: Share among several sources.
        limit: Take only the first frames; 0 takes all.
        options: Parameters of the stream, such as ``count``, ``seed``, ``width`` and ``height`` of "procedural".
    """

    layout: str = PROCEDURAL
    path: str = ""
    split: str = "train"
    weight: float = 1.0
    limit: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name, _ = split_options(self.layout)
        if ":" not in name and name not in (accepted := ("auto", PROCEDURAL, *FRAME_STREAMS.names())):
            raise InputError("layout", repr(name), f"one of {', '.join(dict.fromkeys(accepted))}, or module:function")
        if not self.weight > 0:
            raise InputError("weight", self.weight, "a number above 0")
        if self.limit < 0:
            raise InputError("limit", self.limit, "0 or more")

    def frames(self) -> list[FrameSource]:
        """The frames, not loaded.

        Raises:
            InputError: If the folder is missing or holds none, or the stream is not installed or does not take the options.
        """
        if self.layout == "auto" or self.layout in LAYOUTS:
            if not self.path:
                raise InputError("path", "none", f"the folder of the {self.layout} data set")
            if self.options:
                raise InputError("options", ", ".join(self.options), f"none, the {self.layout} data set takes no options")
            found = find_frames(self.path, self.layout, self.split or None)
        else:
            if split_options(self.layout)[0] == PROCEDURAL and PROCEDURAL not in FRAME_STREAMS.names():
                raise InputError(
                    "layout", "'procedural', which is not installed", "the package scene_depth_synthetic, or a data set"
                )
            options = ({"path": self.path} if self.path else {}) | dict(self.options)
            found = list(FRAME_STREAMS.load(self.layout, **options))
        return found[: self.limit] if self.limit else found


def procedural_source(**options: Any) -> SourceConfig:
    """The source "procedural" with these options (``scene_depth_synthetic.stream.procedural_frames`` lists them)."""
    return SourceConfig(layout=PROCEDURAL, options=options)


@dataclass(frozen=True)
class ViewConfig:
    """How a frame becomes a training example.

    Attributes:
        width, height: Size of the example.
        scale: Factor of the frame's size before the crop; 0 for the smallest at which it still covers the example.
        anchor: Where the window lies: "random", "center", or "bottom" (lowest rows, centre columns: LiDAR sees no sky).
        mirror: Exchange left and right in half of the examples.
    """

    width: int = 320
    height: int = 240
    scale: float = 0.0
    anchor: Literal["random", "center", "bottom"] = "random"
    mirror: bool = True

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 8:
            raise InputError("width, height", f"{self.width} x {self.height}", "at least 8 pixels each")
        if not 0 <= self.scale <= 1:
            raise InputError("scale", self.scale, "0 to 1")


def open_stream(sources: Sequence[SourceConfig]) -> FrameStream:
    """The stream of one or several sources.

    Raises:
        InputError: If there is none, or one cannot be opened.
    """
    if not sources:
        raise InputError("data", "no source", "at least one")
    streams = tuple(ShuffledStream(source.frames()) for source in sources)
    return streams[0] if len(streams) == 1 else MixedStream(streams, tuple(source.weight for source in sources))


def drawn_view(stream: FrameStream, seed: int, index: int, config: ViewConfig, rng: np.random.Generator) -> DepthFrame:
    """A training view at a place of a stream.

    Views with hardly any valid depth, which real data sets hold now and then, are replaced by others drawn from the same seed.

    Args:
        stream: Where frames come from.
        seed, index: As in ``FrameStream.sample``.
        config: What to make of a frame.
        rng: As in ``training_view``.

    Raises:
        InputError: If a frame is too small, or none of several has valid depth.
    """
    for attempt in range(ATTEMPTS):
        view = training_view(stream.sample(seed + attempt, index), config, rng)
        if view.valid.mean() >= LEAST_VALID:
            return view
    raise InputError("data", f"{ATTEMPTS} frames without valid depth", f"frames with depth in {LEAST_VALID:.1%} of the pixels")


def training_view(frame: DepthFrame, config: ViewConfig, rng: np.random.Generator | None) -> DepthFrame:
    """The frame resized, cropped and perhaps mirrored.

    Args:
        frame: Any frame that is at least as large as the example.
        config: What to make of it.
        rng: Draws window and mirroring; None takes the centre and does not mirror, for validation.

    Raises:
        InputError: If the frame is too small.
    """
    height, width = frame.truth.shape
    scale = config.scale or max(config.width / width, config.height / height)
    new_width, new_height = round(width * scale), round(height * scale)
    if scale > 1 or new_width < config.width or new_height < config.height:
        found = f"{frame.name} of {width} x {height} pixels"
        raise InputError(
            "view", found, f"frames that cover {config.width} x {config.height} pixels at scale {config.scale or 1:g}"
        )
    small = resized_frame(frame, new_width, new_height)
    spare_x, spare_y = new_width - config.width, new_height - config.height
    left, top = spare_x // 2, spare_y if config.anchor == "bottom" else spare_y // 2
    if config.anchor == "random" and rng is not None:
        left, top = int(rng.integers(spare_x + 1)), int(rng.integers(spare_y + 1))
    window = cropped_frame(small, left, top, config.width, config.height)
    return mirrored_frame(window) if config.mirror and rng is not None and rng.random() < 0.5 else window


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
