"""The test settings of Prior Depth Anything: missing regions, sparse points, low resolution, their mixtures, and noise.

Wang et al., "Depth Anything with Any Prior" (arXiv 2505.10565). What the released sampler says is followed to the pixel: where
its LiDAR lines fall, how a low resolution is drawn and put back, that a square may lie anywhere, that only depths inside an
interval are kept. It takes the numbers as arguments; those here (3 m and 15 m, squares of 80 to 200 pixels, 8 lines, 100 points,
8x and 16x) are the paper's as far as we know them, not checked against its text. Two settings can only be approximated:

- ``object``: the paper's masks come from a segmentation network. Here an instance of the data set's labels is hidden, else the
  region that came with the frame, else a depth-connected segment of the truth. Hiding a whole segment of the truth is harder.
- ``sfm``: the sampler takes OpenCV's SIFT. Here the extrema of differences of Gaussians that SIFT starts from are found, with its
  thresholds, without refining them between pixels: on our frames within 2 pixels of 91 to 93 % of OpenCV's, and 18 % more.

``noise`` has no published row: the sampler's 2,000 points, each off by 2 % (one sigma) and one in 50 anywhere in the range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from scene_depth.arrays import Mask
from scene_depth.datasets.frames.frame import DepthFrame
from scene_depth.depth.masks.content import LUMA, instances, segment
from scene_depth.depth.masks.drawn import random_points
from scene_depth.errors import InputError

Depth = NDArray[np.float32]
Given = tuple[Depth, Mask]

PRIORDA = "priorda:"
"""What the names of these settings begin with, as masks of a protocol."""
INDOORS, OUTDOORS, FAR_SCENE = 3.0, 15.0, 5.0
"""Depth up to which ``range`` keeps what is known, in metres; outdoors is where the median of the truth is above the third."""
SIDES, SIDE, ROWS = (80, 120, 160, 200), 160, 480
"""Sides of the squares of ``shape``, drawn by the seed, and of the mixed settings, in pixels of a picture of so many rows."""
LINES, PITCH, YAW, STEPS = 8, 0.5, np.pi / 2.1, 200
"""Scan lines, their largest elevation and azimuth in radians, and measurements of a line."""
POINTS, SAMPLES, FEWEST_KEYPOINTS = 100, 2000, 20
"""Points of ``extreme``, and those taken in place of fewer keypoints than the third."""
NEIGHBOURS = 5
"""Known pixels whose mean fills a gap before the resolution is lowered."""
NOISE, OUTLIERS = 0.02, 0.02


def given_depth(frame: DepthFrame, setting: str, seed: int) -> Given | None:
    """What an inpainter is given in a setting.

    Args:
        frame: A frame with truth; ``low8``, ``low16``, their mixtures and ``noise`` give other values than that.
        setting: A name of ``SETTINGS``.
        seed: Seed of every random choice.

    Returns:
        z-depth in metres, read where known  # [H, W]
        Known pixels  # [H, W]
        None if the frame has no picture and the setting needs one.
    """
    return SETTINGS[setting](frame, np.random.default_rng(seed))


def _range(frame: DepthFrame, rng: np.random.Generator) -> Given:
    limit = OUTDOORS if np.median(frame.truth[frame.valid]) > FAR_SCENE else INDOORS
    return frame.truth, frame.valid & (frame.truth < limit)


def _shape(frame: DepthFrame, rng: np.random.Generator) -> Given:
    return frame.truth, frame.valid & ~_square(frame, rng, int(rng.choice(SIDES)))


def _object(frame: DepthFrame, rng: np.random.Generator) -> Given:
    seed = int(rng.integers(2**31))
    if frame.instances is not None:
        try:
            return frame.truth, frame.valid & instances(frame.instances, seed)
        except InputError:  # no object of a useful size
            pass
    if frame.object_mask is not None:
        return frame.truth, frame.valid & ~frame.object_mask
    return frame.truth, frame.valid & segment(frame.truth, seed)


def _sfm(frame: DepthFrame, rng: np.random.Generator) -> Given | None:
    if frame.rgb is None:
        return None
    found = keypoints(frame.rgb)
    return (frame.truth, found & frame.valid) if found.sum() >= FEWEST_KEYPOINTS else _points(frame, rng, SAMPLES)


def _lidar(frame: DepthFrame, rng: np.random.Generator) -> Given:
    height, width = frame.truth.shape
    pitch, yaw = np.meshgrid(np.linspace(-PITCH, PITCH, LINES), np.linspace(-YAW, YAW, STEPS))
    column = np.round(height * np.tan(yaw) + 0.5 * width).astype(int)
    row = np.round(height * np.tan(pitch) / np.cos(yaw) + 0.5 * height).astype(int)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    known = np.zeros(frame.truth.shape, dtype=bool)
    known[row[inside], column[inside]] = True
    return frame.truth, known & frame.valid


def _extreme(frame: DepthFrame, rng: np.random.Generator) -> Given:
    return _points(frame, rng, POINTS)


def _low(factor: int) -> Callable[[DepthFrame, np.random.Generator], Given]:
    return lambda frame, rng: low_resolution(frame.truth, factor)


def _points_and_square(frame: DepthFrame, rng: np.random.Generator) -> Given:
    depth, known = _extreme(frame, rng)
    return depth, known & ~_square(frame, rng, SIDE)


def _low_and_square(frame: DepthFrame, rng: np.random.Generator) -> Given:
    depth, known = low_resolution(frame.truth, 16)
    return depth, known & ~_square(frame, rng, SIDE)


def _points_of_low(frame: DepthFrame, rng: np.random.Generator) -> Given:
    depth, known = low_resolution(frame.truth, 16)
    return depth, random_points(known.shape, int(rng.integers(2**31)), POINTS, known)


def _noise(frame: DepthFrame, rng: np.random.Generator) -> Given:
    depth, known = _points(frame, rng, SAMPLES)
    noisy = depth * np.exp(NOISE * rng.standard_normal(depth.shape))
    anywhere = rng.uniform(depth[frame.valid].min(), depth[frame.valid].max(), depth.shape)
    return np.where(rng.random(depth.shape) < OUTLIERS, anywhere, noisy).astype(np.float32), known


SETTINGS: Mapping[str, Callable[[DepthFrame, np.random.Generator], Given | None]] = MappingProxyType(
    {
        "range": _range,
        "shape": _shape,
        "object": _object,
        "sfm": _sfm,
        "lidar": _lidar,
        "extreme": _extreme,
        "low8": _low(8),
        "low16": _low(16),
        "s+m": _points_and_square,
        "l+m": _low_and_square,
        "s+l": _points_of_low,
        "noise": _noise,
    }
)
"""Every setting by name. Mixed ones: s = extreme points, l = 16x lower resolution, m = a missing square."""


def low_resolution(truth: Depth, factor: int) -> Given:
    """Depth of a lower resolution, put back on the grid of the higher.

    As the released sampler does it: gaps are filled with the mean of the nearest known pixels, the map is sampled bilinearly with
    its corners kept in place, and sample i is put at floor(i H / h), where the truth must be valid. The two grids are not the
    same, so that a value may lie up to a pixel of the lower resolution away from where it was taken.

    Args:
        truth: z-depth, 0 = none  # [H, W]
        factor: How many times fewer rows and columns, rounded down.

    Returns:
        z-depth, 0 where unknown, and the known pixels  # [H, W], [H, W]
    """
    (height, width), valid = truth.shape, truth > 0
    rows, columns = max(height // factor, 1), max(width // factor, 1)
    grid = np.meshgrid(np.linspace(0, height - 1, rows), np.linspace(0, width - 1, columns), indexing="ij")
    filled = truth.astype(np.float64)
    needed = np.zeros_like(valid)
    top, left = (np.floor(axis).astype(int) for axis in grid)
    for y in (top, np.minimum(top + 1, height - 1)):
        for x in (left, np.minimum(left + 1, width - 1)):
            needed[y, x] = True
    gaps, known = np.argwhere(needed & ~valid), np.argwhere(valid)
    if len(gaps):
        _, nearest = cKDTree(known).query(gaps, k=min(NEIGHBOURS, len(known)))
        filled[tuple(gaps.T)] = truth[valid][nearest.reshape(len(gaps), -1)].mean(axis=1)
    samples = ndimage.map_coordinates(filled, grid, order=1)
    place = np.ix_(*((np.arange(count) * (size / count)).astype(int) for count, size in ((rows, height), (columns, width))))
    depth = np.zeros(truth.shape, dtype=np.float32)
    depth[place] = samples
    depth[~valid] = 0
    return depth, depth > 0


def keypoints(rgb: NDArray[np.float32], contrast: float = 0.04, edge: float = 10.0, sigma: float = 1.6, layers: int = 3) -> Mask:
    """Where SIFT finds keypoints (Lowe 2004, sections 3 and 4), to a pixel: extrema of differences of Gaussians.

    The picture is doubled before the first octave. Extrema of low contrast, and those along an edge, are dropped.

    Args:
        rgb: sRGB in [0, 1]  # [H, W, 3]
        contrast: Least difference of Gaussians times ``layers``, for grey values in [0, 1].
        edge: Largest ratio of the principal curvatures.
        sigma: Blur of the first layer of an octave, in its pixels.
        layers: Scales of an octave.
    """
    gray = np.asarray(rgb, dtype=np.float32) @ LUMA
    found = np.zeros(gray.shape, dtype=bool)
    base = ndimage.gaussian_filter(ndimage.zoom(gray, 2, order=1, grid_mode=True, mode="nearest"), np.sqrt(sigma**2 - 1.0))
    scale = 0.5
    while min(base.shape) >= 16:
        blurs = sigma * 2.0 ** (np.arange(layers + 3) / layers)
        stack = np.stack([base, *(ndimage.gaussian_filter(base, np.sqrt(blur**2 - sigma**2)) for blur in blurs[1:])])
        difference = np.diff(stack, axis=0)
        extreme = (difference == ndimage.maximum_filter(difference, 3)) & (difference > 0)
        extreme |= (difference == ndimage.minimum_filter(difference, 3)) & (difference < 0)
        extreme[[0, -1]] = False
        extreme[:, [0, -1]] = extreme[:, :, [0, -1]] = False
        extreme &= np.abs(difference) >= contrast / layers
        layer, y, x = np.nonzero(extreme)
        kept = _is_corner(difference, layer, y, x, edge)
        rows, columns = (np.round((axis[kept] + 0.5) * scale - 0.5).astype(int) for axis in (y, x))
        inside = (rows >= 0) & (rows < gray.shape[0]) & (columns >= 0) & (columns < gray.shape[1])
        found[rows[inside], columns[inside]] = True
        base, scale = stack[layers, ::2, ::2], 2 * scale
    return found


def _is_corner(
    difference: NDArray[np.float32], layer: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp], edge: float
) -> NDArray[np.bool_]:
    """Whether the two principal curvatures there are of one sign and not too different."""
    here = difference[layer, y, x]
    dxx = difference[layer, y, x + 1] + difference[layer, y, x - 1] - 2 * here
    dyy = difference[layer, y + 1, x] + difference[layer, y - 1, x] - 2 * here
    dxy = difference[layer, y + 1, x + 1] + difference[layer, y - 1, x - 1]
    dxy = 0.25 * (dxy - difference[layer, y + 1, x - 1] - difference[layer, y - 1, x + 1])
    trace, determinant = dxx + dyy, dxx * dyy - dxy * dxy
    corner: NDArray[np.bool_] = (determinant > 0) & (trace * trace * edge < (edge + 1) ** 2 * determinant)
    return corner


def _points(frame: DepthFrame, rng: np.random.Generator, count: int) -> Given:
    return frame.truth, random_points(frame.truth.shape, int(rng.integers(2**31)), count, frame.valid)


def _square(frame: DepthFrame, rng: np.random.Generator, side: int) -> Mask:
    """True inside a square at a random place; its side is scaled to the picture's shorter side."""
    height, width = frame.truth.shape
    side = max(1, round(side * min(height, width) / ROWS))
    top, left = int(rng.integers(0, max(1, height - side))), int(rng.integers(0, max(1, width - side)))
    square = np.zeros(frame.truth.shape, dtype=bool)
    square[top : top + side, left : left + side] = True
    return square
