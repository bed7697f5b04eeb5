"""A plane that a hole lies on, seen straight on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, map_coordinates
from scipy.signal import fftconvolve

from scene_depth.arrays import Array, Mask, Picture, Places
from scene_depth.cameras import Cameras
from scene_depth.geometry.planes import LEAST_HOLE, Plane, around, camera_points, plane_depth

COARSENED = 3.0  # footprint of a pixel, in those of the hole, above which it no longer shows the texture
LARGEST_GRID = 320  # cells along a side of the straight view
ELSEWHERE = 2  # places at which the hole is hidden elsewhere
LEAST_COVERED = 0.2  # share of the hole that must be known there


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

    rgb: Picture
    known: Mask
    hole: Mask
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]

    @cached_property
    def elsewhere(self) -> list[Places]:
        """Rows and columns by which the hole comes to lie where the plane is known, the best first  # [2] each"""
        return places_elsewhere(self.known, self.hole)

    def cells_of(self, pixels: Mask) -> Mask:
        """Cells that pixels of the picture show  # [H, W] -> [h, w]"""
        cells = np.zeros_like(self.hole)
        rows, columns = (
            np.clip(np.round(place[pixels]).astype(int), 0, size - 1)
            for place, size in zip((self.rows, self.columns), cells.shape, strict=True)
        )
        cells[rows, columns] = True
        return cells


def straight_view(plane: Plane, rgb: Array, known: Mask, hole: Mask, camera: Cameras) -> StraightView:
    """The plane's pixels on a grid in the plane, its axes level with the picture's and along the slope.

    Args:
        plane: One of ``planes_of``.
        rgb: sRGB  # [H, W, 3]
        known: Pixels that may serve as an example  # [H, W]
        hole: Pixels to be filled  # [H, W]
        camera: The one camera of the view.

    Returns:
        The view; one cell of which nothing is known if hardly any of the plane's part of the hole is before the camera.
    """
    across = np.cross(plane.normal, [0.0, 1.0, 0.0])
    if np.linalg.norm(across) < 1e-3:  # a level plane seen from straight above
        across = np.array([1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    down = np.cross(plane.normal, across)
    rays = camera_points(np.ones(rgb.shape[:2]), camera)
    depth = plane_depth(plane.normal, plane.offset, rays)
    u, v = (depth * (rays @ axis) for axis in (across, down))
    wanted = plane.pixels & hole & np.isfinite(depth)
    if wanted.sum() < LEAST_HOLE:
        return StraightView(np.zeros((1, 1, 3), np.float32), np.zeros((1, 1), bool), np.zeros((1, 1), bool), v, u)
    step_u, step_v = (_step(values, wanted) for values in (u, v))
    nearby = plane.pixels & around(hole) & (depth < COARSENED * np.median(depth[wanted]))
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

    def at(mask: Mask) -> Mask:
        return np.asarray(map_coordinates(mask.astype(np.float32), [row, column], order=1, mode="constant") > 0.99)

    usable = at(plane.pixels & known & ~hole) & ahead
    to_fill = ~usable & (map_coordinates(wanted.astype(np.float32), [row, column], order=1, mode="constant") > 0) & ahead
    return StraightView(colour.astype(np.float32), usable, to_fill, (v - low[1]) / steps[1], (u - low[0]) / steps[0])


def _step(values: NDArray[np.float64], wanted: Mask) -> float:
    """Median length that a pixel of the hole covers along an axis of the plane."""
    dy, dx = np.gradient(values)
    return float(np.median(np.hypot(dx, dy)[binary_dilation(wanted) & np.isfinite(dx) & np.isfinite(dy)]))


def places_elsewhere(known: Mask, hole: Mask) -> list[Places]:
    """Rows and columns by which the hole comes to lie on known cells: up to ``ELSEWHERE`` moves, the best first  # [2] each"""
    height, width = hole.shape
    covered = fftconvolve(known.astype(np.float64), hole[::-1, ::-1].astype(np.float64)) / max(1, int(hole.sum()))
    down, right = np.indices(covered.shape)
    down, right = down - (height - 1), right - (width - 1)
    score = covered - 1e-3 * np.hypot(down, right) / max(height, width)
    rows, columns = (np.ptp(np.flatnonzero(hole.any(axis=axis))) + 1 for axis in (1, 0))  # moves lie half of it apart
    found: list[Places] = []
    while len(found) < ELSEWHERE:
        best = np.unravel_index(score.argmax(), score.shape)
        if score[best] < LEAST_COVERED:
            break
        shift = np.array([down[best], right[best]])
        found.append(shift)
        score[(np.abs(down - shift[0]) < rows / 2) & (np.abs(right - shift[1]) < columns / 2)] = -1
    return found
