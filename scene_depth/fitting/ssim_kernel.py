"""L1 and SSIM of an image with the gradient of their sum, in three passes over rows, compiled by numba.

An image row is W * 3 interleaved floats, so the horizontal window steps by three floats and needs no split into
channels. A row is one plain loop, which LLVM turns into vector code; each row is computed by one thread from start to
end and row sums are added in order, so that the result has the same bits for any number of threads.

Pass 1 filters x, y, x^2, y^2, xy along rows. Pass 2 filters those along columns, forms SSIM and its derivatives with
respect to the filtered x, x^2 and xy, and filters the derivatives along rows. Pass 3 filters those along columns and
gathers the gradient. The window is symmetric and images are padded with zeros, so that it is its own adjoint.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import FUSED, Options, inlined, kernel, run_tasks, subroutine, take_ticket

RADIUS = 5
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2
MARGIN = 3 * RADIUS  # floats of zero on either side of a row

_OFFSETS = np.arange(-RADIUS, RADIUS + 1)
WINDOW = np.exp(-(_OFFSETS**2) / (2 * SIGMA**2)) / np.exp(-(_OFFSETS**2) / (2 * SIGMA**2)).sum()  # [11]

_W0, _W1, _W2, _W3, _W4, _W5 = (np.float32(weight) for weight in WINDOW[RADIUS:])
_C1, _C2, _ONE, _TWO = np.float32(C1), np.float32(C2), np.float32(1.0), np.float32(2.0)
_SUM = Options(("contract", "nsz", "reassoc"))  # lets a row's sum run in several lanes
_ROWS_PER_TASK = 16  # a fixed division of labour; enough tasks for any number of cores


def l1_ssim_with_gradient(
    image: NDArray[np.float32], target: NDArray[np.float32], weight: NDArray[np.float32] | None, ssim_weight: float, total: float
) -> tuple[float, NDArray[np.float32]]:
    """Part of one image in (1 - s) * mean |x - y| + s * (1 - mean SSIM(x, y)), and its gradient in x.

    With a weight, x and y are multiplied by it and the means are weighted, so that pixels of weight 0 neither count nor
    reach their neighbours through the window.

    Args:
        image: x, float32, contiguous  # [H, W, 3]
        target: y, float32, contiguous  # [H, W, 3]
        weight: 0 or 1 a pixel; None for 1 everywhere  # [H, W]
        ssim_weight: s, between 0 and 1.
        total: What the means divide by: the number of values, or three times the sum of the weights, over all images.

    Returns:
        The loss and its gradient  # [H, W, 3]
    """
    height = image.shape[0]
    x, y = image.reshape(height, -1), target.reshape(height, -1)
    masked = weight is not None
    w = np.repeat(weight, 3, axis=1) if weight is not None else np.empty((1, 1), np.float32)
    gradient = np.empty_like(x)
    distances, similarities = np.empty(height), np.zeros(height)
    if masked:
        x, y = x * w, y * w
    if ssim_weight == 0:
        _distance(x, y, np.float32(1 / total), gradient, distances)
        counted = total
    else:
        filtered = _rows_with_border(5, x.shape)
        derivatives = _rows_with_border(3, x.shape)
        l1_scale, ssim_scale = np.float32((1 - ssim_weight) / total), np.float32(-ssim_weight / total)
        tasks = -(-height // _ROWS_PER_TASK)
        run_tasks(_filter_moments, tasks, x, y, filtered)
        run_tasks(_similarity, tasks, filtered, w, masked, derivatives, similarities)
        run_tasks(_gather, tasks, x, y, derivatives, l1_scale, ssim_scale, gradient, distances)
        counted = float(w.sum(dtype=np.float64)) if masked else x.size
    if masked:
        gradient *= w
    loss = (1 - ssim_weight) * distances.sum() / total + ssim_weight * (counted - similarities.sum()) / total
    return float(loss), gradient.reshape(image.shape)


def _rows_with_border(count: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Images of rows, uninitialised, between RADIUS rows of zeros above and below."""
    rows = np.empty((count, shape[0] + 2 * RADIUS, shape[1]), np.float32)
    rows[:, :RADIUS] = 0
    rows[:, -RADIUS:] = 0
    return rows


@inlined(FUSED)
def _filter_row(padded, out):
    """Window along a row; ``padded`` has MARGIN zeros on either side."""
    for i in range(out.shape[0]):
        out[i] = (
            _W0 * padded[i + 15]
            + _W1 * (padded[i + 12] + padded[i + 18])
            + _W2 * (padded[i + 9] + padded[i + 21])
            + _W3 * (padded[i + 6] + padded[i + 24])
            + _W4 * (padded[i + 3] + padded[i + 27])
            + _W5 * (padded[i] + padded[i + 30])
        )


@inlined(FUSED)
def _filter_column(r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, out):
    """Window across eleven rows."""
    for i in range(out.shape[0]):
        out[i] = (
            _W0 * r5[i]
            + _W1 * (r4[i] + r6[i])
            + _W2 * (r3[i] + r7[i])
            + _W3 * (r2[i] + r8[i])
            + _W4 * (r1[i] + r9[i])
            + _W5 * (r0[i] + r10[i])
        )


@inlined(FUSED)
def _filter_column_at(rows, r, out):
    """Window down the columns, centred on row ``r`` of the image that ``rows`` holds with its border."""
    _filter_column(
        rows[r], rows[r + 1], rows[r + 2], rows[r + 3], rows[r + 4], rows[r + 5],
        rows[r + 6], rows[r + 7], rows[r + 8], rows[r + 9], rows[r + 10], out,
    )  # fmt: skip


@inlined(FUSED)
def _multiply(a, b, out):
    for i in range(out.shape[0]):
        out[i] = a[i] * b[i]


@subroutine(_SUM)
def _sum(values):
    total = np.float32(0.0)
    for i in range(values.shape[0]):
        total += values[i]
    return total


@kernel(FUSED)
def _filter_moments(tickets, x, y, filtered):
    """Pass 1: x, y, x^2, y^2, xy filtered along rows."""
    height, size = x.shape
    padded = np.zeros(size + 2 * MARGIN, np.float32)
    inner = padded[MARGIN : MARGIN + size]
    task = take_ticket(tickets)
    while task * _ROWS_PER_TASK < height:
        for r in range(task * _ROWS_PER_TASK, min((task + 1) * _ROWS_PER_TASK, height)):
            inner[:] = x[r]
            _filter_row(padded, filtered[0, r + RADIUS])
            inner[:] = y[r]
            _filter_row(padded, filtered[1, r + RADIUS])
            _multiply(x[r], x[r], inner)
            _filter_row(padded, filtered[2, r + RADIUS])
            _multiply(y[r], y[r], inner)
            _filter_row(padded, filtered[3, r + RADIUS])
            _multiply(x[r], y[r], inner)
            _filter_row(padded, filtered[4, r + RADIUS])
        task = take_ticket(tickets)


@inlined(FUSED)
def _similarity_row(moments, by_x, by_xx, by_xy):
    """SSIM (Wang et al. 2004, eq. 13), written over the filtered xy, and its derivatives in three of the five moments."""
    mean_x, mean_y, xx, yy, xy = moments[0], moments[1], moments[2], moments[3], moments[4]
    for i in range(mean_x.shape[0]):
        u, v = mean_x[i], mean_y[i]
        uu, vv, uv = u * u, v * v, u * v
        luminance, structure = _TWO * uv + _C1, _TWO * (xy[i] - uv) + _C2
        luminance_scale = _ONE / (uu + vv + _C1)
        structure_scale = _ONE / (xx[i] - uu + yy[i] - vv + _C2)
        similarity = luminance * structure * luminance_scale * structure_scale
        in_xx = -similarity * structure_scale
        in_xy = _TWO * luminance * luminance_scale * structure_scale
        # u enters the luminance and, through the variance and the covariance, the structure
        by_x[i] = _TWO * luminance_scale * (v * structure * structure_scale - u * similarity) - _TWO * u * in_xx - v * in_xy
        by_xx[i] = in_xx
        by_xy[i] = in_xy
        xy[i] = similarity


@kernel(FUSED)
def _similarity(tickets, filtered, weight, masked, derivatives, sums):
    """Pass 2: moments filtered along columns, SSIM summed a row, its derivatives filtered along rows."""
    height, size = derivatives.shape[1] - 2 * RADIUS, derivatives.shape[2]
    moments = np.empty((5, size), np.float32)
    padded = np.zeros((3, size + 2 * MARGIN), np.float32)
    end = MARGIN + size
    by_x, by_xx, by_xy = padded[0][MARGIN:end], padded[1][MARGIN:end], padded[2][MARGIN:end]  # in this form contiguous
    task = take_ticket(tickets)
    while task * _ROWS_PER_TASK < height:
        for r in range(task * _ROWS_PER_TASK, min((task + 1) * _ROWS_PER_TASK, height)):
            for k in range(5):
                _filter_column_at(filtered[k], r, moments[k])
            _similarity_row(moments, by_x, by_xx, by_xy)
            if masked:
                _multiply(by_x, weight[r], by_x)
                _multiply(by_xx, weight[r], by_xx)
                _multiply(by_xy, weight[r], by_xy)
                _multiply(moments[4], weight[r], moments[4])
            sums[r] = _sum(moments[4])
            for k in range(3):
                _filter_row(padded[k], derivatives[k, r + RADIUS])
        task = take_ticket(tickets)


@inlined(FUSED)
def _gather_row(x, y, by_x, by_xx, by_xy, l1_scale, ssim_scale, out):
    for i in range(out.shape[0]):
        sign = np.float32(x[i] > y[i]) - np.float32(x[i] < y[i])
        out[i] = ssim_scale * (by_x[i] + _TWO * x[i] * by_xx[i] + y[i] * by_xy[i]) + l1_scale * sign


@subroutine(_SUM)
def _distance_sum(x, y):
    total = np.float32(0.0)
    for i in range(x.shape[0]):
        total += abs(x[i] - y[i])
    return total


@kernel(FUSED)
def _gather(tickets, x, y, derivatives, l1_scale, ssim_scale, gradient, sums):
    """Pass 3: derivatives filtered along columns and joined into the gradient; distances summed a row."""
    height, size = x.shape
    parts = np.empty((3, size), np.float32)
    task = take_ticket(tickets)
    while task * _ROWS_PER_TASK < height:
        for r in range(task * _ROWS_PER_TASK, min((task + 1) * _ROWS_PER_TASK, height)):
            for k in range(3):
                _filter_column_at(derivatives[k], r, parts[k])
            _gather_row(x[r], y[r], parts[0], parts[1], parts[2], l1_scale, ssim_scale, gradient[r])
            sums[r] = _distance_sum(x[r], y[r])
        task = take_ticket(tickets)


@kernel(FUSED)
def _distance(x, y, scale, gradient, sums):
    """L1 alone: sign of the difference and distances summed a row."""
    for r in range(x.shape[0]):
        for i in range(x.shape[1]):
            gradient[r, i] = scale * (np.float32(x[r, i] > y[r, i]) - np.float32(x[r, i] < y[r, i]))
        sums[r] = _distance_sum(x[r], y[r])
