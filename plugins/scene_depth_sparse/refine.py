"""The refinement of a pointmap result: alignment, flags, and better depth where no other view confirms the model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Picture
from scene_depth.cameras import Cameras
from scene_depth.depth.depthlab import DepthLabInpainter
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.monocular import load_monocular_model
from scene_depth.depth.prior import MonocularMap, MonocularModel, model_name, predict
from scene_depth.depth.protocol import DepthInpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.depth.scattered import nearest_fill
from scene_depth.depth.solver import SolverInpainter
from scene_depth.errors import InputError
from scene_depth.pointmaps import PointmapRun
from scene_depth.work import OnProgress, Progress, Work
from scene_depth_sparse.align import PARAMETERS, Alignment, align_views
from scene_depth_sparse.comparison import PosedDepth, find_neighbours
from scene_depth_sparse.flags import FLAG_NAMES, MISSING, ViewFlags, find_border, find_edges, flag_view, measure_tolerance
from scene_depth_sparse.known import KnownDistance, place_at_known, processed_pictures, scale_of_distance
from scene_depth_sparse.mixing import ViewInput, calibrate, refine_view
from scene_depth_sparse.result import RefinedPointmaps, RefinedView, SparseReport

LEAST_SCALE = 0.02  # change of a view's scale from which its depth is scaled; below it the model's numbers stay as they are
CALIBRATED_ON = 3  # views
OVERLAPPING = 0.01  # share of a view that others must see for it to be aligned by
Inpainter = DepthInpainter | Callable[..., Any] | str
Prior = MonocularModel | str | Sequence[Array | MonocularMap]


@dataclass(frozen=True)
class _Guide:
    """What inpaints, and what it is told of each view."""

    inpainter: ExactInpainter
    prior: MonocularModel | None
    maps: Sequence[Array | MonocularMap] | None
    name: str

    @property
    def informed(self) -> bool:
        """Whether it knows of surfaces that no other view sees: from a prior, from training, or for all that is known."""
        inner = self.inpainter.inpainter
        weightless = type(inner).__module__.startswith("scene_depth.depth.") and not hasattr(inner, "find_weights")
        return self.prior is not None or self.maps is not None or not weightless

    def for_view(self, index: int, depth: NDArray[np.float32], picture: Picture | None, seed: int) -> ExactInpainter:
        """The inpainter of one view: along its prior, or beginning from the model's own depth where it can begin from any."""
        if self.prior is not None or self.maps is not None:
            return load_depth_inpainter(SolverInpainter(prior=self._map(index, depth, picture, seed), fit="auto"))
        inner = self.inpainter.inpainter
        if isinstance(inner, DepthLabInpainter) and inner.start == "nearest":
            begun = replace(inner, start=nearest_fill(depth, depth > 0), model=inner.loaded)
            return ExactInpainter(begun, self.inpainter.name)
        return self.inpainter

    def _map(self, index: int, depth: NDArray[np.float32], picture: Picture | None, seed: int) -> MonocularMap:
        if self.maps is not None:
            found = self.maps[index]
            return found if isinstance(found, MonocularMap) else MonocularMap(np.asarray(found, np.float32), "auto")
        assert self.prior is not None
        assert picture is not None
        return predict(self.prior, picture, seed, depth=depth)


def refine_pointmaps(
    run: PointmapRun,
    *,
    inpainter: Inpainter = "solver",
    prior: Prior | None = None,
    cameras: Sequence[Cameras | None] | None = None,
    metric: bool = False,
    known_distance: KnownDistance | None = None,
    align: bool = True,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> RefinedPointmaps:
    """Refines depth and cameras that a pointmap model gave, where that cannot make them worse.

    Cameras and the scale of each view are aligned by the surfaces that views see together. Every pixel is then flagged by what
    other views say of it. Depth that they confirm stays bit for bit; depth that they see elsewhere moves to their mean; edges
    and shells are made anew; depth that one view is alone with is mixed with the inpainter's by what was measured of both.

    Args:
        run: From ``read_pointmaps``.
        inpainter: A depth inpainter or its name; networks begin from the model's depth where they can.
        prior: A monocular model or its name, or a prediction of each view at its processed size; the solver follows it.
        cameras: Known cameras of the photos in the order of the views, which stay as they are; None for views without.
        metric: Whether the unit of ``cameras`` is the metre.
        known_distance: Two places in a photo whose distance in metres is known.
        align: Whether cameras may be aligned.
        seed: Seed of all random choices.
        on_progress: Is called between views; False stops the work, and the rest of the views keep the model's depth.

    Returns:
        Of every view depth and sigma at the processed size, in the unit of the run (of ``cameras`` where they are given), and its
        camera in the same frame.

    Raises:
        InputError: If a view has no depth, nothing fits together, or a picture is needed and not there.

    Example:
        >>> import numpy as np, torch
        >>> import scene_depth as sd
        >>> from scene_depth.pointmaps import PointmapView
        >>> K = torch.tensor([[[40.0, 0, 21], [0, 40, 14], [0, 0, 1]]])
        >>> camera = sd.Cameras(torch.eye(4)[None], K, 42, 28)
        >>> views = tuple(PointmapView(name, camera, np.full((28, 42), 2, np.float32)) for name in ("a.jpg", "b.jpg"))
        >>> result = sd.refine_pointmaps(sd.PointmapRun(views, "vggt"))
        >>> result, int(result.views[0].flags.max())
        (RefinedPointmaps(2 views of vggt), 0)
    """
    _check_run(run)
    work = Work(on_progress)
    guide = _guide(inpainter, prior, len(run))
    pictures = processed_pictures(run)
    if guide.prior is not None and (missing := [v.name for v, p in zip(run.views, pictures, strict=True) if p is None]):
        raise InputError(f"view {missing[0]!r}: picture", "none", "the photos (--photos), which the prior is predicted from")
    depths = [view.depth for view in run.views]
    own = [view.camera for view in run.views]
    with work.stage("edges"):
        edges = [find_edges(depth) for depth in depths]
        usable = [(depth > 0) & ~edge for depth, edge in zip(depths, edges, strict=True)]
    free: tuple[str, ...] = PARAMETERS
    scale, is_metric = 1.0, run.metric
    if cameras is not None:
        own, scale = place_at_known(run, cameras, usable)
        free, is_metric = ("scale",), metric
    with work.stage("alignment"):
        work.report(Progress("align", 0, 1))
        pairs = find_neighbours([PosedDepth.of(depth, camera) for depth, camera in zip(depths, own, strict=True)])
        alignment = align_views(own, depths, usable, pairs, free, seed) if align else Alignment(tuple(own), np.ones(len(own)))
    with work.stage("flags"):
        scales = np.where(np.abs(np.log(alignment.scales)) < LEAST_SCALE, 1.0, alignment.scales)
        aligned = [_posed(*view) for view in zip(depths, alignment.cameras, alignment.scales, strict=True)]
        tolerance, spread = measure_tolerance(aligned, usable, pairs)
        found = []
        for index, (view, edge) in enumerate(zip(run.views, edges, strict=True)):
            scaled = _posed(view.depth, alignment.cameras[index], scales[index]).depth
            found.append(flag_view(index, scaled, aligned, pairs, edge, find_border(view), tolerance))
            work.report(Progress("flags", index + 1, len(run)))
    with work.stage("refinement"):
        inputs = [
            ViewInput(view.depth, picture, camera, flags, guide.for_view(index, view.depth, picture, seed))
            for index, (view, picture, camera, flags) in enumerate(
                zip(run.views, pictures, alignment.cameras, found, strict=True)
            )
        ]
        most = sorted(inputs, key=lambda view: -int(view.alone.sum()))[:CALIBRATED_ON]
        calibration = calibrate(most, spread / 2**0.5, guide.informed, seed)
        views, notes = [], list(run.notes)
        for index, (view, given) in enumerate(zip(run.views, inputs, strict=True)):
            depth, sigma = view.depth.copy(), np.where(view.depth > 0, np.float32(calibration.raw), np.float32(0))
            if work.report(Progress("refine", index, len(run), view.name)):
                made = refine_view(given, calibration, guide.informed, seed)
                depth, sigma = made.depth, made.sigma
                notes += [f"{view.name}: {note}" for note in made.notes]
            camera = alignment.cameras[index]
            views.append(RefinedView(view, camera, depth, sigma, given.found.flags, float(scales[index])))
        work.report(Progress("refine", len(run), len(run)))
    if known_distance is not None:
        scale, is_metric = scale_of_distance(views, known_distance), True
    notes += _overlap_notes(run, found)
    report = SparseReport(
        model=run.model,
        views=[_row(view, [run.views[j].name for j in pairs[index]]) for index, view in enumerate(views)],
        alignment=alignment.figures(),
        tolerance=tolerance,
        calibration=asdict(calibration) | {"weight": calibration.weight},
        inpainter=guide.inpainter.name,
        prior=guide.name,
        scale=scale,
        metric=is_metric,
        parameters={"seed": seed, "align": align, "known_cameras": cameras is not None},
        notes=notes,
        seconds=work.seconds,
        finished=not work.stopped,
    )
    return RefinedPointmaps(tuple(views), run, scale, is_metric, report)


def _check_run(run: PointmapRun) -> None:
    if len(run) < 2:
        raise InputError("views", len(run), "two or more: one view says nothing of another", file=run.path)
    for view in run.views:
        if not (view.depth > 0).any():
            raise InputError(f"view {view.name!r}: depth", "none at any pixel", "a view without it left out", file=run.path)


def _guide(inpainter: Inpainter, prior: Prior | None, count: int) -> _Guide:
    loaded = load_depth_inpainter(inpainter)
    if prior is None:
        return _Guide(loaded, None, None, "")
    if loaded.name.partition("[")[0] != "solver":
        raise InputError("prior", f"with the inpainter {loaded.name!r}", "the inpainter 'solver', which follows a prior")
    if isinstance(prior, str) or callable(prior):
        model = load_monocular_model(prior)
        return _Guide(loaded, model, None, prior if isinstance(prior, str) else model_name(model))
    if len(prior) != count:
        raise InputError("prior", f"{len(prior)} maps", f"{count}, one a view")
    return _Guide(loaded, None, prior, "maps")


def _posed(depth: NDArray[np.float32], camera: Cameras, scale: float) -> PosedDepth:
    return PosedDepth.of(depth if scale == 1 else depth * np.float32(scale), camera)


def _overlap_notes(run: PointmapRun, found: Sequence[ViewFlags]) -> list[str]:
    """Names the views that no other one confirms."""
    notes = []
    for view, flags in zip(run.views, found, strict=True):
        if np.mean(flags.seeing > 0) < OVERLAPPING:
            notes.append(
                f"view {view.name!r} overlaps with no other view: its depth stays as the model gave it, but for its edges"
            )
    return notes


def _row(view: RefinedView, neighbours: list[str]) -> dict[str, Any]:
    shares = np.bincount(view.flags.ravel(), minlength=len(FLAG_NAMES)) / view.flags.size
    known = (view.sigma > 0) & (view.flags != MISSING)
    return {
        "name": view.name,
        "width": view.camera.width,
        "height": view.camera.height,
        "shares": {name: round(float(share), 5) for name, share in zip(FLAG_NAMES, shares, strict=True)},
        "median_sigma": float(np.median(view.sigma[known])) if known.any() else None,
        "changed": float(np.mean(view.depth != view.source.depth)),
        "depth_scale": view.depth_scale,
        "neighbours": neighbours,
    }
