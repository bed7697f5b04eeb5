"""Kernels of the minimisation: edge weights, Chebyshev-accelerated block Jacobi steps, and the way to the next finer level.

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
ONE = np.float32(1)
HALF = np.float32(0.5)
QUARTER = np.float32(0.25)
RAISED = 1 + 4e-6  # sums of eight float32 terms are off by up to 5e-7 of the diagonal; three times that, and a reserve


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
def guide_rows(first, end, guide, hint, sigma, floor, tau_hint, floor_hint, out):
    """Weights from the guide and the hint.

    w = k (floor + (1 - floor) exp(-|dI| / sigma)) max(floor_hint, 1 / (1 + (dG / (tau_hint min G))^2)), with k = 1 for
    axial and 1/2 for diagonal edges.

    Args:
        guide, hint: Without the frame  # [channels, H, W], [H, W]
        out: With the frame  # [4, H + 2, W + 2]
    """
    channels, height, width = guide.shape
    for y in range(first, end):
        for k in range(4):
            yy = y + (k > 0)
            if yy >= height:
                continue
            shift = 1 if k == 0 or k == 2 else (-1 if k == 3 else 0)
            share = ONE if k < 2 else HALF
            for x in range(max(0, -shift), min(width, width - shift)):
                xx = x + shift
                total = np.float32(0)
                for c in range(channels):
                    difference = guide[c, y, x] - guide[c, yy, xx]
                    total += difference * difference
                weight = share * (floor + (ONE - floor) * np.exp(-np.sqrt(total) / sigma))
                ratio = (hint[y, x] - hint[yy, xx]) / (tau_hint * min(hint[y, x], hint[yy, xx]))
                out[k, y + 1, x + 1] = weight * max(floor_hint, ONE / (ONE + ratio * ratio))


@kernel(REORDERED)
def robust_rows(first, end, state, base, lowest, tau_jump, tau_bend, stiffness, jump, bend):
    """Weights of the jump and of the change of slope in the current state (the two factors phi of the energy).

    Args:
        state: (u, a, b)  # [3, H + 2, W + 2]
        base: Weights from the guide  # [4, H + 2, W + 2]
        lowest: Inverse depth below which relative steps count as at this value.
        tau_jump, tau_bend: Relative jump and change of slope per pixel at which a weight is halved.
        stiffness: (L / pixel size)^2.
        jump, bend: The result  # [4, H + 2, W + 2]
    """
    n = state.shape[2] - 1
    u, a, b = state[0], state[1], state[2]
    zero = np.float32(0)
    small = np.empty(n, np.float32)
    for y in range(first, end):
        for k in range(4):
            yy = y + 1 if k > 0 else y
            p = 1 if k == 3 else 0
            q = 1 if k == 0 or k == 2 else 0
            half_x = HALF if k == 0 or k == 2 else (-HALF if k == 3 else zero)
            half_y = HALF if k > 0 else zero
            weight = base[k, y, p : p + n]
            _smaller(small, u[y, p : p + n], u[yy, q : q + n], lowest)
            jumps, bends = jump[k, y, p : p + n], bend[k, y, p : p + n]
            _bare_jump(
                jumps, u[y, p : p + n], u[yy, q : q + n], a[y, p : p + n], a[yy, q : q + n],
                b[y, p : p + n], b[yy, q : q + n], half_x, half_y,
            )  # fmt: skip
            _jump_weight(jumps, weight, small, tau_jump)
            _bend_weight(
                bends, jumps, a[y, p : p + n], a[yy, q : q + n], b[y, p : p + n], b[yy, q : q + n], small, tau_bend, stiffness
            )


@inlined(REORDERED)
def _smaller(out, u_p, u_q, lowest):
    for i in range(out.size):
        out[i] = max(min(u_p[i], u_q[i]), lowest)


@inlined(REORDERED)
def _bare_jump(out, u_p, u_q, a_p, a_q, b_p, b_q, half_x, half_y):
    for i in range(out.size):
        out[i] = u_q[i] - u_p[i] - half_x * (a_p[i] + a_q[i]) - half_y * (b_p[i] + b_q[i])


@inlined(REORDERED)
def _jump_weight(out, weight, small, tau):
    for i in range(out.size):
        ratio = out[i] / (small[i] * tau)
        out[i] = weight[i] / ((ONE + ratio * ratio) * small[i] * small[i])


@inlined(REORDERED)
def _bend_weight(out, jumps, a_p, a_q, b_p, b_q, small, tau, stiffness):
    for i in range(out.size):
        da, db = a_q[i] - a_p[i], b_q[i] - b_p[i]
        scale = small[i] * tau
        out[i] = jumps[i] * stiffness / (ONE + (da * da + db * db) / (scale * scale))


@kernel(REORDERED)
def block_rows(first, end, jump, bend, matrix, inverse):
    """Inverses of the 3 x 3 diagonal blocks.

    Args:
        jump, bend: Edge weights  # [4, H + 2, W + 2]
        matrix: Data terms  # [6, H + 2, W + 2]
        inverse: The result  # [6, H + 2, W + 2]
    """
    n = jump.shape[2] - 1
    block = np.empty((6, n - 1), np.float32)
    for y in range(first, end):
        j = jump
        right, left, down, up = j[0, y, 1:n], j[0, y, : n - 1], j[1, y, 1:n], j[1, y - 1, 1:n]
        down_right, up_left = j[2, y, 1:n], j[2, y - 1, : n - 1]
        down_left, up_right = j[3, y, 1:n], j[3, y - 1, 2:]
        _sum8(block[0], right, left, down, up, down_right, up_left, down_left, up_right)
        _first_x(block[1], right, left, down_right, up_left, down_left, up_right)
        _first_y(block[2], down, up, down_right, up_left, down_left, up_right)
        w = bend
        _sum8(
            block[3], w[0, y, 1:n], w[0, y, : n - 1], w[1, y, 1:n], w[1, y - 1, 1:n],
            w[2, y, 1:n], w[2, y - 1, : n - 1], w[3, y, 1:n], w[3, y - 1, 2:],
        )  # fmt: skip
        _copy(block[5], block[3])
        _second(block[3], right, left, down_right, up_left, down_left, up_right)
        _second(block[5], down, up, down_right, up_left, down_left, up_right)
        _mixed(block[4], down_right, up_left, down_left, up_right)
        for k in range(6):
            _add(block[k], matrix[k, y, 1:n])
        _invert(block, inverse[:, y, 1:n])


@inlined(REORDERED)
def _sum8(out, right, left, down, up, down_right, up_left, down_left, up_right):
    for i in range(out.size):
        out[i] = right[i] + left[i] + down[i] + up[i] + down_right[i] + up_left[i] + down_left[i] + up_right[i]


@inlined(REORDERED)
def _first_x(out, right, left, down_right, up_left, down_left, up_right):
    for i in range(out.size):
        out[i] = HALF * (right[i] - left[i] + down_right[i] - up_left[i] - down_left[i] + up_right[i])


@inlined(REORDERED)
def _first_y(out, down, up, down_right, up_left, down_left, up_right):
    for i in range(out.size):
        out[i] = HALF * (down[i] - up[i] + down_right[i] - up_left[i] + down_left[i] - up_right[i])


@inlined(REORDERED)
def _second(out, one, two, down_right, up_left, down_left, up_right):
    for i in range(out.size):
        out[i] += QUARTER * (one[i] + two[i] + down_right[i] + up_left[i] + down_left[i] + up_right[i])


@inlined(REORDERED)
def _mixed(out, down_right, up_left, down_left, up_right):
    for i in range(out.size):
        out[i] = QUARTER * (down_right[i] + up_left[i] - down_left[i] - up_right[i])


@inlined(REORDERED)
def _copy(out, values):
    for i in range(out.size):
        out[i] = values[i]


@inlined(REORDERED)
def _add(out, values):
    for i in range(out.size):
        out[i] += values[i]


@inlined(REORDERED)
def _invert(block, inverse):
    """Adjugate over determinant of symmetric matrices; a pixel that nothing holds gets 0 and stays as it is.

    The diagonals are raised by more than their rounding: where neighbours hold a pixel in some direction hardly at all,
    the inverse of a rounded block would be too large, and steps of that length diverge.
    """
    for i in range(block.shape[1]):
        uu, ua, ub = RAISED * np.float64(block[0, i]), np.float64(block[1, i]), np.float64(block[2, i])
        aa, ab, bb = RAISED * np.float64(block[3, i]), np.float64(block[4, i]), RAISED * np.float64(block[5, i])
        c_uu, c_ua, c_ub = aa * bb - ab * ab, ub * ab - ua * bb, ua * ab - ub * aa
        det = uu * c_uu + ua * c_ua + ub * c_ub
        scale = 1.0 / det if det > 0 else 0.0
        inverse[0, i] = c_uu * scale
        inverse[1, i] = c_ua * scale
        inverse[2, i] = c_ub * scale
        inverse[3, i] = (uu * bb - ub * ub) * scale
        inverse[4, i] = (ub * ua - uu * ab) * scale
        inverse[5, i] = (uu * aa - ua * ua) * scale


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


@inlined(REORDERED)
def _cells(i, size):
    """The two coarse cells nearest to fine pixel i of an axis: index, weight and offset of the pixel from each."""
    f = np.float32
    if size == 1:
        return 0, 0, f(1), f(0), f(0), f(0)
    last = (size + 1) // 2 - 1
    if size % 2 == 1:
        if i % 2 == 0:
            return i // 2, i // 2, f(1), f(0), f(0), f(0)
        return i // 2, i // 2 + 1, f(0.5), f(0.5), f(0.5), f(-0.5)
    near = i // 2
    if i % 2 == 0:
        return near, max(near - 1, 0), f(0.75), f(0.25) if near > 0 else f(0), f(-0.25), f(0.75)
    return near, min(near + 1, last), f(0.75), f(0.25) if near < last else f(0), f(0.25), f(-0.75)


@kernel(REORDERED)
def prolong_rows(first, end, coarse, coarse_guide, coarse_hint, guide, hint, sigma, tau, low, high, fine):
    """Planes of a level from those of the next coarser one.

    Each of the four nearest coarse planes is continued to the pixel and weighted by its bilinear weight and by how
    well guide and hint of the cell agree with the pixel's.

    Args:
        coarse: (u, a, b) of the coarser level, slopes per coarse pixel  # [3, h, w]
        coarse_guide, guide: Guidance of both levels  # [channels, h, w], [channels, H, W]
        coarse_hint, hint: Inverse depth of the geodesic map  # [h, w], [H, W]
        sigma, tau: Scales of the agreement.
        low, high: Limits of the inverse depth.
        fine: The result, slopes per fine pixel  # [3, H, W]
    """
    channels, height, width = guide.shape
    half_x = np.float32(0.5) if width > 1 else np.float32(1)
    half_y = np.float32(0.5) if height > 1 else np.float32(1)
    one = np.float32(1)
    for y in range(first, end):
        y0, y1, wy0, wy1, dy0, dy1 = _cells(y, height)
        for x in range(width):
            x0, x1, wx0, wx1, dx0, dx1 = _cells(x, width)
            total, u, a, b = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for k in range(4):
                yy, wy, dy = (y0, wy0, dy0) if k < 2 else (y1, wy1, dy1)
                xx, wx, dx = (x0, wx0, dx0) if k % 2 == 0 else (x1, wx1, dx1)
                weight = wx * wy
                if weight == 0:
                    continue
                difference = np.float32(0)
                for c in range(channels):
                    d = guide[c, y, x] - coarse_guide[c, yy, xx]
                    difference += d * d
                ratio = (hint[y, x] - coarse_hint[yy, xx]) / (tau * min(hint[y, x], coarse_hint[yy, xx]))
                weight /= (one + difference / (sigma * sigma)) * (one + ratio * ratio)
                total += weight
                u += weight * (coarse[0, yy, xx] + coarse[1, yy, xx] * dx + coarse[2, yy, xx] * dy)
                a += weight * coarse[1, yy, xx]
                b += weight * coarse[2, yy, xx]
            fine[0, y, x] = min(max(u / total, low), high)
            fine[1, y, x] = a / total * half_x
            fine[2, y, x] = b / total * half_y
