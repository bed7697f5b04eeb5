"""Kernels of the minimisation: edge weights, Chebyshev-accelerated block Jacobi steps, and the way to the next finer level.

The quadratic form is a sum over the edges of the 8-connected grid, so the eigenvalues of (block diagonal)^-1 (matrix)
lie in (0, 2]: an edge couples two pixels and |x + y|^2 <= 2 |x|^2 + 2 |y|^2. The Chebyshev semi-iteration (Golub and
Varga 1961) needs just that bound. Unlike Gauss-Seidel a step does not depend on any order of the pixels: it gives the
same bits on any number of threads and mirrors with the image, and its inner loops vectorise.

Arrays carry a frame of one pixel, and on the right as many more as make a row's inner pixels S - 2 a multiple of 16; edges into
the frame have weight 0. Edge k of pixel p goes right, down, down-right and down-left for k = 0, 1, 2, 3. What is done most often
is written with vectors: of loops over so many arrays the compiler does not see that they do not overlap.
"""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import BARE, REORDERED, inlined, kernel, subroutine
from scene_depth.kernels.simd import LANES, maximum, minimum
from scene_depth.kernels.simd_memory import load, store

LARGEST_EIGENVALUE = 2.0
ZERO = np.float32(0)
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
        out: With the frame  # [4, H + 2, S]
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


@inlined(BARE)
def _edge(state, plane, here, there, half_x, half_y):
    """Jump of the planes of two pixels where they meet, and the change of slope along x and y, from one to the other.

    Args:
        state: (u, a, b)  # [3, H + 2, S]
        plane: Elements of one of its planes.
        here, there: Offsets of 16 pixels and their neighbours in a plane.
        half_x, half_y: Half the way, constants of the code.
    """
    a, b = load(state, plane + here), load(state, 2 * plane + here)
    other_a, other_b = load(state, plane + there), load(state, 2 * plane + there)
    jump = load(state, there) - load(state, here)
    if half_x != 0:
        jump = jump - half_x * (a + other_a)
    if half_y != 0:
        jump = jump - half_y * (b + other_b)
    return jump, other_a - a, other_b - b


@kernel(BARE)
def robust_rows(first, end, state, base, lowest, tau_jump, tau_bend, stiffness, jump, bend):
    """Weights of the jump and of the change of slope in the current state (the two factors phi of the energy).

    Args:
        state: (u, a, b)  # [3, H + 2, S]
        base: Weights from the guide  # [4, H + 2, S]
        lowest: Inverse depth below which relative steps count as at this value.
        tau_jump, tau_bend: Relative jump and change of slope per pixel at which a weight is halved.
        stiffness: (L / pixel size)^2.
        jump, bend: The result  # [4, H + 2, S]
    """
    side = state.shape[2]
    plane = state.shape[1] * side
    scales = lowest, tau_jump, tau_bend, stiffness
    for y in range(first, end):
        for here in range(y * side + 1, (y + 1) * side - 1, LANES):
            _robust(state, plane, here, here + 1, HALF, ZERO, base, here, scales, jump, bend)
            _robust(state, plane, here, here + side, ZERO, HALF, base, plane + here, scales, jump, bend)
            _robust(state, plane, here, here + side + 1, HALF, HALF, base, 2 * plane + here, scales, jump, bend)
            _robust(state, plane, here, here + side - 1, -HALF, HALF, base, 3 * plane + here, scales, jump, bend)


@inlined(BARE)
def _robust(state, plane, here, there, half_x, half_y, base, at, scales, jump, bend):
    lowest, tau_jump, tau_bend, stiffness = scales
    step, da, db = _edge(state, plane, here, there, half_x, half_y)
    small = maximum(minimum(load(state, here), load(state, there)), lowest)
    of_jump, of_bend = small * tau_jump, small * tau_bend
    weight = load(base, at) / ((ONE + step * step / (of_jump * of_jump)) * (small * small))
    store(jump, at, weight)
    store(bend, at, weight * stiffness / (ONE + (da * da + db * db) / (of_bend * of_bend)))


@kernel(REORDERED)
def block_rows(first, end, jump, bend, matrix, inverse):
    """Inverses of the 3 x 3 diagonal blocks.

    Args:
        jump, bend: Edge weights  # [4, H + 2, S]
        matrix: Data terms  # [6, H + 2, S]
        inverse: The result  # [6, H + 2, S]
    """
    side = jump.shape[2]
    plane = jump.shape[1] * side
    block = np.empty((6, side - 2), np.float32)
    for y in range(first, end):
        _sum_blocks(y * side + 1, side, plane, jump, bend, matrix, block)
        _invert(block, inverse[:, y, 1 : side - 1])


@inlined(BARE)
def _sum_blocks(start, side, plane, jump, bend, matrix, block):
    for x in range(0, side - 2, LANES):
        here = start + x
        right, left = load(jump, here), load(jump, here - 1)
        down, up = load(jump, plane + here), load(jump, plane + here - side)
        down_right, up_left = load(jump, 2 * plane + here), load(jump, 2 * plane + here - side - 1)
        down_left, up_right = load(jump, 3 * plane + here), load(jump, 3 * plane + here - side + 1)
        bends = load(bend, here) + load(bend, here - 1) + load(bend, plane + here) + load(bend, plane + here - side)
        bends = bends + load(bend, 2 * plane + here) + load(bend, 2 * plane + here - side - 1)
        bends = bends + load(bend, 3 * plane + here) + load(bend, 3 * plane + here - side + 1)
        fall, rise = down_right + up_left, down_left + up_right
        across, along = right + left, down + up
        ua = right - left + down_right - up_left - down_left + up_right
        ub = down - up + down_right - up_left + down_left - up_right
        store(block, x, across + along + fall + rise + load(matrix, here))
        store(block, side - 2 + x, HALF * ua + load(matrix, plane + here))
        store(block, 2 * (side - 2) + x, HALF * ub + load(matrix, 2 * plane + here))
        store(block, 3 * (side - 2) + x, QUARTER * (across + fall + rise) + bends + load(matrix, 3 * plane + here))
        store(block, 4 * (side - 2) + x, QUARTER * (fall - rise) + load(matrix, 4 * plane + here))
        store(block, 5 * (side - 2) + x, QUARTER * (along + fall + rise) + bends + load(matrix, 5 * plane + here))


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


@kernel(BARE)
def relax_rows(first, end, lower_first, raise_end, now, before, jump, bend, matrix, linear, inverse, steps):
    """Steps of the semi-iteration: before <- now + momentum (now - before) + length (block diagonal)^-1 (residual of now).

    A step needs the rows beside its own as the last step left them. Where a band ends inside the picture, each step hence covers
    a row less than the last one, and what is left out there is done afterwards by a band that begins empty and grows. A row takes
    its next step as soon as the row below has taken the last one, while both are in the processor's cache.

    Args:
        first, end: Rows of the first step.
        lower_first, raise_end: Rows by which a step's first row lies below the last step's, and its end above.
        now, before: States (u, a, b) of this and the last step; they change places with each step  # [3, H + 2, S]
        jump, bend: Edge weights of the jump and of the change of slope  # [4, H + 2, S]
        matrix, linear: Data terms  # [6, H + 2, S], [3, H + 2, S]
        inverse: Inverse diagonal blocks  # [6, H + 2, S]
        steps: Momentum and length of each  # [T, 2]
    """
    count = steps.shape[0]
    top = min(first, first + lower_first * (count - 1))
    bottom = max(end, end - raise_end * (count - 1))
    for turn in range(top, bottom + count - 1):
        for number in range(count):
            y = turn - number
            if first + lower_first * number <= y < end - raise_end * number:
                if number % 2 == 0:
                    _relax_row(y, now, before, jump, bend, matrix, linear, inverse, steps[number, 0], steps[number, 1])
                else:
                    _relax_row(y, before, now, jump, bend, matrix, linear, inverse, steps[number, 0], steps[number, 1])


@subroutine(BARE)
def _relax_row(y, now, before, jump, bend, matrix, linear, inverse, momentum, length):
    side = now.shape[2]
    plane = now.shape[1] * side
    for here in range(y * side + 1, (y + 1) * side - 1, LANES):
        u, a, b = load(now, here), load(now, plane + here), load(now, 2 * plane + here)
        m_ua, m_ub, m_ab = load(matrix, plane + here), load(matrix, 2 * plane + here), load(matrix, 4 * plane + here)
        residual = (
            load(linear, here) - load(matrix, here) * u - m_ua * a - m_ub * b,
            load(linear, plane + here) - m_ua * u - load(matrix, 3 * plane + here) * a - m_ab * b,
            load(linear, 2 * plane + here) - m_ub * u - m_ab * a - load(matrix, 5 * plane + here) * b,
        )
        pairs = now, plane, here, jump, bend
        residual = _pulled(residual, pairs, here + 1, HALF, ZERO, here)
        residual = _pulled(residual, pairs, here - 1, -HALF, ZERO, here - 1)
        residual = _pulled(residual, pairs, here + side, ZERO, HALF, plane + here)
        residual = _pulled(residual, pairs, here - side, ZERO, -HALF, plane + here - side)
        residual = _pulled(residual, pairs, here + side + 1, HALF, HALF, 2 * plane + here)
        residual = _pulled(residual, pairs, here - side - 1, -HALF, -HALF, 2 * plane + here - side - 1)
        residual = _pulled(residual, pairs, here + side - 1, -HALF, HALF, 3 * plane + here)
        r_u, r_a, r_b = _pulled(residual, pairs, here - side + 1, HALF, -HALF, 3 * plane + here - side + 1)
        i_ua, i_ub, i_ab = load(inverse, plane + here), load(inverse, 2 * plane + here), load(inverse, 4 * plane + here)
        du = load(inverse, here) * r_u + i_ua * r_a + i_ub * r_b
        da = i_ua * r_u + load(inverse, 3 * plane + here) * r_a + i_ab * r_b
        db = i_ub * r_u + i_ab * r_a + load(inverse, 5 * plane + here) * r_b
        store(before, here, u + momentum * (u - load(before, here)) + length * du)
        store(before, plane + here, a + momentum * (a - load(before, plane + here)) + length * da)
        store(before, 2 * plane + here, b + momentum * (b - load(before, 2 * plane + here)) + length * db)


@inlined(BARE)
def _pulled(residual, pairs, there, half_x, half_y, edge):
    """A residual with the pull of the neighbours at an offset, over the edges at another."""
    now, plane, here, jump, bend = pairs
    step, da, db = _edge(now, plane, here, there, half_x, half_y)
    r_u, r_a, r_b = residual
    pull, turn = load(jump, edge) * step, load(bend, edge)
    r_a, r_b = r_a + turn * da, r_b + turn * db
    if half_x != 0:
        r_a = r_a + half_x * pull
    if half_y != 0:
        r_b = r_b + half_y * pull
    return r_u + pull, r_a, r_b


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
