"""Time of the embedded solver against image size and known share.

    python -m benchmarks.depth_time [--threads 2] [--record]

One random room, ray-traced at every size, so that all sizes show the same view. Wall and processor seconds of the whole
call (checks, solver, seam report), the least of some runs after one that compiles.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scene_depth_synthetic.procedural import RGBDFrame, generate_frame

from benchmarks.results import machine, write_section
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.masks import half_image, random_share, rectangle
from scene_depth.depth.solver import SolverInpainter

SIZES = ((160, 120), (320, 240), (640, 480), (1280, 960))
KNOWN = ("0.05 %", "2 %", "50 %", "rectangle", "half image")
SEED = 3


def known_pixels(kind: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The known pixels of one row of the table: a share in percent, or a hole  # [H, W]"""
    if kind == "rectangle":
        return rectangle(shape, SEED, smallest=0.25, largest=0.25)
    if kind == "half image":
        return half_image(shape, SEED, side="left")
    return random_share(shape, SEED, float(kind.removesuffix("%")) / 100)


def measure(frame: RGBDFrame, kind: str, threads: int, repeats: int) -> tuple[float, float]:
    """Least wall and processor seconds of one completion."""
    known = known_pixels(kind, (frame.depth.shape[0], frame.depth.shape[1])) & frame.known
    solver = SolverInpainter(threads=threads)
    walls, processors = [], []
    for _ in range(repeats):
        started, processor = time.perf_counter(), time.process_time()
        inpaint_depth(solver, frame.rgb, frame.depth, known)
        walls.append(time.perf_counter() - started)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors)


def table(threads: int, repeats: int) -> list[str]:
    """Wall seconds by size and known share; the last line is the growth of time with pixels from 320x240 up."""
    frames = {size: generate_frame("room", SEED, *size) for size in SIZES}
    measure(frames[SIZES[0]], KNOWN[0], threads, 1)
    lines = ["| known | " + " | ".join(f"{width}x{height}" for width, height in SIZES) + " | exponent |"]
    lines.append("| --- |" + " ---: |" * (len(SIZES) + 1))
    for kind in KNOWN:
        seconds = {}
        for size, frame in frames.items():
            wall, processor = measure(frame, kind, threads, repeats)
            seconds[size] = wall
            print(f"{kind} {size[0]}x{size[1]}: wall {wall:.3f} s, processor {processor:.3f} s", file=sys.stderr, flush=True)
        lines.append(_line(kind, list(seconds.values())))
    return lines


def _line(kind: str, seconds: Sequence[float]) -> str:
    pixels = np.log([width * height for width, height in SIZES])
    exponent = np.polyfit(pixels[1:], np.log(seconds[1:]), 1)[0]
    return f"| {kind} | " + " | ".join(f"{value:.2f}" for value in seconds) + f" | {exponent:.2f} |"


def main() -> int:
    """Prints the table; records it with ``--record``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lines = [
        f"Wall seconds of one completion by the solver, {arguments.threads} threads, least of {arguments.repeats} runs; "
        f"{machine()}. "
        "The exponent says how time grows with pixels from 320x240 up: 1 is linear.",
        f"`python -m benchmarks.depth_time --threads {arguments.threads}{' --record' if arguments.record else ''}`",
        "",
        *table(arguments.threads, arguments.repeats),
    ]
    print("\n".join(lines))
    if arguments.record:
        write_section("time of depth inpainting", lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
