"""Frames brought to the size of a training batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scene_depth.datasets.frames.frame import DepthFrame
from scene_depth.datasets.frames.resize import cropped_frame, mirrored_frame, resized_frame
from scene_depth.datasets.streams.stream import FrameStream
from scene_depth.errors import InputError

LEAST_VALID = 0.005
ATTEMPTS = 16


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
