"""Weighted membranes on the pixel grid: the sparse linear systems behind harmonic filling, solved in linear time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, kernel

Array = NDArray[np.floating]
Grid = NDArray[np.float64]

OVERCORRECTION = 0.5  # piecewise constant coarse functions have twice the energy of the smooth ones that they stand for
COARSEST = 12  # pixels of the longer side at which coarsening ends
COARSEST_SWEEPS = 30


@dataclass(frozen=True)
class MembraneResult:
    """Solution of a membrane problem.

    Attributes:
        values: The minimiser; fixed pixels keep their value bit for bit  # [H, W]
        iterations: Conjugate gradient steps taken.
        residual: Norm of the residual relative to the right-hand side at the end.
    """

    values: Grid
    iterations: int
    residual: float


def solve_membrane(
    right: Array,
    down: Array,
    values: Array,
    fixed: NDArray[np.bool_],
    start: Array | None = None,
    tolerance: float = 1e-5,
    most_iterations: int = 200,
) -> MembraneResult:
    """Minimises the sum of w (x_p - x_q)^2 over neighbours p, q, with some pixels fixed.

    Conjugate gradients, preconditioned by one V-cycle of a 2 x 2 aggregation multigrid: coarse edge weights are sums of
    fine ones, so every level is again a membrane. Pixels that no chain of positive weights joins to a fixed one keep
    their start.

    Args:
        right: Weight between pixel (i, j) and (i, j + 1), not negative; the last column is not read  # [H, W]
        down: Weight between pixel (i, j) and (i + 1, j), not negative; the last row is not read  # [H, W]
        values: Values of the fixed pixels; others are not read  # [H, W]
        fixed: Pixels that keep their value  # [H, W]
        start: First guess of the others; the mean of the fixed values by default  # [H, W]
        tolerance: Residual norm at which to stop, relative to that of the first guess.
        most_iterations: Largest number of conjugate gradient steps.
    """
    if fixed.all():
        return MembraneResult(np.array(values, dtype=np.float64), 0, 0.0)
    mean = float(values[fixed].mean()) if fixed.any() else 0.0
    x = np.full(fixed.shape, mean) if start is None else np.array(start, dtype=np.float64)
    x[fixed] = values[fixed]
    right, down = np.array(right, dtype=np.float64), np.array(down, dtype=np.float64)
    right[:, -1], down[-1, :] = 0.0, 0.0
    residual = np.zeros_like(x)
    _residual(x, right, down, residual)
    residual[fixed] = 0.0
    levels = _pyramid(right, down, fixed)
    correction, iterations, remaining = _conjugate_gradients(levels, residual, tolerance, most_iterations)
    x += correction
    x[fixed] = values[fixed]
    return MembraneResult(x, iterations, remaining)


@dataclass(frozen=True)
class _Level:
    """One grid: edge weights between free pixels, pull ``anchor`` towards 0, and the inverse of the diagonal."""

    right: Array
    down: Array
    anchor: Array
    inverse_diagonal: Array


def _pyramid(right: Array, down: Array, fixed: NDArray[np.bool_]) -> list[_Level]:
    """The correction vanishes at fixed pixels, so an edge to one of them becomes a pull towards 0."""
    anchor = np.zeros(fixed.shape)
    to_right, to_below = right[:, :-1], down[:-1]
    anchor[:, :-1] += to_right * fixed[:, 1:]
    anchor[:, 1:] += to_right * fixed[:, :-1]
    anchor[:-1] += to_below * fixed[1:]
    anchor[1:] += to_below * fixed[:-1]
    anchor[fixed] = 0.0
    right, down = right.copy(), down.copy()
    right[:, :-1] *= ~fixed[:, 1:] & ~fixed[:, :-1]
    down[:-1] *= ~fixed[1:] & ~fixed[:-1]
    levels = [_level(right, down, anchor)]
    while max(levels[-1].anchor.shape) > COARSEST:
        levels.append(_coarser(levels[-1]))
    return levels


def _level(right: Array, down: Array, anchor: Array) -> _Level:
    diagonal = anchor + right + down
    diagonal[:, 1:] += right[:, :-1]
    diagonal[1:] += down[:-1]
    inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
    return _Level(right, down, anchor, inverse)


def _coarser(level: _Level) -> _Level:
    height, width = level.anchor.shape
    padding = ((0, height % 2), (0, width % 2))
    anchor, right, down = (np.pad(values, padding) for values in (level.anchor, level.right, level.down))
    anchor = anchor[::2, ::2] + anchor[1::2, ::2] + anchor[::2, 1::2] + anchor[1::2, 1::2]
    crossing_right = right[::2, 1::2] + right[1::2, 1::2]
    crossing_down = down[1::2, ::2] + down[1::2, 1::2]
    return _level(OVERCORRECTION * crossing_right, OVERCORRECTION * crossing_down, anchor)


def _conjugate_gradients(levels: list[_Level], residual: Grid, tolerance: float, most: int) -> tuple[Grid, int, float]:
    x = np.zeros_like(residual)
    first = float(np.sqrt(np.vdot(residual, residual)))
    if first == 0.0:
        return x, 0, 0.0
    finest = levels[0]
    direction = np.zeros_like(x)
    product = np.empty_like(x)
    before, norm = 1.0, first
    for iteration in range(most):
        preconditioned = _v_cycle(levels, 0, residual)
        now = float(np.vdot(residual, preconditioned))
        direction = preconditioned + (now / before if iteration else 0.0) * direction
        _apply(direction, finest.right, finest.down, finest.anchor, product)
        step = now / float(np.vdot(direction, product))
        x += step * direction
        residual = residual - step * product
        before = now
        norm = float(np.sqrt(np.vdot(residual, residual)))
        if norm <= tolerance * first:
            return x, iteration + 1, norm / first
    return x, most, norm / first


def _v_cycle(levels: list[_Level], index: int, b: Grid) -> Grid:
    """A symmetric cycle: red-black Gauss-Seidel before, black-red after, so that conjugate gradients may use it."""
    level = levels[index]
    x = np.zeros_like(b)
    if index == len(levels) - 1:
        for _ in range(COARSEST_SWEEPS):
            _relax(x, b, level.right, level.down, level.inverse_diagonal, 0)
            _relax(x, b, level.right, level.down, level.inverse_diagonal, 1)
        for _ in range(COARSEST_SWEEPS):
            _relax(x, b, level.right, level.down, level.inverse_diagonal, 1)
            _relax(x, b, level.right, level.down, level.inverse_diagonal, 0)
        return x
    _relax(x, b, level.right, level.down, level.inverse_diagonal, 0)
    _relax(x, b, level.right, level.down, level.inverse_diagonal, 1)
    coarse = np.zeros(levels[index + 1].anchor.shape)
    _restrict_residual(x, b, level.right, level.down, level.anchor, coarse)
    _add_prolonged(x, _v_cycle(levels, index + 1, coarse), level.inverse_diagonal)
    _relax(x, b, level.right, level.down, level.inverse_diagonal, 1)
    _relax(x, b, level.right, level.down, level.inverse_diagonal, 0)
    return x


@kernel(EXACT)
def _residual(x, right, down, out):
    """out = - L x for the graph Laplacian L of all edges."""
    height, width = x.shape
    out[:, :] = 0.0
    for i in range(height):
        for j in range(width):
            if j + 1 < width:
                flow = right[i, j] * (x[i, j + 1] - x[i, j])
                out[i, j] += flow
                out[i, j + 1] -= flow
            if i + 1 < height:
                flow = down[i, j] * (x[i + 1, j] - x[i, j])
                out[i, j] += flow
                out[i + 1, j] -= flow


@kernel(EXACT)
def _apply(x, right, down, anchor, out):
    height, width = x.shape
    for i in range(height):
        for j in range(width):
            total = anchor[i, j] * x[i, j]
            if j + 1 < width:
                total += right[i, j] * (x[i, j] - x[i, j + 1])
            if j > 0:
                total += right[i, j - 1] * (x[i, j] - x[i, j - 1])
            if i + 1 < height:
                total += down[i, j] * (x[i, j] - x[i + 1, j])
            if i > 0:
                total += down[i - 1, j] * (x[i, j] - x[i - 1, j])
            out[i, j] = total


@kernel(EXACT)
def _relax(x, b, right, down, inverse_diagonal, parity):
    height, width = x.shape
    for i in range(height):
        for j in range((i + parity) % 2, width, 2):
            if inverse_diagonal[i, j] > 0.0:
                total = b[i, j]
                if j + 1 < width:
                    total += right[i, j] * x[i, j + 1]
                if j > 0:
                    total += right[i, j - 1] * x[i, j - 1]
                if i + 1 < height:
                    total += down[i, j] * x[i + 1, j]
                if i > 0:
                    total += down[i - 1, j] * x[i - 1, j]
                x[i, j] = total * inverse_diagonal[i, j]


@kernel(EXACT)
def _restrict_residual(x, b, right, down, anchor, coarse):
    height, width = x.shape
    for i in range(height):
        for j in range(width):
            total = b[i, j] - anchor[i, j] * x[i, j]
            if j + 1 < width:
                total -= right[i, j] * (x[i, j] - x[i, j + 1])
            if j > 0:
                total -= right[i, j - 1] * (x[i, j] - x[i, j - 1])
            if i + 1 < height:
                total -= down[i, j] * (x[i, j] - x[i + 1, j])
            if i > 0:
                total -= down[i - 1, j] * (x[i, j] - x[i - 1, j])
            coarse[i // 2, j // 2] += total


@kernel(EXACT)
def _add_prolonged(x, coarse, inverse_diagonal):
    height, width = x.shape
    for i in range(height):
        for j in range(width):
            if inverse_diagonal[i, j] > 0.0:
                x[i, j] += coarse[i // 2, j // 2]
