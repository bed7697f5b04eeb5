"""Coarse-to-fine minimisation of the plane energy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.solver.energy import Effort, EnergyParameters, Level, build_pyramid
from scene_depth.depth.solver.relaxation import block_rows, chebyshev_steps, guide_rows, prolong_rows, relax_rows, robust_rows
from scene_depth.kernels import row_bands, run_bands, run_rows
from scene_depth.kernels.simd import LANES

STEPS_PER_CONDITION = 2.5  # steps for each unit of the square root of the condition number that they are chosen for


def minimize(
    finest: Level, limits: tuple[float, float], energy: EnergyParameters, effort: Effort, threads: int | None
) -> NDArray[np.float32]:
    """Planes (u, a, b) of every pixel, slopes per pixel.

    Args:
        finest: Data terms and guidance.
        limits: Smallest and largest inverse depth between levels.
        energy, effort: See there.
        threads: Number of threads, at most; None for ``kernels.thread_count()``.

    Returns:
        State  # [3, H, W]
    """
    levels = build_pyramid(finest, effort.smallest)
    state = np.zeros((3, *levels[-1].shape), dtype=np.float32)
    state[0] = levels[-1].hint
    f = np.float32
    for number, level in enumerate(reversed(levels)):
        if number > 0:
            above, coarse = levels[len(levels) - number], state
            state = np.empty((3, *level.shape), dtype=np.float32)
            run_rows(
                prolong_rows, 0, *level.shape, coarse, above.guide, above.hint, level.guide, level.hint,
                f(energy.sigma), f(energy.tau_hint), f(limits[0]), f(limits[1]), state, threads=threads,
            )  # fmt: skip
        iterations = effort.iterations[min(number, len(effort.iterations) - 1)]
        state = relax_level(state, level, limits[0], energy, iterations, effort.reweightings, threads)
    return state


def relax_level(
    state: NDArray[np.float32],
    level: Level,
    lowest: float,
    energy: EnergyParameters,
    iterations: int,
    reweightings: int,
    threads: int | None,
) -> NDArray[np.float32]:
    height, width = level.shape
    now = framed(state)
    before = now.copy()
    matrix, linear = framed(level.matrix), framed(level.linear)
    base, jump, bend, inverse = (np.zeros((planes, *now.shape[1:]), dtype=np.float32) for planes in (4, 4, 4, 6))
    f = np.float32
    run_rows(
        guide_rows, 0, height, width, level.guide, level.hint,
        f(energy.sigma), f(energy.floor), f(energy.tau_hint), f(energy.floor_hint), base, threads=threads,
    )  # fmt: skip
    stiffness = f((energy.stiffness / level.scale) ** 2)
    edges = row_bands(1, height + 1, width, threads)
    # one semi-iteration through all updates of the weights: begun anew at each, it would lose its momentum, and with
    # it the slow waves that carry planes far into holes
    count = iterations * reweightings
    steps = np.array(chebyshev_steps(count, max(4.0, (count / STEPS_PER_CONDITION) ** 2)), dtype=np.float32)
    for begin in range(0, count, iterations):
        run_bands(
            robust_rows, edges, now, base,
            f(lowest), f(energy.tau_jump), f(energy.tau_bend), stiffness, jump, bend, threads=threads,
        )  # fmt: skip
        run_bands(block_rows, edges, jump, bend, matrix, inverse, threads=threads)
        system = jump, bend, matrix, linear, inverse
        now, before = _take_steps(now, before, system, steps[begin : begin + iterations], edges, threads)
    inner: NDArray[np.float32] = now[:, 1 : height + 1, 1 : width + 1].copy()
    return inner


def _take_steps(
    now: NDArray[np.float32],
    before: NDArray[np.float32],
    system: tuple[NDArray[np.float32], ...],
    steps: NDArray[np.float32],
    edges: list[int],
    threads: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """States after steps, the last one first; see ``relax_rows``. So many are taken at once as the bands have rows for."""
    at_once = max(1, int(np.diff(edges).min()) // 2) if len(edges) > 2 else len(steps)
    for begin in range(0, len(steps), at_once):
        some = steps[begin : begin + at_once]

        def shrinking(top: int, bottom: int) -> None:
            relax_rows(top, bottom, int(top > edges[0]), int(bottom < edges[-1]), now, before, *system, some)  # noqa: B023

        run_bands(shrinking, edges, threads=threads)
        for edge in edges[1:-1]:
            relax_rows(edge, edge, -1, -1, now, before, *system, some)
        if len(some) % 2 == 1:
            now, before = before, now
    return now, before


def framed(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Planes with a frame of one pixel of zeros, to the right as many more as whole vectors take  # [C, H + 2, S]"""
    return np.pad(planes, ((0, 0), (1, 1), (1, 1 + -planes.shape[2] % LANES)))
