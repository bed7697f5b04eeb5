"""Input of a depth inpainter, checked and brought into one form before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scene_depth.arrays import Array, Mask
from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.work import Work

DEPTH_RANGE = (1e-12, 1e12)  # squares and inverse squares still fit into float32
COLOR_TOLERANCE = 1e-3  # resampled pictures overshoot a little


@dataclass(frozen=True)
class InpaintingInput:
    """One view, ready for an inpainter.

    Attributes:
        rgb: sRGB in [0, 1], or None  # [H, W, 3]
        depth: z-depth in a floating type, 0 at unknown pixels  # [H, W]
        known: Pixels with usable depth  # [H, W]
        camera: One camera of this size, or None.
        notes: What was changed, in words.
        work: Who is told how far a model is that takes long.
    """

    rgb: NDArray[np.float32] | None
    depth: Array
    known: Mask
    camera: Cameras | None
    notes: list[str] = field(default_factory=list)
    work: Work = field(default_factory=Work)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.known.shape[0], self.known.shape[1]


def check_input(
    rgb: ArrayLike | None, depth: ArrayLike, known: ArrayLike | None = None, camera: Cameras | None = None
) -> InpaintingInput:
    """Checks one view and says what each unusual input means.

    - Integer depth becomes the smallest floating type that holds every value: float32 for 8 and 16 bits, else float64.
      float16, float32 and float64 stay as they are.
    - Depth that is NaN, infinite, zero or negative is unknown, also where the mask calls it known (noted).
    - A mask is bool, or a number type with the values 0 and one other of 1 and 255.
    - uint8 and uint16 pictures are divided by their largest value.

    Args:
        rgb: Picture, floating in [0, 1] or unsigned integer, or None  # [H, W, 3]
        depth: z-depth in any unit  # [H, W]
        known: True = measured; by default wherever depth is finite and positive  # [H, W]
        camera: One camera of the same size, or None.

    Raises:
        InputError: If an array is empty or of the wrong shape or type, sizes differ, a mask has other values, a colour
            is out of range, known depth spans more than floats can square, or nothing is known.
    """
    checked, notes = _depth(depth), list[str]()
    usable = np.isfinite(checked) & (checked > 0)
    if known is None:
        mask = usable
    else:
        mask = _mask(known, checked.shape)
        useless = int((mask & ~usable).sum())
        if useless:
            notes.append(f"{useless} pixels marked known have no finite positive depth and were predicted")
        mask &= usable
    if not mask.any():
        raise InputError("known", "no pixel with known depth", "at least one known pixel with finite positive depth")
    lowest, highest = float(checked[mask].min()), float(checked[mask].max())
    if lowest < DEPTH_RANGE[0] or highest > DEPTH_RANGE[1]:
        raise InputError("depth", f"known values from {lowest:.3g} to {highest:.3g}", "values from 1e-12 to 1e12, in any unit")
    checked[~mask] = 0
    if camera is not None and (len(camera) != 1 or (camera.height, camera.width) != checked.shape):
        found = f"{len(camera)} cameras of {camera.width} x {camera.height}"
        raise InputError("camera", found, f"one camera of the depth's size, {checked.shape[1]} x {checked.shape[0]}")
    return InpaintingInput(_picture(rgb, checked.shape), checked, mask, camera, notes)


def _depth(depth: ArrayLike) -> Array:
    """A fresh, contiguous floating copy."""
    values = np.asarray(depth)
    if values.ndim != 2 or values.size == 0:
        raise InputError("depth", f"shape {values.shape}", "a two-dimensional array (H, W) with at least one pixel")
    if values.dtype.kind in "iu":
        target = np.float32 if values.dtype.itemsize <= 2 else np.float64
        return values.astype(target)
    if values.dtype.kind != "f" or values.dtype.itemsize > 8:
        raise InputError("depth", f"type {values.dtype}", "float16, float32, float64 or integers")
    return np.array(values, dtype=values.dtype.newbyteorder("="), order="C")


def _mask(known: ArrayLike, shape: tuple[int, ...]) -> Mask:
    values: NDArray[Any] = np.asarray(known)
    if values.shape != shape:
        raise InputError("known", f"shape {values.shape}", f"{shape}, the shape of the depth")
    if values.dtype == bool:
        return values.astype(bool)
    if values.dtype.kind not in "iuf":
        raise InputError("known", f"type {values.dtype}", "bool, or numbers with the values 0 and 1 or 0 and 255")
    present = np.unique(values)
    if not (np.isin(present, (0, 1)).all() or np.isin(present, (0, 255)).all()):
        some = ", ".join(f"{value:g}" for value in present[:5]) + (", ..." if len(present) > 5 else "")
        raise InputError(
            "known", f"{len(present)} values: {some}", "bool, or the values 0 and 1 or 0 and 255; threshold soft masks first"
        )
    return values > 0


def _picture(rgb: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    if rgb is None:
        return None
    values: NDArray[Any] = np.asarray(rgb)
    if values.ndim != 3 or values.shape[2] != 3:
        raise InputError("rgb", f"shape {values.shape}", "(H, W, 3)")
    if values.shape[:2] != shape:
        raise InputError(
            "rgb",
            f"{values.shape[1]} x {values.shape[0]} pixels",
            f"{shape[1]} x {shape[0]}, the size of the depth; resize the picture, never sparse depth",
        )
    if values.dtype in (np.uint8, np.uint16):
        scaled: NDArray[np.float32] = (values / np.float32(np.iinfo(values.dtype).max)).astype(np.float32, copy=False)
        return scaled
    if values.dtype.kind != "f":
        raise InputError("rgb", f"type {values.dtype}", "floating in [0, 1], uint8 or uint16")
    if not np.isfinite(values).all() or values.min() < -COLOR_TOLERANCE or values.max() > 1 + COLOR_TOLERANCE:
        finite = values[np.isfinite(values)]
        found = f"values from {finite.min():g} to {finite.max():g}" if finite.size else "no finite value"
        raise InputError("rgb", found + ("" if finite.size == values.size else " and not finite ones"), "finite values in [0, 1]")
    clipped: NDArray[np.float32] = np.clip(values, 0, 1).astype(np.float32, copy=False)
    return clipped


def check_least(**options: tuple[int | None, int]) -> None:
    """Refuses numbers that make no sense, before weights are read; None stands for a default.

    Args:
        options: By its name the value of each option and the least that it may be.

    Raises:
        InputError: If one is below that.
    """
    for name, (value, least) in options.items():
        if value is not None and value < least:
            raise InputError(name, value, f"at least {least}")
