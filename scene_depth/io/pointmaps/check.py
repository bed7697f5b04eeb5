"""The self-check of a pointmap run, before anything is built on it: conventions, cameras, depth, overlap, photos."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.json_reports import JsonReport
from scene_depth.io.pointmaps.conventions import (
    ANSWERS,
    Agreement,
    Conventions,
    StoredView,
    cross_view_agreement,
    detect_by_points,
    pixel_rays,
    sample_places,
    view_pairs,
)
from scene_depth.io.pointmaps.photos import LIKE, view_correlation
from scene_depth.io.scene_notes import shown
from scene_depth.pointmaps import PointmapRun, PointmapView

FOCAL = (0.3, 5.0)
"""Focal lengths that photos have, in lengths of their long side."""
KNOWN = 0.3
"""Least share of a picture that must have depth."""
SHELL, SHELL_DEPTH = 0.02, 0.005
"""Share of a view within this relative distance of its largest depth at which it is a shell: sky set to a constant."""
SKY = 0.7
"""Share of a view on its shell at which there is nothing but sky."""
OVERLAP = 0.05
"""Least share of a view that another view must see and confirm."""
GOOD = 0.3
"""Share of pixels confirmed by another view from which a run can hint at ray distance and focal length."""
EXCHANGED = 1.3
"""How many times more the other views must confirm of two views when their cameras change places."""
ALL_EXCHANGES = 12
"""Number of views up to which every exchange is tried, beyond it those of the views that are confirmed least."""
NEVER = "never from depth alone"


@dataclass(frozen=True)
class ViewCheck:
    """What the check found of one view.

    Attributes:
        name: Of the view.
        size: Processed width and height.
        focal: Horizontal focal length in long sides of the picture.
        center: Principal point, relative to the size.
        known: Share of the picture without its padding that has depth.
        shell: Share of the known pixels within half a percent of the largest depth.
        depth: Median depth in the unit of the run.
        neighbour: The view that confirms most of it.
        confirmed: Share of its pixels that this view sees at the same depth.
        agreeing: Of the pixels that fall onto any other view, the share at the same depth.
        correlation: Of the colours that the model saw with the photo; None where either is missing or uniform.
    """

    name: str
    size: tuple[int, int]
    focal: float
    center: tuple[float, float]
    known: float
    shell: float
    depth: float
    neighbour: str
    confirmed: float
    agreeing: float
    correlation: float | None = None


@dataclass(frozen=True)
class PointmapCheck(JsonReport):
    """What a run says of itself.

    Attributes:
        model: Name of the model.
        metric: Whether the unit is said to be the metre.
        conventions: For each question the answer of the model's rules ("declared"), of the numbers ("detected", "" where they do
            not tell) and by what it is told ("by").
        points_error: Median relative distance between unprojected depth and stored points, None without points.
        next_error: That of the next hypothesis.
        agreement: Of the pixels that fall onto another view, the share within 5 % of its depth.
        alternatives: What the agreement would be if the depth, the cameras or the order were meant otherwise.
        translation_unit: By how much translations would have to be multiplied for views to agree; None where they do.
        views: One a view.
        faults: What must be put right first, a sentence each.
        hints: What may be wrong.
        notes: Of the reader.
    """

    model: str
    metric: bool
    conventions: dict[str, dict[str, str]]
    points_error: float | None
    next_error: float | None
    agreement: float
    alternatives: dict[str, float]
    translation_unit: float | None
    views: tuple[ViewCheck, ...]
    faults: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def require(self, file: str | None = None) -> None:
        """Raises an InputError with the first fault, if there is one."""
        if self.faults:
            what, _, found = self.faults[0].partition(": ")
            more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
            raise InputError(what, f"{found}{more}", "", file=file, hint="trust_file (--trust-file) goes on all the same")

    def table(self) -> str:
        """The check for a person, at most 80 columns wide."""
        lines = [f"{len(self.views)} views of {self.model}, unit {'the metre' if self.metric else 'of the run'}", ""]
        lines.append(f"{'convention':<14}{'by the model':<18}{'by the numbers':<18}told by")
        for question, row in self.conventions.items():
            lines.append(f"{question:<14}{row['declared']:<18}{row['detected'] or '-':<18}{row['by']}")
        if self.points_error is not None:
            following = "" if self.next_error is None else f", the next hypothesis {self.next_error:.1g}"
            lines.append(f"depth against stored points: {self.points_error:.1g} of the depth{following}")
        lines.append(f"pixels at the depth that another view has there: {self.agreement:.0%}")
        if self.alternatives:
            lines += _wrapped("it would be " + ", ".join(f"{share:.0%} {name}" for name, share in self.alternatives.items()))
        header = f"{'view':<17}{'size':>10}{'focal':>7} {'centre':>11}{'known':>7}{'shell':>7}{'agree':>7}{'photo':>7}"
        lines += ["", header]
        for view in self.views:
            name = view.name if len(view.name) < 17 else f"{view.name[:6]}..{view.name[-8:]}"
            photo = "-" if view.correlation is None else f"{view.correlation:.3f}"
            size, center = "{}x{}".format(*view.size), "{:.3f} {:.3f}".format(*view.center)
            shares = f"{view.known:>7.0%}{view.shell:>7.0%}{view.agreeing:>7.0%}"
            lines.append(f"{name:<17}{size:>10}{view.focal:>7.3f} {center:>11}{shares}{photo:>7}")
        for title, sentences in (("fault", self.faults), ("hint", self.hints), ("note", self.notes)):
            for sentence in sentences:
                lines += _wrapped(f"{title}: {sentence}")
        return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 80, subsequent_indent="    ")


def check_pointmaps(run: PointmapRun) -> PointmapCheck:
    """Checks a run: what its numbers say of its conventions, and what is wrong with its views.

    Where points are stored beside depth, direction of poses, axes, kind of depth and pixel centre are all told. From depth and
    cameras alone the views are compared with one another, which tells direction, axes and the unit of translations, and
    exchanged views; ray distance, focal length and stretch only on a good run; half a pixel never.

    Returns:
        The check; ``require`` raises its first fault.

    Example:
        >>> import numpy as np, torch
        >>> import scene_depth as sd
        >>> from scene_depth.io.pointmaps import check_pointmaps
        >>> from scene_depth.pointmaps import PointmapRun, PointmapView
        >>> K = torch.tensor([[[40.0, 0, 21], [0, 40, 14], [0, 0, 1]]])
        >>> camera = sd.Cameras(torch.eye(4)[None], K, 42, 28)
        >>> views = tuple(PointmapView(name, camera, np.full((28, 42), 2, np.float32)) for name in ("a.jpg", "b.jpg"))
        >>> check_pointmaps(PointmapRun(views, "vggt")).agreement
        1.0
    """
    depths = [view.depth for view in run.views]
    poses = np.concatenate([view.camera.camera_to_world.double().numpy() for view in run.views])
    Ks = [view.camera.K[0].double().numpy() for view in run.views]
    pairs = list(view_pairs(len(run.views)))
    agreement = cross_view_agreement(depths, poses, Ks, pairs=pairs)
    errors = _points_errors(run)
    has_points = errors is not None
    views = tuple(_check_view(view, index, agreement, run) for index, view in enumerate(run.views))
    alternatives = _alternatives(depths, poses, Ks, pairs)
    faults, hints = _view_faults(run.views, views)
    unit = None
    right = alternatives.pop("as it is")
    if right < 0.35:  # where another unit could stand out
        unit = _translation_unit(depths, poses, Ks, pairs[:: 1 + len(pairs) // 100], right)
    if unit is not None:
        found = f"{1 / unit:.3g} times what the unit of the depth asks for"
        faults.insert(0, f"translations: {found}; poses and depth of one run are expected")
    elif max(view.confirmed for view in views) < OVERLAP:
        faults.insert(0, "views: none confirms the depth of any other; a run whose views overlap and agree is expected")
    else:
        for view in views:
            if view.confirmed < OVERLAP:
                found = f"overlaps with no other view, {view.confirmed:.1%} of it is confirmed"
                faults.append(f"view {view.name!r}: {found}; {OVERLAP:.0%} is expected")
        for first, second in _exchanged(depths, poses, Ks, agreement, pairs):
            names = f"{run.views[first].name!r} and {run.views[second].name!r}"
            faults.append(f"views {names}: depth of each fits the pose of the other; were files renamed or sorted?")
    better = {name: share for name, share in alternatives.items() if share > max(1.15 * right, GOOD)}
    hints += [f"views would agree better {name}: {share:.0%} in place of {right:.0%}" for name, share in better.items()]
    return PointmapCheck(
        model=run.model,
        metric=run.metric,
        conventions=_convention_rows(run, has_points, right),
        points_error=None if errors is None else errors[0],
        next_error=None if errors is None else errors[1],
        agreement=agreement.mean,
        alternatives=alternatives,
        translation_unit=unit,
        views=views,
        faults=tuple(faults),
        hints=tuple(hints),
        notes=run.notes,
    )


def _convention_rows(run: PointmapRun, has_points: bool, right: float) -> dict[str, dict[str, str]]:
    rows = {}
    for question in ANSWERS:
        detected = run.detected.get(question, "")
        if detected:
            by = "stored points" if has_points else "agreement of views"
        elif has_points:
            by = "not told by the points"
        elif question in ("depth", "centers"):
            by = NEVER if question == "centers" else "the model's name alone"
        else:
            by = "views agree too little" if right < 0.1 else "the model's name"
        rows[question] = {"declared": run.declared.get(question, ""), "detected": detected, "by": by}
    return rows


def _points_errors(run: PointmapRun) -> tuple[float, float] | None:
    """How far unprojected depth and stored points are apart as the run is read, and under the next hypothesis."""
    views = [
        StoredView(view.depth, view.camera.camera_to_world[0].numpy(), view.camera.K[0].numpy(), points=view.points)
        for view in run.views
        if view.points is not None
    ]
    if len(views) < len(run.views):
        return None
    taken = ", ".join(vars(Conventions(centers="half")).values())
    errors = detect_by_points(views)[1]
    return errors[taken], min(error for answers, error in errors.items() if answers != taken)


def _check_view(view: PointmapView, index: int, agreement: Agreement, run: PointmapRun) -> ViewCheck:
    width, height = view.camera.width, view.camera.height
    K = view.camera.K[0].double().numpy()
    known = view.depth > 0
    share = known.sum() / max(_image_pixels(view), 1)
    values = view.depth[known]
    shell = float((values >= (1 - SHELL_DEPTH) * values.max()).mean()) if len(values) else 0.0
    products = np.nan_to_num(agreement.agreeing[index]) * np.nan_to_num(agreement.falling[index])
    falls = np.nan_to_num(agreement.falling[index]).sum()
    correlated = None
    if view.image is not None and view.photo_path is not None and view.photo_size is not None:
        value = view_correlation(view.image, view.photo_path, view.photo_turned, view.photo_size, view.scale, view.offset)
        correlated = value if np.isfinite(value) else None
    return ViewCheck(
        name=view.name,
        size=(width, height),
        focal=float(K[0, 0] / max(width, height)),
        center=(float(K[0, 2] / width), float(K[1, 2] / height)),
        known=float(min(share, 1.0)),
        shell=shell,
        depth=float(np.median(values)) if len(values) else 0.0,
        neighbour=run.views[int(products.argmax())].name,
        confirmed=float(products.max()),
        agreeing=float(products.sum() / falls) if falls > 0 else 0.0,
        correlation=correlated,
    )


def _image_pixels(view: PointmapView) -> int:
    """Pixels of the processed picture that lie on the photo."""
    sides = []
    for axis, size in ((0, view.camera.width), (1, view.camera.height)):
        photo = view.photo_size[axis] if view.photo_size is not None else size
        first, last = -view.offset[axis] / view.scale[axis], (photo - view.offset[axis]) / view.scale[axis]
        sides.append(min(size, last) - max(0, first))
    return int(max(sides[0], 0) * max(sides[1], 0))


def _view_faults(views: Sequence[PointmapView], checks: Sequence[ViewCheck]) -> tuple[list[str], list[str]]:
    faults, hints, shells = [], [], []
    for view, found in zip(views, checks, strict=True):
        what = f"view {found.name!r}"
        K = view.camera.K[0].double().numpy()
        focal = [float(K[axis, axis]) / max(found.size) for axis in (0, 1)]
        if not all(FOCAL[0] <= value <= FOCAL[1] for value in focal):
            worst = max(focal, key=lambda value: abs(np.log(value)))
            accepted = f"{FOCAL[0]} to {FOCAL[1]} is expected"
            faults.append(f"{what}: focal length {worst:.3g} long sides of the picture; {accepted}")
        elif abs(np.log(focal[0] / focal[1])) > np.log(1.25):
            hints.append(f"{what}: fx is {focal[0] / focal[1]:.2f} times fy; has the photo been stretched?")
        if not all(0.25 <= value <= 0.75 for value in found.center):
            at = "({:.2f}, {:.2f})".format(*found.center)
            faults.append(f"{what}: principal point at {at} of the picture; intrinsics of the depth's own size are expected")
        if found.known < KNOWN:
            faults.append(f"{what}: depth in {found.known:.0%} of its pixels; {KNOWN:.0%} or more is expected (is it all sky?)")
        elif found.shell > SKY and not _is_flat(view.depth):
            faults.append(f"{what}: {found.shell:.0%} of it at one largest depth, as sky is; something near is expected")
        elif found.shell >= SHELL:
            shells.append(f"{found.name} {found.shell:.0%}")
        if found.correlation is not None and found.correlation < LIKE:
            hints.append(f"{what}: colours correlate {found.correlation:.2f} with the photo; {LIKE} is usual")
    if shells:
        hints.append(f"a share of the view at one largest depth, which may be a shell of sky: {shown(shells)}")
    return faults, hints


def _is_flat(depth: NDArray[np.float32]) -> bool:
    """Whether the whole view has one depth, as a wall that is seen head-on, and not near things before a shell."""
    values = depth[depth > 0]
    return bool(values.min() > 0.9 * values.max())


def _alternatives(
    depths: Sequence[NDArray[np.float32]],
    poses: NDArray[np.float64],
    Ks: Sequence[NDArray[np.float64]],
    pairs: Sequence[tuple[int, int]],
) -> dict[str, float]:
    """How far views would agree if the run were meant otherwise; the mix-ups that agreement can show."""

    places = sample_places(depths, 500)

    def seen(depths: Sequence[NDArray[np.float32]], poses: NDArray[np.float64], Ks: Sequence[NDArray[np.float64]]) -> float:
        return cross_view_agreement(depths, poses, Ks, places=places, pairs=pairs).seen

    inverse: NDArray[np.float64] = np.asarray(np.linalg.inv(poses), np.float64)
    z_of_ray = [depth / _ray_lengths(K, depth) for depth, K in zip(depths, Ks, strict=True)]
    return {
        "as it is": seen(depths, poses, Ks),
        "with inverse poses": seen(depths, inverse, Ks),
        "with OpenGL axes": seen(depths, poses * np.array([1.0, -1, -1, 1]), Ks),
        "if depth were ray distance": seen(z_of_ray, poses, Ks),
        "with half the focal length": seen(depths, poses, [K * np.array([[0.5, 1, 1], [1, 0.5, 1], [1, 1, 1]]) for K in Ks]),
        "with twice the focal length": seen(depths, poses, [K * np.array([[2, 1, 1], [1, 2.0, 1], [1, 1, 1]]) for K in Ks]),
    }


def _ray_lengths(K: NDArray[np.float64], depth: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]]
    lengths: NDArray[np.float32] = np.linalg.norm(pixel_rays(K, columns, rows, "half"), axis=-1).astype(np.float32)
    return lengths


def _translation_unit(
    depths: Sequence[NDArray[np.float32]],
    poses: NDArray[np.float64],
    Ks: Sequence[NDArray[np.float64]],
    pairs: Sequence[tuple[int, int]],
    right: float,
) -> float | None:
    """The factor on translations under which views agree, if one stands out."""
    factors = np.geomspace(1e-3, 1e3, 146)
    places = sample_places(depths, 150)
    shares = []
    for factor in factors:
        scaled = poses.copy()
        scaled[:, :3, 3] *= factor
        shares.append(cross_view_agreement(depths, scaled, Ks, places=places, pairs=pairs).seen)
    best = int(np.argmax(shares))
    far = np.abs(np.log(factors / factors[best])) > np.log(1.5)
    # without translations views agree by themselves as far as they look one way at one depth: shares[0]
    others = max(2.5 * right, 1.5 * shares[0], 2.5 * float(np.median(np.array(shares)[far])))
    stands_out = shares[best] > max(0.2, others)
    return float(factors[best]) if stands_out and not 2 / 3 < factors[best] < 1.5 else None


def _exchanged(
    depths: Sequence[NDArray[np.float32]],
    poses: NDArray[np.float64],
    Ks: Sequence[NDArray[np.float64]],
    agreement: Agreement,
    pairs: Sequence[tuple[int, int]],
) -> list[tuple[int, int]]:
    """Pairs of views whose depth fits better when their cameras change places."""
    weights = np.nan_to_num(agreement.falling)
    rows = (np.nan_to_num(agreement.agreeing) * weights).sum(1) / np.maximum(weights.sum(1), 1e-9)
    low = range(len(rows)) if len(rows) <= ALL_EXCHANGES else sorted(int(index) for index in np.argsort(rows)[:8])
    places = sample_places(depths, 150)
    gains = {}
    for first, second in itertools.combinations(low, 2):
        if depths[first].shape == depths[second].shape:
            touched = [pair for pair in pairs if first in pair or second in pair]
            order = list(range(len(poses)))
            order[first], order[second] = second, first
            before, after = (
                cross_view_agreement(depths, tried, Ks, places=places, pairs=touched).seen for tried in (poses, poses[order])
            )
            gains[first, second] = after / max(before, 0.02)
    found: list[tuple[int, int]] = []
    for pair, gain in sorted(gains.items(), key=lambda item: -item[1]):
        if gain > EXCHANGED and not set(pair) & {index for other in found for index in other}:
            found.append(pair)
    return found
