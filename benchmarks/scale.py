"""Completion of depth against the size of the picture, and heal against the number of photos.

    python -m benchmarks.scale [--only completion|heal|memory] [--sizes 640x480 1280x960 ...] [--photos 50 100 ...] [--record]

Heal is measured in ``heal_growth.py``, the memory of its command in ``heal_memory.py``. Completion:
processor seconds and peak memory of the whole command.

A room of planes and spheres, rendered from formulas at every size, so that all sizes show the same view. What is measured is
``scene-depth complete`` in a process of its own, on one thread: reading photo (JPEG) and depth (16-bit PNG), the solver, and
all that it writes (depth, preview, uncertainty, points). The error is that of hidden pixels, in which millimetres are rounded.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from benchmarks.command_cost import Cost, cost_of
from benchmarks.heal_growth import HEIGHT, WIDTH, growth_lines
from benchmarks.heal_memory import memory_lines
from benchmarks.results import machine, table, write_section
from scene_depth.io.depth_images import read_depth, write_depth
from scene_depth.io.images import write_image

KINDS = ("hole", "0.05 % points", "64 lines")
FAR_WALL, FLOOR, SIDE = 6.0, 1.4, -2.6  # metres
SPHERES = 14


@dataclass(frozen=True)
class Completed:
    """One run of the command: size of the picture, what was known, and what the run took and gave."""

    width: int
    height: int
    kind: str
    cost: Cost
    error: float


def main(
    sizes: tuple[str, ...] = ("640x480", "1280x960", "2000x1500", "4000x3000"),
    kinds: tuple[str, ...] = KINDS,
    photos: tuple[int, ...] = (50, 100, 200, 400),
    only: Literal["completion", "heal", "memory"] | None = None,
    record: bool = False,
) -> None:
    """Measures all sizes.

    Args:
        sizes: Sizes of the picture.
        kinds: What is known of the depth: "hole", "... % points", "... lines".
        photos: Numbers of photos of a heal.
        only: One of the three.
        record: Rewrite the sections of RESULTS.md of what was measured.
    """
    if only in (None, "completion"):
        completion(sizes, kinds, record)
    if only in (None, "memory"):
        about = (
            "`scene-depth heal` of a hole that 24 photos show, with quick inpainters and 30 steps, one thread: processor seconds "
            f"and peak resident memory of the whole process; {machine()}. The aim is three times the splat file and 1 GB. "
            "`python -m benchmarks.scale --only memory --record`"
        )
        lines = [about, "", *memory_lines()]
        print("\n".join(lines))
        if record:
            write_section("memory of heal", lines)
    if only in (None, "heal"):
        threads = torch.get_num_threads()
        about = (
            f"A heal of a fixed hole in photos of {WIDTH}x{HEIGHT}, processor seconds, {threads} threads; {machine()}. "
            "`python -m benchmarks.scale --only heal --record`"
        )
        lines = [about, "", *growth_lines(photos)]
        print("\n".join(lines))
        if record:
            write_section("scale of heal", lines)


def completion(sizes: tuple[str, ...], kinds: tuple[str, ...], record: bool) -> None:
    """Measures the completion of depth."""
    rows = []
    for size in sizes:
        width, height = (int(side) for side in size.split("x"))
        for kind in kinds:
            rows.append(measure(width, height, kind))
            print(rows[-1], flush=True)
    lines = [
        "Depth completion of one frame by `scene-depth complete` and the solver, one thread: processor seconds and peak resident "
        f"memory of the whole process, mean relative error of hidden pixels; {machine()}. `python -m benchmarks.scale --record`",
        "",
        *table(
            ("picture", "megapixels", "known", "CPU s", "peak GB", "AbsRel %"),
            [
                (
                    f"{row.width}x{row.height}",
                    f"{row.width * row.height / 1e6:.1f}",
                    row.kind,
                    f"{row.cost.seconds:.1f}",
                    f"{row.cost.gigabytes:.2f}",
                    f"{100 * row.error:.3f}",
                )
                for row in rows
            ],
        ),
    ]
    print("\n".join(lines))
    if record:
        write_section("scale", lines)


def measure(width: int, height: int, kind: str) -> Completed:
    """Runs the command on one frame."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as other:
        # in another process, as a child's peak memory counts from that of the process that starts it
        other.submit(prepare, Path(folder), width, height, kind).result()
        command = ("complete", f"{folder}/photo.jpg", f"{folder}/known.png", "--output", f"{folder}/out")
        cost = cost_of(*command)
        error = other.submit(score, Path(folder)).result()
    return Completed(width, height, kind, cost, error)


def prepare(folder: Path, width: int, height: int, kind: str) -> None:
    """Writes the photo, the true depth and the known part of it."""
    rgb, depth = render_room(width, height)
    write_image(folder / "photo.jpg", rgb)
    write_depth(folder / "truth.npy", depth)
    write_depth(folder / "known.png", np.where(known_pixels(kind, width, height), depth, 0))


def score(folder: Path) -> float:
    """Mean relative error of the completed depth where it was hidden."""
    truth, known = read_depth(folder / "truth.npy"), read_depth(folder / "known.png") > 0
    completed = read_depth(folder / "out" / "depth" / "known.png")
    return float(np.abs(completed / truth - 1)[~known].mean())


def render_room(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A photo and the z-depth in metres of a floor, two walls and spheres in front of them  # [H, W, 3], [H, W]"""
    rng = np.random.default_rng(3)
    x = ((np.arange(width) + 0.5 - width / 2) / width).astype(np.float32)[None]
    y = ((np.arange(height) + 0.5 - height / 2) / width).astype(np.float32)[:, None]
    depth, surface = np.full((height, width), FAR_WALL, np.float32), np.zeros((height, width), np.uint8)

    def put(z: NDArray[np.float32], number: int) -> None:
        nearer = z < depth
        depth[nearer], surface[nearer] = z[nearer], number

    with np.errstate(divide="ignore"):
        put(np.broadcast_to(np.where(y > 0, FLOOR / y, np.inf), depth.shape), 1)
        put(np.broadcast_to(np.where(x < 0, SIDE / x, np.inf), depth.shape), 2)
    squared = x * x + y * y + 1
    for number in range(SPHERES):
        center, radius = rng.uniform((-1.6, -0.9, 2.5), (1.8, 1.2, 5.0)), rng.uniform(0.15, 0.5)
        along = x * np.float32(center[0]) + y * np.float32(center[1]) + np.float32(center[2])
        inside = along**2 - squared * np.float32(center @ center - radius**2)
        put(np.where(inside > 0, (along - np.sqrt(np.maximum(inside, 0))) / squared, np.float32(np.inf)), 3 + number)
    colors = rng.uniform(0.15, 0.9, (3 + SPHERES, 3)).astype(np.float32)
    rgb = colors[surface]
    rgb *= (1.15 - 0.05 * depth + 0.06 * np.sin(9 * x * depth) * np.sin(8 * y * depth) * np.sin(7 * depth))[..., None]
    rgb += rng.normal(0, 0.01, rgb.shape).astype(np.float32)
    return np.clip(rgb, 0, 1), depth


def known_pixels(kind: str, width: int, height: int) -> NDArray[np.bool_]:
    """The known pixels: all but an ellipse, a share of single ones, or horizontal lines  # [H, W]"""
    rng = np.random.default_rng(1)
    if kind.endswith("% points"):
        return rng.random((height, width)) < float(kind.split()[0]) / 100
    if kind.endswith("lines"):
        known = np.zeros((height, width), bool)
        known[np.linspace(0.1 * height, 0.95 * height, int(kind.split()[0])).astype(int)] = True
        return known
    y, x = (np.arange(height) / height - 0.5)[:, None], (np.arange(width) / width - 0.55)[None]
    return (x / 0.22) ** 2 + (y / 0.3) ** 2 > 1


if __name__ == "__main__":
    tyro.cli(main)
