"""Colour fill alone: holes in real frames with the depth that a heal would complete, against membranes and OpenCV's fills.

    python -m benchmarks.color_fill [DATA] [--truth] [--record]

DATA is a folder of frames (default: ``data`` in the folder named by SCENE_DEPTH_SHARED, or ``../shared/data``). Each frame with
dense depth gets holes of 2.5 to 12 % of the picture; depth in the hole is completed by the embedded solver and put on planes, as
heal does it, or is the true one (``--truth``). "Patterns everywhere" is the exemplar without the test beside the hole.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scene_depth_heal.fill import on_planes, smooth_guess
from scipy.ndimage import binary_erosion, gaussian_filter

from benchmarks.results import machine, table, write_section
from benchmarks.shared_data import shared
from scene_depth.arrays import Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.inpainter import ExemplarInpainter, MembraneInpainter
from scene_depth.datasets.frames import find_frames
from scene_depth.datasets.frames.resize import limited_frame
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.masks import silhouette
from scene_depth.depth.solver import SolverInpainter
from scene_depth.evaluation.images import psnr, ssim

LONGER_SIDE = 360
DENSE = 0.65  # share of pixels with depth from which the depth around a hole is that of the scene
SMALLEST, LARGEST = 0.025, 0.12  # of the picture, what a removed object hides
HOLES = 2  # a frame
DRAWS = 2000  # of the bootstrap over frames
FINE = 2.0  # pixels above which detail is none
PATCH, SLICES = 7, 64  # pixels along a side of a patch of texture, and directions in which the patches are compared
Fill = Callable[["Case"], Picture]


@dataclass(frozen=True)
class Case:
    """One hole: colours are zero in it, depth is complete."""

    frame: str
    truth: Picture
    rgb: Picture
    hole: Mask
    depth: NDArray[np.float32]
    camera: Cameras


def cases(data: Path, use_truth: bool) -> Iterator[Case]:
    """The holes, frame by frame."""
    for source in find_frames(data):
        if source.role != "eval":
            continue
        frame = source.load()
        frame = limited_frame(frame, LONGER_SIDE)
        if frame.rgb is None or frame.camera is None or frame.valid.mean() < DENSE:
            continue
        rgb, depth, camera, solver = frame.rgb, frame.truth, frame.camera, SolverInpainter()
        whole = inpaint_depth(solver, rgb, depth, depth > 0, camera=camera).depth
        for seed in range(HOLES):
            hole = ~silhouette((rgb.shape[0], rgb.shape[1]), seed + 10 * len(source.name), SMALLEST, LARGEST)
            shown = np.where(hole[..., None], np.float32(0), rgb)
            completed = whole
            if not use_truth:
                given = np.where(hole, np.float32(0), whole)
                prediction = inpaint_depth(solver, smooth_guess(shown, hole), given, ~hole, camera=camera)
                completed = on_planes(prediction, ~hole, camera).depth
            yield Case(source.name, rgb, shown, hole, completed.astype(np.float32), camera)


def _by_opencv(method: str) -> Fill:
    def fill(case: Case) -> Picture:
        import cv2

        flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
        shown = np.round(255 * case.rgb).astype(np.uint8)
        filled: Picture = np.asarray(cv2.inpaint(shown, case.hole.astype(np.uint8), 5, flag), dtype=np.float32)
        filled /= np.float32(255)
        return filled

    return fill


def _by(inpainter: Any) -> Fill:
    def fill(case: Case) -> Picture:
        found: Picture = np.clip(inpainter(case.rgb, case.hole, depth=case.depth, camera=case.camera), 0, 1)
        return found

    return fill


METHODS: dict[str, Fill] = {
    "exemplar": _by(ExemplarInpainter()),
    "patterns everywhere": _by(ExemplarInpainter(pattern_error=np.inf)),
    "no kriging": _by(ExemplarInpainter(kriging_error=0)),
    "no patterns": _by(ExemplarInpainter(pattern_error=0)),
    "membrane": _by(MembraneInpainter()),
    "Telea": _by_opencv("telea"),
    "Navier-Stokes": _by_opencv("ns"),
}


def measures(fill: Picture, case: Case) -> dict[str, float]:
    """PSNR and SSIM in the hole, detail relative to the truth's, texture distance, step over the rim less the truth's x 1000."""
    inner = binary_erosion(case.hole, iterations=3)
    fine = [float(np.sqrt(np.mean((x - gaussian_filter(x, (FINE, FINE, 0)))[inner] ** 2))) for x in (fill, case.truth)]
    return {
        "PSNR": psnr(fill, case.truth, case.hole),
        "SSIM": ssim(fill, case.truth, case.hole),
        "detail": fine[0] / (fine[1] + 1e-6),
        "texture": _texture_distance(fill, case.truth, inner),
        "seam": 1000 * (_step(fill, case.hole) - _step(case.truth, case.hole)),
    }


def _texture_distance(fill: Picture, truth: Picture, inner: Mask) -> float:
    """Sliced Wasserstein distance of the patches around some pixels, less their mean, x 1000 (Rabin et al. 2011)."""
    directions = np.random.default_rng(0).normal(size=(PATCH * PATCH * 3, SLICES))
    directions /= np.linalg.norm(directions, axis=0)
    sides = [(PATCH // 2, PATCH // 2)] * 2 + [(0, 0)]
    slices = []
    for rgb in (fill, truth):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(rgb, sides, mode="edge"), (PATCH, PATCH), axis=(0, 1))
        patches = windows[inner]
        patches = (patches - patches.mean(axis=(2, 3), keepdims=True)).reshape(len(patches), -1)
        slices.append(np.sort(patches @ directions, axis=0))
    return float(1000 * np.abs(slices[0] - slices[1]).mean())


def _step(rgb: Picture, hole: Mask) -> float:
    steps = [np.abs(np.diff(rgb, axis=axis)).mean(-1)[np.diff(hole, axis=axis)] for axis in (0, 1)]
    return float(np.concatenate(steps).mean())


def interval(differences: dict[str, list[float]]) -> str:
    """Mean difference with a 95 % bootstrap interval over frames."""
    rng, frames = np.random.default_rng(0), list(differences.values())
    draws = [np.mean(np.concatenate([frames[i] for i in rng.integers(len(frames), size=len(frames))])) for _ in range(DRAWS)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{np.mean(np.concatenate(frames)):+.2f} [{low:+.2f}, {high:+.2f}]"


def main() -> int:
    """Fills all holes by all methods and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="?", type=Path, default=shared("data"))
    parser.add_argument("--truth", action="store_true", help="true depth in the hole")
    parser.add_argument("--record", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in METHODS}
    names: list[str] = []
    for case in cases(arguments.data, arguments.truth):
        names.append(case.frame)
        for name, method in METHODS.items():
            started = time.process_time()
            fill = method(case)
            spent = time.process_time() - started
            found[name].append({**measures(fill, case), "CPU s": spent})
        line = "  ".join(f"{name} {rows[-1]['PSNR']:.1f}" for name, rows in found.items())
        print(f"{case.frame}: {line}", file=sys.stderr, flush=True)
    lines = report(found, names, arguments.truth)
    print("\n".join(lines))
    if arguments.record:
        write_section("colour fill with true depth" if arguments.truth else "colour fill", lines)
    return 0


def report(found: dict[str, list[dict[str, float]]], names: list[str], use_truth: bool) -> list[str]:
    """The table, and the differences of the exemplar's PSNR to every other method's."""
    how = "true depth in the hole" if use_truth else "depth in the hole completed by the solver and put on planes"
    flags = " --truth" if use_truth else ""
    lines = [
        f"`python -m benchmarks.color_fill{flags} --record`, {machine()}. {len(names)} holes in {len(set(names))} frames, {how}.",
        "",
    ]
    heads = list(next(iter(found.values()))[0])
    rows = []
    for name, values in found.items():
        means = [np.mean([value[head] for value in values]) for head in heads]
        rows.append(
            [name, *(f"{mean:.3f}" if head == "SSIM" else f"{mean:.2f}" for head, mean in zip(heads, means, strict=True))]
        )
    lines += table(["", *heads], rows)
    ours = np.array([value["PSNR"] for value in found["exemplar"]])
    for name, values in found.items():
        if name == "exemplar":
            continue
        gains = ours - np.array([value["PSNR"] for value in values])
        by_frame = {frame: [gain for gain, of in zip(gains, names, strict=True) if of == frame] for frame in names}
        worse = f"worse by more than 0.3 dB in {np.mean(gains < -0.3):.0%}, at worst {gains.min():+.1f} dB"
        lines.append(f"- exemplar over {name}: {interval(by_frame)} dB; {worse}.")
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main())
