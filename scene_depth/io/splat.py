"""``.splat``, the format of the first web viewer: 32 bytes a splat, no header, no view-dependent colour.

A row is the centre (3 float32), the standard deviations (3 float32, not their logarithms), red, green, blue and opacity
(4 bytes) and the quaternion (4 bytes, w first, 128 q + 128). Writers put large opaque splats first, for a viewer that
shows what has arrived.
"""

from __future__ import annotations

import os

import numpy as np

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.input_files import check_input_file
from scene_depth.io.quantization import arrays_of, check_packable, opacity_bytes, opacity_logits, splats_of, to_bytes
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats

ROW = np.dtype([("center", "<f4", 3), ("scales", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
LARGEST_LOG = 88.0  # e to it is near the largest float32
OTHER_MAGIC = {b"ply": "a .ply file", b"NGSP": "an .spz file", b"\x1f\x8b": "gzip data (.spz?)", b"PK\x03\x04": "a zip file"}


def read_splat(path: str | os.PathLike[str]) -> GaussianSplats:
    """Reads a ``.splat`` file.

    Raises:
        InputError: If the file cannot be read, is cut short, or is not a .splat file as far as one can see.
    """
    path = check_input_file(path, "a .splat file")
    data = np.fromfile(path, np.uint8)
    for magic, name in OTHER_MAGIC.items():
        if data[: len(magic)].tobytes() == magic:
            raise InputError("content", name, "the rows of a .splat file", file=path)
    if len(data) % ROW.itemsize:
        whole = len(data) // ROW.itemsize
        accepted = f"a multiple of {ROW.itemsize} bytes; the file is cut short or not a .splat file"
        raise InputError("size", f"{len(data)} bytes, {whole} whole rows and a part", accepted, file=path)
    rows = data.view(ROW)
    scales = rows["scales"]
    if wrong := int((~(scales >= 0)).any(axis=1).sum()):
        raise InputError("scales", f"negative or NaN in {wrong} of {len(rows)} rows", "sizes that are not negative", file=path)
    quats = (rows["quat"].astype(np.float32) - 128) / 128
    quats[(rows["quat"] == 128).all(axis=1)] = (1, 0, 0, 0)
    with np.errstate(divide="ignore"):
        log_scales = np.log(scales)
    colors = (rows["rgba"][:, :3].astype(np.float32) / 255 - 0.5) / SH_C0
    return splats_of(rows["center"], quats, log_scales, opacity_logits(rows["rgba"][:, 3]), colors[:, None])


def write_splat(path: str | os.PathLike[str], splats: GaussianSplats, *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> None:
    """Writes a ``.splat`` file: base colours only, 8 bits for colour, opacity and rotation, largest and most opaque first.

    Args:
        path: File to write.
        splats: Splats without NaN.
        inputs: Files that the splats were read from; writing over one of them is refused.

    Raises:
        InputError: If a splat cannot be expressed, or if the file cannot be written.
    """
    check_packable(splats, path)
    arrays = arrays_of(splats)
    unit = arrays["quats"] / np.linalg.norm(arrays["quats"].astype(np.float64), axis=1, keepdims=True)
    alpha = opacity_bytes(arrays["logit_opacities"])
    rows = np.empty(len(splats), ROW)
    rows["center"], rows["scales"] = arrays["means"], np.exp(np.minimum(arrays["log_scales"], LARGEST_LOG))
    rows["rgba"][:, :3], rows["rgba"][:, 3] = to_bytes(0.5 + SH_C0 * arrays["sh"][:, 0]), alpha
    rows["quat"] = np.clip(np.round(unit * 128) + 128, 0, 255)
    importance = arrays["log_scales"].astype(np.float64).sum(axis=1) + np.log(np.maximum(alpha, 0.25))
    with atomic_path(path, inputs=inputs) as temporary:
        rows[np.argsort(-importance, kind="stable")].tofile(temporary)
