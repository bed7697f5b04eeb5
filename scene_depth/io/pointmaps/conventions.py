"""Conventions of pointmap files: what each model's rules say, and what the numbers of a file say by themselves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import MAD_TO_SIGMA
from scene_depth.errors import InputError

Floats = NDArray[np.floating[Any]]
Places = tuple[NDArray[np.intp], NDArray[np.intp]]

SAMPLED = 2000
"""Pixels of a view that are compared."""
TELLING = 2.0
"""How many times worse the best hypothesis with the other answer must fit before the numbers are taken to answer."""
FITTING = 0.1
"""Largest relative distance between unprojected depth and stored points at which they are one geometry."""
NEAR = 0.05
"""Relative difference of two depths of one surface."""
RIGID = 1e-2
"""Largest deviation of a rotation in a file from a rotation: networks in half precision write three digits."""


@dataclass(frozen=True)
class Conventions:
    """How poses, depth and pixels of a file are meant.

    Attributes:
        poses: "camera-to-world" or "world-to-camera".
        axes: Of the camera: "OpenCV" (y down, z forward) or "OpenGL" (y up, z backward).
        depth: "z" or "ray" (distance along the ray).
        centers: Coordinates of the first pixel's centre: "integer" (0, 0) or "half" (0.5, 0.5).
    """

    poses: str = "camera-to-world"
    axes: str = "OpenCV"
    depth: str = "z"
    centers: str = "integer"


ANSWERS = {
    "poses": ("camera-to-world", "world-to-camera"),
    "axes": ("OpenCV", "OpenGL"),
    "depth": ("z", "ray"),
    "centers": ("integer", "half"),
}


@dataclass
class StoredView:
    """One view as its file has it.

    Attributes:
        depth: In the file's convention, 0 or not finite = none; None where only points are stored  # [H, W]
        pose: In the file's convention  # [4, 4]
        K: At processed size, None where none is stored  # [3, 3]
        confidence: As stored  # [H, W]
        image: sRGB in [0, 1]  # [H, W, 3]
        points: World points  # [H, W, 3]
        name: Name of the photo, "" if the file has none.
    """

    depth: Floats | None
    pose: Floats
    K: Floats | None = None
    confidence: Floats | None = None
    image: NDArray[np.float32] | None = None
    points: Floats | None = None
    name: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        array = self.depth if self.depth is not None else self.points
        assert array is not None
        return array.shape[1], array.shape[0]


@dataclass
class StoredRun:
    """A whole run as its files have it.

    Attributes:
        model: Key of ``MODELS``.
        views: In file order.
        declared: What the model's rules say.
        open: Conventions on which versions of the model differ, so that either answer of the numbers is right.
        metric: Whether the model's unit is the metre.
        photo_sizes: Sizes of the photos where the file says them.
        notes: What was passed over or assumed.
    """

    model: str
    views: list[StoredView]
    declared: Conventions = field(default_factory=Conventions)
    open: tuple[str, ...] = ()
    metric: bool = False
    photo_sizes: list[tuple[int, int]] | None = None
    notes: list[str] = field(default_factory=list)


def rigid_pose(pose: Floats, what: str) -> NDArray[np.float64]:
    """A pose with its rotation made exact.

    Raises:
        InputError: If it is not finite, or further from a rotation than rounding explains.
    """
    result: NDArray[np.float64] = np.asarray(pose, np.float64).copy()
    if not np.isfinite(result).all():
        raise InputError(what, "a pose that is not finite", "finite poses; the run failed here: leave this view out")
    rotation = result[:3, :3]
    deviation = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if deviation > RIGID or np.linalg.det(rotation) < 0:
        found = f"a rotation of determinant {np.linalg.det(rotation):.4g}, {deviation:.2g} from orthogonal"
        raise InputError(what, found, "a rigid pose: rotation of determinant 1 without scale or mirror")
    u, _, v = np.linalg.svd(rotation)
    result[:3, :3] = u @ v
    result[3] = (0, 0, 0, 1)
    return result


def camera_to_world(pose: Floats, conventions: Conventions) -> NDArray[np.float64]:
    """A stored pose, or several, in the conventions of this package  # [..., 4, 4]"""
    result: NDArray[np.float64] = np.asarray(pose, np.float64)
    if conventions.poses == "world-to-camera":
        result = np.asarray(np.linalg.inv(result), np.float64)
    return result * np.array([1.0, -1, -1, 1]) if conventions.axes == "OpenGL" else result


def pixel_rays(K: Floats, columns: NDArray[Any], rows: NDArray[Any], centers: str) -> NDArray[np.float64]:
    """Directions of unit z through pixels given by their indices, for a K in the file's convention  # [P, 3]"""
    shift = 0.5 if centers == "half" else 0.0
    x, y = (columns + shift - K[0, 2]) / K[0, 0], (rows + shift - K[1, 2]) / K[1, 1]
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def usable(depth: Floats) -> NDArray[np.bool_]:
    """Where a stored depth is one."""
    return np.isfinite(depth) & (depth > 0)


def detect_by_points(views: Sequence[StoredView]) -> tuple[dict[str, str], dict[str, float]]:
    """What the stored points say of the conventions: the sixteen hypotheses are unprojected and compared with the points.

    Returns:
        The answer to each question that the numbers settle.
        Median relative distance under each hypothesis, by its answers joined with commas.
    """
    samples = [sample for view in views if (sample := _sample(view)) is not None]
    errors = {answers: _distance(samples, Conventions(*answers)) for answers in itertools.product(*ANSWERS.values())}
    best = min(errors, key=lambda answers: errors[answers])
    found = {}
    if samples and errors[best] < FITTING:
        for index, question in enumerate(ANSWERS):
            other = min(error for answers, error in errors.items() if answers[index] != best[index])
            if other > TELLING * errors[best] + 1e-7:
                found[question] = best[index]
    return found, {", ".join(answers): error for answers, error in errors.items()}


@dataclass(frozen=True)
class _Sample:
    """Pixels of a view that have depth and a point."""

    pose: NDArray[np.float64]
    K: Floats
    columns: Floats
    rows: Floats
    depth: Floats
    points: Floats


def _sample(view: StoredView) -> _Sample | None:
    if view.points is None or view.depth is None or view.K is None:
        return None
    rows, columns = np.nonzero(usable(view.depth) & np.isfinite(view.points).all(-1) & (view.points != 0).any(-1))
    if len(rows) == 0:
        return None
    chosen = np.linspace(0, len(rows) - 1, min(SAMPLED, len(rows))).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    depth, points = view.depth[rows, columns], view.points[rows, columns]
    pose = np.asarray(view.pose, np.float64)
    return _Sample(pose, view.K, columns.astype(float), rows.astype(float), depth.astype(float), points.astype(float))


def _distance(samples: Sequence[_Sample], conventions: Conventions) -> float:
    distances = []
    for sample in samples:
        rays = pixel_rays(sample.K, sample.columns, sample.rows, conventions.centers)
        lengths = np.linalg.norm(rays, axis=-1)
        z = sample.depth / lengths if conventions.depth == "ray" else sample.depth
        pose = camera_to_world(sample.pose, conventions)
        points = (z[:, None] * rays) @ pose[:3, :3].T + pose[:3, 3]
        distances.append(np.linalg.norm(points - sample.points, axis=-1) / (z * lengths))
    return float(np.median(np.concatenate(distances))) if distances else float("inf")


def view_pairs(count: int, most: int = 8) -> Iterator[tuple[int, int]]:
    """Ordered pairs of views to compare: all of few views, of many each with the next ones and some spread over the rest."""
    for first in range(count):
        others = [index for index in range(count) if index != first]
        if len(others) > most:
            near = sorted(others, key=lambda index: abs(index - first))[: most // 2]
            far = [index for index in others if index not in near]
            others = [*near, *(far[i] for i in np.linspace(0, len(far) - 1, most - len(near)).astype(int))]
        yield from ((first, second) for second in others)


@dataclass(frozen=True)
class Agreement:
    """How depth maps agree with one another.

    Attributes:
        agreeing: Of the pixels of a view that fall onto another, the share within 5 % of its depth; NaN where few fall  # [N, N]
        falling: Share of the pixels of a view that fall onto another  # [N, N]
    """

    agreeing: NDArray[np.float64]
    falling: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Share of agreeing pixels over all pairs, each weighed by how many fall."""
        known = np.isfinite(self.agreeing)
        total = self.falling[known].sum()
        return float((self.agreeing[known] * self.falling[known]).sum() / total) if total > 0 else 0.0

    @property
    def seen(self) -> float:
        """Share of pixels that fall onto another view and agree, over all pairs that were compared."""
        known = np.isfinite(self.falling)
        products = np.nan_to_num(self.agreeing[known]) * self.falling[known]
        return float(products.mean()) if known.any() else 0.0

    def best(self) -> NDArray[np.float64]:
        """Of each view, the share that falls onto and agrees with the view where it is largest  # [N]"""
        products: NDArray[np.float64] = (np.nan_to_num(self.agreeing) * np.nan_to_num(self.falling)).max(1)
        return products


def sample_places(depths: Sequence[Floats], samples: int) -> list[Places]:
    """Rows and columns of pixels with depth, evenly spread over those of each view."""
    found = []
    for depth in depths:
        there = np.flatnonzero(usable(depth))
        rows, columns = np.divmod(there[np.linspace(0, len(there) - 1, min(samples, len(there))).astype(int)], depth.shape[1])
        found.append((rows, columns))
    return found


def cross_view_agreement(
    depths: Sequence[Floats],
    poses: NDArray[np.float64],
    Ks: Sequence[Floats],
    *,
    samples: int = 1000,
    places: Sequence[Places] | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> Agreement:
    """How far the depth maps of a run agree.

    Args:
        depths: z-depth, 0 or not finite = none  # N of [H, W]
        poses: camera_to_world, OpenCV axes  # [N, 4, 4]
        Ks: Intrinsics, first pixel's centre at 0.5  # N of [3, 3]
        samples: Pixels of a view.
        places: Those of ``sample_places``, if they are there already.
        pairs: Ordered pairs to compare; by default ``view_pairs``.
    """
    count = len(depths)
    points = []
    places = sample_places(depths, samples) if places is None else places
    for depth, (rows, columns), pose, K in zip(depths, places, poses, Ks, strict=True):
        camera = depth[rows, columns][:, None] * pixel_rays(K, columns.astype(float), rows.astype(float), "half")
        points.append(camera @ pose[:3, :3].T + pose[:3, 3])
    agreeing, falling = np.full((count, count), np.nan), np.full((count, count), np.nan)
    for first, second in view_pairs(count) if pairs is None else pairs:
        if not len(points[first]):
            continue
        depth, K, pose = depths[second], Ks[second], poses[second]
        camera = (points[first] - pose[:3, 3]) @ pose[:3, :3]
        z = np.where(camera[:, 2] > 0, camera[:, 2], np.inf)
        x, y = K[0, 0] * camera[:, 0] / z + K[0, 2], K[1, 1] * camera[:, 1] / z + K[1, 2]
        inside = np.isfinite(z) & (x >= 0) & (y >= 0) & (x < depth.shape[1]) & (y < depth.shape[0])
        surface = depth[y[inside].astype(int), x[inside].astype(int)]
        known = usable(surface)
        falling[first, second] = known.sum() / len(z)
        if known.sum() >= 0.02 * len(z):
            agreeing[first, second] = float((np.abs(z[inside][known] - surface[known]) < NEAR * surface[known]).mean())
    return Agreement(agreeing, falling)


def z_depth(view: StoredView, conventions: Conventions) -> NDArray[np.float32]:
    """Depth of a view along z, 0 = none  # [H, W]"""
    assert view.depth is not None
    assert view.K is not None
    depth = np.where(usable(view.depth), view.depth, 0)
    if conventions.depth == "ray":
        rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]]
        depth = depth / np.linalg.norm(pixel_rays(view.K, columns, rows, conventions.centers), axis=-1)
    return depth.astype(np.float32)


def centered_K(K: Floats, conventions: Conventions) -> NDArray[np.float64]:
    """Intrinsics with the first pixel's centre at 0.5  # [3, 3]"""
    result: NDArray[np.float64] = np.asarray(K, np.float64).copy()
    if conventions.centers == "integer":
        result[:2, 2] += 0.5
    return result


def detect_by_agreement(run: StoredRun) -> tuple[dict[str, str], dict[str, float]]:
    """What depth and cameras say of direction and axes where no points are stored: how far views agree under each.

    Returns:
        The answers, empty where no hypothesis stands out.
        Share of agreeing pixels under each hypothesis.
    """
    stored = np.stack([np.asarray(view.pose, np.float64) for view in run.views])
    depths = [z_depth(view, run.declared) for view in run.views]
    Ks = [centered_K(view.K, run.declared) for view in run.views if view.K is not None]
    found = {}
    for poses, axes in itertools.product(ANSWERS["poses"], ANSWERS["axes"]):
        cameras = camera_to_world(stored, replace(run.declared, poses=poses, axes=axes))
        found[poses, axes] = cross_view_agreement(depths, cameras, Ks, samples=500)
    shares = {answers: agreement.seen for answers, agreement in found.items()}
    best = max(shares, key=lambda answers: shares[answers])
    # views that hardly overlap confirm little of one another, but of what falls onto another view most
    enough = shares[best] > 0.1 or (shares[best] > 0.03 and found[best].mean > 0.3)
    told = enough and shares[best] > TELLING * sorted(shares.values())[-2]
    answers = dict(zip(("poses", "axes"), best, strict=True)) if told else {}
    return answers, {", ".join(key): share for key, share in shares.items()}


def detect_by_rays(views: Sequence[StoredView]) -> tuple[dict[str, str], dict[str, float]]:
    """What points without depth say of direction and axes: under the right ones they are seen through a pinhole.

    Returns:
        The answers, empty where no hypothesis stands out.
        Median distance in pixels between pixels and projections in the worst view, under each hypothesis.
    """
    errors = {}
    for poses, axes in itertools.product(ANSWERS["poses"], ANSWERS["axes"]):
        cameras = [camera_to_world(view.pose, Conventions(poses, axes)) for view in views]
        pairs = zip(views, cameras, strict=True)
        errors[poses, axes] = max(fit_intrinsics(view.points, pose)[1] for view, pose in pairs if view.points is not None)
    best = min(errors, key=lambda answers: errors[answers])
    told = errors[best] < 0.05 * views[0].size[0] and TELLING * errors[best] < sorted(errors.values())[1]
    found = dict(zip(("poses", "axes"), best, strict=True)) if told else {}
    return found, {", ".join(answers): error for answers, error in errors.items()}


def fit_intrinsics(points: Floats, pose: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Pinhole intrinsics that explain a map of world points, first pixel's centre at 0.5.

    Args:
        points: World points, not finite = none  # [H, W, 3]
        pose: camera_to_world, OpenCV axes  # [4, 4]

    Returns:
        Intrinsics; NaN where they cannot be fitted  # [3, 3]
        Median distance between pixels and the projections of their points.
    """
    camera = (points.astype(np.float64) - pose[:3, 3]) @ pose[:3, :3]
    rows, columns = np.nonzero(np.isfinite(camera).all(-1) & (camera[..., 2] > 1e-9) & (points != 0).any(-1))
    if len(rows) < 0.05 * points.shape[0] * points.shape[1] or len(rows) < 16:
        return np.full((3, 3), np.nan), float("inf")
    chosen = np.linspace(0, len(rows) - 1, min(20_000, len(rows))).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    at = camera[rows, columns]
    K, errors = np.eye(3), []
    for axis, pixels in ((0, columns + 0.5), (1, rows + 0.5)):
        slopes = at[:, axis] / at[:, 2]
        kept = np.ones(len(slopes), bool)
        for _ in range(5):  # points that flying edges have moved are left out
            design = np.stack([slopes[kept], np.ones(kept.sum())], axis=-1)
            focal, center = np.linalg.lstsq(design, pixels[kept], rcond=None)[0]
            error = np.abs(focal * slopes + center - pixels)
            kept = error <= max(3 * MAD_TO_SIGMA * float(np.median(error)), 1e-6)
        K[axis, axis], K[axis, 2] = focal, center
        errors.append(error)
    residual = float(np.median(np.hypot(*errors)))
    return K, residual if K[0, 0] > 0 and K[1, 1] > 0 else float("inf")


def as_dict(conventions: Conventions) -> dict[str, str]:
    """The answers by question."""
    return {entry.name: getattr(conventions, entry.name) for entry in fields(conventions)}
