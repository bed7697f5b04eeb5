"""Alignment of cameras and of the scale of each view's depth, so that an error of a camera does not pass for one of depth.

Eight numbers a view: rotation, position, focal length, scale of its depth. What is compared is the depth of surfaces that two
views both see, and each number is held near what the model said, so that a direction in which surfaces can slide along themselves
stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.sparse import csr_matrix
from scipy.spatial.transform import Rotation

from scene_depth.arrays import MAD_TO_SIGMA, Mask
from scene_depth.cameras import Cameras
from scene_depth_sparse.comparison import Pairs, PosedDepth

Floats = NDArray[np.float64]
PARAMETERS = ("rotation", "position", "focal", "scale")
ROTATION, POSITION, FOCAL, SCALE = slice(0, 3), slice(3, 6), 6, 7
EXPECTED = np.array([0.008, 0.008, 0.008, 0.02, 0.02, 0.02, 0.02, 0.016])
"""Standard deviation of what a model gets wrong: radians, medians of the distance to the nearest view, logarithms."""
SAMPLES = 150  # pixels a pair of views
WORTH = 1.5  # of them count: errors of depth are alike over large parts of a view
STEP = 1e-5  # of the differences that derivatives are taken by
GATES = (0.2, 0.1, 0.06)  # relative differences of depth beyond which a pixel is not the same surface, one a round
EVALUATIONS = 8
LEAST_GAIN = 0.05  # of the spread of mutual differences: an alignment that gains less is not made
LEAST_PAIRS = 50  # pixels that two views must share to say anything of each other
NOISE = 0.01  # relative error of depth below which differences say little


@dataclass(frozen=True)
class Alignment:
    """Cameras and scales of the views after the alignment.

    Attributes:
        cameras: One a view, at the processed size; those of the run where nothing was gained.
        scales: Factor on the depth of each view  # [N]
        used: Whether anything was changed.
        spread_before, spread_after: Robust standard deviation of relative differences of depth between views that see the same.
        rotation: Largest turn in degrees.
        position: Largest move in the unit of the run.
        focal: Largest relative change of a focal length.
    """

    cameras: tuple[Cameras, ...]
    scales: Floats
    used: bool = False
    spread_before: float = 0.0
    spread_after: float = 0.0
    rotation: float = 0.0
    position: float = 0.0
    focal: float = 0.0

    def figures(self) -> dict[str, object]:
        """What a report says of it."""
        plain = {name: value for name, value in asdict(replace(self, cameras=())).items() if name not in ("cameras", "scales")}
        return {**plain, "scales": self.scales.tolist()}


def align_views(
    cameras: Sequence[Cameras],
    depths: Sequence[NDArray[np.float32]],
    usable: Sequence[Mask],
    pairs: Pairs,
    free: Sequence[str] = PARAMETERS,
    seed: int = 0,
) -> Alignment:
    """Aligns the views of a run by the surfaces that they see together.

    Args:
        cameras: One a view, as the model gave it.
        depths: z-depth of each view, 0 = none  # [H, W]
        usable: Pixels to go by: on surfaces, away from edges  # [H, W] bool
        pairs: The views that each one is compared with.
        free: What may change, of ``PARAMETERS``; known poses and intrinsics are kept by leaving theirs out.
        seed: Seed of the pixels that are taken.
    """
    problem = _Problem(cameras, depths, usable, pairs, free, seed)
    start = np.zeros((len(cameras), len(EXPECTED)))
    found, before, after = problem.solve(start)
    if not found.any() or after > (1 - LEAST_GAIN) * before:
        return Alignment(tuple(cameras), np.ones(len(cameras)), False, before, before)
    moved = tuple(_moved(camera, row, problem.unit) for camera, row in zip(cameras, found, strict=True))
    return Alignment(
        moved,
        np.exp(found[:, SCALE]),
        True,
        before,
        after,
        float(np.degrees(np.linalg.norm(found[:, ROTATION], axis=1).max())),
        float(np.linalg.norm(found[:, POSITION], axis=1).max()) * problem.unit,
        float(np.abs(np.expm1(found[:, FOCAL])).max()),
    )


def _moved(camera: Cameras, row: Floats, unit: float) -> Cameras:
    pose, K = camera.camera_to_world.double().clone(), camera.K.double().clone()
    pose[0, :3, :3] = pose[0, :3, :3] @ torch.from_numpy(Rotation.from_rotvec(row[ROTATION]).as_matrix())
    pose[0, :3, 3] += torch.from_numpy(row[POSITION] * unit)
    K[0, 0, 0] *= float(np.exp(row[FOCAL]))
    K[0, 1, 1] *= float(np.exp(row[FOCAL]))
    return replace(camera, camera_to_world=pose, K=K)


class _Problem:
    """Pixels of one view (source) each compared with the depth of another (target)."""

    def __init__(
        self,
        cameras: Sequence[Cameras],
        depths: Sequence[NDArray[np.float32]],
        usable: Sequence[Mask],
        pairs: Pairs,
        free: Sequence[str],
        seed: int,
    ):
        places = {"rotation": range(3), "position": range(3, 6), "focal": (FOCAL,), "scale": (SCALE,)}
        self.free = np.array(sorted(place for name in free for place in places[name]))
        posed = [PosedDepth.of(depth, camera) for depth, camera in zip(depths, cameras, strict=True)]
        self.poses, self.K = np.stack([view.pose for view in posed]), np.stack([view.K for view in posed])
        self.sizes = np.array([depth.shape for depth in depths])
        self.starts = np.concatenate([[0], np.cumsum(self.sizes.prod(axis=1))])
        logs = [np.log(np.where(mask, depth, np.nan)) for depth, mask in zip(depths, usable, strict=True)]
        self.log_depth = np.concatenate([log.ravel() for log in logs])
        centers = self.poses[:, :3, 3]
        apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1) + np.where(np.eye(len(posed)), np.inf, 0)
        self.unit = float(np.median(apart.min(axis=1))) if len(posed) > 1 else 1.0
        rng = np.random.default_rng(seed)
        source, target, pixel = [], [], []
        for i, others in enumerate(pairs):
            there = np.flatnonzero(usable[i])
            for j in others if len(there) else ():
                pixel.append(rng.choice(there, 4 * SAMPLES))
                source.append(np.full(4 * SAMPLES, i))
                target.append(np.full(4 * SAMPLES, j))
        self.source, self.target = (np.concatenate(part) if part else np.empty(0, int) for part in (source, target))
        self.pixel = np.concatenate(pixel) if pixel else np.empty(0, int)

    def solve(self, start: Floats) -> tuple[Floats, float, float]:
        """Parameters of each view, and the spread of differences before and after over the pixels of the last round."""
        rows = start
        everything = self.source, self.target, self.pixel
        for gate in GATES:
            self.source, self.target, self.pixel = everything
            if len(self.source) == 0:
                break
            self._take(np.abs(self._differences(rows)) < gate)
            spread = max(self._spread(rows), NOISE / 2)
            rows = self._fit(rows, spread)
        before, after = self._spread(start), self._spread(rows)
        return rows, before, after

    def _take(self, same: Mask) -> None:
        """Keeps the first pixels of each pair that show the same surface."""
        key = self.source * len(self.poses) + self.target
        kept = np.zeros(len(key), dtype=bool)
        for pair in np.unique(key):
            there = np.flatnonzero((key == pair) & same)
            kept[there[:SAMPLES]] = len(there) >= LEAST_PAIRS
        self.source, self.target, self.pixel = self.source[kept], self.target[kept], self.pixel[kept]

    def _spread(self, rows: Floats) -> float:
        differences = np.abs(self._differences(rows))
        known = np.isfinite(differences)
        return float(MAD_TO_SIGMA * np.median(differences[known])) if known.any() else 0.0

    def _fit(self, rows: Floats, spread: float) -> Floats:
        if len(self.source) == 0:
            return rows
        expected = EXPECTED[self.free]
        weight = np.sqrt(WORTH / SAMPLES) / spread

        def residuals(x: Floats) -> Floats:
            return np.concatenate([weight * np.nan_to_num(self._differences(self._rows(rows, x))), x])

        def jacobian(x: Floats) -> csr_matrix:
            return self._jacobian(self._rows(rows, x), weight * expected)

        start = (rows[:, self.free] / expected).ravel()
        found = least_squares(residuals, start, jacobian, loss="soft_l1", max_nfev=EVALUATIONS, tr_solver="lsmr", x_scale=1.0)
        fitted: Floats = self._rows(rows, found.x)
        return fitted

    def _rows(self, rows: Floats, x: Floats) -> Floats:
        result: Floats = rows.copy()
        result[:, self.free] = x.reshape(len(rows), -1) * EXPECTED[self.free]
        return result

    def _jacobian(self, rows: Floats, weights: Floats) -> csr_matrix:
        """Each residual depends on the numbers of its two views; one difference for each serves all residuals."""
        count, free = len(self.source), len(self.free)
        center = self._differences(rows)
        values = np.empty((count, 2 * free))
        for k, place in enumerate(self.free):
            stepped = rows.copy()
            stepped[:, place] += STEP
            values[:, k] = (self._differences(stepped, rows) - center) / STEP * weights[k]
            values[:, free + k] = (self._differences(rows, stepped) - center) / STEP * weights[k]
        columns = np.concatenate(
            [self.source[:, None] * free + np.arange(free), self.target[:, None] * free + np.arange(free)], 1
        )
        size = rows.shape[0] * free
        own = np.arange(size)
        data = np.concatenate([np.nan_to_num(values).ravel(), np.ones(size)])
        row = np.concatenate([np.repeat(np.arange(count), 2 * free), count + own])
        return csr_matrix((data, (row, np.concatenate([columns.ravel(), own]))), shape=(count + size, size))

    def _differences(self, rows: Floats, of_targets: Floats | None = None) -> Floats:
        """Log depth of each source pixel in its target minus what the target shows there; NaN where it shows nothing."""
        source, target = self._posed(rows), self._posed(rows if of_targets is None else of_targets)
        i, j = self.source, self.target
        width = self.sizes[i, 1]
        column, row = self.pixel % width + 0.5, self.pixel // width + 0.5
        focal, center, rotation, position, scale = (part[i] for part in source)
        z = np.exp(self.log_depth[self.starts[i] + self.pixel] + scale)
        x, y = (column - center[:, 0]) / focal[:, 0] * z, (row - center[:, 1]) / focal[:, 1] * z
        points = np.einsum("nij,nj->ni", rotation, np.stack([x, y, z], axis=1)) + position
        focal, center, rotation, position, scale = (part[j] for part in target)
        x, y, z = np.einsum("nji,nj->ni", rotation, points - position).T
        safe = np.where(z > 0, z, 1.0)
        there = self._look_up(j, x / safe * focal[:, 0] + center[:, 0], y / safe * focal[:, 1] + center[:, 1])
        difference: Floats = np.where(z > 0, np.log(safe) - there - scale, np.nan)
        return difference

    def _posed(self, rows: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        focal = self.K[:, (0, 1), (0, 1)] * np.exp(rows[:, FOCAL, None])
        rotation = self.poses[:, :3, :3] @ Rotation.from_rotvec(rows[:, ROTATION]).as_matrix()
        return focal, self.K[:, :2, 2], rotation, self.poses[:, :3, 3] + rows[:, POSITION] * self.unit, rows[:, SCALE]

    def _look_up(self, view: NDArray[np.int64], x: Floats, y: Floats) -> Floats:
        """Log depth between the four pixels around a position; NaN outside, and where one of them is not usable."""
        height, width = self.sizes[view].T
        inside = (x >= 0.5) & (y >= 0.5) & (x < width - 0.5) & (y < height - 0.5)
        x, y = np.where(inside, x, 0.5) - 0.5, np.where(inside, y, 0.5) - 0.5
        left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
        a, b = x - left, y - top
        at = self.starts[view] + top * width + left
        upper = (1 - a) * self.log_depth[at] + a * self.log_depth[at + 1]
        lower = (1 - a) * self.log_depth[at + width] + a * self.log_depth[at + width + 1]
        found: Floats = np.where(inside, (1 - b) * upper + b * lower, np.nan)
        return found
