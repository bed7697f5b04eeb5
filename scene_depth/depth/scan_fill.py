"""Raw LiDAR scans: points that shine through what stands before them, and the morphological fill that was made for such scans.

A scanner stands beside the camera. It sees past near objects, so that points of what lies behind fall between their points, and
the strip of an object that only the camera sees has none of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from scene_depth.arrays import Array, Mask
from scene_depth.depth.scattered import nearest_fill
from scene_depth.geometry.scan_projection import FARTHER, REACH, REFERENCE_HEIGHT, shining_through

SPARSE = 0.1  # share of known pixels from which on depth is no raw scan
FEWEST, LEAST_SHARE = 32, 0.01  # of points behind nearer ones, from which on a scan may shine through
STEP = 0.05  # share by which a fill must be farther than what stands in front to be covered
AROUND = 24  # points beside one that are looked at for its own surface and the one in front


def scan_shines_through(guide: NDArray[np.float32], depth: Array, known: Mask) -> Mask:
    """Known points to be left out where known depth is a raw scan; none where it is anything else.

    Points behind nearer ones on both sides are as frequent where a camera looks through leaves or the back of a chair. There a
    point has the colour of its own surface. One that shines through has the colour of what stands before it: the picture decides,
    for the whole scan by its medians.

    Args:
        guide: Colours; without differences nothing can be told  # [channels, H, W]
        depth: z-depth, read where known  # [H, W]
        known: # [H, W]

    Returns:
        True = leave out  # [H, W]
    """
    nothing = np.zeros(known.shape, dtype=bool)
    if known.mean() >= SPARSE:
        return nothing
    sparse = np.where(known, depth, 0).astype(np.float32)
    hidden = shining_through(sparse)
    if hidden.sum() < max(FEWEST, LEAST_SHARE * known.sum()) or not _in_lines(known):
        return nothing
    points, others = np.argwhere(hidden), np.argwhere(known & ~hidden)
    _, beside = cKDTree(others).query(points, k=min(AROUND, len(others)))
    beside = beside.reshape(len(points), -1)
    colors, here = guide[:, others[:, 0], others[:, 1]][:, beside], guide[:, points[:, 0], points[:, 1]]
    apart = np.sqrt(((colors - here[:, :, None]) ** 2).sum(axis=0))
    in_front = sparse[tuple(others.T)][beside] * (1 + FARTHER) < sparse[tuple(points.T)][:, None]
    both = in_front.any(axis=1) & ~in_front.all(axis=1)
    first = np.arange(len(points))
    to_front, to_own = apart[first, in_front.argmax(axis=1)][both], apart[first, (~in_front).argmax(axis=1)][both]
    return hidden if both.any() and np.median(to_front) < np.median(to_own) else nothing


def _in_lines(known: Mask) -> bool:
    """Whether points stand in lines as those of 64 beams do: apart along a line, lines farther, but within twice the search."""
    along, across = _median_gap(known), _median_gap(known.T)
    return along >= 2 and 2 * along <= across <= 2 * REACH[1] * known.shape[0] / REFERENCE_HEIGHT


def _median_gap(known: Mask) -> float:
    """Pixels from a known one to the next of its row; 0 if no row has two."""
    rows, columns = np.nonzero(known)
    gaps = np.diff(columns)[np.diff(rows) == 0]
    return float(np.median(gaps)) if gaps.size else 0.0


def cover_near(depth: Array, known: Mask, ceiling: float, diamond: int = 5) -> NDArray[np.float64]:
    """The first steps of IP-Basic: points grow by a diamond, nearer ones over farther ones, and gaps between them are closed.

    Args:
        depth: z-depth, read where known  # [H, W]
        known: # [H, W]
        ceiling: Depth beyond the farthest, from which depths are subtracted so that the largest value is the nearest.
        diamond: Side of the diamond, odd.

    Returns:
        ceiling - depth, 0 where nothing is near  # [H, W]
    """
    inverted = np.where(known, ceiling - depth.astype(np.float64), 0.0)
    radius = diamond // 2
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inverted = ndimage.maximum_filter(inverted, footprint=abs(rows) + abs(columns) <= radius, mode="constant")
    closed: NDArray[np.float64] = ndimage.minimum_filter(
        ndimage.maximum_filter(inverted, 5, mode="constant"), 5, mode="constant", cval=np.inf
    )
    return closed


def ip_basic(depth: Array, known: Mask, ceiling: float, diamond: int = 5, extend_to_top: bool = False) -> NDArray[np.float64]:
    """Ku et al. 2018, "In defense of classical image processing", with its kernels; nearest values beyond their reach.

    Args:
        depth, known, ceiling, diamond: As in ``cover_near``.
        extend_to_top: Whether the highest value of each column is continued to the upper border, as for road scenes.

    Returns:
        z-depth  # [H, W]
    """
    inverted = cover_near(depth, known, ceiling, diamond)
    inverted = np.where(inverted > 0, inverted, ndimage.maximum_filter(inverted, 7, mode="constant"))
    if extend_to_top:
        inverted = _extended_to_top(inverted)
    inverted = np.where(inverted > 0, inverted, ndimage.maximum_filter(inverted, 31, mode="constant"))
    inverted = nearest_fill(inverted, inverted > 0)
    inverted = ndimage.median_filter(inverted, 5, mode="nearest")
    for axis in (0, 1):  # the 5 x 5 Gaussian of OpenCV
        inverted = ndimage.convolve1d(inverted, np.array([1, 4, 6, 4, 1]) / 16, axis, mode="mirror")
    filled: NDArray[np.float64] = ceiling - inverted
    return filled


def cover_scan(filled: NDArray[np.float64], depth: Array, known: Mask, hidden: Mask) -> NDArray[np.float64]:
    """Completed depth of a raw scan with the strips of near objects that have no points of their own.

    Where the points in front, grown and closed over their gaps, are nearer than the fill, they win. Then the geometric mean with
    IP-Basic of all points is taken: at outlines, where either may be wrong by the whole step, it is off by half of it.

    Args:
        filled: Completed depth  # [H, W]
        depth, known: The scan  # [H, W]
        hidden: What ``scan_shines_through`` left out of it.
    """
    ceiling = 1.25 * float(depth[known].max())
    front = ceiling - cover_near(depth, known & ~hidden, ceiling)
    covered = np.where((front < ceiling) & (front * (1 + STEP) < filled), front, filled)
    mean: NDArray[np.float64] = np.sqrt(covered * ip_basic(depth, known, ceiling))
    return mean


def _extended_to_top(inverted: NDArray[np.float64]) -> NDArray[np.float64]:
    filled = inverted > 0
    first = filled.argmax(axis=0)
    value = inverted[first, np.arange(inverted.shape[1])]
    above = np.arange(inverted.shape[0])[:, None] < first
    return np.where(above & filled.any(axis=0), value, inverted)
