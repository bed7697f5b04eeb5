"""A picture at several sizes: what lies far from known depth is solved at a smaller one, and large pictures altogether.

A size has half the sides of the one above it. The energy's constants are in pixels, so that a hole of some tens of them is
continued as a whole and a wider one piece by piece. Hence each size is solved by itself, and far from known depth it gives way to
the next smaller one. Sizes above the working size are too large to be solved, and go by the smaller one alone.

What was found at a size is brought to the one above: its planes go to the pixels whose colours agree with theirs, and are relaxed
by the same energy with the depth that is known at that size. So edges of depth settle on edges of the picture, known depth is met
to its last bit, and what it adds to the smaller result dies out over some pixels around it. It is done in bands of rows that
overlap by more than one relaxation reaches, so that bands do not show in the result and memory does not grow with the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import InitVar, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.arrays import Mask
from scene_depth.depth.solver.energy import DataParameters, EnergyParameters, finest_level
from scene_depth.depth.solver.minimize import relax_level
from scene_depth.depth.solver.problem import RANGE, Problem, make_problem, power_of_two
from scene_depth.depth.solver.relaxation import prolong_rows
from scene_depth.kernels import run_rows
from scene_depth.work import Progress, Work

WORKING_PIXELS = 1_500_000  # of the largest picture that is solved at its own size
AT_THE_END = (0.7, 1.3)  # limits on values, as factors of the known range
LEAST_SIDE = 8  # pixels; a working picture is not made smaller
ONE_SURFACE = 0.05  # relative difference of inverse depth up to which pixels that become one are averaged
ITERATIONS, REWEIGHTINGS = 12, 2  # of the relaxation of a larger level
HINT = 0.001  # weight of the smaller result, which lets what known depth adds to it reach some tens of pixels
NEAR, FAR = 4.0, 32.0  # pixels from known depth up to which a size's own result counts alone, and from which the smaller one's
SMALLEST = 64  # pixels of the longer side below which no size is solved
MARGIN = 32  # rows by which bands overlap: more than the iterations and the blur of the guide reach, and even
BAND_PIXELS = 1 << 20

Planes = NDArray[np.float32]


@dataclass(frozen=True)
class Size:
    """A view at one size.

    Attributes:
        values: Relative inverse depth, 0 where unknown  # [H, W]
        picture: What the guide is made from  # [H, W, channels]
    """

    values: Planes
    picture: Planes

    @property
    def known(self) -> Mask:
        known: Mask = self.values > 0
        return known


def halvings(height: int, width: int, resolution: int | None) -> int:
    """How often a picture is halved before it is solved.

    Args:
        height, width: Its size.
        resolution: Pixels that the longer side may have then; 0 for the picture's own, None for as many as make up
            ``WORKING_PIXELS``.
    """
    count = 0
    while resolution != 0 and min(height, width) >= 2 * LEAST_SIDE:
        if max(height, width) <= resolution if resolution is not None else height * width <= WORKING_PIXELS:
            break
        height, width, count = (height + 1) // 2, (width + 1) // 2, count + 1
    return count


def halved_sizes(values: Planes, picture: Planes, count: int) -> list[Size]:
    """The view at full size and halved so many times; sides are lengthened to a multiple of 2^count by unknown pixels.

    Args:
        values: Relative inverse depth, 0 where unknown  # [H, W]
        picture: What the guide is made from  # [H, W, channels]
        count: Number of halvings.
    """
    more = [(0, -side % (1 << count)) for side in values.shape]
    if any(pixels for _, pixels in more):
        values, picture = np.pad(values, more), np.pad(picture, [*more, (0, 0)], mode="edge")
    sizes = [Size(values, picture)]
    for _ in range(count):
        sizes.append(Size(_halved_values(sizes[-1].values), _halved(sizes[-1].picture)))
    return sizes


def _halved(picture: Planes) -> Planes:
    quarter = np.float32(0.25)
    half: Planes = quarter * (picture[::2, ::2] + picture[::2, 1::2] + picture[1::2, ::2] + picture[1::2, 1::2])
    return half


def _halved_values(values: Planes) -> Planes:
    """Means over the known ones of two by two pixels; where they lie on two surfaces, over those of the nearer one."""
    parts = [values[::2, ::2], values[::2, 1::2], values[1::2, ::2], values[1::2, 1::2]]
    least = np.maximum(np.maximum(parts[0], parts[1]), np.maximum(parts[2], parts[3])) * np.float32(1 - ONE_SURFACE)
    total, count = np.zeros_like(least), np.zeros_like(least)
    for part in parts:
        near = (part >= least) & (part > 0)
        total += np.where(near, part, 0)
        count += near
    mean: Planes = np.divide(total, count, out=total, where=count > 0)
    return mean


@dataclass(frozen=True)
class SizedSolution:
    """What was found for a picture.

    Attributes:
        values: Relative inverse depth  # [H, W]
        sigma: Relative standard deviation, where nothing is known  # [H, W]
        unit: Inverse depth of the value 1, a power of two.
        details: What was done with a large picture, as plain values.
    """

    values: Planes
    sigma: Planes
    unit: float
    details: dict[str, Any]


@dataclass(frozen=True)
class SizedSolver:
    """Solves a view at several sizes and brings the results to its own.

    Attributes:
        solve: Solves a problem: relative inverse depth and relative standard deviation  # [h, w], [h, w]
        planes_of: Makes planes, whose differences hint at borders of surfaces, of a picture  # [h, W, channels] -> [planes, h, W]
        blur: Standard deviation in pixels of their smoothing where they guide the energy. What is enlarged goes by the planes as
            they are: beside an edge, smoothed ones would agree with both sides.
        energy, data: Constants of the terms.
        threads: Number of threads, at most; None for ``kernels.thread_count()``.
        smallest: Pixels of the longer side below which no size is solved; None solves the working size alone.
    """

    solve: Callable[[Problem], tuple[Planes, Planes]]
    planes_of: Callable[[Planes], Planes]
    blur: float
    energy: EnergyParameters
    data: DataParameters
    threads: int | None = None
    smallest: int | None = SMALLEST

    def __call__(self, inverse: NDArray[np.float64], known: Mask, picture: Planes, count: int, work: Work) -> SizedSolution:
        """Completes one view.

        Where somebody asks to stop, what was found at a smaller size is only enlarged, without the depth that is known above it.

        Args:
            inverse: Inverse depth, read where known  # [H, W]
            known: Known pixels, at least one  # [H, W]
            picture: What the guide is made from  # [H, W, channels]
            count: How often the view is halved to the working size.
            work: Is told of every step with a large picture.
        """
        height, width = known.shape
        unit = power_of_two(inverse[known])
        values = np.where(known, np.clip(inverse / unit, 1.0 / RANGE, RANGE), 0.0).astype(np.float32)
        sizes = halved_sizes(values, picture, count)
        step = Steps(work, sizes)
        details: dict[str, Any] = {}
        if count > 0:
            details["solved_at"] = list(sizes[-1].values.shape)
            step.report(f"solving at {sizes[-1].values.shape[1]} x {sizes[-1].values.shape[0]} pixels")
        found, sigma, limits = self._solved(sizes[-1])
        if count > 0:
            state = _with_slopes(found)
            for number in range(count - 1, -1, -1):
                state, sigma = self._enlarge(
                    state, sigma, sizes[number], sizes[number + 1], 0.5 ** (count - number), limits, step
                )
                del sizes[number + 1 :]
            found, details["finished"] = state[0, :height, :width], not work.stopped
        return SizedSolution(np.clip(found, *limits), sigma[:height, :width], unit, details)

    def _solved(self, size: Size) -> tuple[Planes, Planes, tuple[float, float]]:
        """Values and uncertainty of a size, far from known depth those of the next smaller one, and limits of such values."""
        problem = make_problem(size.values.astype(np.float64), size.known, self._guide(self.planes_of(size.picture)))
        found, sigma = self.solve(problem)
        found = found * np.float32(problem.unit)
        low, high = problem.limits(*AT_THE_END)
        limits = min(low * problem.unit, float(found.min())), max(high * problem.unit, float(found.max()))
        farthest = problem.distance.max()
        share = np.clip(np.log(np.maximum(problem.distance, NEAR) / NEAR) / np.log(FAR / NEAR), 0, 1).astype(np.float32)
        del problem
        is_last = self.smallest is None or max(found.shape) < 2 * self.smallest or min(found.shape) < 2 * LEAST_SIDE
        if is_last or farthest < 2 * NEAR or (found == found[0, 0]).all():
            return found, sigma, limits
        height, width = found.shape
        padded, half = halved_sizes(size.values, size.picture, 1)
        below, doubt, others = self._solved(half)
        limits = min(limits[0], others[0]), max(limits[1], others[1])
        state, doubt = self._enlarge(_with_slopes(below), doubt, padded, half, 0.5, limits, Steps(Work(), []))
        far = np.log(np.clip(state[0, :height, :width], *limits))
        mixed = np.exp(np.log(found) + share * (far - np.log(found)))
        return np.where(share > 0, mixed, found), sigma + share * (doubt[:height, :width] - sigma), limits

    def _enlarge(
        self,
        below: Planes,
        doubt: Planes,
        size: Size,
        smaller: Size,
        scale: float,
        limits: tuple[float, float],
        step: Steps,
    ) -> tuple[Planes, Planes]:
        """State and uncertainty of a size from those of the next smaller one.

        Args:
            below: Planes (u, a, b), slopes per pixel  # [3, h, w]
            doubt: Uncertainty  # [h, w]
            size, smaller: The view at both sizes.
            scale: Side of the size's pixel in pixels of the smallest one.
            limits: Smallest and largest relative inverse depth.
            step: Is told of every band.
        """
        height, width = size.values.shape
        state, sigma = np.empty((3, height, width), dtype=np.float32), np.empty((height, width), dtype=np.float32)
        for top, bottom in _bands(height, width):
            step.report(f"rows {top} to {bottom} of {width} x {height} pixels")
            outer = slice(max(top - MARGIN, 0), min(bottom + MARGIN, height))
            half = slice(outer.start // 2, outer.stop // 2)
            inner = slice(top - outer.start, bottom - outer.start)
            guides = self.planes_of(size.picture[outer]), self.planes_of(smaller.picture[half])
            started = self._prolong(below[:, half], guides, limits)
            flat = np.zeros((3, *guides[1].shape[1:]), dtype=np.float32)
            flat[0] = doubt[half]
            sigma[top:bottom] = self._prolong(flat, guides, (0.0, np.inf))[0, inner]
            if not step.work.stopped:
                started = self._relax(started, size.values[outer], self._guide(guides[0]), scale, limits[0])
            state[:, top:bottom] = started[:, inner]
            step.done += (bottom - top) * width
        return state, sigma

    def _guide(self, planes: Planes) -> Planes:
        return np.stack([ndimage.gaussian_filter(plane, self.blur) for plane in planes]) if self.blur else planes

    def _prolong(self, state: Planes, guides: tuple[Planes, Planes], limits: tuple[float, float]) -> Planes:
        fine, coarse = guides
        shape = fine.shape[1], fine.shape[2]
        found = np.empty((3, *shape), dtype=np.float32)
        f = np.float32
        run_rows(
            prolong_rows, 0, *shape, np.ascontiguousarray(state), coarse, np.ones(state.shape[1:], f), fine, np.ones(shape, f),
            f(self.energy.sigma), f(self.energy.tau_hint), f(limits[0]), f(limits[1]), found, threads=self.threads,
        )  # fmt: skip
        return found

    def _relax(self, state: Planes, values: Planes, guide: Planes, scale: float, lowest: float) -> Planes:
        none = np.broadcast_to(np.int64(0), values.shape)  # the nearest known pixels, which only the smallest size asks for
        problem = Problem(values, values > 0, guide, np.ones(values.shape, np.float32), none, 1.0)
        level = finest_level(problem, state[0], replace(self.data, hint=HINT, slope=self.data.slope / scale**2))
        return relax_level(state, replace(level, scale=scale), lowest, self.energy, ITERATIONS, REWEIGHTINGS, self.threads)


@dataclass
class Steps:
    """Tells how far the work is, in pixels of all sizes above the smallest.

    Attributes:
        work: Who is told, and whether somebody asked to stop.
        sizes: The sizes, from the full one on.
        done: Pixels done.
    """

    work: Work
    sizes: InitVar[Sequence[Size]]
    done: int = 0
    total: int = 0

    def __post_init__(self, sizes: Sequence[Size]) -> None:
        self.total = sum(size.values.size for size in sizes[:-1])

    def report(self, message: str) -> None:
        self.work.report(Progress("large picture", self.done, self.total, message))


def _with_slopes(values: Planes) -> Planes:
    """Planes (u, a, b) through values, slopes per pixel  # [H, W] -> [3, H, W]"""
    return np.stack([values, _slope(values, 1), _slope(values, 0)])


def _slope(values: Planes, axis: int) -> Planes:
    """Slope per pixel, the lesser one of both sides, 0 where they disagree in sign: so edges have none."""
    if values.shape[axis] < 2:
        return np.zeros_like(values)
    step = np.diff(values, axis=axis)
    first, last = (slice(0, 1), slice(-1, None)) if axis == 0 else ((slice(None), slice(0, 1)), (slice(None), slice(-1, None)))
    before = np.concatenate([step[first], step], axis=axis)
    after = np.concatenate([step, step[last]], axis=axis)
    lesser = np.where(np.abs(before) < np.abs(after), before, after)
    return np.where(before * after > 0, lesser, 0).astype(np.float32)


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Bands of rows, of even first and last rows, of about ``BAND_PIXELS``."""
    rows = max(BAND_PIXELS // width // 2 * 2, 2 * MARGIN)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)
