"""Time and memory of the steps of an outpainting, without its generator; see ``benchmarks.outpaint``."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scene_depth_outpaint import OutpaintConfig, outpaint
from scene_depth_outpaint.trajectory import turned
from scene_depth_synthetic.procedural import generate_frame

from benchmarks.results import table
from scene_depth.arrays import Mask
from scene_depth.scene import View
from scene_depth.work import Progress

SIZES = ((128, 96, 100), (512, 512, 12))  # width, height, steps
ROUND = 34  # steps of a round; after it the camera looks elsewhere
HEIGHTS = (0.0, -12.0, 12.0)  # degrees that rounds look down
AIM = 4.0  # seconds of a step of the larger size
SEED = 7

ABOUT_STEPS = (
    "Steps round a random room, again and again at other heights: warp, depth by the solver, checks against all earlier views, "
    "points. New colours are grey. Wall and processor seconds with two threads, and memory of the process beyond its start."
)


@dataclass(frozen=True)
class StepRow:
    """One step.

    Attributes:
        width, height: Of its picture.
        number: From 0 on.
        seconds, cpu_seconds: Wall and processor time.
        megabytes: Peak memory of the process so far beyond that before the first step.
    """

    width: int
    height: int
    number: int
    seconds: float
    cpu_seconds: float
    megabytes: float


def time_steps(quick: bool) -> list[StepRow]:
    """All steps of all sizes."""
    rows = []
    for width, height, count in SIZES:
        _run(width, height, 2)  # compiles, or reads what is kept
        rows += _run(width, height, max(3, count // 10) if quick else count)
    return rows


def _run(width: int, height: int, count: int) -> list[StepRow]:
    frame = generate_frame("room", SEED, width, height, samples=1)
    start = View("start.png", frame.camera, load_image=lambda: frame.rgb, load_depth=lambda: frame.depth)
    cameras = [turned(frame.camera, 360.0 * i / ROUND, HEIGHTS[min(i // ROUND, 2)]) for i in range(1, count + 1)]
    taken: list[tuple[float, float, float]] = []

    def on_progress(now: Progress) -> bool:
        if now.stage == "outpaint":
            taken.append((time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
        return True

    config = OutpaintConfig(accept=False, fit_steps=0, least_new=0.0, most_new=0.9)
    color: Callable[..., NDArray[np.float32]] = _grey
    outpaint(start, cameras, inpainter="solver", color=color, config=config, on_progress=on_progress)
    steps = np.diff(np.array(taken), axis=0)
    peak = [memory - taken[0][2] for _, _, memory in taken[1:]]
    return [StepRow(width, height, i, float(s[0]), float(s[1]), peak[i]) for i, s in enumerate(steps)]


def _grey(rgb: NDArray[np.float32], hole: Mask) -> NDArray[np.float32]:
    return np.full_like(rgb, 0.5)


def step_lines(rows: Sequence[StepRow]) -> list[str]:
    """One table: the second tenth of the steps of a size beside the last."""
    cells = []
    for width, height in dict.fromkeys((row.width, row.height) for row in rows):
        own = [row for row in rows if (row.width, row.height) == (width, height)]
        tenth = max(1, len(own) // 10)
        for title, part in (("second tenth", own[tenth : 2 * tenth]), ("last tenth", own[-tenth:])):
            wall, cpu = (float(np.mean([getattr(row, name) for row in part])) for name in ("seconds", "cpu_seconds"))
            cells.append([f"{width} x {height}", str(len(own)), title, f"{wall:.2f}", f"{cpu:.2f}", f"{part[-1].megabytes:.0f}"])
    lines = table(["picture", "steps", "of them the", "wall s", "CPU s", "MB"], cells)
    return [*lines, f"Asked: at most {AIM:g} s for a step of 512 x 512 pixels.", ""]
