"""Chebyshev-accelerated block Jacobi steps on the plane energy with fixed weights.

The quadratic form is a sum over the edges of the 8-connected grid, so the eigenvalues of (block diagonal)^-1 (matrix)
lie in (0, 2]: an edge couples two pixels and |x + y|^2 <= 2 |x|^2 + 2 |y|^2. The Chebyshev semi-iteration (Golub and
Varga 1961) needs just that bound. Unlike Gauss-Seidel a step does not depend on any order of the pixels: it gives the
same bits on any number of threads and mirrors with the image, and its inner loops vectorise.

Arrays carry a frame of one pixel; edges into the frame have weight 0. Edge k of pixel p goes right, down, down-right
and down-left for k = 0, 1, 2, 3. Loops are kept to few arrays each: with more, the compiler gives up proving that
they do not overlap, and falls back to scalar code.
"""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import REORDERED, inlined, kernel

LARGEST_EIGENVALUE = 2.0
HALF = np.float32(0.5)
QUARTER = np.float32(0.25)


def chebyshev_steps(count: int, condition: float) -> list[tuple[float, float]]:
    """Momentum and step length of each iteration for eigenvalues in [2 / condition, 2]."""
    highest, lowest = LARGEST_EIGENVALUE, LARGEST_EIGENVALUE / condition
    theta, delta = (highest + lowest) / 2, (highest - lowest) / 2
    sigma = theta / delta
    steps, rho = [(0.0, 1.0 / theta)], 1.0 / sigma
    for _ in range(count - 1):
        previous, rho = rho, 1.0 / (2.0 * sigma - rho)
        steps.append((rho * previous, 2.0 * rho / delta))
    return steps


@kernel(REORDERED)
def relax_rows(first, end, now, before, jump, bend, matrix, linear, inverse, momentum, step):
    """One step: before <- now + momentum (now - before) + step (block diagonal)^-1 (residual of now).

    Args:
        now, before: States (u, a, b) of this and the last iteration  # [3, H + 2, W + 2]
        jump, bend: Edge weights of the jump and of the change of slope  # [4, H + 2, W + 2]
        matrix, linear: Data terms  # [6, H + 2, W + 2], [3, H + 2, W + 2]
        inverse: Inverse diagonal blocks  # [6, H + 2, W + 2]
    """
    n = now.shape[2] - 1
    jumps = np.zeros((2, 4, n), np.float32)
    bends_a = np.zeros((2, 4, n), np.float32)
    bends_b = np.zeros((2, 4, n), np.float32)
    residual = np.empty((3, n - 1), np.float32)
    change = np.empty(n - 1, np.float32)
    _row_fluxes(first - 1, n, now, jump, bend, jumps[0], bends_a[0], bends_b[0])
    side = 0
    for y in range(first, end):
        above, above_a, above_b = jumps[side], bends_a[side], bends_b[side]
        side = 1 - side
        here, here_a, here_b = jumps[side], bends_a[side], bends_b[side]
        _row_fluxes(y, n, now, jump, bend, here, here_a, here_b)
        _divergence(n, residual[0], here, above)
        _divergence(n, residual[1], here_a, above_a)
        _divergence(n, residual[2], here_b, above_b)
        _add_moment_x(n, residual[1], here, above)
        _add_moment_y(n, residual[2], here, above)
        u, a, b = now[0, y, 1:n], now[1, y, 1:n], now[2, y, 1:n]
        m = matrix[:, y]
        _add_data(residual[0], linear[0, y, 1:n], m[0, 1:n], m[1, 1:n], m[2, 1:n], u, a, b)
        _add_data(residual[1], linear[1, y, 1:n], m[1, 1:n], m[3, 1:n], m[4, 1:n], u, a, b)
        _add_data(residual[2], linear[2, y, 1:n], m[2, 1:n], m[4, 1:n], m[5, 1:n], u, a, b)
        i = inverse[:, y]
        _multiply(change, i[0, 1:n], i[1, 1:n], i[2, 1:n], residual[0], residual[1], residual[2])
        _advance(before[0, y, 1:n], u, change, momentum, step)
        _multiply(change, i[1, 1:n], i[3, 1:n], i[4, 1:n], residual[0], residual[1], residual[2])
        _advance(before[1, y, 1:n], a, change, momentum, step)
        _multiply(change, i[2, 1:n], i[4, 1:n], i[5, 1:n], residual[0], residual[1], residual[2])
        _advance(before[2, y, 1:n], b, change, momentum, step)


@inlined(REORDERED)
def _row_fluxes(y, n, state, jump, bend, jumps, bends_a, bends_b):
    """Weighted jumps and changes of slope over the edges that start in row y.

    Entry i belongs to the edge from column i, for the fourth kind of edge to column i.
    """
    zero = np.float32(0)
    u, a, b = state[0], state[1], state[2]
    _jump(jumps[0], u[y, :n], u[y, 1:], a[y, :n], a[y, 1:], b[y, :n], b[y, 1:], jump[0, y, :n], HALF, zero)
    _jump(jumps[1], u[y, :n], u[y + 1, :n], a[y, :n], a[y + 1, :n], b[y, :n], b[y + 1, :n], jump[1, y, :n], zero, HALF)
    _jump(jumps[2], u[y, :n], u[y + 1, 1:], a[y, :n], a[y + 1, 1:], b[y, :n], b[y + 1, 1:], jump[2, y, :n], HALF, HALF)
    _jump(jumps[3], u[y, 1:], u[y + 1, :n], a[y, 1:], a[y + 1, :n], b[y, 1:], b[y + 1, :n], jump[3, y, 1:], -HALF, HALF)
    _bend(bends_a[0], a[y, :n], a[y, 1:], bend[0, y, :n])
    _bend(bends_b[0], b[y, :n], b[y, 1:], bend[0, y, :n])
    _bend(bends_a[1], a[y, :n], a[y + 1, :n], bend[1, y, :n])
    _bend(bends_b[1], b[y, :n], b[y + 1, :n], bend[1, y, :n])
    _bend(bends_a[2], a[y, :n], a[y + 1, 1:], bend[2, y, :n])
    _bend(bends_b[2], b[y, :n], b[y + 1, 1:], bend[2, y, :n])
    _bend(bends_a[3], a[y, 1:], a[y + 1, :n], bend[3, y, 1:])
    _bend(bends_b[3], b[y, 1:], b[y + 1, :n], bend[3, y, 1:])


@inlined(REORDERED)
def _jump(out, u_p, u_q, a_p, a_q, b_p, b_q, weight, half_x, half_y):
    for i in range(out.size):
        out[i] = weight[i] * (u_q[i] - u_p[i] - half_x * (a_p[i] + a_q[i]) - half_y * (b_p[i] + b_q[i]))


@inlined(REORDERED)
def _bend(out, slope_p, slope_q, weight):
    for i in range(out.size):
        out[i] = weight[i] * (slope_q[i] - slope_p[i])


@inlined(REORDERED)
def _divergence(n, out, here, above):
    """What leaves a pixel minus what arrives, for the pixels of columns 1 to n - 1."""
    right, left, down, up = here[0, 1:n], here[0, : n - 1], here[1, 1:n], above[1, 1:n]
    _eight(out, right, left, down, up, here[2, 1:n], above[2, : n - 1], here[3, : n - 1], above[3, 1:n])


@inlined(REORDERED)
def _eight(out, right, left, down, up, down_right, up_left, down_left, up_right):
    for i in range(out.size):
        out[i] = right[i] - left[i] + down[i] - up[i] + down_right[i] - up_left[i] + down_left[i] - up_right[i]


@inlined(REORDERED)
def _add_moment_x(n, out, here, above):
    _six_x(out, here[0, 1:n], here[0, : n - 1], here[2, 1:n], above[2, : n - 1], here[3, : n - 1], above[3, 1:n])


@inlined(REORDERED)
def _six_x(out, right, left, down_right, up_left, down_left, up_right):
    for i in range(out.size):
        out[i] += HALF * (right[i] + left[i] + down_right[i] + up_left[i] - down_left[i] - up_right[i])


@inlined(REORDERED)
def _add_moment_y(n, out, here, above):
    _six_y(out, here[1, 1:n], above[1, 1:n], here[2, 1:n], above[2, : n - 1], here[3, : n - 1], above[3, 1:n])


@inlined(REORDERED)
def _six_y(out, down, up, down_right, up_left, down_left, up_right):
    for i in range(out.size):
        out[i] += HALF * (down[i] + up[i] + down_right[i] + up_left[i] + down_left[i] + up_right[i])


@inlined(REORDERED)
def _add_data(out, linear, m0, m1, m2, u, a, b):
    for i in range(out.size):
        out[i] += linear[i] - m0[i] * u[i] - m1[i] * a[i] - m2[i] * b[i]


@inlined(REORDERED)
def _multiply(out, i0, i1, i2, r0, r1, r2):
    for i in range(out.size):
        out[i] = i0[i] * r0[i] + i1[i] * r1[i] + i2[i] * r2[i]


@inlined(REORDERED)
def _advance(before, now, change, momentum, step):
    for i in range(now.size):
        before[i] = now[i] + momentum * (now[i] - before[i]) + step * change[i]
