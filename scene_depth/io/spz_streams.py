"""The six attribute streams of ``.spz``: centres, opacities, base colours, sizes, rotations, higher SH bands."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.quantization import (
    Floats,
    Steps,
    arrays_of,
    fill_by_table,
    join_largest,
    opacity_bytes,
    opacity_logits,
    splats_of,
    split_largest,
)
from scene_depth.splats import GaussianSplats

Bytes = NDArray[np.uint8]
COLOR_STEP = 0.15  # of base colour coefficients: byte / 255 = 0.15 f_dc + 0.5
LOG_SCALE_LOW, LOG_SCALE_STEPS = -10.0, 16.0
LARGEST_FIXED = (1 << 23) - 1
ROTATION_STEPS = 511  # of the three smallest components, sign apart, over sqrt(1/2)
FRACTION_BITS = 12
HIGHER_BANDS: Floats = ((np.arange(256) - 128) / 128).astype(np.float32)


def stream_sizes(count: int, version: int, degree: int) -> list[int]:
    """Bytes of each stream, in their order in the file."""
    position, rotation = (6 if version == 1 else 9), (4 if version >= 3 else 3)
    return [count * size for size in (position, 1, 3, 3, rotation, 3 * ((degree + 1) ** 2 - 1))]


def fraction_bits_for(splats: GaussianSplats, asked: int | None, path: str | os.PathLike[str]) -> int:
    """Binary digits after the point with which all centres fit into 24 bits.

    Raises:
        InputError: If they do not fit with the digits asked for, or with none.
    """
    if asked is not None and asked not in range(24):
        raise InputError("fraction_bits", asked, "0 to 23", file=path)
    farthest = float(splats.means.abs().max())
    fitting = next((bits for bits in range(23, -1, -1) if farthest * (1 << bits) <= LARGEST_FIXED), -1)
    if fitting < (asked or 0):
        accepted = f"at most {LARGEST_FIXED / (1 << (asked or 0)):g}, the range of 24 bits with {asked or 0} after the point"
        raise InputError("means", f"coordinates up to {farthest:g}", accepted, file=path)
    return min(fitting, FRACTION_BITS) if asked is None else asked


def decode_streams(streams: list[Bytes], count: int, version: int, fraction_bits: int, degree: int) -> GaussianSplats:
    """Splats of the six streams."""
    positions, alphas, colors, scales, rotations, rest = streams
    means = positions.view("<f2").astype(np.float32) if version == 1 else _decode_fixed(positions, fraction_bits)
    quats = _decode_three_smallest(rotations) if version >= 3 else _decode_first_three(rotations)
    sh = np.empty((count, (degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = ((colors.astype(np.float64) / 255 - 0.5) / COLOR_STEP).reshape(count, 3)
    fill_by_table(sh[:, 1:], rest.reshape(count, -1), HIGHER_BANDS)
    log_scales = scales.astype(np.float32) / LOG_SCALE_STEPS + LOG_SCALE_LOW
    return splats_of(means.reshape(count, 3), quats, log_scales.reshape(count, 3), opacity_logits(alphas), sh)


def encode_streams(splats: GaussianSplats, version: int, fraction_bits: int, sh_bits: tuple[int, int]) -> list[Bytes]:
    """The six streams of splats, for version 2 and later."""
    arrays = arrays_of(splats)
    count = len(splats)
    sh = arrays["sh"].reshape(count, -1)
    higher = np.concatenate([_encode_sh(sh[:, 3:12], sh_bits[0]), _encode_sh(sh[:, 12:], sh_bits[1])], axis=1)
    return [
        _encode_fixed(arrays["means"], fraction_bits),
        opacity_bytes(arrays["logit_opacities"]).astype(np.uint8),
        Steps(factor=COLOR_STEP, shift=0.5, steps=255).bytes_of(sh[:, :3]).ravel(),
        Steps(shift=-LOG_SCALE_LOW, steps=LOG_SCALE_STEPS).bytes_of(arrays["log_scales"]).ravel(),
        _encode_three_smallest(arrays["quats"]) if version >= 3 else _encode_first_three(arrays["quats"]),
        higher.ravel(),
    ]


def _to_bytes(values: NDArray[np.float64]) -> Bytes:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8).ravel()


def _decode_fixed(data: Bytes, fraction_bits: int) -> Floats:
    """24-bit two's complement, little-endian."""
    low, middle, high = data.reshape(-1, 3).astype(np.int32).T
    unsigned = low | middle << 8 | high << 16
    result: Floats = ((unsigned ^ 0x800000) - 0x800000).astype(np.float32) / np.float32(1 << fraction_bits)
    return result


def _encode_fixed(means: Floats, fraction_bits: int) -> Bytes:
    fixed = np.round(means.astype(np.float64) * (1 << fraction_bits)).astype("<i4")
    return np.ascontiguousarray(fixed.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3]).ravel()


def _decode_three_smallest(data: Bytes) -> Floats:
    """Quaternions w first, of the x y z w in the file; each component is a sign bit and nine bits of size."""
    packed = data.view("<u4")
    fields = packed[:, None] >> np.array([20, 10, 0], np.uint32) & np.uint32(1023)
    size = (fields & np.uint32(511)) * (np.sqrt(0.5) / ROTATION_STEPS)
    xyzw = join_largest(packed >> np.uint32(30), np.where(fields & np.uint32(512), -size, size))
    return np.roll(xyzw, 1, axis=1)


def _encode_three_smallest(quats: Floats) -> Bytes:
    largest, three = split_largest(np.roll(quats, -1, axis=1))
    size = np.floor(np.abs(three) * (ROTATION_STEPS / np.sqrt(0.5)) + 0.5).astype(np.uint32)
    fields = np.where(three < 0, size | np.uint32(512), size)
    packed = largest.astype(np.uint32) << 30 | fields[:, 0] << 20 | fields[:, 1] << 10 | fields[:, 2]
    result: Bytes = packed.astype("<u4").view(np.uint8)
    return result


def _decode_first_three(data: Bytes) -> Floats:
    xyz = data.reshape(-1, 3).astype(np.float32) / np.float32(127.5) - 1
    w = np.sqrt(np.maximum(0, 1 - (xyz * xyz).sum(axis=1, keepdims=True)))
    return np.concatenate([w, xyz], axis=1)


def _encode_first_three(quats: Floats) -> Bytes:
    unit = quats.astype(np.float64) / np.linalg.norm(quats.astype(np.float64), axis=1, keepdims=True)
    unit *= np.where(unit[:, :1] < 0, -1, 1)
    return _to_bytes((unit[:, 1:] + 1) * 127.5)


def _encode_sh(coefficients: Floats, bits: int) -> Bytes:
    """Nearest of 2^bits levels over [-1, 1), so placed that 0 is one of them  # [N, values]"""
    step = 1 << (8 - bits)
    return Steps(factor=128 / step, step=step, middle=128).bytes_of(coefficients)
