"""Coloured point clouds as .ply: what COLMAP, nerfstudio and scanners write."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.ply_header import PlyElement, header_text, read_ply_header, read_rows
from scene_depth.io.scene_notes import note
from scene_depth.scene import COARSE_SHARE, PointCloud

COLORS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
GREY = 128


def read_point_ply(path: str | os.PathLike[str]) -> PointCloud:
    """Reads the points of an ASCII or binary .ply file; meshes give their vertices. Points that are not finite are left out.

    Args:
        path: File whose element ``vertex`` has x, y, z, and red, green, blue as bytes, 16-bit numbers or floats in
            [0, 1] or [0, 255]. Points without colours become mid grey.

    Returns:
        Points in the frame and unit of the file.

    Raises:
        InputError: If the file cannot be read, is cut short, holds no points or no finite one.
    """
    header = read_ply_header(path)
    vertex = header.element("vertex")
    missing = [name for name in ("x", "y", "z") if name not in vertex.names]
    if missing:
        raise InputError("properties of vertex", f"no {', '.join(missing)}", "x, y and z", file=header.path)
    if vertex.count == 0:
        raise InputError("element vertex", "0 points", "one or more", file=header.path)
    rows = read_rows(header, "vertex")
    xyz = np.stack([np.asarray(rows[name], np.float64) for name in ("x", "y", "z")], axis=1)
    names = next((names for names in COLORS if set(names) <= set(vertex.names)), None)
    rgb = np.full((len(rows), 3), GREY, np.uint8)
    if names is not None:
        rgb = bytes_of_colors(np.stack([np.asarray(rows[name]) for name in names], axis=1), header.path)
    finite = np.isfinite(xyz).all(axis=1)
    if not finite.any():
        raise InputError("x, y, z", f"NaN or infinity in all {len(xyz)} points", "finite coordinates", file=header.path)
    if not finite.all():
        note(header.path, f"{int((~finite).sum())} of {len(xyz)} points left out: their coordinates are not finite")
        return PointCloud(xyz[finite], rgb[finite])
    return PointCloud(xyz, rgb)


def write_point_ply(path: str | os.PathLike[str], points: PointCloud, *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> None:
    """Writes points as binary little-endian .ply: x y z as float32, or as doubles where float32 is too coarse for the size of
    the cloud, red green blue as bytes.

    Raises:
        InputError: If the file cannot be written.
    """
    extent = float(np.ptp(np.quantile(points.xyz, [0.05, 0.95], axis=0), axis=0).max()) if len(points) else 0.0
    farthest = np.float32(np.abs(points.xyz).max(initial=0))
    code = "f8" if np.spacing(farthest) > COARSE_SHARE * extent > 0 else "f4"
    properties = (("x", code), ("y", code), ("z", code), ("red", "u1"), ("green", "u1"), ("blue", "u1"))
    element = PlyElement("vertex", len(points), properties)
    rows = np.empty(len(points), element.dtype("<"))
    for (name, _), column in zip(properties, [*points.xyz.T, *points.rgb.T], strict=True):
        rows[name] = column
    with atomic_path(path, inputs=inputs) as temporary:
        temporary.write_bytes(header_text((), [element]) + rows.tobytes())


def bytes_of_colors(values: NDArray[Any], path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Colours as bytes: bytes themselves, 16-bit numbers by their upper half, others by what all of them lie within.

    Numbers within [0, 1] of which some are no integers are shares of white; others within [0, 255] are bytes.

    Args:
        values: Colours as stored  # [P, 3]
        path: File, for errors.

    Raises:
        InputError: If they are neither.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return (values >> 8).astype(np.uint8)
    low, high = values.min(initial=0), values.max(initial=0)
    if low >= 0 and high <= 1 and (values.dtype.kind == "f") and (values != np.round(values)).any():
        return np.round(values.astype(np.float64) * 255).astype(np.uint8)
    if low >= 0 and high <= 255:
        return np.round(values).astype(np.uint8)
    found = f"{values.dtype} from {low:g} to {high:g}"
    raise InputError("red, green, blue", found, "bytes, 16-bit numbers, or floats in [0, 1] or [0, 255]", file=path)
