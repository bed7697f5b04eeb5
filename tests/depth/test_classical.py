"""Classical inpainters against other programs' implementations of the same thing."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from scipy.interpolate import griddata
from scipy.spatial import cKDTree

from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.classical import (
    ColorizationInpainter,
    GeodesicInpainter,
    HarmonicInpainter,
    IPBasicInpainter,
    LinearInpainter,
    NearestInpainter,
)
from scene_depth.depth.levin import colorize
from scene_depth.depth.masks import random_share, silhouette
from scene_depth.depth.scattered import linear_fill, nearest_fill
from scene_depth.depth.solver.problem import color_guide
from scene_depth.errors import InputError

SHAPE = (48, 64)


def plane(shape=SHAPE):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 1.0 / (0.4 + 0.003 * x - 0.002 * y)


def a_picture(seed=0, shape=SHAPE):
    rng = np.random.default_rng(seed)
    patches = rng.random((shape[0] // 8 + 1, shape[1] // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)[: shape[0], : shape[1]]
    return (0.9 * patches + 0.1 * rng.random((*shape, 3))).astype(np.float32)


def random_depth(seed=0):
    return 1.0 + np.random.default_rng(seed).random(SHAPE)


def test_nearest_against_a_tree():
    depth, known = random_depth(), random_share(SHAPE, 1, 0.05)
    result = NearestInpainter()(None, depth, known).depth
    distance, _ = cKDTree(np.argwhere(known)).query(np.argwhere(np.ones(SHAPE, dtype=bool)))
    for (i, j), d in zip(np.ndindex(*SHAPE), distance, strict=True):
        ring = [depth[a, b] for a, b in np.argwhere(known) if np.hypot(a - i, b - j) <= d + 1e-9]
        assert result[i, j] in ring


def test_linear_against_griddata():
    depth, known = random_depth(), random_share(SHAPE, 2, 0.1)
    result = LinearInpainter()(None, depth, known).depth
    truth = 1.0 / griddata(np.argwhere(known), 1.0 / depth[known], np.argwhere(~known), method="linear")
    inside = np.isfinite(truth)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(result[~known][inside], truth[inside], rtol=1e-6)
    np.testing.assert_allclose(result[~known][~inside], nearest_fill(depth, known)[~known][~inside], rtol=1e-9)


@pytest.mark.parametrize("known", [random_share(SHAPE, 3, 0.05), silhouette(SHAPE, 3)])
def test_linear_reproduces_planes(known):
    result = LinearInpainter()(None, plane(), known).depth
    hull = np.isfinite(griddata(np.argwhere(known), plane()[known], np.argwhere(~known), method="linear"))
    np.testing.assert_allclose(result[~known][hull], plane()[~known][hull], rtol=1e-9)


def test_linear_along_a_line_of_points():
    known = np.zeros((9, 9), dtype=bool)
    known[[1, 3, 7], [2, 4, 8]] = True  # on one diagonal
    values = np.zeros((9, 9))
    values[1, 2], values[3, 4], values[7, 8] = 1.0, 2.0, 6.0
    filled = linear_fill(values, known)
    assert filled[2, 3] == pytest.approx(1.5)
    assert filled[5, 6] == pytest.approx(4.0)
    assert filled[2, 5] == pytest.approx(2.0)  # at right angles to the line
    assert filled[0, 0] == 1.0
    row = linear_fill(np.array([[0.0, 1, 0, 0, 4, 0]]), np.array([[0, 1, 0, 0, 1, 0]], dtype=bool))
    np.testing.assert_allclose(row, [[1, 1, 2, 3, 4, 4]])


def test_harmonic_reproduces_planes_inside():
    known = np.zeros(SHAPE, dtype=bool)
    known[[0, -1]] = known[:, [0, -1]] = True
    for inpainter in (HarmonicInpainter(tolerance=1e-10), HarmonicInpainter(color_scale=0.05, tolerance=1e-10)):
        np.testing.assert_allclose(inpainter(None, plane(), known).depth, plane(), rtol=1e-6)


def test_harmonic_stops_at_colour_edges():
    rgb = np.zeros((*SHAPE, 3), dtype=np.float32)
    rgb[:, 32:] = 1.0
    depth = np.where(np.arange(64) < 32, 1.0, 3.0) * np.ones(SHAPE)
    known = np.zeros(SHAPE, dtype=bool)
    known[:, [0, -1]] = True
    colored = HarmonicInpainter(color_scale=0.05)(rgb, depth, known).depth
    plain = HarmonicInpainter()(rgb, depth, known).depth
    assert np.abs(colored - depth).mean() < 0.5 * np.abs(plain - depth).mean()


def dense_levin(gray, values, known):
    """Levin's system written out, solved densely."""
    height, width = gray.shape
    matrix, right = np.eye(height * width), np.where(known, values, 0).ravel()
    for i, j in np.argwhere(~known):
        window = [
            (a, b)
            for a in range(max(i - 1, 0), min(i + 2, height))
            for b in range(max(j - 1, 0), min(j + 2, width))
            if (a, b) != (i, j)
        ]
        neighbours = np.array([gray[a, b] for a, b in window])
        variance = np.var(np.append(neighbours, gray[i, j]))
        spread = max(0.6 * variance, -(min((neighbours - gray[i, j]) ** 2)) / np.log(0.01), 2e-6)
        weights = np.exp(-((neighbours - gray[i, j]) ** 2) / spread)
        for (a, b), weight in zip(window, weights / weights.sum(), strict=True):
            matrix[i * width + j, a * width + b] -= weight
    return np.linalg.solve(matrix, right).reshape(gray.shape)


def test_colorization_against_the_dense_system():
    rng = np.random.default_rng(4)
    gray, values, known = rng.random((17, 21)), rng.random((17, 21)), rng.random((17, 21)) < 0.1
    np.testing.assert_allclose(colorize(gray, values, known), dense_levin(gray, values, known), atol=1e-9)


def test_colorization_works_on_inverse_depth():
    depth, known, rgb = random_depth(), random_share(SHAPE, 5, 0.2), a_picture()
    gray = rgb.astype(np.float64) @ (0.2989, 0.587, 0.114)
    expected = 1.0 / colorize(gray, 1.0 / depth, known)
    np.testing.assert_allclose(ColorizationInpainter()(rgb, depth, known).depth, expected, rtol=1e-6)


def dijkstra(guide, known, price):
    """Textbook shortest paths on the eight-connected grid."""
    height, width = known.shape
    cost = np.full(known.shape, np.inf)
    queue = [(0.0, i, j) for i, j in np.argwhere(known)]
    for _, i, j in queue:
        cost[i, j] = 0
    while queue:
        here, i, j = heapq.heappop(queue)
        if here > cost[i, j]:
            continue
        for a in range(max(i - 1, 0), min(i + 2, height)):
            for b in range(max(j - 1, 0), min(j + 2, width)):
                new = here + np.hypot(a - i, b - j) + price * np.linalg.norm(guide[:, a, b] - guide[:, i, j])
                if new < cost[a, b] - 1e-9:
                    cost[a, b] = new
                    heapq.heappush(queue, (new, a, b))
    return cost


def test_geodesic_takes_the_cheapest_source():
    depth, known, rgb = random_depth(), random_share(SHAPE, 6, 0.01), a_picture(1)
    result = GeodesicInpainter()(rgb, depth, known).depth
    guide = color_guide(rgb, SHAPE).astype(np.float64)
    best = dijkstra(guide, known, 500.0)
    for i, j in np.argwhere(known):
        alone = np.zeros(SHAPE, dtype=bool)
        alone[i, j] = True
        mine = result == depth[i, j]
        assert mine.any()
        np.testing.assert_allclose(dijkstra(guide, alone, 500.0)[mine], best[mine], rtol=1e-4)


def test_geodesic_without_picture_is_a_nearest():
    depth, known = random_depth(), random_share(SHAPE, 7, 0.05)
    result = GeodesicInpainter()(None, depth, known).depth
    assert set(np.unique(result)) <= set(depth[known])
    assert (result == nearest_fill(depth, known)).mean() > 0.9  # chamfer and Euclidean distance differ a little


def opencv_ip_basic(cv2, depth, known, ceiling, extend):
    """The published recipe in OpenCV, the library it was written with."""
    inverted = np.where(known, ceiling - depth, 0).astype(np.float32)
    diamond = np.array([[abs(i) + abs(j) <= 2 for i in range(-2, 3)] for j in range(-2, 3)], dtype=np.uint8)
    inverted = cv2.dilate(inverted, diamond)
    inverted = cv2.morphologyEx(inverted, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    dilated = cv2.dilate(inverted, np.ones((7, 7), np.uint8))
    inverted = np.where(inverted > 0, inverted, dilated)
    if extend:
        for column in inverted.T:
            filled = np.flatnonzero(column > 0)
            if filled.size:
                column[: filled[0]] = column[filled[0]]
    dilated = cv2.dilate(inverted, np.ones((31, 31), np.uint8))
    inverted = np.where(inverted > 0, inverted, dilated)
    assert (inverted > 0).all()
    return ceiling - cv2.GaussianBlur(cv2.medianBlur(inverted, 5), (5, 5), 0)


@pytest.mark.parametrize("extend", [False, True])
def test_ip_basic_against_opencv(extend):
    cv2 = pytest.importorskip("cv2")
    depth, known = random_depth(8), random_share(SHAPE, 8, 0.03)
    known[:14] &= np.arange(64) < 50
    known[:5] = False
    inpainter = IPBasicInpainter(extend_to_top=extend)
    predicted = inpainter.predict(InpaintingInput(None, depth, known, None), seed=0)
    expected = opencv_ip_basic(cv2, depth, known, 1.25 * depth[known].max(), extend)
    np.testing.assert_allclose(predicted.depth, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: HarmonicInpainter(color_scale=0.0),
        lambda: HarmonicInpainter(tolerance=-1.0),
        lambda: HarmonicInpainter(least_weight=0.0),
        lambda: GeodesicInpainter(color_price=-1.0),
        lambda: IPBasicInpainter(diamond=4),
        lambda: IPBasicInpainter(ceiling=0.9),
    ],
)
def test_wrong_parameters(make):
    with pytest.raises(InputError):
        make()


def test_uncertainty_grows_with_distance():
    known = np.zeros(SHAPE, dtype=bool)
    known[:, 0] = True
    uncertainty = NearestInpainter()(None, np.ones(SHAPE), known).uncertainty
    np.testing.assert_allclose(uncertainty[5], np.arange(64) / 64)
