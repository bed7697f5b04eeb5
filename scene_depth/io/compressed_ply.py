"""The packed ``.ply`` of PlayCanvas and SuperSplat: 16 bytes a splat, in chunks of 256 with a bounding box each.

Element ``chunk`` has the smallest and largest centre, log scale and base colour of 256 splats; element ``vertex`` packs
every splat into four uint32: centre and log scales with 11, 10 and 11 bits inside the box, the quaternion by its three
smallest components with 10 bits, colour and opacity with 8 bits; the optional element ``sh`` holds the higher bands as
bytes over [-4, 4], channel-major. Files without colours in their chunks (the older form) are read too.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.ply import ANTIALIASED, REST_COUNTS, rest_names, split_comments
from scene_depth.io.ply_header import PlyElement, PlyHeader, header_text, map_rows, read_ply_header
from scene_depth.io.quantization import (
    Floats,
    Steps,
    arrays_of,
    check_packable,
    fill_by_table,
    join_largest,
    opacity_bytes,
    opacity_logits,
    splats_of,
    split_largest,
    to_bytes,
)
from scene_depth.io.scene_notes import note
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats

CHUNK = 256
BOXES = (("", "xyz"), ("scale_", "xyz"), ("", "rgb"))
CHUNK_COLUMNS = tuple(f"{end}_{prefix}{axis}" for prefix, axes in BOXES for end in ("min", "max") for axis in axes)
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
BITS = (11, 10, 11)
LOG_SCALE_LIMIT = 20.0  # beyond it lies infinity, which would take all precision from the chunk
SH_RANGE = 4.0


def is_compressed_ply(header: PlyHeader) -> bool:
    """Whether a .ply file holds packed splats."""
    return header.has("chunk") and header.has("vertex") and PACKED[0] in header.element("vertex").names


def read_compressed_ply(path: str | os.PathLike[str]) -> GaussianSplats:
    """Reads a packed .ply file.

    Raises:
        InputError: If the file cannot be read, is cut short, or is not such a file.
    """
    header = read_ply_header(path)
    _check_header(header)
    chunks, vertices = map_rows(header, "chunk"), map_rows(header, "vertex")
    of = np.arange(len(vertices)) // CHUNK
    means = _in_box(_unpack_11_10_11(vertices["packed_position"]), chunks, of, "", "xyz")
    log_scales = _in_box(_unpack_11_10_11(vertices["packed_scale"]), _with_bounded_sizes(chunks, header), of, "scale_", "xyz")
    color = vertices["packed_color"][:, None] >> np.array([24, 16, 8, 0], np.uint32) & np.uint32(255)
    colors: NDArray[np.floating[Any]] = color[:, :3] / np.float64(255)
    if "min_r" in header.element("chunk").names:
        colors = _in_box(colors, chunks, of, "", "rgb")
    names = header.element("sh").names if header.has("sh") else ()
    sh = np.empty((len(vertices), 1 + len(names) // 3, 3), np.float32)
    sh[:, 0] = (colors - 0.5) / SH_C0
    if names:
        _unpack_sh(map_rows(header, "sh"), names, sh[:, 1:])
    antialiased, comments = split_comments(header.comments)
    quats, logits = _unpack_rotation(vertices["packed_rotation"]), opacity_logits(color[:, 3])
    splats = splats_of(means, quats, log_scales, logits, sh)
    return replace(splats, antialiased=antialiased, comments=comments)


def write_compressed_ply(
    path: str | os.PathLike[str], splats: GaussianSplats, *, inputs: tuple[str | os.PathLike[str], ...] = ()
) -> None:
    """Writes a packed .ply file. Splats are put in Morton order, so that the 256 of a chunk lie close together.

    The precision is 1/2047 (1/1023 for y) of the box of a chunk for centres and log scales, 0.16 degrees a component of
    the rotation, 1/255 of opacity (from 1/255 to 254/255), 1/255 of the chunk's range of base colour, and 1/32 for higher
    bands, cut off at +-4.

    Args:
        path: File to write.
        splats: Splats without NaN; log scales beyond +-20 are cut off.
        inputs: Files that the splats were read from; writing over one of them is refused.

    Raises:
        InputError: If a splat cannot be expressed, or if the file cannot be written.
    """
    check_packable(splats, path)
    arrays = arrays_of(splats)
    order = _morton_order(arrays["means"])
    rest_bytes = _pack_sh(arrays["sh"][:, 1:])[order]  # packed first: a fourth of what would be moved
    arrays["sh"] = arrays["sh"][:, :1]
    arrays = {name: values[order] for name, values in arrays.items()}
    count, chunk_count = len(splats), -(-len(splats) // CHUNK)
    colors = (0.5 + SH_C0 * arrays["sh"][:, 0].astype(np.float64)).astype(np.float32)
    log_scales = np.clip(arrays["log_scales"], -LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
    boxes, units = zip(*(_boxes(values, chunk_count) for values in (arrays["means"], log_scales, colors)), strict=True)
    packed = np.empty((count, 4), "<u4")
    packed[:, 0], packed[:, 2] = _pack_11_10_11(units[0]), _pack_11_10_11(units[1])
    packed[:, 1] = _pack_rotation(arrays["quats"])
    opacity = np.clip(opacity_bytes(arrays["logit_opacities"]), 1, 254)  # other readers make infinite logits of 0 and 255
    red, green, blue = to_bytes(units[2]).T
    packed[:, 3] = red << 24 | green << 16 | blue << 8 | opacity
    rest = rest_names(rest_bytes.shape[1])
    elements = [
        PlyElement("chunk", chunk_count, tuple((name, "f4") for name in CHUNK_COLUMNS)),
        PlyElement("vertex", count, tuple((name, "u4") for name in PACKED)),
    ]
    elements += [PlyElement("sh", count, tuple((name, "u1") for name in rest))] if rest else []
    comments = ((ANTIALIASED,) if splats.antialiased else ()) + splats.comments
    with atomic_path(path, inputs=inputs) as temporary, temporary.open("wb") as file:
        file.write(header_text(comments, elements))
        file.write(np.concatenate(boxes, axis=1).astype("<f4").tobytes())
        file.write(packed.tobytes())
        if rest:
            file.write(rest_bytes.tobytes())


def _check_header(header: PlyHeader) -> None:
    if header.encoding == "ascii":
        raise InputError("format", header.encoding, "a binary file, as packed splats are", file=header.path)
    count = header.element("vertex").count
    wanted = {"chunk": (CHUNK_COLUMNS[:12], "f4"), "vertex": (PACKED, "u4")}
    for name, (columns, code) in wanted.items():
        element = header.element(name)
        if missing := [column for column in columns if (column, code) not in element.properties]:
            found = f"no {', '.join(missing)} of type {code}"
            raise InputError(f"properties of {name}", found, f"those of a packed .ply: {', '.join(columns)}", file=header.path)
    if header.element("chunk").count != -(-count // CHUNK):
        found = f"{header.element('chunk').count} chunks for {count} splats"
        raise InputError("element chunk", found, f"{-(-count // CHUNK)}, one for {CHUNK} splats", file=header.path)
    colors = [name in header.element("chunk").names for name in CHUNK_COLUMNS[12:]]
    if any(colors) and not all(colors):
        raise InputError("properties of chunk", "a part of the colour bounds", "all six or none", file=header.path)
    if header.has("sh"):
        sh = header.element("sh")
        if len(sh.names) not in REST_COUNTS or set(sh.properties) != {(name, "u1") for name in rest_names(len(sh.names))}:
            found = f"{len(sh.names)} properties: {', '.join(sh.names[:3])}, ..."
            raise InputError("element sh", found, "uchar f_rest_0 to f_rest_8, 23 or 44", file=header.path)
        if sh.count != count:
            raise InputError("element sh", f"{sh.count} rows", f"{count}, as many as splats", file=header.path)


def largest_chunk(means: Floats) -> float:
    """Longest side of the boxes that the centres would be packed into, in scene units  # [N, 3]"""
    boxes, _ = _boxes(means[_morton_order(means)], -(-len(means) // CHUNK))
    return float((boxes[:, 3:] - boxes[:, :3]).max())


def _boxes(values: Floats, chunk_count: int) -> tuple[Floats, NDArray[np.float64]]:
    """Smallest and largest value of each chunk [chunks, 6] and where in that range every value lies, 0 to 1 [N, 3]."""
    padding = np.repeat(values[-1:], chunk_count * CHUNK - len(values), axis=0)
    padded = np.concatenate([values, padding]).reshape(chunk_count, CHUNK, 3)
    planes = np.ascontiguousarray(padded.transpose(2, 0, 1))  # numpy finds extremes of rows far faster than of columns
    low, high = planes.min(axis=2).T, planes.max(axis=2).T
    size = high.astype(np.float64) - low
    unit = (padded - low[:, None].astype(np.float64)) / np.where(size > 0, size, 1.0)[:, None]
    return np.concatenate([low, high], axis=1), unit.reshape(-1, 3)[: len(values)]


def _in_box(unit: NDArray[Any], chunks: NDArray[np.void], of: NDArray[np.int64], prefix: str, axes: str) -> Floats:
    result = np.empty(unit.shape, np.float32)
    for i, axis in enumerate(axes):
        low = chunks[f"min_{prefix}{axis}"].astype(np.float64)[of]
        high = chunks[f"max_{prefix}{axis}"].astype(np.float64)[of]
        with np.errstate(invalid="ignore"):  # infinite bounds, which the linter finds as such
            result[:, i] = low * (1 - unit[:, i]) + high * unit[:, i]
    return result


def _with_bounded_sizes(chunks: NDArray[np.void], header: PlyHeader) -> NDArray[np.void]:
    """Chunks whose bounds of log scales are finite: a splat without any size makes them minus infinity."""
    names = [name for name in CHUNK_COLUMNS[6:12] if np.isinf(chunks[name]).any()]
    if not names:
        return chunks
    bounded: NDArray[np.void] = np.array(chunks)
    for name in names:
        bounded[name] = np.clip(chunks[name], -LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
    count = int(np.any([np.isinf(chunks[name]) for name in names], axis=0).sum())
    note(header.path, f"infinite bounds of log scales in {count} chunks were taken as {LOG_SCALE_LIMIT:g}")
    return bounded


def _pack_11_10_11(unit: NDArray[np.float64]) -> NDArray[np.int64]:
    x, y, z = (to_bytes(unit[:, i], (1 << bits) - 1) for i, bits in enumerate(BITS))
    return x << 21 | y << 11 | z


def _unpack_11_10_11(packed: NDArray[np.uint32]) -> NDArray[np.float64]:
    shifts, tops = np.array([21, 11, 0], np.uint32), np.array([2047, 1023, 2047], np.uint32)
    return (packed[:, None] >> shifts & tops) / tops.astype(np.float64)


def _pack_rotation(quats: Floats) -> NDArray[np.int64]:
    largest, three = split_largest(quats)
    a, b, c = to_bytes(three * np.sqrt(0.5) + 0.5, 1023).T
    result: NDArray[np.int64] = largest << 30 | a << 20 | b << 10 | c
    return result


def _unpack_rotation(packed: NDArray[np.uint32]) -> Floats:
    three = packed[:, None] >> np.array([20, 10, 0], np.uint32) & np.uint32(1023)
    return join_largest(packed >> np.uint32(30), (three / 1023.0 - 0.5) * np.sqrt(2.0))


def _pack_sh(rest: Floats) -> NDArray[np.uint8]:
    """Bytes of the higher bands, channel-major; each stands for a 256th of [-4, 4]."""
    values = Steps(factor=1 / (2 * SH_RANGE), shift=0.5, steps=256, half=0).bytes_of(rest.reshape(len(rest), -1))
    result: NDArray[np.uint8] = values.reshape(len(rest), -1, 3).transpose(0, 2, 1).reshape(len(rest), -1)
    return result


def _unpack_sh(rows: NDArray[np.void], names: tuple[str, ...], sh: Floats) -> None:
    """Fills the higher bands: the middle of what a byte stands for, and the ends of the range for the first and the last."""
    middle = (np.arange(256) + 0.5) / 256
    middle[0], middle[255] = 0.0, 1.0
    table = ((middle - 0.5) * 2 * SH_RANGE).astype(np.float32)
    order = [names.index(name) for name in rest_names(len(names))]
    stored = rows.view(np.uint8).reshape(len(rows), -1)  # all properties are bytes
    fill_by_table(sh, stored if order == sorted(order) else stored[:, order], table, by_channel=True)


def _morton_order(means: Floats) -> NDArray[np.int64]:
    """Order of the splats along the Z curve of their bounding box, 21 bits an axis."""
    low, high = means.min(axis=0).astype(np.float64), means.max(axis=0).astype(np.float64)
    cells = ((means - low) / np.where(high > low, high - low, 1.0) * ((1 << 21) - 1)).astype(np.uint64)
    code = np.zeros(len(means), np.uint64)
    for axis in range(3):
        code |= _spread(cells[:, axis]) << np.uint64(axis)
    return np.argsort(code, kind="stable")


def _spread(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Puts two zero bits between the 21 bits of each value."""
    for shift, mask in (
        (32, 0x1F00000000FFFF), (16, 0x1F0000FF0000FF), (8, 0x100F00F00F00F00F), (4, 0x10C30C30C30C30C3), (2, 0x1249249249249249),
    ):  # fmt: skip
        values = (values | values << np.uint64(shift)) & np.uint64(mask)
    return values
