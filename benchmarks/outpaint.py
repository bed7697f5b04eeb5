"""Depth of new views beside known ones: the solver along a metric prior against the ways of LucidDreamer, Text2Room and others.

    python -m benchmarks.outpaint [rotation | loops | steps] [--quick] [--record]

One view with true depth is cut into two virtual cameras of the same centre, turned by 10 or 20 degrees, so that depth and
colours of what the second sees beyond the first are true. Frames: all of the development data with the role eval, a camera of 60
degrees or more and truth on 65 % of their pixels or more; views of the RGB-D scene; views of 90 degrees in three random rooms of
our own generator. The prior is made from the truth, wrong by 6 or 12 % in a smooth way, the same for all, off by 1.3 in scale
where that is not said otherwise; LucidDreamer's two steps and the solver are also given it at the right scale. ``loops`` runs
the whole loop in those rooms, with true colours: round the room until it closes, sideways. ``--record`` writes the
section "Outpainting" or "Outpainting loops" of RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scene_depth_synthetic.procedural import generate_frame
from scipy import ndimage

from benchmarks.outpaint_loops import ABOUT_LOOPS, loop_lines, run_loops
from benchmarks.outpaint_steps import ABOUT_STEPS, step_lines, time_steps
from benchmarks.results import machine, table, write_section
from benchmarks.shared_data import shared
from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.datasets.frames import find_frames
from scene_depth.datasets.frames.frame import DepthFrame
from scene_depth.depth.aligned_prior import LucidDreamer, ScaleAndShift, Text2Room
from scene_depth.depth.checks import check_input
from scene_depth.depth.classical import NearestInpainter
from scene_depth.depth.masks import mask_seed
from scene_depth.depth.model import DepthModel, PlainFunction, complete_view
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.scattered import nearest_fill
from scene_depth.depth.seam import measure_seam
from scene_depth.depth.solver import SolverInpainter
from scene_depth.evaluation.depth_protocols import simulated_metric_depth
from scene_depth.io.atomic import atomic_path
from scene_depth.io.scenes import read_scene

WIDTH, HEIGHT = 256, 192
FIELD, FIELDS = 60.0, {10.0: 50.0, 20.0: 40.0}  # degrees: of the whole view at least; of the virtual cameras by angle
LEAST_TRUTH, DENSE = 0.65, 0.9
ERRORS = (0.06, 0.12)
OFF = 1.3
NEAR = 0.06  # of the width: distance from known depth up to which a pixel is beside the border
ROOMS = (7, 11, 23)
SCENE, SCENE_VIEWS = "data/redwood_livingroom", 4
BOOTSTRAPS = 4000
SOLVER, SOLVER_OFF = "solver, prior by scale, scale right", "solver, prior by scale, off by 1.3"
TWO_STEPS, TWO_STEPS_OFF = "LucidDreamer, scale right", "LucidDreamer, scale off by 1.3"
STITCH = "one scale and offset by L1 (Invisible Stitch)"
BARS = (("AbsRel over LucidDreamer's, right scale", 0.85), ("scale off by 1.3", 0.5), ("beside the border", 0.6))
SEAM_BAR = 1.5
ABOUT = (
    "One view with true depth is cut into two of the same centre, turned by 10 degrees (a fifth new) or 20 (half of it); the "
    "prior is made from the truth, with smooth errors, the same for all, off by 1.3 in scale where that is not said otherwise. "
    "Beside: within 6 % of the width of known depth. Jump: median step at the seam. Brackets: 95 % bootstrap over frames."
)


@dataclass(frozen=True)
class Turn:
    """The second of two virtual cameras.

    Attributes:
        name: Of the frame.
        group: "real" or "room".
        angle: Degrees between the two.
        rgb: True colours  # [H, W, 3]
        truth: True depth, 0 = none  # [H, W]
        known: What the first camera saw, with truth  # [H, W]
        camera: The second, at the origin.
    """

    name: str
    group: str
    angle: float
    rgb: NDArray[np.float32]
    truth: NDArray[np.float32]
    known: NDArray[np.bool_]
    camera: Cameras

    @property
    def new(self) -> NDArray[np.bool_]:
        """Pixels with truth that are not known  # [H, W]"""
        return (self.truth > 0) & ~self.known


def turn(name: str, group: str, frame: DepthFrame, angle: float, field: float) -> Turn:
    """Cuts a frame into two virtual cameras that are turned by half the angle to the left and to the right."""
    assert frame.camera is not None
    assert frame.rgb is not None
    half = math.radians(angle / 2)

    def turned(yaw: float) -> Cameras:
        pose = torch.eye(4, dtype=torch.float64)
        pose[0, 0] = pose[2, 2] = math.cos(yaw)
        pose[0, 2], pose[2, 0] = math.sin(yaw), -math.sin(yaw)
        fov_y = 2 * math.atan(math.tan(math.radians(field / 2)) * HEIGHT / WIDTH)
        return camera_from_fov(pose, fov_y, WIDTH, HEIGHT)

    first, second = turned(-half), turned(half)
    rays = second.ray_directions()[0].reshape(-1, 3)  # in the frame's own axes
    whole = Cameras(torch.eye(4, dtype=torch.float64)[None], frame.camera.K.double(), frame.camera.width, frame.camera.height)
    pixel, ahead = (each[0].numpy() for each in whole.project(rays))
    column, row = np.floor(pixel[:, 0]).astype(int), np.floor(pixel[:, 1]).astype(int)
    inside = (ahead > 0) & (column >= 0) & (column < whole.width) & (row >= 0) & (row < whole.height)
    column, row = np.where(inside, column, 0), np.where(inside, row, 0)
    truth = np.where(inside, frame.truth[row, column] / ahead, 0).reshape(HEIGHT, WIDTH)  # z along the second's axis
    smooth = ndimage.gaussian_filter(frame.rgb, (0.4, 0.4, 0))
    rgb = np.where(inside[:, None], smooth[row, column], 0.5).reshape(HEIGHT, WIDTH, 3)
    seen, ahead_of_first = (each[0].numpy() for each in first.project(rays))
    guard = 2.0  # pixels
    known = (ahead_of_first > 0) & (seen > guard).all(axis=1) & (seen[:, 0] < WIDTH - guard) & (seen[:, 1] < HEIGHT - guard)
    known = known.reshape(HEIGHT, WIDTH) & (truth > 0)
    at_origin = Cameras(second.camera_to_world, second.K, WIDTH, HEIGHT)
    return Turn(name, group, angle, rgb.astype(np.float32), truth.astype(np.float32), known, at_origin)


def frames(quick: bool) -> Iterator[tuple[str, DepthFrame]]:
    """The views that are cut, by group."""
    found = 0
    for source in find_frames(shared("data")):
        if source.role != "eval":
            continue
        frame = source.load()
        if frame.camera is None or frame.rgb is None or frame.valid.mean() < LEAST_TRUTH:
            continue
        if field_of(frame.camera) >= FIELD and not (quick and found >= 2):
            found += 1
            yield "real", frame
    views = read_scene(shared(SCENE)).views
    for view in views[:: max(1, len(views) // SCENE_VIEWS)][: 1 if quick else SCENE_VIEWS]:
        yield "real", DepthFrame(view.name, view.depth().astype(np.float32), view.image(), view.camera, dataset="redwood")
    for seed in ROOMS[: 1 if quick else None]:
        yield "room", room(seed)


def room(seed: int) -> DepthFrame:
    """A view of 90 degrees of a random room, from where the generator itself looks at it."""
    place = generate_frame("room", seed, 64, 48, samples=1).camera
    camera = camera_from_fov(place.camera_to_world[0], 2 * math.atan(0.75), 640, 480)
    made = generate_frame("room", seed, 640, 480, samples=1, camera=camera)
    return DepthFrame(f"room_{seed}", made.depth, made.rgb, camera)


def field_of(camera: Cameras) -> float:
    """Horizontal field of view in degrees."""
    return 2 * math.degrees(math.atan(camera.width / 2 / float(camera.K[0, 0, 0])))


def methods(prior: NDArray[np.float32], error: float) -> dict[str, DepthModel | PlainFunction]:
    """Everything that is compared, for one prior of metric depth."""
    right, off = MonocularMap(prior, "depth"), MonocularMap(prior * np.float32(OFF), "depth")
    found: dict[str, DepthModel | PlainFunction] = {
        "scale and shift": ScaleAndShift(off),
        "one scale": ScaleAndShift(off, fit="scale"),
        "Text2Room's disparity fit": Text2Room(off),
        STITCH: fit_least_absolute(prior),
        "prior as it is": lambda rgb, depth, known: prior,
        TWO_STEPS: LucidDreamer(right),
        TWO_STEPS_OFF: LucidDreamer(off),
        SOLVER: SolverInpainter(right, fit="scale"),
        SOLVER_OFF: SolverInpainter(off, fit="scale"),
        "solver, prior by scale and shift": SolverInpainter(off, fit="affine"),
        "solver, prior by what carries": SolverInpainter(off, fit="auto"),
    }
    if error == ERRORS[0]:
        found |= {"solver without prior": SolverInpainter(), "nearest": NearestInpainter()}
    return found


def fit_least_absolute(prior: NDArray[np.float32]) -> PlainFunction:
    """The aligned baseline of Invisible Stitch (Engstler et al., 2024): a scale and offset of depth by least absolute errors."""

    def invisible_stitch(
        rgb: NDArray[np.float32] | None, depth: NDArray[np.float32], known: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        x, y = prior[known].astype(np.float64), depth[known].astype(np.float64)
        weight = np.ones_like(y)
        for _ in range(50):  # reweighted least squares comes to the least absolute errors
            root = np.sqrt(weight)
            line, *_ = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1) * root[:, None], y * root, rcond=None)
            weight = 1.0 / np.maximum(np.abs(line[0] * x + line[1] - y), 1e-4)
        fitted: NDArray[np.float64] = line[0] * prior.astype(np.float64) + line[1]
        return fitted

    return invisible_stitch


@dataclass(frozen=True)
class Row:
    """What one method reached in one view.

    Attributes:
        method, frame, group, angle, error: What was run.
        abs_rel: Mean of |predicted / true - 1| over new pixels.
        near: The same over those beside the border.
        metres: Mean of |predicted - true| over new pixels, as Invisible Stitch counts.
        jump: Step at the seam.
        true_jump: That of the truth, where it is dense.
        seconds: Time of the inpainter.
    """

    method: str
    frame: str
    group: str
    angle: float
    error: float
    abs_rel: float
    near: float
    metres: float
    jump: float
    true_jump: float | None
    seconds: float


def run_rotation(quick: bool) -> list[Row]:
    """All methods on all views."""
    rows: list[Row] = []
    for group, frame in frames(quick):
        for angle, field in FIELDS.items():
            view = turn(frame.name, group, frame, angle, field)
            if not view.new.any() or not view.known.any():
                continue
            for error in ERRORS:
                rows += run_view(view, error)
            print(f"{frame.name}, {angle:g} degrees: {view.new.mean():.0%} new", file=sys.stderr, flush=True)
    return rows


def run_view(view: Turn, error: float) -> Iterator[Row]:
    """All methods on one view with one prior."""
    prior = simulated_metric_depth(view.truth, mask_seed(view.name, "prior"), error=error)
    new, checked = view.new, check_input(view.rgb, view.truth, view.known, view.camera)
    beside = new & (ndimage.distance_transform_edt(~view.known) <= NEAR * WIDTH)
    measured = np.where(view.known, view.truth, nearest_fill(view.truth, view.truth > 0))
    step = measure_seam(measured, view.known) if (view.truth > 0).mean() >= DENSE else None
    for name, inpainter in methods(prior, error).items():
        started = time.perf_counter()
        depth = complete_view(inpainter, checked, harmonize=False).depth
        seconds = time.perf_counter() - started
        seam = measure_seam(depth, view.known)
        assert seam is not None
        wrong = np.abs(depth - view.truth)
        yield Row(
            name,
            view.name,
            view.group,
            view.angle,
            error,
            float((wrong[new] / view.truth[new]).mean()),
            float((wrong[beside] / view.truth[beside]).mean()) if beside.any() else float("nan"),
            float(wrong[new].mean()),
            seam.depth_jump,
            None if step is None else step.depth_jump,
            seconds,
        )


def ratio(rows: Sequence[Row], method: str, other: str, measure: str = "abs_rel") -> tuple[float, float, float]:
    """Mean of one method over the mean of another, with the 95 % interval of a bootstrap over frames."""
    pairs = {
        which: {row.frame: getattr(row, measure) for row in rows if row.method == which and math.isfinite(getattr(row, measure))}
        for which in (method, other)
    }
    names = [name for name in pairs[method] if name in pairs[other]]
    above, below = (np.array([pairs[which][name] for name in names]) for which in (method, other))
    drawn = np.random.default_rng(0).integers(len(names), size=(BOOTSTRAPS, len(names)))
    drawn_ratios = above[drawn].mean(axis=1) / below[drawn].mean(axis=1)
    low, high = np.quantile(drawn_ratios, (0.025, 0.975))
    return float(above.mean() / below.mean()), float(low), float(high)


def rotation_lines(rows: Sequence[Row]) -> list[str]:
    """Tables and bars."""
    lines = []
    for group, what in (("real", "Real RGB-D views"), ("room", "Random rooms")):
        for error in ERRORS:
            chosen = [row for row in rows if row.group == group and row.error == error]
            count = len({row.frame for row in chosen})
            lines += [f"### {what} ({count}), prior of {100 * error:g} %", ""]
            lines += _method_table(chosen)
    lines += _bar_lines(rows) + _stitch_lines(rows)
    return lines


def _method_table(rows: Sequence[Row]) -> list[str]:
    head = ["method"]
    for angle in FIELDS:
        head += [f"{angle:g} deg, AbsRel %", "beside %", "jump %"]
    cells = []
    for method in dict.fromkeys(row.method for row in rows):
        cell = [method]
        for angle in FIELDS:
            own = [row for row in rows if row.method == method and row.angle == angle]
            cell += [
                f"{100 * np.mean([row.abs_rel for row in own]):.1f}",
                f"{100 * np.nanmean([row.near for row in own]):.1f}",
                f"{100 * np.median([row.jump for row in own]):.2f}",
            ]
        cells.append(cell)
    return table([*head, f"over LucidDreamer's, {max(FIELDS):g} deg"], [_with_ratio(cell, rows) for cell in cells])


def _with_ratio(cell: list[str], rows: Sequence[Row]) -> list[str]:
    own = [row for row in rows if row.angle == max(FIELDS)]
    return [*cell, "{:.2f} ({:.2f} to {:.2f})".format(*ratio(own, cell[0], TWO_STEPS))]


def _bar_lines(rows: Sequence[Row]) -> list[str]:
    """What the solver with a metric prior by its scale is to reach at the wider angle."""
    lines = ["### What is to be reached at 20 degrees", ""]
    cells = []
    for error in ERRORS:
        for group in ("real", "room"):
            own = [row for row in rows if row.angle == max(FIELDS) and row.error == error and row.group == group]
            found = [ratio(own, SOLVER, TWO_STEPS), ratio(own, SOLVER_OFF, TWO_STEPS_OFF), ratio(own, SOLVER, TWO_STEPS, "near")]
            dense = [row for row in own if row.method == SOLVER and row.true_jump is not None]
            ours, true = (float(np.mean([getattr(row, kind) for row in dense] or [np.nan])) for kind in ("jump", "true_jump"))
            jump = ours / true
            texts = ["{:.2f} ({:.2f} to {:.2f})".format(*each) for each in found]
            cells.append([f"{group}, {error:.0%}", *texts, f"{jump:.2f} ({len(dense)} frames)"])
    head = ["views, prior", *(f"{what}: {bar:g}" for what, bar in BARS), f"seam over the truth's: {SEAM_BAR:g}"]
    return [*lines, *table(head, cells)]


def _stitch_lines(rows: Sequence[Row]) -> list[str]:
    """Mean absolute error in metres where the two views overlap enough, as Invisible Stitch reports it."""
    own = [row for row in rows if row.angle == min(FIELDS) and row.error == ERRORS[0]]
    lines = ["### The protocol of Invisible Stitch", ""]
    lines += ["Mean |error| in metres over new pixels, views 10 degrees apart (four fifths overlap), prior of 6 %.", ""]
    order = list(dict.fromkeys(row.method for row in own))
    cells = [
        [method, *(f"{np.mean([r.metres for r in own if r.method == method and r.group == g]):.3f}" for g in ("real", "room"))]
        for method in order
    ]
    return [*lines, *table(["method", "real", "rooms"], cells)]


SECTIONS = {"rotation": "outpainting", "loops": "outpainting loops", "steps": "outpainting steps"}


def main() -> int:
    """Runs what is asked for and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["rotation", "loops", "steps"], default="rotation", help="what is measured")
    parser.add_argument("--quick", action="store_true", help="three views and one room")
    parser.add_argument("--json", type=Path, default=None, help="file for all measures")
    parser.add_argument("--record", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    rows: list[Any]
    if arguments.what == "steps":
        rows = time_steps(arguments.quick)
        found, about = step_lines(rows), ABOUT_STEPS
    elif arguments.what == "rotation":
        torch.set_num_threads(1)
        rows = run_rotation(arguments.quick)
        found, about = rotation_lines(rows), ABOUT
    else:
        torch.set_num_threads(1)
        rows = run_loops(ROOMS[: 1 if arguments.quick else None])
        found, about = loop_lines(rows), ABOUT_LOOPS
    command = f"`python -m benchmarks.outpaint {arguments.what} --record`"
    lines = [f"{command}, {machine()}. {about}", "", *found]
    if arguments.json is not None:
        with atomic_path(arguments.json) as path:
            path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    print("\n".join(lines))
    if arguments.record:
        write_section(SECTIONS[arguments.what], lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
