"""Coloured point clouds as .ply: what COLMAP, nerfstudio and scanners write."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.ply_header import PlyElement, PlyHeader, header_text, map_rows, read_ply_header
from scene_depth.scene import PointCloud

COLORS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
GREY = 128


def read_point_ply(path: str | os.PathLike[str]) -> PointCloud:
    """Reads the points of an ASCII or binary .ply file; meshes give their vertices.

    Args:
        path: File whose element ``vertex`` has x, y, z, and red, green, blue as bytes, 16-bit numbers or floats in
            [0, 1]. Points without colours become mid grey.

    Returns:
        Points in the frame and unit of the file.

    Raises:
        InputError: If the file cannot be read, is cut short, holds no points, or if a coordinate is not finite.
    """
    header = read_ply_header(path)
    vertex = header.element("vertex")
    missing = [name for name in ("x", "y", "z") if name not in vertex.names]
    if missing:
        raise InputError("properties of vertex", f"no {', '.join(missing)}", "x, y and z", file=header.path)
    if vertex.count == 0:
        raise InputError("element vertex", "0 points", "one or more", file=header.path)
    rows = _ascii_rows(header) if header.encoding == "ascii" else map_rows(header, "vertex")
    xyz = np.stack([np.asarray(rows[name], np.float64) for name in ("x", "y", "z")], axis=1)
    if count := int((~np.isfinite(xyz)).any(axis=1).sum()):
        raise InputError("x, y, z", f"NaN or infinity in {count} of {len(xyz)} points", "finite coordinates", file=header.path)
    names = next((names for names in COLORS if set(names) <= set(vertex.names)), None)
    rgb = np.full((len(rows), 3), GREY, np.uint8) if names is None else _colors(header, [rows[name] for name in names])
    return PointCloud(xyz, rgb)


def write_point_ply(path: str | os.PathLike[str], points: PointCloud, *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> None:
    """Writes points as binary little-endian .ply: x y z as float32, red green blue as bytes.

    Raises:
        InputError: If the file cannot be written.
    """
    properties = (("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1"))
    element = PlyElement("vertex", len(points), properties)
    rows = np.empty(len(points), element.dtype("<"))
    for (name, _), column in zip(properties, [*points.xyz.T, *points.rgb.T], strict=True):
        rows[name] = column
    with atomic_path(path, inputs=inputs) as temporary:
        temporary.write_bytes(header_text((), [element]) + rows.tobytes())


def _ascii_rows(header: PlyHeader) -> NDArray[np.void]:
    if header.elements[0].name != "vertex":
        raise InputError("elements", header.elements[0].name, "vertex as the first element of an ASCII file", file=header.path)
    vertex = header.elements[0]
    if any(code == "list" for _, code in vertex.properties):
        raise InputError("element vertex", "a list property", "numbers of fixed count", file=header.path)
    with header.path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a file that has no row at all, which is said below
        file.seek(header.size)
        try:
            rows = np.loadtxt(file, dtype=vertex.dtype("="), max_rows=vertex.count, ndmin=1, comments=None)
        except (ValueError, IndexError) as error:
            accepted = f"{len(vertex.properties)} numbers in each of {vertex.count} lines"
            raise InputError("rows of vertex", str(error).split("\n")[0], accepted, file=header.path) from error
    if len(rows) != vertex.count:
        raise InputError("rows of vertex", len(rows), f"{vertex.count}; the file is cut short", file=header.path)
    return rows


def _colors(header: PlyHeader, columns: list[NDArray[Any]]) -> NDArray[np.uint8]:
    kinds = {column.dtype.kind + str(column.dtype.itemsize) for column in columns}
    values = np.stack([np.asarray(column) for column in columns], axis=1)
    if kinds == {"u1"}:
        return values
    if kinds == {"u2"}:
        return (values >> 8).astype(np.uint8)
    if kinds <= {"f4", "f8"} and bool(((values >= 0) & (values <= 1)).all()):
        return np.round(values * 255).astype(np.uint8)
    found = f"{', '.join(sorted(kinds))} from {values.min()} to {values.max()}"
    raise InputError("red, green, blue", found, "uchar, ushort, or floats in [0, 1]", file=header.path)
