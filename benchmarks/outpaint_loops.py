"""The loop of outpainting in random rooms whose true colours and depth are known from everywhere; see ``benchmarks.outpaint``."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from scene_depth_outpaint import OutpaintConfig, OutpaintedView, outpaint
from scene_depth_outpaint.trajectory import turned
from scene_depth_synthetic.procedural import Rendering, generate_frame, generate_world, render
from scene_depth_synthetic.procedural.exposure import develop, fitting_exposure, smoothed_radiance
from scene_depth_synthetic.procedural.renderer import PackedScene

from benchmarks.results import table
from scene_depth.arrays import Mask
from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.depth.aligned_prior import LucidDreamer, ScaleAndShift, Text2Room
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel, ExactInpainter
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.solver import SolverInpainter
from scene_depth.evaluation.depth_protocols import simulated_metric_depth
from scene_depth.evaluation.images import psnr
from scene_depth.rendering import render as render_splats
from scene_depth.scene import View

WIDTH, HEIGHT, FIELD = 128, 96, 50.0  # pixels, degrees across
CIRCLE = 18  # views of a closed loop
OFF, ERROR = 1.3, 0.06
FREE = 0.05  # of the depth by which a point must stand before the true surface to be in free space
HELD_OUT = (50.0, 130.0, 230.0, 310.0)  # yaw in degrees of the views that judge the splats
ASIDE = 0.1  # metres that they stand beside the loop's centre
TRANSLATIONS = ("moveright[distance=0.5,views=5]",)
FIT_STEPS, FIT_EVERY = 100, 6

ABOUT_LOOPS = (
    f"Random rooms, {WIDTH} x {HEIGHT} pixels, {FIELD:g} degrees across, true colours from a renderer, a prior of 6 % made from "
    "the truth of each view. Errors are of new pixels. Last: the view where the loop meets its start; drift: how far the median "
    "of its depth over the true one is from 1. Free: share of new pixels in free space, 5 % or more before the true surface. "
    "Start: the first view from the splats. Held out: four views inside the room from the splats, which are fitted by "
    f"{FIT_STEPS} steps a view in the first rows of each room, and in the others as they are made."
)


def _map(prior: NDArray[np.float32], factor: float = 1.0) -> MonocularMap:
    return MonocularMap(prior * np.float32(factor), "depth")


METHODS: dict[str, Callable[[NDArray[np.float32]], DepthModel]] = {
    "solver, prior by scale, off by 1.3": lambda prior: SolverInpainter(_map(prior, OFF), fit="scale"),
    "solver, prior by scale, scale right": lambda prior: SolverInpainter(_map(prior), fit="scale"),
    "LucidDreamer, scale right": lambda prior: LucidDreamer(_map(prior)),
    "LucidDreamer, scale off by 1.3": lambda prior: LucidDreamer(_map(prior, OFF)),
    "scale and shift": lambda prior: ScaleAndShift(_map(prior, OFF)),
    "Text2Room's disparity fit": lambda prior: Text2Room(_map(prior, OFF)),
}
SOLVER, SOLVER_RIGHT, TWO_STEPS, TWO_STEPS_OFF = list(METHODS)[:4]


@dataclass(frozen=True)
class OracleRoom:
    """A random room in the frame of the camera that looks at it first, in metres, under one exposure.

    Attributes:
        seed: Of the room.
        cameras: Those that were painted for, the start's first.
    """

    seed: int
    cameras: list[Cameras] = field(default_factory=lambda: [start_camera()], repr=False, compare=False)
    _seen: dict[bytes, tuple[NDArray[np.float32], NDArray[np.float32]]] = field(default_factory=dict, repr=False, compare=False)

    _place: torch.Tensor = field(init=False, repr=False, compare=False)
    _scene: PackedScene = field(init=False, repr=False, compare=False)
    _exposure: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        place = generate_frame("room", self.seed, 64, 48, samples=1).camera.camera_to_world[0].double()
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "_scene", generate_world("room", self.seed).pack())
        first = self._render(start_camera())
        object.__setattr__(self, "_exposure", fitting_exposure(smoothed_radiance(first), first.depth))

    def _render(self, camera: Cameras) -> Rendering:
        moved = Cameras(self._place @ camera.camera_to_world.double(), camera.K.double(), camera.width, camera.height)
        return render(self._scene, moved, samples=4, lit_samples=1, seed=self.seed, threads=1)

    def seen(self, camera: Cameras) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """True colours and depth from a camera; depth is 0 where there is sky  # [H, W, 3], [H, W]"""
        key = camera.camera_to_world.double().numpy().round(9).tobytes()
        if key not in self._seen:
            rendering = self._render(camera)
            rgb = develop(smoothed_radiance(rendering), self._exposure, (1.0, 1.0, 1.0))
            self._seen[key] = np.asarray(rgb, np.float32), rendering.depth
        return self._seen[key]

    def paint(self, rgb: NDArray[np.float32], hole: Mask, *, camera: Cameras | None = None) -> NDArray[np.float32]:
        """The oracle as an image inpainter."""
        assert camera is not None
        self.cameras.append(camera)
        return self.seen(camera)[0]

    def prior(self, camera: Cameras) -> NDArray[np.float32]:
        """What a monocular model of the right scale says, with smooth errors  # [H, W]"""
        pose = crc32(camera.camera_to_world.numpy().round(6).tobytes())
        return simulated_metric_depth(self.seen(camera)[1], pose, error=ERROR)

    def start(self) -> View:
        """The first view."""
        camera = start_camera()
        rgb, depth = self.seen(camera)
        return View("start.png", camera, load_image=lambda: rgb, load_depth=lambda: depth)


def start_camera() -> Cameras:
    """The camera of the start, at the origin."""
    fov_y = 2 * math.atan(math.tan(math.radians(FIELD / 2)) * HEIGHT / WIDTH)
    return camera_from_fov(torch.eye(4, dtype=torch.float64), fov_y, WIDTH, HEIGHT)


@dataclass(frozen=True)
class SimulatedModel:
    """A monocular model that knows the room, and what camera was asked for last.

    Attributes:
        room: Knows the truth.
        factor: Of its depth.
    """

    room: OracleRoom
    factor: float

    def __call__(self, rgb: NDArray[np.float32]) -> MonocularMap:
        """The prior of the view under way."""
        return _map(self.room.prior(self.room.cameras[-1]), self.factor)


@dataclass(frozen=True)
class AlongSimulated(DepthModel):
    """A method whose prior is made from the truth of the view that it is asked for.

    Attributes:
        room: Knows the truth.
        method: A name of ``METHODS``.
    """

    name: ClassVar[str] = "solver"

    room: OracleRoom
    method: str

    @property
    def harmonize(self) -> bool | None:
        return False

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        assert view.camera is not None
        return METHODS[self.method](self.room.prior(view.camera)).predict(view, seed=seed)


@dataclass(frozen=True)
class LoopRow:
    """What one run reached. Shares and errors are of new pixels with truth.

    Attributes:
        room, path, method, accept: What was run.
        views: Views that were made.
        abs_rel: Mean of |predicted / true - 1|.
        last: The same in the last view that had something new: where a closed loop meets its start.
        drift: |median of predicted / true - 1| there.
        free: Share that stands in free space, before the true surface by more than 5 % of its depth.
        start_psnr: The first view from the splats, dB.
        held_psnr, held_abs_rel: Views that nothing was made from, from the splats.
        refused: Why the run ended early.
        seconds: Processor time of the views.
    """

    room: int
    path: str
    method: str
    accept: bool
    views: int
    abs_rel: float
    last: float
    drift: float
    free: float
    start_psnr: float | None
    held_psnr: float | None
    held_abs_rel: float | None
    refused: str | None
    seconds: float
    fit_every: int = 0


def run_loop(room: OracleRoom, path: str, method: str, *, accept: bool, fit_steps: int = 0, fit_every: int = 0) -> LoopRow:
    """One run, measured against the truth."""
    config = OutpaintConfig(accept=accept, fit_steps=fit_steps, fit_every=fit_every, least_new=0.02)
    del room.cameras[1:]
    inpainter = ExactInpainter(AlongSimulated(room, method), method)
    if method in (SOLVER, SOLVER_RIGHT):
        model = SimulatedModel(room, OFF if method == SOLVER else 1.0)
        inpainter = ExactInpainter(SolverInpainter(model, fit="scale"), "solver")
    started = time.process_time()
    result = outpaint(room.start(), path, inpainter=inpainter, color=room.paint, config=config)
    seconds = time.process_time() - started
    made = [view for view in result.views if view.report.kind == "step"]
    found = [_ratios(room, view) for view in made]
    ratios = np.concatenate([each for each in found if len(each)] or [np.ones(1)])
    closing = next((each for each in reversed(found) if len(each) > 20), np.ones(1))
    held = [_held_out(room, result.splats, yaw) for yaw in HELD_OUT] if path.startswith("circle") and result.splats else []
    how = f"accept {accept}, fit every {fit_every}"
    print(f"room {room.seed}, {path}, {method}, {how}: {len(made)} views, {seconds:.0f} s", file=sys.stderr, flush=True)
    return LoopRow(
        room.seed,
        path,
        method,
        accept,
        len(made),
        float(np.abs(ratios - 1).mean()),
        float(np.abs(closing - 1).mean()),
        float(abs(np.median(closing) - 1)),
        float((ratios < 1 - FREE).mean()),
        result.report.start_psnr,
        float(np.mean([each[0] for each in held])) if held else None,
        float(np.mean([each[1] for each in held])) if held else None,
        result.report.refused,
        seconds,
        fit_every,
    )


def _ratios(room: OracleRoom, view: OutpaintedView) -> NDArray[np.float64]:
    """Predicted over true depth of a view's new pixels  # [N]"""
    truth = room.seen(view.camera)[1]
    new = ~view.known & (truth > 0)
    return view.depth[new].astype(np.float64) / truth[new]


def _held_out(room: OracleRoom, splats: Any, yaw: float) -> tuple[float, float]:
    """PSNR and AbsRel of a view that nothing was made from."""
    camera = turned(start_camera(), yaw, 0.0, (ASIDE, 0.0, 0.0))
    rgb, truth = room.seen(camera)
    drawn = render_splats(splats, camera)
    valid = drawn.depth_valid[0].numpy() & (truth > 0)
    return psnr(drawn.rgb[0].numpy(), rgb), float(np.abs(drawn.depth[0].numpy()[valid] / truth[valid] - 1).mean())


def run_loops(rooms: Sequence[int]) -> list[LoopRow]:
    """All runs."""
    rows = []
    made = [OracleRoom(seed) for seed in rooms]
    for room in made:
        for accept, every in ((True, 0), (True, FIT_EVERY), (False, 0)):
            rows.append(run_loop(room, f"circle[views={CIRCLE}]", SOLVER, accept=accept, fit_steps=FIT_STEPS, fit_every=every))
        for path in TRANSLATIONS:
            rows += [run_loop(room, path, method, accept=False) for method in METHODS]
        for method in (SOLVER_RIGHT, TWO_STEPS, TWO_STEPS_OFF):
            rows.append(run_loop(room, f"circle[views={CIRCLE}]", method, accept=False))
    return rows


def loop_lines(rows: Sequence[LoopRow]) -> list[str]:
    """Tables."""
    lines = [
        f"### Closed loops of {CIRCLE} steps in {len({row.room for row in rows})} random rooms, true colours, prior of 6 %",
        "",
    ]
    head = [
        "room, method",
        "views",
        "AbsRel %",
        "last %",
        "drift %",
        "free %",
        "start dB",
        "held out dB",
        "held out AbsRel %",
        "end",
    ]
    circles = [row for row in rows if row.path.startswith("circle")]
    lines += table(head, [_circle_cells(row) for row in circles])
    lines += ["### Translation in these rooms, AbsRel % of new pixels (in free space %)", ""]
    paths = [path for path in TRANSLATIONS if any(row.path == path for row in rows)]
    cells = []
    for method in METHODS:
        cell = [method]
        for path in paths:
            own = [row for row in rows if row.path == path and row.method == method]
            cell.append(f"{100 * np.mean([r.abs_rel for r in own]):.1f} ({100 * np.mean([r.free for r in own]):.1f})")
        cells.append(cell)
    lines += table(["method", *(path.replace("[", " (").replace("]", ")") for path in paths)], cells)
    return lines


def _circle_cells(row: LoopRow) -> list[str]:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    def decibels(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    what = f"{row.room}, {row.method}, {'with' if row.accept else 'without'} acceptance"
    what += f", fitted every {row.fit_every} views" if row.fit_every else ""
    end = "closed" if row.refused is None else row.refused
    shares = [percent(each) for each in (row.abs_rel, row.last, row.drift, row.free)]
    return [
        what,
        str(row.views),
        *shares,
        decibels(row.start_psnr),
        decibels(row.held_psnr),
        percent(row.held_abs_rel),
        end,
    ]
