"""Lens models: what COLMAP and nerfstudio files can say about a lens, forward and backward.

Every model maps the ideal image point (x, y) = (X/Z, Y/Z) to a distorted one, which the focal lengths and the principal
point then turn into pixels. Fisheye models first pass to the plane of the equidistant angle, (x, y) * atan(r) / r.
Nothing outside the scene readers uses this module: a scene holds pinhole cameras only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError

Distort = Callable[[NDArray[Any], NDArray[Any], Sequence[float]], tuple[NDArray[Any], NDArray[Any]]]

NEWTON_STEPS = 100
TRUST_RADIUS = 0.1  # longest Newton step, absolute near the axis and relative to the radius beyond 1
CONVERGED = 1e-10  # squared length of the last step; Newton's next error is about its square
COMPLEX_STEP = 1e-30


@dataclass(frozen=True)
class LensModel:
    """One way to describe a lens.

    Attributes:
        name: COLMAP's name of the model.
        colmap_id: COLMAP's number of the model.
        focal_lengths: 1 if fx = fy is one parameter, else 2. Focal lengths and principal point come first in files.
        coefficients: Names of the distortion coefficients, in file order.
        distort: Maps ideal to distorted points of the normalised plane (or of the angle plane).
        angular: Whether ``distort`` works on the plane of the equidistant angle (fisheye models).
    """

    name: str
    colmap_id: int
    focal_lengths: int
    coefficients: tuple[str, ...]
    distort: Distort
    angular: bool = False

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """All parameters in the order of COLMAP's files."""
        return (*(("f",) if self.focal_lengths == 1 else ("fx", "fy")), "cx", "cy", *self.coefficients)


def _identity(x: NDArray[Any], y: NDArray[Any], c: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    return x, y


def _brown(
    x: NDArray[Any],
    y: NDArray[Any],
    radial: Sequence[float],
    tangential: Sequence[float] = (0.0, 0.0),
    divisor: Sequence[float] = (),
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Radial polynomial (over a second one, in the rational model) and decentring (Brown 1971)."""
    r2 = x * x + y * y
    factor = _polynomial(r2, radial) / _polynomial(r2, divisor)
    p1, p2 = tangential
    return (
        x * factor + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * factor + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
    )


def _opencv(x: NDArray[Any], y: NDArray[Any], c: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """OpenCV's order k1, k2, p1, p2, and for the rational model k3, k4, k5, k6."""
    return _brown(x, y, (*c[:2], *c[4:5]), c[2:4], c[5:])


def _radial_then_tangential(x: NDArray[Any], y: NDArray[Any], c: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    return _brown(x, y, c[:-2], c[-2:])


def _polynomial(r2: NDArray[Any], coefficients: Sequence[float]) -> NDArray[Any]:
    """1 + c1 r^2 + c2 r^4 + ..."""
    value = np.zeros_like(r2)
    for c in reversed(coefficients):
        value = (value + c) * r2
    return 1 + value


def _thin_prism(x: NDArray[Any], y: NDArray[Any], c: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weng, Cohen and Herniou 1992, with the coefficient order k1, k2, p1, p2, k3, k4, sx1, sy1."""
    k1, k2, p1, p2, k3, k4, sx, sy = c
    xd, yd = _brown(x, y, (k1, k2, k3, k4), (p1, p2))
    r2 = x * x + y * y
    return xd + sx * r2, yd + sy * r2


def _rad_tan_thin_prism(x: NDArray[Any], y: NDArray[Any], c: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Project Aria's Fisheye624: decentring (p0 along x, the reverse of Brown's order) and prism of the scaled point."""
    factor = _polynomial(x * x + y * y, c[:6])
    p0, p1, s0, s1, s2, s3 = c[6:]
    x, y = x * factor, y * factor
    xd, yd = _brown(x, y, (), (p1, p0))
    r2 = x * x + y * y
    return xd + (s0 + s1 * r2) * r2, yd + (s2 + s3 * r2) * r2


def _field_of_view(x: NDArray[Any], y: NDArray[Any], c: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Devernay and Faugeras 2001: distorted radius atan(2 r tan(omega / 2)) / omega."""
    omega = c[0]
    if omega == 0:
        return x, y
    slope = 2 * math.tan(omega / 2)
    factor = slope / omega * _angle_ratio(slope * slope * (x * x + y * y))
    return x * factor, y * factor


def _division(x: NDArray[Any], y: NDArray[Any], c: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Fitzgibbon 2001: ideal = distorted / (1 + k r_d^2), solved for the distorted point (NaN where there is none)."""
    with np.errstate(invalid="ignore"):
        factor = 2 / (1 + np.sqrt(1 - 4 * c[0] * (x * x + y * y)))
    return x * factor, y * factor


def _unified(x: NDArray[Any], y: NDArray[Any], c: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Enhanced unified camera model (Khomutenko, Garcia and Martinet 2016)."""
    alpha, beta = c
    divisor = alpha * np.sqrt(beta * (x * x + y * y) + 1) + 1 - alpha
    return x / divisor, y / divisor


def _angle_ratio(r2: NDArray[Any]) -> NDArray[Any]:
    """atan(r) / r of r^2, smooth at 0."""
    near = np.abs(r2) < 1e-6
    r = np.sqrt(np.where(near, 1.0, r2))
    return np.where(near, 1 - r2 / 3 + r2 * r2 / 5, np.arctan(r) / r)


LENS_MODELS = {
    model.name: model
    for model in (
        LensModel("SIMPLE_PINHOLE", 0, 1, (), _identity),
        LensModel("PINHOLE", 1, 2, (), _identity),
        LensModel("SIMPLE_RADIAL", 2, 1, ("k",), _brown),
        LensModel("RADIAL", 3, 1, ("k1", "k2"), _brown),
        LensModel("OPENCV", 4, 2, ("k1", "k2", "p1", "p2"), _opencv),
        LensModel("OPENCV_FISHEYE", 5, 2, ("k1", "k2", "k3", "k4"), _brown, angular=True),
        LensModel("FULL_OPENCV", 6, 2, ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"), _opencv),
        LensModel("FOV", 7, 2, ("omega",), _field_of_view),
        LensModel("SIMPLE_RADIAL_FISHEYE", 8, 1, ("k",), _brown, angular=True),
        LensModel("RADIAL_FISHEYE", 9, 1, ("k1", "k2"), _brown, angular=True),
        LensModel("THIN_PRISM_FISHEYE", 10, 2, ("k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1"), _thin_prism, angular=True),
        LensModel(
            "RAD_TAN_THIN_PRISM_FISHEYE",
            11,
            2,
            ("k0", "k1", "k2", "k3", "k4", "k5", "p0", "p1", "s0", "s1", "s2", "s3"),
            _rad_tan_thin_prism,
            angular=True,
        ),
        LensModel("SIMPLE_DIVISION", 12, 1, ("k",), _division),
        LensModel("DIVISION", 13, 2, ("k",), _division),
        LensModel("SIMPLE_FISHEYE", 14, 1, (), _identity, angular=True),
        LensModel("FISHEYE", 15, 2, (), _identity, angular=True),
        LensModel("EUCM", 16, 2, ("alpha", "beta"), _unified),
    )
}
# nerfstudio's perspective camera: one polynomial up to r^8 with the decentring terms of OpenCV. Not a model of COLMAP.
POLYNOMIAL = LensModel("POLYNOMIAL", -1, 2, ("k1", "k2", "k3", "k4", "p1", "p2"), _radial_then_tangential)


@dataclass(frozen=True)
class LensCamera:
    """Intrinsics of a camera whose lens may distort, in pixels; the centre of the first pixel is at (0.5, 0.5).

    Attributes:
        model: Lens model.
        fx, fy, cx, cy: Focal lengths and principal point.
        coefficients: Distortion coefficients, as many as ``model.coefficients``.
        width, height: Image size.
    """

    model: LensModel
    fx: float
    fy: float
    cx: float
    cy: float
    coefficients: tuple[float, ...]
    width: int
    height: int

    @property
    def is_pinhole(self) -> bool:
        """Whether straight lines stay straight, so that nothing needs to be undone."""
        neutral = self.coefficients[:1] == (0.0,) if self.model.name == "EUCM" else not any(self.coefficients)
        return neutral and not self.model.angular

    @property
    def K(self) -> NDArray[np.float64]:
        """Intrinsic matrix without the distortion  # [3, 3]"""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def resized(self, width: int, height: int) -> LensCamera:
        """The camera of the same view with another number of pixels; the coefficients do not depend on it."""
        x, y = width / self.width, height / self.height
        return replace(self, fx=self.fx * x, fy=self.fy * y, cx=self.cx * x, cy=self.cy * y, width=width, height=height)

    def project(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Pixels of ideal image points (X/Z, Y/Z)  # [N, 2] -> [N, 2]"""
        x, y = np.asarray(points, np.float64).T
        if self.model.angular:
            ratio = _angle_ratio(x * x + y * y)
            x, y = x * ratio, y * ratio
        x, y = self.model.distort(x, y, self.coefficients)
        return np.stack([self.fx * x + self.cx, self.fy * y + self.cy], axis=-1)

    def unproject(self, pixels: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Ideal image points (X/Z, Y/Z) of pixels.

        A fisheye pixel 90 degrees or more off the axis has no ideal image point; as in COLMAP it keeps the coordinates
        of its angle, which gives such lenses an undistorted camera of about the original extent.

        Returns:
            Points  # [N, 2]
            Whether the search for them converged  # [N]
        """
        pixels = np.asarray(pixels, np.float64)
        target = (pixels - [self.cx, self.cy]) / [self.fx, self.fy]
        points, converged = _invert(self.model.distort, target, self.coefficients)
        if self.model.angular:
            angle = np.linalg.norm(points, axis=-1)
            below_90 = angle * np.cos(angle) > np.finfo(np.float64).eps
            points = points * np.where(below_90, np.tan(angle) / np.where(below_90, angle, 1.0), 1.0)[:, None]
        return points, converged


def lens_camera(
    model: str, parameters: Sequence[float], width: int, height: int, *, file: str | PathLike[str], field: str
) -> LensCamera:
    """A camera from the parameters of one of COLMAP's models.

    Raises:
        InputError: If the model is unknown, the number of parameters is wrong, or a value cannot be.
    """
    if model not in LENS_MODELS:
        raise InputError(f"{field}: camera model", model, ", ".join(LENS_MODELS), file=file)
    lens = LENS_MODELS[model]
    names = lens.parameter_names
    if len(parameters) != len(names):
        raise InputError(f"{field}: parameters", f"{len(parameters)} numbers", f"{len(names)}: {', '.join(names)}", file=file)
    values = [float(value) for value in parameters]
    focal, rest = values[: lens.focal_lengths], values[lens.focal_lengths :]
    camera = LensCamera(lens, focal[0], focal[-1], rest[0], rest[1], tuple(rest[2:]), int(width), int(height))
    check_lens_camera(camera, file=file, field=field)
    return camera


def check_lens_camera(camera: LensCamera, *, file: str | PathLike[str], field: str) -> None:
    """Raises InputError if a value is not finite, a focal length not positive or the image empty."""
    if camera.width < 1 or camera.height < 1:
        raise InputError(f"{field}: size", f"{camera.width} x {camera.height}", "at least one pixel each way", file=file)
    values = (camera.fx, camera.fy, camera.cx, camera.cy, *camera.coefficients)
    if not all(math.isfinite(value) for value in values):
        raise InputError(f"{field}: parameters", values, "finite numbers", file=file)
    if camera.fx <= 0 or camera.fy <= 0:
        raise InputError(f"{field}: focal length", f"{camera.fx:g}, {camera.fy:g}", "positive", file=file)


def _invert(distort: Distort, target: NDArray[Any], coefficients: Sequence[float]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Newton's method inside a trust region, from the distorted point; derivatives by the complex step (exact)."""
    points = target.copy()
    converged = np.zeros(len(points), bool)
    for _ in range(NEWTON_STEPS):
        x, y = points[~converged].T
        xd, yd = distort(x, y, coefficients)
        by_x = distort(x + 1j * COMPLEX_STEP, y.astype(complex), coefficients)
        by_y = distort(x.astype(complex), y + 1j * COMPLEX_STEP, coefficients)
        a, c = by_x[0].imag / COMPLEX_STEP, by_x[1].imag / COMPLEX_STEP
        b, d = by_y[0].imag / COMPLEX_STEP, by_y[1].imag / COMPLEX_STEP
        ex, ey = xd - target[~converged, 0], yd - target[~converged, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.stack([d * ex - b * ey, a * ey - c * ex], axis=-1) / (a * d - b * c)[:, None]
        length = np.linalg.norm(step, axis=-1)
        longest = TRUST_RADIUS * np.maximum(1.0, np.hypot(x, y))
        step = np.where(np.isfinite(length)[:, None], step, 0.0)
        step *= np.where(length > longest, longest / np.maximum(length, 1e-300), 1.0)[:, None]
        points[~converged] -= step
        converged[~converged] = np.isfinite(length) & (length * length < CONVERGED)
        if converged.all():
            break
    return points, converged
