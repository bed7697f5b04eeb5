"""Pinhole intrinsics in text and JSON files of many makers, with the lens and the unit of depth that stand beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.depth_units import UNIT_KEYS, DepthUnit, stated_unit
from scene_depth.io.distortion import LENS_MODELS, POLYNOMIAL, LensCamera, LensModel
from scene_depth.io.json_files import is_number, read_json_object
from scene_depth.io.trajectories import read_number_rows

FOCAL_X, FOCAL_Y = ("fx", "fl_x", "focal_x", "f_x"), ("fy", "fl_y", "focal_y", "f_y")
FOCAL_BOTH = ("f", "fl", "focal", "focal_length")
CENTER_X, CENTER_Y = ("cx", "ppx", "c_x"), ("cy", "ppy", "c_y")
WIDTH, HEIGHT = ("width", "w", "image_width", "img_width"), ("height", "h", "image_height", "img_height")
MATRICES = ("intrinsic_matrix", "K", "camera_matrix", "intrinsics", "intrinsic", "camera_intrinsics", "cam_K", "cameraMatrix")
NESTED = ("camera", "cam", "intrinsics", "intrinsic", "color_intrinsics", "camera_intrinsics", "color", "rgb")
COEFFICIENTS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
LISTED = ("coeffs", "dist", "distortion", "dist_coeffs", "distCoeffs", "distortion_coefficients", "distortion_params")
LENS_NAMES = ("camera_model", "model", "distortion_model")
FISHEYES = ("fisheye", "equidistant", "kannala", "kb4")
HARMLESS = ("pixel_center", "fps", "name", "id", "version", "serial", "serial_number", "timestamp", "camera_type", "near", "far")
FIELD_LINE = re.compile(r"\s*(?:\w+\.)?(\w+)\s*[:=]\s*([-+.\w]+)\s*$")
ACCEPTED = "a 3 x 3 or 4 x 4 matrix, 'fx fy cx cy', or JSON with fx, fy, cx, cy or intrinsic_matrix"


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics as a file gives them.

    Attributes:
        K: Matrix in pixels; its pixel centres are whatever the file's maker used  # [3, 3]
        size: Width and height that they belong to, if the file says.
        pixel_center: Coordinate of the first pixel's centre, if the file says.
        lens: Model of the lens, and its coefficients.
        depth_unit: Unit of the depth beside them, if the file states one.
        unused: Fields of the file that nothing here reads.
        source: Name of the file.
    """

    K: NDArray[np.float64]
    size: tuple[int, int] | None = None
    pixel_center: float | None = None
    lens: LensModel = field(default_factory=lambda: LENS_MODELS["PINHOLE"])
    coefficients: tuple[float, ...] = ()
    depth_unit: DepthUnit | None = None
    unused: tuple[str, ...] = ()
    source: str = ""

    def corner_matrix(self, pixel_center: float) -> NDArray[np.float64]:
        """The matrix with the first pixel's centre at (0.5, 0.5)  # [3, 3]

        Args:
            pixel_center: Where the centre is, if the file does not say.
        """
        shift = 0.5 - (self.pixel_center if self.pixel_center is not None else pixel_center)
        result: NDArray[np.float64] = self.K + np.array([[0.0, 0.0, shift], [0.0, 0.0, shift], [0.0, 0.0, 0.0]])
        return result

    @property
    def notes(self) -> list[str]:
        """What is to be said about the file."""
        return [f"fields of {self.source} that are not used: {', '.join(self.unused)}"] if self.unused else []

    def camera(self, pixel_center: float, size: tuple[int, int]) -> LensCamera:
        """The camera, of the file's size, or of the one given if the file says none."""
        K, (width, height) = self.corner_matrix(pixel_center), self.size or size
        values = (float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]))
        return LensCamera(self.lens, *values, self.coefficients, width, height)


def read_intrinsics(path: str | PathLike[str]) -> Intrinsics:
    """Reads the intrinsics of a camera.

    Args:
        path: Text file with a 3 x 3 or 4 x 4 matrix or the numbers fx, fy, cx, cy; or JSON, or lines of ``name: number``, with
            these four fields (also fl_x and ppx, also inside "camera"), with a matrix "K" or the like of rows, or Open3D's
            "intrinsic_matrix" of nine numbers column by column. They may add width and height, pixel_center, distortion
            coefficients (k1 to k6, p1, p2, or a list in OpenCV's order) and the unit of depth.

    Raises:
        InputError: If the file is missing or holds none of these, or if a focal length is not positive.
    """
    path = Path(path)
    fields = read_json_object(path) if path.suffix.lower() == ".json" else _field_lines(path)
    intrinsics = _from_rows(path) if fields is None else _from_fields(fields, path)
    check_intrinsics(intrinsics.K, path)
    return intrinsics


def check_intrinsics(K: NDArray[np.float64], path: str | PathLike[str] | None) -> None:
    """Raises InputError unless K is finite with positive focal lengths, no skew and last row 0 0 1."""
    plain = K.shape == (3, 3) and np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0
    if not plain or K[0, 1] or K[1, 0] or K[2].tolist() != [0.0, 0.0, 1.0]:
        raise InputError("intrinsics", K.tolist(), "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive focal lengths", file=path)


def _field_lines(path: Path) -> dict[str, Any] | None:
    """The fields of a file with lines such as ``fx: 525.0`` or ``Camera.fx = 525``; None if it has no focal length so."""
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError:
        return None  # which reading its numbers says
    found: dict[str, Any] = {}
    for line in lines:
        match = FIELD_LINE.match(line.partition("#")[0])
        if match is None:
            continue
        try:
            found[match[1]] = float(match[2])
        except ValueError:
            found[match[1]] = match[2]
    found = {key.lower() if key.lower() in UNIT_KEYS else key: value for key, value in found.items()}
    return found if any(key in found for key in (*FOCAL_X, *FOCAL_BOTH)) and any(key in found for key in CENTER_X) else None


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


def _from_fields(fields: Mapping[str, Any], path: Path) -> Intrinsics:
    for key in NESTED:
        if isinstance(fields.get(key), dict) and "data" not in fields[key]:
            fields = {**{name: value for name, value in fields.items() if name != key}, **fields[key]}
    width, height = _first(fields, WIDTH), _first(fields, HEIGHT)
    size = None if width is None or height is None else (int(width), int(height))
    center = fields.get("pixel_center")
    if center is not None and not is_number(center):
        raise InputError("pixel_center", repr(center), "a number, 0 or 0.5", file=path)
    K = _matrix_of(fields)
    if K is None:
        raise InputError("intrinsics", f"the fields {', '.join(fields)}", ACCEPTED, file=path)
    lens, coefficients = _lens(fields, path)
    known = {*FOCAL_X, *FOCAL_Y, *FOCAL_BOTH, *CENTER_X, *CENTER_Y, *WIDTH, *HEIGHT, *MATRICES}
    known |= {*COEFFICIENTS, *LISTED, *LENS_NAMES, *HARMLESS, *UNIT_KEYS}
    unit = stated_unit(fields, path)
    unused = tuple(str(key) for key in fields if key not in known or (unit is None and key in UNIT_KEYS))
    return Intrinsics(K, size, center, lens, coefficients, unit, unused, path.name)


def _first(fields: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    return next((float(fields[key]) for key in keys if is_number(fields.get(key))), None)


def _matrix_of(fields: Mapping[str, Any]) -> NDArray[np.float64] | None:
    both = _first(fields, FOCAL_BOTH)
    fx, fy = _first(fields, FOCAL_X) or both, _first(fields, FOCAL_Y) or both
    cx, cy = _first(fields, CENTER_X), _first(fields, CENTER_Y)
    if fx is not None and cx is not None and cy is not None:
        return _matrix(fx, fx if fy is None else fy, cx, cy)
    for key in MATRICES:
        value = fields.get(key)
        value = value.get("data") if isinstance(value, dict) else value
        try:
            numbers = np.array(value, np.float64) if isinstance(value, list) else np.zeros(0)
        except (TypeError, ValueError):
            continue
        if numbers.size == 4 and numbers.ndim == 1:
            return _matrix(*numbers.tolist())
        if numbers.size in (9, 16):
            side = 3 if numbers.size == 9 else 4
            matrix: NDArray[np.float64] = numbers.reshape(side, side)
            return matrix.T[:3, :3].copy() if matrix[2, 0] or matrix[2, 1] else matrix[:3, :3]  # written column by column
    return None


def _lens(fields: Mapping[str, Any], path: Path) -> tuple[LensModel, tuple[float, ...]]:
    """The lens of named coefficients, or of a list in OpenCV's order (k1, k2, p1, p2, k3, ...; fisheye k1 to k4)."""
    name = next((str(fields[key]).lower() for key in LENS_NAMES if isinstance(fields.get(key), str)), "")
    fisheye = any(word in name for word in FISHEYES)
    order = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    given = {key: float(fields[key]) for key in COEFFICIENTS if is_number(fields.get(key))}
    for key in LISTED:
        value = fields.get(key)
        value = value.get("data") if isinstance(value, dict) else value
        if isinstance(value, list) and value and all(is_number(number) for number in value):
            if len(value) > len(order) and any(value[len(order) :]):
                raise InputError(key, f"{len(value)} coefficients", f"at most {len(order)}: {', '.join(order)}", file=path)
            given = {**dict(zip(order, map(float, value), strict=False)), **given}
    if not any(given.values()):
        return LENS_MODELS["PINHOLE"], ()
    if fisheye:
        model = LENS_MODELS["OPENCV_FISHEYE"]
    elif any(given.get(key) for key in ("k4", "k5", "k6")):
        model = LENS_MODELS["FULL_OPENCV"]
    else:
        model = POLYNOMIAL
    return model, tuple(given.get(key, 0.0) for key in model.coefficients)


def _matrix(fx: float, fy: float, cx: float, cy: float) -> NDArray[np.float64]:
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
