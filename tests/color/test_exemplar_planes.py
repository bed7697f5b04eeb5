"""Filling planes as they look straight on: against analytic corners and patterns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.color.exemplar import inpainter
from scene_depth.color.exemplar.inpainter import ExemplarInpainter
from scene_depth.color.exemplar.pattern import smooth_shade
from scene_depth.color.exemplar.straight_view import straight_view
from scene_depth.color.exemplar.texture import fill_texture, spread_inwards
from scene_depth.geometry.planes import Plane, camera_points, planes_of

WIDTH, HEIGHT = 160, 120
FLOOR, WALL = (np.array([0.0, -1.0, 0.0]), -1.0), (np.array([0.0, 0.0, -1.0]), -4.0)  # one unit below, four ahead


def camera() -> Cameras:
    K = torch.tensor([[140.0, 0, 83.0], [0, 137.0, 41.0], [0, 0, 1]], dtype=torch.float64)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K[None], WIDTH, HEIGHT)


def corner() -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
    """Depth and points of a floor and a wall, and where the floor is."""
    rays = camera_points(np.ones((HEIGHT, WIDTH)), camera())
    with np.errstate(divide="ignore"):
        depths = [np.where(rays @ normal < 0, offset / (rays @ normal), np.inf) for normal, offset in (FLOOR, WALL)]
    depth = np.minimum(*depths)
    return depth, rays * depth[..., None], depths[0] < depths[1]


def block() -> NDArray[np.bool_]:
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[55:95, 60:105] = True
    return hole


def checks(points: NDArray, on_floor: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A floor of soft stripes across the line of sight, each 0.25 units, before a plain wall."""
    stripes = 0.5 + 0.3 * np.sin(2 * np.pi * points[..., 2] / 0.5)
    grey = np.where(on_floor, stripes, 0.35)
    return np.stack([grey, 0.8 * grey, 0.6 * grey], axis=-1).astype(np.float32)


def test_floor_and_wall_are_found_with_their_equations() -> None:
    depth, _, on_floor = corner()
    hole = block()
    found = planes_of(depth, hole, camera())
    assert len(found) == 2
    for plane in found:
        normal, offset = FLOOR if abs(plane.normal[1]) > 0.5 else WALL
        np.testing.assert_allclose(plane.normal, normal, atol=1e-6)
        assert plane.offset == pytest.approx(offset, rel=1e-6)
        right = on_floor if normal is FLOOR[0] else ~on_floor
        assert (plane.pixels & hole & ~right).sum() < 100  # the crease belongs to both
    assert not (found[0].pixels & found[1].pixels).any()


def test_no_plane_is_found_on_a_ball() -> None:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    hole = np.hypot(x - 80, y - 60) < 20
    depth = 2 - 0.4 * np.sqrt(np.maximum(1 - ((x - 80) / 40) ** 2 - ((y - 60) / 40) ** 2, 0))
    largest = max((plane.pixels & hole).sum() for plane in planes_of(depth, hole, camera())) / hole.sum()
    assert largest < 0.6


def test_the_straight_view_shows_stripes_of_equal_width() -> None:
    depth, points, on_floor = corner()
    hole = block()
    floor = next(plane for plane in planes_of(depth, hole, camera()) if abs(plane.normal[1]) > 0.5)
    view = straight_view(floor, checks(points, on_floor), ~hole, hole, camera())
    best = int(view.known.sum(axis=0).argmax())
    column = view.rgb[view.known[:, best], best, 0]
    rising = np.flatnonzero((column[:-1] < 0.5) & (column[1:] >= 0.5))
    steps = np.diff(rising)
    assert len(steps) >= 2
    assert steps.max() - steps.min() <= 1


def test_a_hole_beyond_the_horizon_of_its_plane_is_filled_in_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane that is fitted to noisy depth may tilt so far that it is behind the camera for the hole's pixels."""
    depth, points, on_floor = corner()
    hole, rgb = block(), checks(points, on_floor)
    beyond = Plane(np.array([0.0, 1.0, 0.0]), -1.0, np.ones_like(hole))
    assert not straight_view(beyond, rgb, ~hole, hole, camera()).known.any()
    monkeypatch.setattr(inpainter, "planes_of", lambda *_: [beyond])
    filled = ExemplarInpainter()(rgb, hole, depth=depth, camera=camera())
    assert np.isfinite(filled).all()
    assert np.abs(filled - rgb)[hole].mean() < 0.25


def test_a_pattern_in_perspective_goes_on_in_step() -> None:
    depth, points, on_floor = corner()
    hole, truth = block(), checks(points, on_floor)
    masked = np.where(hole[..., None], 0, truth).astype(np.float32)
    inpaint = ExemplarInpainter()
    guided = inpaint(masked, hole, depth=depth.astype(np.float32), camera=camera())
    blind = inpaint(masked, hole)
    error, error_blind = (np.abs(values - truth)[hole].mean() for values in (guided, blind))
    assert error < 0.03
    assert error < 0.7 * error_blind


def test_planes_filled_side_by_side_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    depth, points, on_floor = corner()
    picture, hole = checks(points, on_floor), np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[20:95, 60:105] = True  # wall and floor
    fills = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(inpainter, "thread_count", lambda threads=threads: threads)
        fills.append(ExemplarInpainter()(picture, hole, depth=depth.astype(np.float32), camera=camera()))
    assert np.array_equal(fills[0], fills[1])
    assert np.array_equal(fills[0], fills[2])


def test_shade_follows_light_and_not_a_pattern() -> None:
    y, x = np.mgrid[0:60, 0:80] / 80
    known = np.ones((60, 80), dtype=bool)
    known[20:40, 30:50] = False
    light = np.repeat((0.2 + 0.5 * x + 0.1 * y)[..., None], 3, axis=-1)
    np.testing.assert_allclose(smooth_shade(light, known, ~known), light, atol=0.04)
    pattern = np.repeat((0.5 + 0.4 * np.sin(40 * x))[..., None], 3, axis=-1)
    assert np.ptp(smooth_shade(pattern, known, ~known)) < 0.1


@settings(max_examples=40, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000), st.floats(0.02, 1))
def test_spreading_keeps_what_is_known_and_stays_within_its_range(height: int, width: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values, known = rng.random((height, width, 2)).astype(np.float32), rng.random((height, width)) < share
    known[rng.integers(height), rng.integers(width)] = True
    spread = spread_inwards(values, known)
    assert np.array_equal(spread[known], values[known])
    low, high = values[known].min(axis=0) - 1e-5, values[known].max(axis=0) + 1e-5
    assert (spread >= low).all()
    assert (spread <= high).all()


def test_void_cells_are_no_example() -> None:
    """A pattern fills the hole though half of the grid is void and holds another colour."""
    x = np.arange(96) + np.zeros((64, 1))
    truth = np.repeat((0.5 + 0.3 * np.sign(np.sin(2 * np.pi * x / 8)))[..., None], 3, axis=-1).astype(np.float32)
    hole, known = np.zeros((64, 96), dtype=bool), np.zeros((64, 96), dtype=bool)
    known[:, :60] = True
    hole[24:40, 20:36] = True
    known &= ~hole
    values = np.where(known[..., None], truth, np.float32(-3))
    values[hole] = 0.5
    filled = fill_texture(values, hole, known)
    assert filled[hole].min() >= 0.1
    assert np.abs(filled - truth)[hole].mean() < 0.05
