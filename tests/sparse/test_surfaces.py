"""Pixels on edges go to the surface that they belong to."""

from __future__ import annotations

import numpy as np
import pytest
from scene_depth_sparse.flags import find_edges
from scene_depth_sparse.surfaces import snap_to_surfaces
from scipy import ndimage

NEAR, FAR = 1.0, 2.0


def _step(columns: int = 320, at: int = 160, sigma: float = 1.5):
    """A near and a far wall that meet at a column, and what a network makes of them: a blend."""
    true = np.where(np.arange(columns) < at, NEAR, FAR) * np.ones((40, 1))
    return true.astype(np.float32), ndimage.gaussian_filter1d(true, sigma, axis=1).astype(np.float32)


def _picture(true, near=(0.8, 0.2, 0.1), far=(0.1, 0.3, 0.8)):
    return np.where((true == NEAR)[..., None], np.array(near, np.float32), np.array(far, np.float32))


def test_every_pixel_of_a_blended_step_goes_to_its_own_side():
    true, blended = _step()
    edges = find_edges(blended)
    assert edges.sum() > 100
    snapped = snap_to_surfaces(blended, ~edges, edges, _picture(true))
    np.testing.assert_allclose(snapped[edges], true[edges], rtol=0.06)  # what is beside is a little blended, too
    assert np.all(snapped[~edges] == 0)


def test_colour_tells_the_side_where_a_blend_does_not():
    true, _ = _step()
    _, wrong = _step(at=161)  # the network's step stands a pixel beside the picture's
    edges = find_edges(wrong)
    column = true[0] != np.where(np.arange(320) < 161, NEAR, FAR)
    assert column.sum() == 1
    with_color = snap_to_surfaces(wrong, ~edges, edges, _picture(true))[:, column]
    without = snap_to_surfaces(wrong, ~edges, edges)[:, column]
    np.testing.assert_allclose(with_color, FAR, rtol=0.06)
    np.testing.assert_allclose(without, NEAR, rtol=0.06)


def test_the_mean_of_a_noisy_surface_is_nearer_to_it_than_its_pixels():
    true, blended = _step(sigma=0.8)
    rng = np.random.default_rng(0)
    noisy = (blended * np.exp(rng.normal(0, 0.02, blended.shape))).astype(np.float32)
    edges = ndimage.binary_dilation(find_edges(blended))
    errors = np.abs(np.log(snap_to_surfaces(noisy, ~edges, edges, _picture(true))[edges] / true[edges]))
    assert errors.mean() < 0.75 * 0.02 * np.sqrt(2 / np.pi)


def test_what_is_thinner_than_the_reach_keeps_its_depth():
    depth = np.full((40, 60), FAR, np.float32)
    depth[:, 30] = NEAR
    edges = find_edges(depth)
    snapped = snap_to_surfaces(depth, ~edges, edges)
    np.testing.assert_array_equal(snapped[:, 30], NEAR)
    np.testing.assert_allclose(snapped[:, [29, 31]], FAR, rtol=1e-6)


def test_where_no_surface_is_near_nothing_is_said():
    depth = np.ones((20, 80), np.float32)
    edges = np.zeros(depth.shape, bool)
    edges[:, :60] = True
    snapped = snap_to_surfaces(depth, ~edges, edges)
    assert np.all(snapped[:, :50] == 0)
    assert np.all(snapped[:, 59] == pytest.approx(1))


def test_no_edges_is_no_error():
    depth = np.ones((6, 9), np.float32)
    none = np.zeros(depth.shape, bool)
    assert not snap_to_surfaces(depth, ~none, none).any()


def test_a_goal_is_asked_in_place_of_the_own_depth():
    _, blended = _step()
    edges = find_edges(blended)
    snapped = snap_to_surfaces(blended, ~edges, edges, goal=np.full_like(blended, FAR))
    inside = edges & (blended > 1.1) & (blended < 1.9)
    np.testing.assert_allclose(snapped[inside], FAR, rtol=0.06)
