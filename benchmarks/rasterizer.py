"""The CPU rasteriser beside gsplat's torch reference: time, scaling over threads, accuracy, and a whole step of fitting.

    python -m benchmarks.rasterizer [--json FILE] [--record] [--quick]

Times of the grid are CPU time of the process over all threads, the minimum over repeats in which the two take turns, so
that a busy machine disturbs both alike; forward is without gradients, forward and backward with gradients of all parameters
from colour, alpha and depth. Scaling over threads is wall time and means something on idle cores only. The cloud is that of
gsplat's test scene and the photos are those of the fox, both in the development data; without them a made-up cloud and a
sample scene of this repository stand in, and the text says so. Without gsplat 1.5.3 the peer's columns stay empty.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.fit import SPLATS as STEP_SPLATS
from benchmarks.fit import step_parts
from benchmarks.gsplat_reference import VERSION, ReferenceMissing
from benchmarks.rasterizer_accuracy import FLIPPED, compare_both_with_reference, draw_here, draw_reference
from benchmarks.rasterizer_scenes import (
    GARDEN,
    TRAINED,
    Cloud,
    garden_cloud,
    pinhole,
    random_splats,
    splats_at_points,
    trained_scene,
)
from benchmarks.results import machine, table, write_section
from benchmarks.shared_data import shared_file
from scene_depth.cameras import Cameras
from scene_depth.io.atomic import atomic_path
from scene_depth.io.scenes import read_scene
from scene_depth.splats import PARAMETERS, GaussianSplats

GRID = [(splats, *size) for size in ((320, 240), (640, 480)) for splats in (10_000, 50_000, 200_000)]
QUICK_GRID = [(10_000, 320, 240), (50_000, 320, 240)]
SAMPLE_SCENE = Path(__file__).resolve().parent.parent / "scenes" / "table"
Draw = Callable[[GaussianSplats, Cameras, dict[str, Any]], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def forward(draw: Draw, splats: GaussianSplats, cameras: Cameras) -> Callable[[], object]:
    """A call that draws."""

    def run() -> object:
        with torch.no_grad():
            return draw(splats, cameras, {})

    return run


def forward_backward(draw: Draw, splats: GaussianSplats, cameras: Cameras) -> Callable[[], object]:
    """A call that draws and finds the gradients of all parameters for random gradients of the images."""
    generator = torch.Generator().manual_seed(0)
    shape = (len(cameras), cameras.height, cameras.width)
    by_images = [torch.randn(*shape, *channels, generator=generator) for channels in ((3,), (), ())]
    leaf = splats.map(lambda values: values.clone().requires_grad_())
    inputs = [getattr(leaf, name) for name in PARAMETERS]

    def run() -> object:
        return torch.autograd.grad(draw(leaf, cameras, {}), inputs, by_images)

    return run


def least_ms(
    calls: dict[str, Callable[[], object]], repeats: dict[str, int], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Least milliseconds of each call over ``rounds`` in which they take turns, each ``repeats`` times in a round."""
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            for _ in range(repeats[name]):
                started = clock()
                result = call()
                least[name] = min(least[name], 1000 * (clock() - started))
                del result
    return least


def time_row(cloud: Cloud, count: int, width: int, height: int, *, rounds: int, repeats: int, peer: bool) -> dict[str, Any]:
    """One row of the grid; the peer's columns are None without it."""
    splats, cameras = splats_at_points(cloud, count, width, height)
    calls = {
        "forward_ms": forward(draw_here, splats, cameras),
        "forward_backward_ms": forward_backward(draw_here, splats, cameras),
    }
    if peer:
        calls["peer_forward_ms"] = forward(draw_reference, splats, cameras)
        calls["peer_forward_backward_ms"] = forward_backward(draw_reference, splats, cameras)
    for call in list(calls.values())[:2]:
        call()  # compiles, or reads the cache
    often = {name: 1 if name.startswith("peer") else repeats for name in calls}
    row: dict[str, Any] = {"splats": count, "width": width, "height": height}
    row |= {"peer_forward_ms": None, "peer_forward_backward_ms": None, "ratio": None}
    row |= least_ms(calls, often, rounds, time.process_time)
    if peer:
        row["ratio"] = row["peer_forward_backward_ms"] / row["forward_backward_ms"]
    return row


def thread_scaling(cloud: Cloud, sizes: list[tuple[int, int, int]], rounds: int) -> list[dict[str, Any]]:
    """Least wall milliseconds of forward and backward with one and with two threads."""
    before, rows = torch.get_num_threads(), []
    try:
        for count, width, height in sizes:
            run = forward_backward(draw_here, *splats_at_points(cloud, count, width, height))

            def on(threads: int, run: Callable[[], object] = run) -> Callable[[], object]:
                def call() -> object:
                    torch.set_num_threads(threads)
                    return run()

                return call

            best = least_ms({"1": on(1), "2": on(2)}, {"1": 3, "2": 3}, rounds, time.perf_counter)
            rows.append({"splats": count, "width": width, "height": height, "one_ms": best["1"], "two_ms": best["2"]})
    finally:
        torch.set_num_threads(before)
    return rows


def accuracy_cases(cloud: Cloud, name: str, count: int) -> dict[str, tuple[GaussianSplats, Cameras]]:
    """Random splats, the cloud, and a trained scene where there is one."""
    cases = {"random": (random_splats(700), pinhole(130, 99, fx=110, fy=140, cx=51.3, cy=60.2))}
    cases[name] = splats_at_points(cloud, count, 320, 240)
    trained = shared_file(TRAINED)
    return cases if trained is None else cases | {"trained": trained_scene(trained)}


def accuracy_lines(cases: dict[str, tuple[GaussianSplats, Cameras]]) -> list[str]:
    """Errors against gsplat's torch reference in float64 as a table, a row a case and a renderer."""
    rows = []
    for case, (splats, cameras) in cases.items():
        for renderer, found in zip(("scene_depth", "gsplat torch"), compare_both_with_reference(splats, cameras), strict=True):
            row = [case, f"{len(splats):,}", f"{cameras.width} x {cameras.height}", f"{renderer}, float32"]
            row += [f"{found.flipped} of {found.colors.numel():,}", f"{255 * found.colors.max():.3f}"]
            row += [f"{found.gradient_quantile(level):.1e}" for level in (0.5, 0.9)]
            rows.append(row)
    header = ["scene", "splats", "image", "renderer", f"pixels off by > {FLIPPED:.0e}", "largest x 255", "50 %", "90 %"]
    return table(header, rows)


def step_lines(quick: bool) -> list[str]:
    """CPU time of the parts of an optimisation step."""
    fox = shared_file("data/fox")
    parts = step_parts(read_scene(fox or SAMPLE_SCENE).split(8)[0], settle=50 if quick else 300)
    note = f"One step of fitting {STEP_SPLATS:,} splats of SH degree 3 to {'the fox' if fox else 'the sample scene table'}"
    return [
        f"{note}, L1 + SSIM + Adam, CPU ms:",
        "",
        *table(["part", "ms"], [[name, f"{value:.1f}"] for name, value in parts.items()]),
    ]


def grid_lines(rows: list[dict[str, Any]]) -> list[str]:
    """The grid as a table."""

    def cells(row: dict[str, Any]) -> list[str]:
        peer = [row["peer_forward_ms"], row["peer_forward_backward_ms"]]
        text = [f"{row['splats']:,}", f"{row['width']} x {row['height']}"]
        text += [f"{row[name]:.1f}" for name in ("forward_ms", "forward_backward_ms")]
        text += ["" if value is None else f"{value:,.0f}" for value in peer]
        return [*text, "" if row["ratio"] is None else f"{row['ratio']:.0f}x"]

    peer = f"gsplat {VERSION} torch"
    header = ["splats", "image", "forward", "forward + backward", f"{peer}: forward", "forward + backward", "ratio"]
    return table(header, [cells(row) for row in rows])


def scaling_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Scaling over threads as a table."""
    texts = [
        [f"{row['splats']:,}", f"{row['width']} x {row['height']}", f"{row['one_ms']:.1f}", f"{row['two_ms']:.1f}",
         f"{row['one_ms'] / row['two_ms']:.2f}x"] for row in rows
    ]  # fmt: skip
    return table(["splats", "image", "1 thread", "2 threads", "faster"], texts)


def reference_missing() -> str | None:
    """Why there is no peer, or None if there is one."""
    try:
        draw_reference(random_splats(2), pinhole(4, 4, fx=4, fy=4), {})
    except ReferenceMissing as missing:
        return str(missing)
    return None


def sections(quick: bool, rows: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Measures one thing after the other and gives its text; the rows of the grid are added to ``rows``."""
    missing, path = reference_missing(), shared_file(GARDEN)
    cloud, name = garden_cloud(path), "garden" if path else "made-up garden"
    yield [f"{machine()}, {torch.get_num_threads()} threads. `python -m benchmarks.rasterizer --record`"]
    rounds, repeats = (1, 3) if quick else (2, 8)
    for size in QUICK_GRID if quick else GRID:
        rows.append(time_row(cloud, *size, rounds=rounds, repeats=repeats, peer=missing is None))
    yield [f"CPU ms of a frame, SH degree 3, at points of the {name}; the ratio is that of forward + backward:"]
    yield grid_lines(rows) if missing is None else [*grid_lines(rows), f"No peer: {missing}."]
    if (os.cpu_count() or 1) > 1:
        sizes = [(row["splats"], row["width"], row["height"]) for row in rows if row["splats"] >= 50_000]
        yield ["Wall ms of forward + backward:"]
        yield scaling_lines(thread_scaling(cloud, sizes, rounds=2 if quick else 5))
    if missing is None:
        yield ["Against gsplat's torch reference in float64; gradients: relative error of a splat's gradient, worst parameter:"]
        yield accuracy_lines(accuracy_cases(cloud, name, 10_000 if quick else 50_000))
    yield step_lines(quick)


def main() -> None:
    """Measures and prints everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=None, help="file for the rows of the grid")
    parser.add_argument("--record", action="store_true", help="rewrite this benchmark's section of RESULTS.md")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases, each timed less often")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    text: list[str] = []
    for lines in sections(arguments.quick, rows):
        print(*lines, "", sep="\n", flush=True)
        text += [*lines, ""]
    if arguments.json is not None:
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    if arguments.record:
        write_section("rasteriser", text)


if __name__ == "__main__":
    main()
