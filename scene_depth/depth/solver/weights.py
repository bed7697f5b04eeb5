"""Edge weights: what the guide says once a level, and what the current state says, anew every few steps."""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import REORDERED, inlined, kernel

ONE = np.float32(1)
HALF = np.float32(0.5)
QUARTER = np.float32(0.25)
RAISED = 1 + 4e-6  # sums of eight float32 terms are off by up to 5e-7 of the diagonal; three times that, and a reserve


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
            _jump(
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
def _jump(out, u_p, u_q, a_p, a_q, b_p, b_q, half_x, half_y):
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
