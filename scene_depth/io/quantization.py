"""What the packed splat formats share: bytes for opacities and colours, quaternions by their three smallest components."""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.kernels import EXACT, kernel
from scene_depth.splats import PARAMETERS, GaussianSplats

Floats = NDArray[np.float32]
ROWS = 1 << 14  # splats that are decoded at a time


def check_packable(splats: GaussianSplats, path: str | os.PathLike[str]) -> None:
    """Checks that splats can be written in a quantised format at all.

    Infinite opacities and scales of minus infinity have a nearest value in such formats, so they are accepted.

    Raises:
        InputError: If there are no splats, a value is NaN, a centre, quaternion, colour or size is infinite, or a
            quaternion is zero.
    """
    if len(splats) == 0:
        raise InputError("splats", "none", "one or more, as readers of this format refuse an empty file", file=path)
    for name, values in arrays_of(splats).items():
        if np.isfinite(values).all():
            continue
        bad = np.isnan(values) if name in ("logit_opacities", "log_scales") else ~np.isfinite(values)
        if name == "log_scales":
            bad |= values == np.inf
        if count := int(bad.reshape(len(splats), -1).any(axis=1).sum()):
            accepted = "finite numbers (scene-depth inspect FILE --fix OUT repairs a file)"
            raise InputError(name, f"NaN or infinity in {count} of {len(splats)} splats", accepted, file=path)
    if count := int((splats.quats.abs().amax(1) == 0).sum()):
        raise InputError("quats", f"zero in {count} of {len(splats)} splats", "quaternions of any length but zero", file=path)


def arrays_of(splats: GaussianSplats) -> dict[str, Floats]:
    """The parameters as float32 arrays."""
    return {name: getattr(splats, name).detach().to("cpu", torch.float32).numpy() for name in PARAMETERS}


def splats_of(
    means: NDArray[Any], quats: NDArray[Any], log_scales: NDArray[Any], logit_opacities: NDArray[Any], sh: NDArray[Any]
) -> GaussianSplats:
    """float32 splats of arrays."""
    means_t, quats_t, log_scales_t, logits_t, sh_t = (
        torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in (means, quats, log_scales, logit_opacities, sh)
    )
    return GaussianSplats(means_t, quats_t, log_scales_t, logits_t, sh_t)


def to_bytes(values: NDArray[Any], steps: int = 255) -> NDArray[np.int64]:
    """Nearest of 0 to ``steps`` for values in [0, 1]; what is outside goes to the nearer end."""
    return np.clip(np.floor(values.astype(np.float64) * steps + 0.5), 0, steps).astype(np.int64)


@dataclass(frozen=True)
class Steps:
    """How numbers become bytes: floor((value factor + shift) steps + half) step + middle, cut off at 0 and 255."""

    factor: float = 1.0
    shift: float = 0.0
    steps: float = 1.0
    half: float = 0.5
    step: float = 1.0
    middle: float = 0.0

    def bytes_of(self, values: Floats) -> NDArray[np.uint8]:
        """Bytes, computed in double precision  # [N, M]"""
        found = np.empty(values.shape, np.uint8)
        _quantize(values, *(float(number) for number in astuple(self)), found)
        return found


@kernel(EXACT)
def _quantize(
    values: Floats, factor: float, shift: float, steps: float, half: float, step: float, middle: float, found: NDArray[np.uint8]
) -> None:
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            level = np.floor((np.float64(values[i, j]) * factor + shift) * steps + half) * step + middle
            found[i, j] = np.uint8(min(max(level, 0.0), 255.0))


def fill_by_table(values: Floats, stored: NDArray[np.uint8], table: Floats, *, by_channel: bool = False) -> None:
    """Fills coefficients from bytes, some rows at a time, so that no second copy of them is needed.

    Args:
        values: What is filled  # [N, coefficients, 3]
        stored: Bytes  # [N, 3 * coefficients]
        table: Value of each byte  # [256]
        by_channel: Whether all coefficients of a channel stand together, or the channels of each coefficient.
    """
    for start in range(0, len(values), ROWS):
        rows = slice(start, start + ROWS)
        found = table[stored[rows]]
        shape = (len(found), values.shape[2], values.shape[1]) if by_channel else (len(found), *values.shape[1:])
        values[rows] = found.reshape(shape).transpose(0, 2, 1) if by_channel else found.reshape(shape)


def opacity_bytes(logits: Floats) -> NDArray[np.int64]:
    """Opacities as bytes."""
    return to_bytes(torch.from_numpy(logits).double().sigmoid().numpy())


def opacity_logits(values: NDArray[Any]) -> Floats:
    """Opacities of bytes before the sigmoid.

    A byte stands for an interval of one step. Those of 0 and 255 are half as wide and end at 0 and 1, which no finite
    logit reaches: they are decoded to their middle, a quarter of a step inside.
    """
    opacity = np.clip(np.asarray(values, np.float64), 0.25, 254.75) / 255
    return np.log(opacity / (1 - opacity)).astype(np.float32)


def split_largest(quats: Floats) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Index of the largest component of unit quaternions, and the other three in order, all with that one positive.

    Args:
        quats: Quaternions of any length but zero  # [N, 4]

    Returns:
        Index 0 to 3  # [N]
        The others, at most sqrt(1/2) in size  # [N, 3]
    """
    unit = quats.astype(np.float64)
    w, x, y, z = np.abs(unit.T)
    unit /= np.maximum(np.maximum(w, x), np.maximum(y, z))[:, None]  # first, so that tiny and huge ones have a length in float64
    w, x, y, z = unit.T
    unit /= np.sqrt(w * w + x * x + y * y + z * z)[:, None]
    largest = np.abs(unit).argmax(axis=1)
    unit *= np.where(np.take_along_axis(unit, largest[:, None], 1) < 0, -1.0, 1.0)
    return largest, np.take_along_axis(unit, _others(largest), 1)


def join_largest(largest: NDArray[Any], three: NDArray[Any]) -> Floats:
    """Unit quaternions of the index and the three components that ``split_largest`` gives  # [N, 4]"""
    quats = np.empty((len(three), 4), np.float32)
    rest = np.sqrt(np.maximum(0.0, 1.0 - (three.astype(np.float64) ** 2).sum(axis=1)))
    np.put_along_axis(quats, _others(largest), three.astype(np.float32), 1)
    np.put_along_axis(quats, largest[:, None].astype(np.int64), rest[:, None].astype(np.float32), 1)
    return quats


def _others(largest: NDArray[Any]) -> NDArray[np.int64]:
    """Indices of the components that are not the largest, in order  # [N, 3]"""
    order = np.arange(3, dtype=np.int64)
    return order + (order >= largest[:, None])
