"""What each pixel of a pointmap result is: matched by another view, seen by one alone, contradicted, edge, shell, border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.arrays import MAD_TO_SIGMA, Array, Mask
from scene_depth.pointmaps import PointmapView
from scene_depth_sparse.comparison import Pairs, PosedDepth, compare_depth

FLAG_NAMES = ("matched", "single-view", "contradicted", "edge", "shell", "border", "missing")
"""Meaning of each number in a map of flags."""
MATCHED, SINGLE_VIEW, CONTRADICTED, EDGE, SHELL, BORDER, MISSING = range(7)
COLORS = np.array(
    [(0.25, 0.55, 0.3), (0.95, 0.75, 0.2), (0.85, 0.2, 0.2), (0.2, 0.35, 0.9), (0.6, 0.85, 1.0), (0, 0, 0), (0.45, 0.45, 0.45)],
    np.float32,
)
"""Colour of each flag in pictures."""

EDGE_STEP = 0.08  # relative step of depth within a window
EDGE_REACH = 320.0  # pixels of the longer side for one pixel to each side of an edge
LEAST_TOLERANCE, LARGEST_TOLERANCE = 0.01, 0.06
SIGMAS = 3.0
AGREED = 0.6  # of the tolerance: what a matched pixel may differ by from the mean of the views that see its surface
GATE = 2.0  # tolerances up to which another view counts as seeing the same surface
SAME_SURFACE = 0.15  # relative difference from which two views see different surfaces, for the spread of differences
SHELL_SHARE, SHELL_DEPTH = 0.02, 0.005
SHELL_MATCHED = 0.3  # of a shell's pixels seen at its depth by another view: then it is a wall
STRIDE = 3  # of the rows and columns that the tolerance is measured at


@dataclass(frozen=True)
class ViewFlags:
    """Flags of one view.

    Attributes:
        flags: Index into ``FLAG_NAMES``  # [H, W] uint8
        seeing: Views that see about the same surface  # [H, W] uint8
        offset: Mean of how far this view lies behind what they see, relative; 0 where none does  # [H, W] float32
    """

    flags: NDArray[np.uint8]
    seeing: NDArray[np.uint8]
    offset: NDArray[np.float32]


def find_edges(depth: Array) -> Mask:
    """Pixels beside a step of depth, where networks blend near and far  # [H, W]"""
    side = 2 * max(1, round(max(depth.shape) / EDGE_REACH)) + 1
    nearest = ndimage.minimum_filter(np.where(depth > 0, depth, np.inf), side)
    edges: Mask = (ndimage.maximum_filter(depth, side) > (1 + EDGE_STEP) * nearest) & (depth > 0)
    return edges


def find_border(view: PointmapView) -> Mask:
    """Pixels outside of the photo, with which a processed picture was padded  # [H, W]"""
    height, width = view.depth.shape
    if view.photo_size is None:
        return np.zeros((height, width), dtype=bool)
    x = (np.arange(width) + 0.5) * view.scale[0] + view.offset[0]
    y = (np.arange(height) + 0.5) * view.scale[1] + view.offset[1]
    inside_x, inside_y = (x >= 0) & (x <= view.photo_size[0]), (y >= 0) & (y <= view.photo_size[1])
    border: Mask = ~(inside_y[:, None] & inside_x[None])
    return border


def find_shell(depth: Array) -> Mask:
    """Pixels at the largest depth of a view, if there are so many that it may be a shell instead of sky  # [H, W]"""
    known = depth > 0
    shell: Mask = known & (depth >= (1 - SHELL_DEPTH) * depth.max(initial=0))
    return shell if shell.sum() >= SHELL_SHARE * max(1, int(known.sum())) else np.zeros_like(shell)


def measure_tolerance(views: Sequence[PosedDepth], usable: Sequence[Mask], pairs: Pairs) -> tuple[float, float]:
    """Relative difference up to which two views agree: three robust standard deviations of what they differ by.

    Args:
        views: Aligned views.
        usable: Pixels away from edges  # [H, W] bool
        pairs: The views that each one is compared with.

    Returns:
        The tolerance, within 1 to 6 %, and the standard deviation.
    """
    parts = [np.empty(0, np.float32)]
    for i, others in enumerate(pairs):
        for j in others:
            differences = np.abs(compare_depth(views[i], views[j], STRIDE))[usable[i][::STRIDE, ::STRIDE]]
            parts.append(differences[differences < SAME_SURFACE])
    differences = np.concatenate(parts)
    spread = float(MAD_TO_SIGMA * np.median(differences)) if len(differences) else LARGEST_TOLERANCE / SIGMAS
    return float(np.clip(SIGMAS * spread, LEAST_TOLERANCE, LARGEST_TOLERANCE)), spread


def flag_view(
    index: int, depth: NDArray[np.float32], views: Sequence[PosedDepth], pairs: Pairs, edges: Mask, border: Mask, tolerance: float
) -> ViewFlags:
    """Compares one view with those that see the same.

    A pixel is matched if one other view sees its surface within the tolerance, and the mean of all that see about the same
    surface within 0.6 of it; it is contradicted if that mean is farther off, or if another view looks through it.

    Args:
        index: Of the view.
        depth: Its depth as it will be handed over, 0 = none  # [H, W]
        views: All views, aligned.
        pairs: The views that each one is compared with.
        edges, border: From ``find_edges`` and ``find_border``  # [H, W] bool
        tolerance: Relative difference of depth that still counts as the same surface.
    """
    view = replace(views[index], depth=depth)
    seeing, total = np.zeros(depth.shape, np.uint8), np.zeros(depth.shape, np.float32)
    confirmed, before = np.zeros(depth.shape, dtype=bool), np.zeros(depth.shape, dtype=bool)
    for j in pairs[index]:
        differences = compare_depth(view, views[j])
        near = np.abs(differences) <= GATE * tolerance
        seeing += near.astype(np.uint8)
        total += np.where(near, differences, np.float32(0))
        confirmed |= np.abs(differences) <= tolerance
        before |= differences < -tolerance
    offset: NDArray[np.float32] = (total / np.maximum(seeing, 1)).astype(np.float32)
    matched = confirmed & (np.abs(offset) <= AGREED * tolerance)
    shell = find_shell(depth)
    if shell.any() and np.mean(matched[shell]) > SHELL_MATCHED:
        shell[:] = False
    flags = np.where(matched, MATCHED, np.where(before | (seeing > 0), CONTRADICTED, SINGLE_VIEW)).astype(np.uint8)
    for mask, flag in ((edges, EDGE), (shell, SHELL), (depth <= 0, MISSING), (border, BORDER)):
        flags[mask] = flag
    return ViewFlags(flags, seeing, offset)
