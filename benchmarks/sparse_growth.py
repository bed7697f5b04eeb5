"""``scene-depth sparse`` against the number of views: seconds of its stages and peak memory of the whole command.

    python -m benchmarks.sparse_growth [--views 12 25 50 100] [--record]

Views of a random room of our own generator, looked at from all over it, as a model would save them (VGGT's layout with points,
518 x 392), wrong as in the typical runs of ``benchmarks.sparse``. The command reads, checks, aligns, flags and refines them
without weights, and writes all that it writes for splat trainers, in a process of its own on two threads.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from scene_depth_outpaint.trajectory import turned
from scene_depth_synthetic.procedural import generate_frame, generate_world, render
from scene_depth_synthetic.procedural.exposure import develop, fitting_exposure, smoothed_radiance

from benchmarks.results import machine, table, write_section
from benchmarks.sparse_runs import LEVELS, simulate_run
from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.scene import Scene, View

WIDTH, HEIGHT, FIELD = 518, 392, 70.0  # pixels; degrees across
SEED = 7
THREADS = 2
STAGES = ("edges", "alignment", "flags", "refinement")
MOST_SECONDS, MOST_GIGABYTES = 20.0, 4.0  # of checking, aligning and flagging 12 views; of 100 views


@dataclass(frozen=True)
class Row:
    """One run of the command."""

    views: int
    stages: dict[str, float]
    seconds: float
    gigabytes: float


def main(views: tuple[int, ...] = (12, 25, 50, 100), record: bool = False) -> None:
    """Measures all numbers of views.

    Args:
        views: Numbers of views.
        record: Rewrite the section of RESULTS.md.
    """
    rows = []
    for count in views:
        rows.append(measure(count))
        print(rows[-1], flush=True)
    cells = [
        [str(row.views), *(f"{row.stages[name]:.1f}" for name in STAGES), f"{row.seconds:.1f}", f"{row.gigabytes:.2f}"]
        for row in rows
    ]
    first, last = rows[0], rows[-1]
    growth = math.log(last.seconds / first.seconds) / math.log(last.views / first.views) if len(rows) > 1 else float("nan")
    lines = [
        f"`python -m benchmarks.sparse_growth --record`: `scene-depth sparse` on views of {WIDTH} x {HEIGHT} pixels, "
        f"{THREADS} threads, seconds; {machine()}.",
        "",
        *table(["views", *STAGES, "whole command", "peak GB"], cells),
        f"Growth from the first to the last number of views: exponent {growth:.2f}. Asked: 12 views checked, aligned and flagged "
        f"within {MOST_SECONDS:g} s, 100 views within {MOST_GIGABYTES:g} GB.",
    ]
    print("\n".join(lines))
    if record:
        write_section("sparse growth", lines)


def measure(count: int) -> Row:
    """Runs the command on one number of views."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as other:
        # in another process, as a child's peak memory counts from that of the process that starts it
        other.submit(prepare, Path(folder) / "predictions.npz", count).result()
        command = ("sparse", f"{folder}/predictions.npz", "--output", f"{folder}/out")
        environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "NUMBA_NUM_THREADS": str(THREADS)}
        started = os.times().elapsed
        process = subprocess.Popen([sys.executable, "-m", "scene_depth.cli.app", *command], env=environment, stderr=sys.stderr)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"scene-depth sparse ended with {process.returncode}")
        seconds = os.times().elapsed - started
        report = json.loads((Path(folder) / "out/report.json").read_text(encoding="utf-8"))
    return Row(count, report["seconds"], seconds, used.ru_maxrss * 1024 / 1e9)


def prepare(path: Path, count: int) -> None:
    """Writes a run of so many views."""
    run = simulate_run(room_scene(count), LEVELS["typical"], count, SEED, WIDTH).run
    poses = np.concatenate([view.camera.camera_to_world.double().numpy() for view in run.views])
    K = np.concatenate([view.camera.K.double().numpy() for view in run.views])
    points = np.stack([_points(view.depth, pose, k) for view, pose, k in zip(run.views, poses, K, strict=True)])
    K[:, :2, 2] -= 0.5
    np.savez(
        path,
        depth=np.stack([view.depth for view in run.views])[..., None],
        depth_conf=np.stack([1 + 1 / np.maximum(view.depth, 0.1) for view in run.views]),
        extrinsic=np.linalg.inv(poses)[:, :3].astype(np.float32),
        intrinsic=K.astype(np.float32),
        images=np.stack([view.image for view in run.views if view.image is not None]).transpose(0, 3, 1, 2),
        world_points=points.astype(np.float32),
        world_points_conf=np.ones(points.shape[:3], np.float32),
    )


def room_scene(count: int) -> Scene:
    """Views from places on a small circle in a room, each turned a little farther than the one before."""
    world = generate_world("room", SEED).pack()
    place = generate_frame("room", SEED, 64, 48, samples=1).camera.camera_to_world.double()
    fov_y = 2 * math.atan(math.tan(math.radians(FIELD / 2)) * HEIGHT / WIDTH)
    start = camera_from_fov(place[0], fov_y, WIDTH, HEIGHT)
    exposure = None
    views = []
    for i in range(count):
        angle = 2 * math.pi * i / count
        camera = turned(start, math.degrees(angle), 8 * math.sin(3 * angle), (0.3 * math.cos(angle), 0, 0.3 * math.sin(angle)))
        rendering = render(world, camera, samples=1, lit_samples=1, seed=SEED, threads=1)
        radiance = smoothed_radiance(rendering)
        exposure = exposure or fitting_exposure(radiance, rendering.depth)
        rgb = np.asarray(develop(radiance, exposure, (1.0, 1.0, 1.0)), np.float32)
        views.append(_view(f"{i:03d}.png", camera, rgb, rendering.depth))
    return Scene(tuple(views), None, True)


def _view(name: str, camera: Cameras, rgb: NDArray[np.float32], depth: NDArray[np.float32]) -> View:
    return View(name, camera, load_image=lambda: rgb, load_depth=lambda: depth)


def _points(depth: NDArray[np.float32], pose: NDArray[np.float64], K: NDArray[np.float64]) -> NDArray[np.float64]:
    camera = Cameras(torch.from_numpy(pose)[None], torch.from_numpy(K)[None], depth.shape[1], depth.shape[0])
    points: NDArray[np.float64] = camera.unproject(torch.from_numpy(depth).double()[None])[0].numpy()
    return points


if __name__ == "__main__":
    tyro.cli(main)
