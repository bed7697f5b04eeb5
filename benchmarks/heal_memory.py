"""What a whole heal command costs as photos, splats and pictures grow: processor seconds and peak memory of its process.

The corridor of ``heal_growth``, with photos in files. A hole shows in 24 of them; the others look along the wall.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.command_cost import cost_of
from benchmarks.heal_growth import BALL, DISTANCE, cameras_of, corridor
from benchmarks.results import table
from scene_depth.cameras import Cameras
from scene_depth.io.scenes import write_scene
from scene_depth.io.splat_files import write_splats
from scene_depth.rendering import render
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats

SEEING = 24
PHOTOS, SPLATS, SIZES = (50, 200, 1000), (100_000, 1_000_000, 4_000_000), ((640, 480), (2000, 1500), (4000, 3000))
QUICK = ("--inpainter", "harmonic", "--color", "membrane", "--no-shadow", "--steps", "30")
OVER_FILE, BESIDE = 3, 1.0  # times the splat file, and GB beside it, that a heal may take


def memory_lines() -> list[str]:
    """A table of runs in which one of the three grows."""
    usual, smallest, size = PHOTOS[0], SPLATS[0], SIZES[0]
    cases = [*((count, smallest, size) for count in PHOTOS), *((usual, count, size) for count in SPLATS[1:])]
    cases += [(usual, smallest, each) for each in SIZES[1:]]
    rows = []
    for photos, splats, (width, height) in cases:
        with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1, get_context("spawn")) as other:
            folder = Path(name)
            megabytes = other.submit(prepare, folder, photos, splats, width, height).result()
            ball = f"0 0 {0.6 * DISTANCE} {1.2 * BALL}"
            command = ["heal", f"{folder}/scene", "--splats", f"{folder}/splats.ply", "--sphere", ball, *QUICK]
            command += ["--max-size", f"{width}", "--no-check-placement", "--output"]
            dry, whole = cost_of(*command, f"{folder}/dry", "--dry-run"), cost_of(*command, f"{folder}/out")
        most = OVER_FILE * megabytes / 1e3 + BESIDE
        costs = [f"{value:.{digits}f}" for cost in (dry, whole) for value, digits in ((cost.seconds, 1), (cost.gigabytes, 2))]
        rows.append((f"{photos}", f"{splats / 1e6:g}", f"{width}x{height}", f"{megabytes:.0f}", *costs, f"{most:.2f}"))
        print(rows[-1], flush=True)
    head = ("photos", "million splats", "pictures", "file, MB", "dry run, CPU s", "GB", "heal, CPU s", "GB", "aim, GB")
    return table(head, rows)


def prepare(folder: Path, photos: int, splats: int, width: int, height: int) -> float:
    """Writes scene and splats, and gives the size of the file in MB."""
    rows = round((splats / 1500 * 40) ** 0.5)
    scene, _ = corridor(splats // rows, rows)
    write_splats(folder / "splats.ply", scene)
    views = []
    for name, camera in cameras_of(min(SEEING, photos), max(0, photos - SEEING)):
        sized = camera.resized(width, height)
        views.append(View(name.replace("png", "jpg"), sized, partial(_drawn, scene, sized)))
    write_scene(folder / "scene", Scene(tuple(views)), format="transforms")
    return (folder / "splats.ply").stat().st_size / 1e6


def _drawn(scene: GaussianSplats, camera: Cameras) -> NDArray[np.float32]:
    image: NDArray[np.float32] = render(scene, camera).rgb[0].clamp(0, 1).numpy()
    return image
