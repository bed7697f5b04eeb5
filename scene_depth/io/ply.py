"""Gaussian splats as .ply, in the layout of the reference trainer (Kerbl et al. 2023).

One element ``vertex``, binary little-endian, float32 properties x y z nx ny nz f_dc_0..2 f_rest_* opacity scale_0..2
rot_0..3. ``f_rest`` is channel-major: all coefficients of red, then green, then blue. Quaternions are w first; opacity
and scales are stored before sigmoid and exp. Normals mean nothing and are written as zeros unless the splats have some.

Read are also: ASCII and big-endian files; names with the "scalar_" of CloudCompare; ``red green blue`` in place of f_dc, as
nerfstudio's export writes them; and ``filter_3D`` of Mip-Splatting, which is fused into sizes and opacities.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.ply_header import PlyElement, PlyHeader, header_text, read_ply_header, read_rows
from scene_depth.io.point_ply import bytes_of_colors
from scene_depth.io.scene_notes import note
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats

POSITION = ("x", "y", "z")
NORMALS = ("nx", "ny", "nz")
BASE_COLOR = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALES = ("scale_0", "scale_1", "scale_2")
ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
REQUIRED = (*POSITION, *BASE_COLOR, "opacity", *SCALES, *ROTATION)
REST = re.compile(r"f_rest_\d+")
RGB = (("red", "green", "blue"), ("r", "g", "b"))
FILTER = "filter_3D"
FOREIGN = "scalar_"
OTHER_KINDS = {
    "f_anchor_feat_0": "anchors of Scaffold-GS or Octree-GS, which become splats by its networks alone",
    "f_offset_0": "anchors of Scaffold-GS or Octree-GS, which become splats by its networks alone",
    "trbf_center": "moving splats of SpacetimeGaussians",
    "motion_0": "moving splats",
}
"""Property -> what a file with it holds, where that is no file of plain splats."""
REST_COUNTS = (0, 9, 24, 45)
BLOCK = 1 << 12  # rows copied at a time: about 1 MB, which stays in cache while its columns are taken apart
ANTIALIASED = "SplatRenderMode: mip"


def rest_names(count: int) -> tuple[str, ...]:
    """Names of the properties of the higher spherical harmonics."""
    return tuple(f"f_rest_{i}" for i in range(count))


def read_ply(path: str | os.PathLike[str], *, truncate_sh: bool = False, double: bool = False) -> GaussianSplats:
    """Reads splats of the reference layout, in any order of properties, with SH degree 0 to 3.

    The file is mapped, not loaded: the memory needed is that of the splats. Properties that are not part of the layout
    are kept in ``extra`` in their own type; normals only if one of them is not zero.

    Args:
        path: The file.
        truncate_sh: Accept a number of ``f_rest`` properties that is no whole degree and keep the largest whole degree
            in it (for inspection and repair); otherwise that is an error.
        double: Keep centres that the file has as doubles in float64, so that they can be moved before they are rounded.

    Returns:
        float32 splats on the CPU. A comment "SplatRenderMode: mip" (Brush) or "antialiased 1" (Postshot) sets
        ``antialiased``; the other comments are kept.

    Raises:
        InputError: If the file is no .ply of 3D Gaussian splats, or is cut short.
    """
    header = with_plain_names(read_ply_header(path))
    check_splat_header(header)
    vertex, rest = header.element("vertex"), _rest_columns(header, truncate_sh)
    rows = read_rows(header, "vertex")
    colors = _color_columns(vertex.names)
    groups = {"means": POSITION, "quats": ROTATION, "log_scales": SCALES, "logit_opacities": ("opacity",), "dc": colors}
    arrays = {name: np.empty((len(rows), len(columns)), np.float32) for name, columns in groups.items()}
    if double and all(("f8" in (code for found, code in vertex.properties if found == name)) for name in POSITION):
        arrays["means"] = np.empty((len(rows), 3), np.float64)
    sh = np.empty((len(rows), 1 + len(rest) // 3, 3), np.float32)
    used = {*REQUIRED, *colors}
    others = [(name, code) for name, code in vertex.properties if name not in used and not REST.fullmatch(name)]
    extra = {name: np.empty(len(rows), code) for name, code in others}
    is_plain = rows.dtype == np.dtype([(name, "<f4") for name in vertex.names])
    place = {name: i for i, name in enumerate(vertex.names)}
    for block, part in _blocks(rows):
        if is_plain:  # a matrix, whose rows are taken apart faster than its columns
            matrix = part.view("<f4").reshape(len(part), -1)
            for name, columns in groups.items():
                arrays[name][block] = matrix[:, [place[column] for column in columns]]
            sh[block, 1:] = matrix[:, [place[column] for column in rest]].reshape(len(part), 3, -1).transpose(0, 2, 1)
            for name, values in extra.items():
                values[block] = matrix[:, place[name]]
            continue
        for name, columns in groups.items():
            for i, column in enumerate(columns):
                arrays[name][block, i] = part[column]
        for i, column in enumerate(rest):
            channel, coefficient = divmod(i, len(rest) // 3)
            sh[block, 1 + coefficient, channel] = part[column]
        for name, values in extra.items():
            values[block] = part[name]
    sh[:, 0] = arrays.pop("dc")
    if colors != BASE_COLOR:
        sh[:, 0] = (bytes_of_colors(np.stack([rows[name] for name in colors], axis=1), path) / np.float32(255) - 0.5) / SH_C0
        note(path, f"base colours were taken from {' '.join(colors)}, as the file has no {BASE_COLOR[0]}")
    if FILTER in extra:
        _fuse_filter(arrays, extra.pop(FILTER).astype(np.float64))
        note(path, f"{FILTER} of Mip-Splatting was fused into sizes and opacities")
    arrays["logit_opacities"] = arrays["logit_opacities"][:, 0]
    antialiased, comments = split_comments(header.comments)
    return GaussianSplats(
        **{name: torch.from_numpy(values) for name, values in arrays.items()},
        sh=torch.from_numpy(sh),
        extra={name: torch.from_numpy(values) for name, values in _without_empty_normals(extra).items()},
        antialiased=antialiased,
        comments=comments,
    )


def write_ply(path: str | os.PathLike[str], splats: GaussianSplats, *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> None:
    """Writes splats in the reference layout; reading them back gives the same bits.

    Properties of ``extra`` follow those of the layout in their own type. The file appears whole or not at all.

    Args:
        path: File to write.
        splats: Splats on any device; parameters are written as float32.
        inputs: Files that the splats were read from; writing over one of them is refused.

    Raises:
        InputError: If an extra value has no .ply type, if its name is taken, or if the file cannot be written.
    """
    count, rest = len(splats), rest_names(3 * (splats.sh.shape[1] - 1))
    columns = _parameter_columns(splats)
    extra = {name: _extra_column(name, values, {*REQUIRED, *rest}, path) for name, values in splats.extra.items()}
    columns.update({name: extra.get(name, np.zeros(1, np.float32)) for name in NORMALS})
    properties = [(name, "f4") for name in (*POSITION, *NORMALS, *BASE_COLOR, *rest, "opacity", *SCALES, *ROTATION)]
    properties = [(name, extra[name].dtype.str[1:]) if name in extra else (name, code) for name, code in properties]
    properties += [(name, values.dtype.str[1:]) for name, values in extra.items() if name not in NORMALS]
    columns.update(extra)
    element = PlyElement("vertex", count, tuple(properties))
    comments = ((ANTIALIASED,) if splats.antialiased else ()) + splats.comments
    with atomic_path(path, inputs=inputs) as temporary, temporary.open("wb") as file:
        file.write(header_text(comments, [element]))
        buffer = np.empty(min(BLOCK, count), element.dtype("<"))
        for start in range(0, count, BLOCK):
            block = slice(start, min(start + BLOCK, count))
            part = buffer[: block.stop - start]
            for name, _ in properties:
                part[name] = columns[name][block] if len(columns[name]) == count else 0
            file.write(part.tobytes())


def check_splat_header(header: PlyHeader) -> None:
    """Checks that a file holds unpacked 3D Gaussian splats in a form that is read here.

    Args:
        header: Of the file, with plain names.

    Raises:
        InputError: If it is another kind of file, or if properties are missing.
    """
    if header.has("chunk") and "packed_position" in header.element("vertex").names:
        raise InputError("element vertex", "packed splats", "unpacked splats; read_compressed_ply reads these", file=header.path)
    vertex = header.element("vertex")
    missing = [name for name in REQUIRED if name not in vertex.names]
    if _color_columns(vertex.names) != BASE_COLOR:
        missing = [name for name in missing if name not in BASE_COLOR]
    other = next((kind for name, kind in OTHER_KINDS.items() if name in vertex.names), None)
    if other is not None:
        raise InputError("element vertex", other, "plain splats; the program that trained them can export some", file=header.path)
    if missing == ["scale_2"]:
        raise InputError("scale_2", "no such property (a 2DGS file of flat splats)", "splats with three scales", file=header.path)
    if missing and {"red", "green", "blue"} <= set(vertex.names) and "opacity" in missing:
        raise InputError("element vertex", "a point cloud with red green blue", "Gaussian splats", file=header.path)
    if missing:
        raise InputError("properties of vertex", f"no {', '.join(missing)}", f"all of {', '.join(REQUIRED)}", file=header.path)
    for name, code in vertex.properties:
        if code == "list" or (code[0] != "f" and (name in REQUIRED or REST.fullmatch(name))):
            raise InputError(f"type of {name}", "a list" if code == "list" else code, "float or double", file=header.path)


def with_plain_names(header: PlyHeader) -> PlyHeader:
    """The header with the names of the layout where CloudCompare put "scalar_" before them."""

    def plain(name: str, taken: tuple[str, ...]) -> str:
        short = name.removeprefix(FOREIGN)
        return short if short not in taken and (short in (*REQUIRED, FILTER) or REST.fullmatch(short)) else name

    elements = tuple(
        replace(element, properties=tuple((plain(name, element.names), code) for name, code in element.properties))
        for element in header.elements
    )
    return replace(header, elements=elements)


def _color_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    """Properties of the base colour: coefficients, or where there are none, colours."""
    if any(name in names for name in BASE_COLOR):
        return BASE_COLOR
    return next((rgb for rgb in RGB if set(rgb) <= set(names)), BASE_COLOR)


def _fuse_filter(arrays: dict[str, NDArray[Any]], sizes: NDArray[np.float64]) -> None:
    """Mip-Splatting's 3D smoothing (Yu et al. 2024, equation 9): a Gaussian of each splat's own size convolved with it."""
    squares = np.exp(2 * arrays["log_scales"].astype(np.float64))
    smoothed = squares + sizes[:, None] ** 2
    dimming = np.sqrt((squares / smoothed).prod(axis=1))
    opacity = dimming / (1 + np.exp(-arrays["logit_opacities"][:, 0].astype(np.float64)))
    with np.errstate(divide="ignore"):
        arrays["log_scales"] = (0.5 * np.log(smoothed)).astype(np.float32)
        arrays["logit_opacities"] = (np.log(opacity) - np.log1p(-opacity)).astype(np.float32)[:, None]


def split_comments(comments: tuple[str, ...]) -> tuple[bool, tuple[str, ...]]:
    """Whether comments declare the antialiased renderer (the last such line counts), and the comments that say nothing of it."""
    antialiased, others = False, []
    for line in comments:
        match = re.fullmatch(r"(?:splatrendermode:\s*(default|mip)|antialiased\s+([01]))", line.strip().lower())
        if match:
            antialiased = match[1] == "mip" or match[2] == "1"
        else:
            others.append(line)
    return antialiased, tuple(others)


def _rest_columns(header: PlyHeader, truncate: bool) -> tuple[str, ...]:
    """Properties of the higher bands, channel-major, as many as a whole degree has."""
    names = set(header.element("vertex").names)
    present = sum(1 for name in names if REST.fullmatch(name))
    count = _count_rest(names)
    if count == present and count in REST_COUNTS:
        return rest_names(count)
    if not truncate:
        found = f"{present} properties" + ("" if count == present else f", f_rest_{count} is missing")
        raise InputError("f_rest", found, "0, 9, 24 or 45, numbered from 0 (SH degree 0 to 3)", file=header.path)
    if count != present or count % 3:
        return ()
    kept = max(n for n in (0, 3, 8, 15) if n <= count // 3)
    return tuple(f"f_rest_{channel * (count // 3) + i}" for channel in range(3) for i in range(kept))


def _count_rest(names: set[str] | tuple[str, ...]) -> int:
    """How many of f_rest_0, f_rest_1, ... there are without a gap."""
    count = 0
    while f"f_rest_{count}" in names:
        count += 1
    return count


def _blocks(rows: NDArray[np.void]) -> Iterator[tuple[slice, NDArray[np.void]]]:
    """Some rows at a time; each part is of meaning until the next. Mapped ones are read, which is faster than page by page."""
    blocks = [slice(start, min(start + BLOCK, len(rows))) for start in range(0, len(rows), BLOCK)]
    if not isinstance(rows, np.memmap) or rows.filename is None:
        yield from ((block, rows[block]) for block in blocks)
        return
    buffer = np.empty_like(rows, shape=min(BLOCK, len(rows)), subok=False)
    with Path(rows.filename).open("rb") as file:
        file.seek(rows.offset)
        for block in blocks:
            part = buffer[: block.stop - block.start]
            if file.readinto(part.view(np.uint8).data) < part.nbytes:
                raise InputError("size", f"no row {block.start} any more", "a file that nobody writes to", file=rows.filename)
            yield block, part


def _without_empty_normals(extra: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    if any(name in extra and extra[name].view(np.uint8).any() for name in NORMALS):
        return extra
    return {name: values for name, values in extra.items() if name not in NORMALS}


def _parameter_columns(splats: GaussianSplats) -> dict[str, NDArray[np.float32]]:
    """Views of the parameters by property name."""

    def array(values: torch.Tensor) -> NDArray[np.float32]:
        return values.detach().to("cpu", torch.float32).numpy()

    sh = array(splats.sh)
    coefficients = sh.shape[1] - 1
    columns = {"opacity": array(splats.logit_opacities)}
    for names, values in ((POSITION, splats.means), (SCALES, splats.log_scales), (ROTATION, splats.quats)):
        columns.update(zip(names, array(values).T, strict=True))
    columns.update(zip(BASE_COLOR, sh[:, 0].T, strict=True))
    for i, name in enumerate(rest_names(3 * coefficients)):
        channel, coefficient = divmod(i, coefficients)
        columns[name] = sh[:, 1 + coefficient, channel]
    return columns


def _extra_column(name: str, values: torch.Tensor, taken: set[str], path: str | os.PathLike[str]) -> NDArray[Any]:
    if name in taken or not re.fullmatch(r"\S+", name):
        raise InputError(f"extra[{name!r}]", "a name of the layout or with spaces", "a property name of its own", file=path)
    array = values.detach().cpu().numpy()
    if array.ndim != 1 or array.dtype.str[1:] not in {"i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"}:
        accepted = "one value a splat of 8, 16 or 32 bit integer, float32 or float64"
        raise InputError(f"extra[{name!r}]", f"{values.dtype} {tuple(values.shape)}", accepted, file=path)
    return array
