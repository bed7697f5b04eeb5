"""Pinhole intrinsics in text and JSON files of many makers."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.json_files import is_number, read_json_object
from scene_depth.io.trajectories import read_number_rows

FOCAL = (("fx", "fy", "cx", "cy"), ("fl_x", "fl_y", "cx", "cy"))
ACCEPTED = "a 3 x 3 or 4 x 4 matrix, 'fx fy cx cy', or JSON with fx, fy, cx, cy or intrinsic_matrix"


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics as a file gives them.

    Attributes:
        K: Matrix in pixels; its pixel centres are whatever the file's maker used  # [3, 3]
        size: Width and height that they belong to, if the file says.
        pixel_center: Coordinate of the first pixel's centre, if the file says.
    """

    K: NDArray[np.float64]
    size: tuple[int, int] | None = None
    pixel_center: float | None = None

    def corner_matrix(self, pixel_center: float) -> NDArray[np.float64]:
        """The matrix with the first pixel's centre at (0.5, 0.5)  # [3, 3]

        Args:
            pixel_center: Where the centre is, if the file does not say.
        """
        shift = 0.5 - (self.pixel_center if self.pixel_center is not None else pixel_center)
        result: NDArray[np.float64] = self.K + np.array([[0.0, 0.0, shift], [0.0, 0.0, shift], [0.0, 0.0, 0.0]])
        return result


def read_intrinsics(path: str | PathLike[str]) -> Intrinsics:
    """Reads the intrinsics of a pinhole camera.

    Args:
        path: Text file with a 3 x 3 or 4 x 4 matrix or the numbers fx, fy, cx, cy; or JSON with those four fields (also
            inside "camera"), with "K", or with Open3D's "intrinsic_matrix" (nine numbers, column by column). JSON may
            add width and height (or w and h) and pixel_center.

    Raises:
        InputError: If the file is missing or holds none of these, or if a focal length is not positive.
    """
    path = Path(path)
    intrinsics = _from_json(read_json_object(path), path) if path.suffix.lower() == ".json" else _from_rows(path)
    check_intrinsics(intrinsics.K, path)
    return intrinsics


def check_intrinsics(K: NDArray[np.float64], path: str | PathLike[str] | None) -> None:
    """Raises InputError unless K is finite with positive focal lengths, no skew and last row 0 0 1."""
    plain = K.shape == (3, 3) and np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0
    if not plain or K[0, 1] or K[1, 0] or K[2].tolist() != [0.0, 0.0, 1.0]:
        raise InputError("intrinsics", K.tolist(), "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive focal lengths", file=path)


def _from_rows(path: Path) -> Intrinsics:
    rows = read_number_rows(path)
    lengths = [len(row) for row in rows]
    numbers = [value for row in rows for value in row]
    if lengths in ([3] * 3, [9]):
        return Intrinsics(np.array(numbers).reshape(3, 3))
    if lengths in ([4] * 4, [16]):
        return Intrinsics(np.array(numbers).reshape(4, 4)[:3, :3])
    if len(numbers) == 4:
        return Intrinsics(_matrix(*numbers))
    raise InputError("intrinsics", f"{len(numbers)} numbers in {len(rows)} lines", ACCEPTED, file=path)


def _from_json(fields: dict[str, Any], path: Path) -> Intrinsics:
    if isinstance(fields.get("camera"), dict):
        fields = fields["camera"]
    width, height = fields.get("width", fields.get("w")), fields.get("height", fields.get("h"))
    size = (
        (int(width), int(height)) if width is not None and height is not None and is_number(width) and is_number(height) else None
    )
    center = fields.get("pixel_center")
    if center is not None and not is_number(center):
        raise InputError("pixel_center", repr(center), "a number, 0 or 0.5", file=path)
    for keys in FOCAL:
        if all(is_number(fields.get(key)) for key in keys):
            return Intrinsics(_matrix(*(float(fields[key]) for key in keys)), size, center)
    for key, order in (("intrinsic_matrix", "F"), ("K", "C")):
        values = np.array(fields[key]) if isinstance(fields.get(key), list) else np.zeros(0)
        if values.size == 9 and values.dtype.kind in "if":
            return Intrinsics(
                values.astype(np.float64).reshape(3, 3, order="F" if order == "F" and values.ndim == 1 else "C"), size, center
            )
    raise InputError("intrinsics", f"the fields {', '.join(fields)}", ACCEPTED, file=path)


def _matrix(fx: float, fy: float, cx: float, cy: float) -> NDArray[np.float64]:
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
