"""The points of a refined run: the surest one of each voxel, whichever view it comes from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask
from scene_depth.errors import InputError
from scene_depth.scene import PointCloud
from scene_depth_sparse.flags import EDGE, MATCHED, SINGLE_VIEW
from scene_depth_sparse.photos import at_processed, photo_of
from scene_depth_sparse.result import RefinedPointmaps, RefinedView

LARGEST_SIGMA = 0.15
SINGLE_VIEW_VOXELS = 2.0  # width of a voxel of points that one view alone vouches for, in voxels of matched points
GROWTH = 1.1  # least growth of voxels until the points fit the budget
GROWTH_BETWEEN = 1.3  # the same before all views are there
AT_ONCE = 2_000_000  # points held before they are thinned, so that memory does not grow with the views


@dataclass(frozen=True)
class _Candidates:
    """Points of some views.

    Attributes:
        xyz: In the frame of the run  # [N, 3]
        rgb: # [N, 3] uint8
        doubt: Order of preference: sigma, then confidence  # [N]
        alone: Whether no other view confirms it  # [N]
    """

    xyz: NDArray[np.float64]
    rgb: NDArray[np.uint8]
    doubt: NDArray[np.float64]
    alone: Mask

    def __len__(self) -> int:
        return len(self.xyz)

    def taken(self, which: NDArray[Any]) -> _Candidates:
        """Some of them, in that order."""
        return _Candidates(*(getattr(self, field.name)[which] for field in fields(self)))

    def with_more(self, others: _Candidates) -> _Candidates:
        """These and others after them."""
        return _Candidates(*(np.concatenate([getattr(part, field.name) for part in (self, others)]) for field in fields(self)))

    def thinned(self, voxel: float, middle: NDArray[np.float64]) -> _Candidates:
        """The surest of each voxel; of unconfirmed points the surest of each larger voxel without confirmed ones."""
        xyz = self.xyz - middle
        matched = np.flatnonzero(~self.alone)
        coarse = _Voxels.of(_voxel_keys(xyz, SINGLE_VIEW_VOXELS * voxel))
        free = np.sort(coarse.order[~coarse.spread(np.logical_or, ~self.alone)]) if len(self) else matched
        kept = [_surest(_voxel_keys(xyz[part], size), self.doubt[part], part)
                for part, size in ((matched, voxel), (free, SINGLE_VIEW_VOXELS * voxel))]  # fmt: skip
        return self.taken(np.sort(np.concatenate(kept)))


@dataclass(frozen=True)
class _Voxels:
    """Points by the voxel that they lie in.

    Attributes:
        order: Indices of the points, voxel after voxel  # [N]
        starts: Where in ``order`` each voxel begins  # [voxels]
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, keys: NDArray[np.int64]) -> _Voxels:
        """The voxels of points by the keys of theirs."""
        order = np.argsort(keys)
        ordered = keys[order]
        return cls(order, np.flatnonzero(np.concatenate([[len(keys) > 0], ordered[1:] != ordered[:-1]])))

    def spread(self, reduce: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """What all values of a voxel come to, for each of its points, in the order of ``order``  # [N]"""
        sizes = np.diff(self.starts, append=len(self.order))
        return np.repeat(reduce.reduceat(values[self.order], self.starts), sizes)


def _surest(keys: NDArray[np.int64], doubt: NDArray[np.float64], index: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of the points of each voxel the index of the one in least doubt, the first one of several."""
    if len(keys) == 0:
        return index
    voxels = _Voxels.of(keys)
    surest = doubt[voxels.order] == voxels.spread(np.minimum, doubt)
    first: NDArray[np.intp] = np.minimum.reduceat(np.where(surest, voxels.order, len(keys)), voxels.starts)
    return index[first]


def refined_points(result: RefinedPointmaps, *, budget: int = 100_000, largest_sigma: float = LARGEST_SIGMA) -> PointCloud:
    """The surest points of all views, one in each voxel, whichever view it comes from.

    Voxels start as wide as the median pixel is at its depth and grow until the points fit the budget. Those of points that no
    other view confirms are twice as wide, and such points only stand where no confirmed ones do. Contradicted points and shells
    stay out. Of two points in a voxel the one of smaller sigma stays, then the one that the model was surer of in its view.

    Args:
        result: The refined result.
        budget: Number of points, at most.
        largest_sigma: Relative standard deviation above which points are left out.

    Raises:
        InputError: If the budget is not positive, or no pixel is sure enough.
    """
    if budget < 1:
        raise InputError("budget", budget, "1 or more points")
    widths = np.concatenate([_pixel_widths(view, largest_sigma) for view in result.views])
    if len(widths) == 0:
        found = "no pixel of any view that is matched, seen by one view or mended"
        raise InputError("depth", found, f"some with a relative sigma of at most {largest_sigma:g}", file=result.run.path)
    voxel = float(np.median(widths))
    middle = np.mean([view.camera.centers[0].double().numpy() for view in result.views], axis=0)

    def fitted(points: _Candidates, most: int, growth: float) -> _Candidates:
        # The surest of a voxel is the surest of every smaller one around it, too: what is thinned step by step is the same.
        nonlocal voxel
        points = points.thinned(voxel, middle)
        while len(points) > most:
            voxel *= max(growth, (len(points) / most) ** 0.5)  # points on surfaces fall with the square of the width
            points = points.thinned(voxel, middle)
        return points

    points = _candidates(result.views[0], largest_sigma)
    for view in result.views[1:]:
        points = points.with_more(_candidates(view, largest_sigma))
        if len(points) > AT_ONCE + budget:
            points = fitted(points, AT_ONCE // 2 + budget, GROWTH_BETWEEN)
    kept = fitted(points, budget, GROWTH)
    kept = kept.taken(np.argsort(kept.doubt, kind="stable"))
    return PointCloud(result.scale * kept.xyz, kept.rgb)


def sure_pixels(view: RefinedView, largest_sigma: float) -> Mask:
    """Pixels whose depth others may rely on  # [H, W]"""
    sure: Mask = (view.depth > 0) & (view.sigma <= largest_sigma) & np.isin(view.flags, (MATCHED, SINGLE_VIEW, EDGE))
    return sure


def _pixel_widths(view: RefinedView, largest_sigma: float) -> NDArray[np.float32]:
    focal = np.float32(view.camera.K[0, (0, 1), (0, 1)].min())
    widths: NDArray[np.float32] = view.aligned_depth()[sure_pixels(view, largest_sigma)] / focal
    return widths


def _candidates(view: RefinedView, largest_sigma: float) -> _Candidates:
    """The sure points of a view."""
    sure = sure_pixels(view, largest_sigma)
    image, source = view.source.image, view.source
    if image is None:
        load = photo_of(source)
        image = np.full((*sure.shape, 3), np.float32(0.5)) if load is None else at_processed(load(), source)
    doubt = view.sigma[sure].astype(np.float64)
    if source.confidence is not None and len(doubt):
        rank = np.argsort(np.argsort(-source.confidence[sure], kind="stable"), kind="stable")
        doubt += 1e-6 * rank / len(rank)  # breaks ties of sigma alone
    colors = np.rint(np.clip(image[sure], 0, 1) * 255).astype(np.uint8)
    return _Candidates(view.points()[sure], colors, doubt, view.flags[sure] != MATCHED)


def _voxel_keys(xyz: Array, voxel: float) -> NDArray[np.int64]:
    """A number for each voxel of a grid of 2^21 voxels along each axis about the origin; beyond it, voxels repeat."""
    cells = (np.floor(xyz / voxel).astype(np.int64) + (1 << 20)) & ((1 << 21) - 1)
    keys: NDArray[np.int64] = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    return keys
