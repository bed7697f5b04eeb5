"""The planes that a hole in a picture lies on, from its completed depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from scene_depth.cameras import Cameras
from scene_depth.geometry.median import median_of_25
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.kernels import EXACT, kernel

Doubles = NDArray[np.float64]

OFF_PLANE = 0.02  # distance from a plane, relative to the depth, up to which a point lies on it
ALIGNED = 0.6  # cosine between the smoothed local normal and the plane's from which it does
WELL_ALIGNED = 0.97  # the same for the pixels that the plane is fitted to, which keeps creases out
MEDIAN = 5  # pixels of the median and of the vote that take away the noise of rendered depth, largest where there is a pattern
NORMAL_SPREAD = 4.0  # standard deviation, in pixels, of the smoothing of normals
TRIALS = 200  # planes proposed for each that is accepted
VOTERS = 1500  # pixels of the hole that a proposal is judged by
MOST_PLANES = 6
LEAST_HOLE = 60  # pixels of the hole that make a plane worth its own fill
LEAST_KNOWN = 150  # known pixels on it that can serve as an example
REACH = 1.5  # how far around the hole examples are taken from, in sizes of the hole


@dataclass(frozen=True)
class Plane:
    """A plane in the camera frame: normal . x = offset.

    Attributes:
        normal: Unit vector towards the camera  # [3]
        offset: In scene units.
        pixels: Pixels of the picture that lie on it  # [H, W] bool
    """

    normal: Doubles
    offset: float
    pixels: NDArray[np.bool_]


def planes_of(
    depth: NDArray[np.floating],
    hole: NDArray[np.bool_],
    camera: Cameras,
    seed: int = 0,
    normals: NDArray[np.float32] | None = None,
) -> list[Plane]:
    """The planes that the hole's surfaces lie on, largest first, no pixel on two of them.

    Planes are proposed through single pixels of the hole with their normals, and the one with most of the hole's pixels
    is fitted to all its points by least squares (RANSAC, Fischler and Bolles 1981).

    Args:
        depth: Complete z-depth, 0 = unknown  # [H, W]
        hole: Pixels to be filled  # [H, W]
        camera: The one camera of the view.
        seed: Of the proposals.
        normals: Those of ``normals_from_depth``, if they are there already  # [H, W, 3]
    """
    rng = np.random.default_rng([seed, 11])
    measured = camera_points(depth, camera)
    smooth = _smooth_normals(normals_from_depth(depth, camera) if normals is None else normals)
    points = camera_points(median_of_25(depth), camera)
    free = (depth > 0) & (np.linalg.norm(smooth, axis=-1) > 0.5)
    found: list[Plane] = []
    near_hole, wide = around(hole), _window(hole, MEDIAN)
    while len(found) < MOST_PLANES:
        candidates = np.argwhere(free & hole)
        if len(candidates) < LEAST_HOLE:
            break
        chosen = candidates[rng.integers(len(candidates), size=TRIALS)]
        voters = candidates[rng.integers(len(candidates), size=min(len(candidates), VOTERS))]
        at, facing = points[tuple(voters.T)][None], smooth[tuple(voters.T)][None]
        voting = np.ones((1, len(voters)), bool)
        inside = [_on_plane(at, facing, voting, *_through(points, smooth, place)).sum() for place in chosen]
        normal, offset = _through(points, smooth, chosen[int(np.argmax(inside))])
        for window in (wide, wide, ...):  # the fit looks at what is near the hole, the last round at the whole picture
            pixels = _on_plane(points[window], smooth[window], free[window], normal, offset)
            pixels = free[window] & (uniform_filter(pixels.astype(np.float32), MEDIAN) > 0.5)
            near = pixels & near_hole[window]
            if near.sum() < LEAST_HOLE:
                break
            core = near.copy()
            core[near] = smooth[window][near] @ normal > WELL_ALIGNED
            near = core if core.sum() >= LEAST_HOLE else near
            normal, offset = fitted_plane(measured[window][near], depth[window][near], normal)
        if near.sum() < LEAST_HOLE or (pixels & hole).sum() < LEAST_HOLE:
            break
        free &= ~pixels
        if (pixels & ~hole).sum() >= LEAST_KNOWN:
            found.append(Plane(normal, offset, pixels))
    return found


def camera_points(depth: NDArray[np.floating], camera: Cameras) -> Doubles:
    """Points of the pixel centres in the camera frame, in scene units  # [H, W, 3]"""
    K = camera.K[0].numpy()
    x = (np.arange(depth.shape[1]) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(depth.shape[0]) + 0.5 - K[1, 2]) / K[1, 1]
    return np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), axis=-1) * np.asarray(depth, np.float64)[..., None]


def plane_depth(normal: Doubles, offset: float, rays: Doubles) -> Doubles:
    """z-depth at which rays from the camera meet a plane, NaN where they do not  # [...]

    Args:
        normal, offset: Of the plane, normal . x = offset in the camera frame  # [3]
        rays: Points of depth 1, as ``camera_points`` gives them  # [..., 3]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = offset / (rays @ normal)
        return np.where(np.isfinite(depth) & (depth > 0), depth, np.nan)


def _smooth_normals(normals: NDArray[np.floating]) -> Doubles:
    """Unit normals averaged over some pixels, zero where there are none  # [H, W, 3]"""
    normals = gaussian_filter(normals.astype(np.float64), (NORMAL_SPREAD, NORMAL_SPREAD, 0))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0.1, normals / np.maximum(length, 0.1), 0)


def _through(points: Doubles, normals: Doubles, place: NDArray[np.intp]) -> tuple[Doubles, float]:
    normal = normals[place[0], place[1]]
    return normal, float(normal @ points[place[0], place[1]])


def _on_plane(points: Doubles, normals: Doubles, free: NDArray[np.bool_], normal: Doubles, offset: float) -> NDArray[np.bool_]:
    """Which free pixels lie close to a plane and face as it does  # [H, W] bool"""
    found = np.empty(free.shape, bool)
    _mark_plane(points, normals, free, normal, offset, found)
    return found


@kernel(EXACT)
def _mark_plane(points, normals, free, normal, offset, found):
    for y in range(free.shape[0]):
        for x in range(free.shape[1]):
            distance, facing = -offset, 0.0
            for axis in range(3):
                distance += points[y, x, axis] * normal[axis]
                facing += normals[y, x, axis] * normal[axis]
            found[y, x] = free[y, x] & (abs(distance) < OFF_PLANE * points[y, x, 2]) & (facing > ALIGNED)


def fitted_plane(
    points: Doubles, depth: NDArray[np.floating], towards: Doubles, trust: Doubles | None = None
) -> tuple[Doubles, float]:
    """Plane of least squares, errors relative to the depth.

    Args:
        points: In the camera frame  # [N, 3]
        depth: Their z-depth  # [N]
        towards: The normal is to face as this does  # [3]
        trust: Weight of each point's squared error; equal by default  # [N]

    Returns:
        Unit normal  # [3]; offset, normal . x = offset
    """
    weights = 1 / depth.astype(np.float64)
    trust = np.ones(len(points)) if trust is None else trust
    centre = np.average(points, axis=0, weights=weights**2 * trust)
    scaled = (points - centre) * (weights * np.sqrt(trust))[:, None]
    normal = np.linalg.eigh(scaled.T @ scaled)[1][:, 0]
    normal = normal if normal @ towards > 0 else -normal
    return normal, float(normal @ centre)


def around(hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A rectangle around the hole that reaches ``REACH`` of its size beyond it  # [H, W] bool"""
    window = np.zeros_like(hole)
    window[_window(hole, 0)] = True
    return window


def _window(hole: NDArray[np.bool_], beyond: int) -> tuple[slice, slice]:
    """Rows and columns of the rectangle around the hole, and so many more on each side."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    reach = int(REACH * max(rows[-1] - rows[0], columns[-1] - columns[0]) + 12) + beyond
    return slice(max(0, rows[0] - reach), rows[-1] + reach), slice(max(0, columns[0] - reach), columns[-1] + reach)
