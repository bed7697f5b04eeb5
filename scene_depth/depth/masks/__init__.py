"""Masks for training and test, each by seed. Everywhere True = known, False = to be predicted."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.depth.masks.content import instances, segment, sensor_failures
from scene_depth.depth.masks.drawn import (
    circles,
    half_image,
    lidar_lines,
    mixture,
    patches,
    random_points,
    random_share,
    rectangle,
    silhouette,
    sparse_points,
    squares,
    strokes,
    training_mask,
)
from scene_depth.errors import InputError

__all__ = [
    "MASKS",
    "MaskFunction",
    "circles",
    "half_image",
    "instances",
    "known_mask",
    "lidar_lines",
    "mask_seed",
    "mixture",
    "patches",
    "random_points",
    "random_share",
    "rectangle",
    "segment",
    "sensor_failures",
    "silhouette",
    "sparse_points",
    "squares",
    "strokes",
    "training_mask",
]

MaskFunction = Callable[["Picture | None", "Array", int, "Cameras | None"], "Mask"]  # (rgb, depth, seed, camera) -> known

_ATTEMPTS = 50


def _by_shape(function: Callable[..., Mask], **parameters: float) -> MaskFunction:
    return lambda rgb, depth, seed, camera: function(depth.shape, seed, **parameters)


def _points(count: int) -> MaskFunction:
    return lambda rgb, depth, seed, camera: random_points(depth.shape, seed, count, valid=_valid(depth))


def _lidar(beams: int) -> MaskFunction:
    return lambda rgb, depth, seed, camera: lidar_lines(depth.shape, seed, beams, camera)


MASKS: Mapping[str, MaskFunction] = MappingProxyType(
    {
        **{f"rand{share}": _by_shape(random_share, share=share / 100) for share in (2, 5, 10, 30, 50)},
        **{f"points{count}": _points(count) for count in (1, 5, 50, 150, 500, 1500)},
        **{f"lidar{beams}": _lidar(beams) for beams in (4, 8, 16, 32, 64)},
        "patch5": _by_shape(patches, share=0.05),
        "patch30": _by_shape(patches, share=0.3),
        "silhouette": _by_shape(silhouette),
        "segment": lambda rgb, depth, seed, camera: segment(depth, seed),
        "rect": _by_shape(rectangle),
        "outpaint": _by_shape(half_image),
        "sensor": lambda rgb, depth, seed, camera: sensor_failures(rgb, depth, seed),
        "strokes": _by_shape(strokes),
        "circles": _by_shape(circles),
        "squares": _by_shape(squares),
        "mixture": _by_shape(mixture),
        "sparse": _by_shape(sparse_points),
    }
)
"""Every strategy by its name in the protocols."""


def check_masks(names: Sequence[str], *, field: str = "masks", also: Sequence[str] = ()) -> None:
    """Checks a configuration's list of strategies.

    Args:
        names: What was chosen.
        field: What the list is called there.
        also: Names of strategies beside ``MASKS``.

    Raises:
        InputError: If there is none, or one is unknown.
    """
    unknown = [name for name in names if name not in MASKS and name not in also]
    if unknown or not names:
        raise InputError(field, repr(unknown[0]) if unknown else "none", f"one or more of {', '.join((*also, *MASKS))}")


def known_mask(
    name: str, depth: Array, seed: int, *, rgb: NDArray[np.float32] | None = None, camera: Cameras | None = None
) -> Mask:
    """The known pixels of a frame with truth under a named strategy: the mask, where the truth is valid.

    A mask that leaves no valid pixel known (patches that fall into the sky of a LiDAR frame) is drawn again with the
    next seed derived from this one.

    Args:
        name: A name of ``MASKS``.
        depth: True z-depth, 0 or not finite = invalid  # [H, W]
        seed: Seed; ``mask_seed`` makes one from names.
        rgb: sRGB in [0, 1], read by content masks only  # [H, W, 3]
        camera: Read by LiDAR masks only.

    Returns:
        True = known, at least one  # [H, W]

    Raises:
        InputError: If the name is unknown or no pixel of ``depth`` is valid.

    Example:
        >>> import scene_depth as sd
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> known = sd.known_mask("sensor", view.depth(), 0, rgb=view.image())
        >>> bool(0.6 < known.mean() < 0.9)
        True
    """
    if name not in MASKS:
        raise InputError("mask", repr(name), f"one of {', '.join(MASKS)}")
    valid = _valid(depth)
    if not valid.any():
        raise InputError("depth", "no valid pixel", "at least one finite positive value")
    for attempt in range(_ATTEMPTS):
        known = MASKS[name](rgb, depth, seed if attempt == 0 else mask_seed(str(seed), str(attempt)), camera) & valid
        if known.any():
            return known
    raise InputError(
        "depth", f"{int(valid.sum())} valid pixels, none known in {_ATTEMPTS} masks {name!r}", "a frame with more valid depth"
    )


def mask_seed(*names: str) -> int:
    """A seed from names, such as frame and mask, the same on every machine: crc32 of the names joined by a slash."""
    return zlib.crc32("/".join(names).encode())


def _valid(depth: Array) -> Mask:
    valid: Mask = np.isfinite(depth) & (depth > 0)
    return valid
