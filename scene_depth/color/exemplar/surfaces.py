"""The planes that a hole lies on, and each of them seen straight on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, map_coordinates, median_filter, uniform_filter

from scene_depth.cameras import Cameras
from scene_depth.geometry.normals import normals_from_depth

OFF_PLANE = 0.02  # distance from a plane, relative to the depth, up to which a point lies on it
ALIGNED = 0.6  # cosine between the smoothed local normal and the plane's from which it does
WELL_ALIGNED = 0.97  # the same for the pixels that the plane is fitted to, which keeps creases out
MEDIAN = 5  # pixels of the median that takes the noise of rendered depth away, which is largest where there is a pattern
NORMAL_SPREAD = 4.0  # standard deviation, in pixels, of the smoothing of normals
TRIALS = 200  # planes proposed for each that is accepted
VOTERS = 1500  # pixels of the hole that a proposal is judged by
MOST_PLANES = 6
LEAST_HOLE = 60  # pixels of the hole that make a plane worth its own fill
LEAST_KNOWN = 150  # known pixels on it that can serve as an example
REACH = 1.5  # how far around the hole examples are taken from, in sizes of the hole
COARSENED = 3.0  # footprint of a pixel, in those of the hole, above which it no longer shows the texture
LARGEST_GRID = 320  # cells along a side of the straight view


@dataclass(frozen=True)
class Plane:
    """A plane in the camera frame: normal . x = offset.

    Attributes:
        normal: Unit vector towards the camera  # [3]
        offset: In scene units.
        pixels: Pixels of the picture that lie on it  # [H, W] bool
    """

    normal: NDArray[np.float64]
    offset: float
    pixels: NDArray[np.bool_]


@dataclass(frozen=True)
class StraightView:
    """A plane seen straight on, as a grid whose cells are as large as the hole's pixels are there.

    Translations in it are translations on the surface, so a pattern that repeats does so by a fixed step.

    Attributes:
        rgb: Colour of the cells, of meaning where ``known``  # [h, w, 3]
        known: Cells that show the plane  # [h, w] bool
        hole: Cells to be filled  # [h, w] bool
        rows, columns: Place in the grid of every pixel of the picture, NaN where it looks past the plane  # [H, W] each
    """

    rgb: NDArray[np.float32]
    known: NDArray[np.bool_]
    hole: NDArray[np.bool_]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]


def planes_of(depth: NDArray[np.floating], hole: NDArray[np.bool_], camera: Cameras, seed: int = 0) -> list[Plane]:
    """The planes that the hole's surfaces lie on, largest first, no pixel on two of them.

    Planes are proposed through single pixels of the hole with their normals, and the one with most of the hole's pixels
    is fitted to all its points by least squares (RANSAC, Fischler and Bolles 1981).

    Args:
        depth: Complete z-depth, 0 = unknown  # [H, W]
        hole: Pixels to be filled  # [H, W]
        camera: The one camera of the view.
        seed: Of the proposals.
    """
    rng = np.random.default_rng([seed, 11])
    measured, normals = camera_points(depth, camera), _smooth_normals(depth, camera)
    points = camera_points(median_filter(depth, MEDIAN), camera)
    free = (depth > 0) & (np.linalg.norm(normals, axis=-1) > 0.5)
    found: list[Plane] = []
    while len(found) < MOST_PLANES:
        candidates = np.argwhere(free & hole)
        if len(candidates) < LEAST_HOLE:
            break
        chosen = candidates[rng.integers(len(candidates), size=TRIALS)]
        voters = candidates[rng.integers(len(candidates), size=min(len(candidates), VOTERS))]
        at, facing = points[tuple(voters.T)], normals[tuple(voters.T)]
        inside = [_on_plane(at, facing, *_through(points, normals, place)).sum() for place in chosen]
        normal, offset = _through(points, normals, chosen[int(np.argmax(inside))])
        for _ in range(3):
            pixels = free.copy()
            pixels[free] = _on_plane(points[free], normals[free], normal, offset)
            pixels = free & (uniform_filter(pixels.astype(np.float32), MEDIAN) > 0.5)
            near = pixels & _around(hole)
            if near.sum() < LEAST_HOLE:
                break
            core = near & (normals @ normal > WELL_ALIGNED)
            near = core if core.sum() >= LEAST_HOLE else near
            normal, offset = _fitted(measured[near], depth[near], normal)
        if (pixels & hole).sum() < LEAST_HOLE:
            break
        free &= ~pixels
        if (pixels & ~hole).sum() >= LEAST_KNOWN:
            found.append(Plane(normal, offset, pixels))
    return found


def straight_view(
    plane: Plane, rgb: NDArray[np.floating], known: NDArray[np.bool_], hole: NDArray, camera: Cameras
) -> StraightView:
    """The plane's pixels on a grid in the plane, its axes level with the picture's and along the slope.

    Args:
        plane: One of ``planes_of``.
        rgb: sRGB  # [H, W, 3]
        known: Pixels that may serve as an example  # [H, W]
        hole: Pixels to be filled  # [H, W]
        camera: The one camera of the view.
    """
    across = np.cross(plane.normal, [0.0, 1.0, 0.0])
    if np.linalg.norm(across) < 1e-3:  # a level plane seen from straight above
        across = np.array([1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    down = np.cross(plane.normal, across)
    rays = camera_points(np.ones(rgb.shape[:2]), camera)
    facing = rays @ plane.normal
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = plane.offset / facing
    good = np.isfinite(depth) & (depth > 0)
    u, v = (np.where(good, depth * (rays @ axis), np.nan) for axis in (across, down))
    wanted = plane.pixels & hole & good
    if wanted.sum() < LEAST_HOLE:  # most of it lies beyond the horizon of the fitted plane
        return StraightView(np.zeros((1, 1, 3), np.float32), np.zeros((1, 1), bool), np.zeros((1, 1), bool), v, u)
    step_u, step_v = (_step(values, wanted) for values in (u, v))
    nearby = plane.pixels & _around(hole) & good & (depth < COARSENED * np.median(depth[wanted]))
    low = np.array([np.nanmin(u[nearby]), np.nanmin(v[nearby])])
    high = np.array([np.nanmax(u[nearby]), np.nanmax(v[nearby])])
    steps = np.maximum([step_u, step_v], (high - low) / LARGEST_GRID)
    shape = tuple(np.ceil((high - low) / steps).astype(int)[::-1] + 1)
    grid_v, grid_u = np.meshgrid(low[1] + steps[1] * np.arange(shape[0]), low[0] + steps[0] * np.arange(shape[1]), indexing="ij")
    place = plane.normal * plane.offset + grid_u[..., None] * across + grid_v[..., None] * down
    K = camera.K[0].numpy()
    column, row = (K[axis, axis] * place[..., axis] / place[..., 2] + K[axis, 2] - 0.5 for axis in (0, 1))
    ahead = place[..., 2] > 0
    colour = np.stack([map_coordinates(rgb[..., c], [row, column], order=1, mode="nearest") for c in range(3)], axis=-1)

    def at(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return map_coordinates(mask.astype(np.float32), [row, column], order=1, mode="constant") > 0.99

    usable = at(plane.pixels & known & ~hole) & ahead
    to_fill = ~usable & (map_coordinates(wanted.astype(np.float32), [row, column], order=1, mode="constant") > 0) & ahead
    return StraightView(colour.astype(np.float32), usable, to_fill, (v - low[1]) / steps[1], (u - low[0]) / steps[0])


def camera_points(depth: NDArray[np.floating], camera: Cameras) -> NDArray[np.float64]:
    """Points of the pixel centres in the camera frame, in scene units  # [H, W, 3]"""
    K = camera.K[0].numpy()
    x = (np.arange(depth.shape[1]) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(depth.shape[0]) + 0.5 - K[1, 2]) / K[1, 1]
    return np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), axis=-1) * np.asarray(depth, np.float64)[..., None]


def _smooth_normals(depth: NDArray[np.floating], camera: Cameras) -> NDArray[np.float64]:
    """Unit normals averaged over some pixels, zero where there are none  # [H, W, 3]"""
    normals = gaussian_filter(normals_from_depth(depth, camera).astype(np.float64), (NORMAL_SPREAD, NORMAL_SPREAD, 0))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0.1, normals / np.maximum(length, 0.1), 0)


def _through(points: NDArray, normals: NDArray, place: NDArray) -> tuple[NDArray[np.float64], float]:
    normal = normals[place[0], place[1]]
    return normal, float(normal @ points[place[0], place[1]])


def _on_plane(points: NDArray, normals: NDArray, normal: NDArray, offset: float) -> NDArray[np.bool_]:
    close = np.abs(points @ normal - offset) < OFF_PLANE * points[:, 2]
    return close & (normals @ normal > ALIGNED)


def _fitted(points: NDArray, depth: NDArray, towards: NDArray) -> tuple[NDArray[np.float64], float]:
    """Plane of least squares, errors relative to the depth, facing as ``towards`` does."""
    weights = 1 / depth.astype(np.float64)
    centre = np.average(points, axis=0, weights=weights**2)
    normal = np.linalg.svd((points - centre) * weights[:, None], full_matrices=False)[2][2]
    normal = normal if normal @ towards > 0 else -normal
    return normal, float(normal @ centre)


def _around(hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A rectangle around the hole that reaches ``REACH`` of its size beyond it  # [H, W] bool"""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    reach = int(REACH * max(rows[-1] - rows[0], columns[-1] - columns[0]) + 12)
    window = np.zeros_like(hole)
    window[max(0, rows[0] - reach) : rows[-1] + reach, max(0, columns[0] - reach) : columns[-1] + reach] = True
    return window


def _step(values: NDArray[np.float64], wanted: NDArray[np.bool_]) -> float:
    """Median length that a pixel of the hole covers along an axis of the plane."""
    dy, dx = np.gradient(values)
    return float(np.median(np.hypot(dx, dy)[binary_dilation(wanted) & np.isfinite(dx) & np.isfinite(dy)]))
