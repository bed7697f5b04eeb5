"""Frames in other sizes: pictures by area average, depth by its own samples, never by interpolation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame
from scene_depth.errors import InputError

DENSE = 0.5
"""From this share of valid pixels on, depth is sampled at pixel centres; sparser depth moves its points."""

Kind = TypeVar("Kind", bound=np.generic)
Floats = NDArray[np.float32]


class _Change(Protocol):
    """What is done to a map of any kind."""

    def __call__(self, array: NDArray[Kind], /) -> NDArray[Kind]: ...


def resized_frame(frame: DepthFrame, width: int, height: int) -> DepthFrame:
    """The frame with another number of pixels.

    Dense depth takes the sample nearest to each new pixel's centre. Sparse depth moves its points; where two meet, the one nearer
    to the camera wins.

    Args:
        frame: Any frame.
        width, height: New size, at most the old one.
    """
    old_height, old_width = frame.truth.shape
    if not (0 < width <= old_width and 0 < height <= old_height):
        raise InputError("size", f"{width} x {height}", f"at least one pixel and at most {old_width} x {old_height}")
    if (height, width) == frame.truth.shape:
        return frame

    def nearest(array: NDArray[Kind]) -> NDArray[Kind]:
        return sampled(array, width, height)

    return _changed(
        frame,
        None if frame.camera is None else frame.camera.resized(width, height),
        nearest,
        depth=lambda depth: resized_depth(depth, width, height),
        picture=lambda rgb: _area_average(rgb, width, height),
    )


def limited_frame(frame: DepthFrame, max_size: int | None) -> DepthFrame:
    """The frame with its longer side at most ``max_size`` pixels; None keeps it."""
    if max_size is not None and max_size < 1:
        raise InputError("max-size", max_size, "at least 1 pixel")
    height, width = frame.truth.shape
    if max_size is None or max(height, width) <= max_size:
        return frame
    factor = max_size / max(height, width)
    return resized_frame(frame, max(1, round(width * factor)), max(1, round(height * factor)))


def cropped_frame(frame: DepthFrame, left: int, top: int, width: int, height: int) -> DepthFrame:
    """A window of the frame, inside it."""
    old_height, old_width = frame.truth.shape
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > old_width or top + height > old_height:
        raise InputError("window", f"{width} x {height} at ({left}, {top})", f"a window inside {old_width} x {old_height}")

    def window(array: NDArray[Kind]) -> NDArray[Kind]:
        result: NDArray[Kind] = array[top : top + height, left : left + width]
        return result

    return _changed(frame, None if frame.camera is None else frame.camera.cropped(left, top, width, height), window)


def mirrored_frame(frame: DepthFrame) -> DepthFrame:
    """The frame with left and right exchanged, as a camera would see the mirrored world."""
    camera = frame.camera
    if camera is not None:
        K = camera.K.clone()
        K[:, 0, 2] = camera.width - K[:, 0, 2]
        camera = Cameras(camera.camera_to_world, K, camera.width, camera.height)

    def mirrored(array: NDArray[Kind]) -> NDArray[Kind]:
        result: NDArray[Kind] = array[:, ::-1].copy()  # torch takes no negative strides
        return result

    return _changed(frame, camera, mirrored)


def resized_depth(depth: Floats, width: int, height: int) -> Floats:
    """Depth on another grid of the same view, 0 = none: samples of dense depth, moved points of sparse depth.

    Args:
        depth: z-depth, 0 = none  # [H, W]
        width, height: New size; may be larger, then every measurement stays one pixel.
    """
    old_height, old_width = depth.shape
    smaller = width <= old_width and height <= old_height
    if smaller and np.count_nonzero(depth) >= DENSE * depth.size:
        return sampled(depth, width, height)
    rows, columns = np.nonzero(depth)
    values = depth[rows, columns]
    target = ((rows + 0.5) * height / old_height).astype(int) * width + ((columns + 0.5) * width / old_width).astype(int)
    moved = np.full(height * width, np.inf, np.float32)
    np.minimum.at(moved, target, values)
    return np.where(np.isfinite(moved), moved, 0).astype(np.float32).reshape(height, width)


def sampled(array: NDArray[Kind], width: int, height: int) -> NDArray[Kind]:
    """The samples nearest to the new pixels' centres  # [height, width, ...]"""
    rows = ((np.arange(height) + 0.5) * array.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * array.shape[1] / width).astype(int)
    result: NDArray[Kind] = array[rows[:, None], columns]
    return result


def _area_average(rgb: Floats, width: int, height: int) -> Floats:
    channels = [Image.fromarray(np.ascontiguousarray(rgb[..., channel])) for channel in range(3)]
    smaller = [np.asarray(channel.resize((width, height), Image.Resampling.BOX)) for channel in channels]
    result: Floats = np.clip(np.stack(smaller, axis=-1), 0.0, 1.0)
    return result


def _changed(
    frame: DepthFrame,
    camera: Cameras | None,
    change: _Change,
    *,
    depth: Callable[[Floats], Floats] | None = None,
    picture: Callable[[Floats], Floats] | None = None,
) -> DepthFrame:
    """The frame with all its maps changed, those of depth and the picture in their own way where one is given."""

    def maybe(array: NDArray[Kind] | None) -> NDArray[Kind] | None:
        return None if array is None else change(array)

    of_depth, of_picture = depth or change, picture or change
    return replace(
        frame,
        truth=of_depth(frame.truth),
        rgb=None if frame.rgb is None else of_picture(frame.rgb),
        camera=camera,
        measured={name: of_depth(values) for name, values in frame.measured.items()},
        object_mask=maybe(frame.object_mask),
        score_mask=maybe(frame.score_mask),
        prior=maybe(frame.prior),
        instances=maybe(frame.instances),
        classes=maybe(frame.classes),
    )
