"""Fitting monocular predictions to known depth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scene_depth.depth.alignment import SPACES, align_locally, apply_fit, fit_globally
from scene_depth.depth.masks import random_share
from scene_depth.errors import InputError

SHAPE = (60, 80)


def a_scene(seed=0):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rng = np.random.default_rng(seed)
    depth = 3 + np.sin(x / 11) + 0.02 * y
    depth[15:40, 20:50] = 1.5 + 0.01 * x[15:40, 20:50]
    return depth * rng.uniform(0.5, 2.0)


def into(depth, space):
    return {"inverse": 1 / depth, "depth": depth, "log": np.log(depth)}[space]


def simulated(depth, space, scale, shift):
    """A prediction whose fit has that scale and shift."""
    return (into(depth, space) - shift) / scale


@pytest.mark.parametrize("space", SPACES)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.05, 20), shift=st.floats(-3, 3))
@settings(max_examples=25)
def test_exact_predictions_are_found_exactly(space, seed, scale, shift):
    depth, known = a_scene(seed), random_share(SHAPE, seed, 0.05)
    prediction = simulated(depth, space, scale, shift)
    fit = fit_globally(prediction, np.where(known, depth, 0), known, space)
    assert fit.scale == pytest.approx(scale, rel=1e-4)
    assert fit.shift == pytest.approx(shift, rel=1e-4, abs=1e-4)
    assert fit.two_parameters
    np.testing.assert_allclose(apply_fit(fit, prediction, depth[known]), depth, rtol=1e-4)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_outliers_do_not_matter(space, share):
    rng = np.random.default_rng(1)
    depth, known = a_scene(1), random_share(SHAPE, 1, 0.2)
    prediction = simulated(depth, space, 2.0, 0.5)
    wrong = rng.random(SHAPE) < share
    prediction = np.where(wrong, prediction[known].max() * rng.uniform(0.5, 2.0, SHAPE), prediction)
    fit = fit_globally(prediction, depth, known, space)
    error = apply_fit(fit, prediction, depth[known]) / depth - 1
    assert np.median(np.abs(error[~wrong])) < 0.02


@pytest.mark.parametrize("space", SPACES)
def test_auto_finds_the_space(space):
    depth, known = a_scene(2), random_share(SHAPE, 2, 0.05)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.005, SHAPE))
    prediction = simulated(depth * noise, space, 1.5, 0.3)
    assert fit_globally(prediction, depth, known, "auto").space == space


def test_little_known_depth_gives_the_scale_alone():
    prediction = np.linspace(1, 2, 20).reshape(4, 5)
    known = np.zeros((4, 5), dtype=bool)
    known[1, 1] = True
    fit = fit_globally(prediction, np.full((4, 5), 3.0), known, "depth")
    assert not fit.two_parameters
    assert fit.shift == 0
    assert apply_fit(fit, prediction[1, 1], np.array([3.0])) == pytest.approx(3.0)
    log_fit = fit_globally(prediction, np.full((4, 5), 3.0), known, "log")
    assert log_fit.scale == 1.0
    flat = fit_globally(np.ones((4, 5)), a_scene()[:4, :5], np.ones((4, 5), dtype=bool), "inverse")
    assert not flat.two_parameters


def test_a_prediction_that_goes_the_wrong_way_is_not_turned_over():
    depth, known = a_scene(3), random_share(SHAPE, 3, 0.1)
    fit = fit_globally(-depth + 10, depth, known, "depth")
    assert fit.scale >= 0
    assert not fit.two_parameters


def test_aligned_depth_stays_near_the_known_range():
    depth, known = a_scene(4), random_share(SHAPE, 4, 0.05)
    prediction = simulated(depth, "inverse", 1.0, 0.0)
    prediction[0, 0], prediction[0, 1] = -5.0, 1e6
    fit = fit_globally(prediction, depth, known & (np.arange(80) > 5), "inverse")
    aligned = apply_fit(fit, prediction, depth[known])
    assert aligned.min() == pytest.approx(0.3 * depth[known].min())
    assert aligned.max() == pytest.approx(3 * depth[known].max())


def test_errors():
    with pytest.raises(InputError, match="space"):
        fit_globally(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2), dtype=bool), "cubic")
    with pytest.raises(InputError, match="no finite value"):
        fit_globally(np.full((2, 2), np.nan), np.ones((2, 2)), np.ones((2, 2), dtype=bool))
    fit = fit_globally(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2), dtype=bool))
    with pytest.raises(InputError, match="neighbours"):
        align_locally(np.ones((2, 2)), np.ones((2, 2)), np.eye(2, dtype=bool), fit, neighbours=0)


def local_by_hand(prediction, depth, known, fit, ridge, pixel, count=5):
    """The weighted least squares of one pixel, written as an overdetermined system."""
    points = np.argwhere(known)
    distance = np.linalg.norm(points - pixel, axis=1)
    nearest = np.argsort(distance, kind="stable")[:count]
    weight = 1 / distance[nearest] ** 2
    weight /= weight.sum()
    x, y = prediction[tuple(points[nearest].T)], into(depth, fit.space)[tuple(points[nearest].T)]
    rows = np.sqrt(weight)[:, None] * np.stack([x, np.ones(count)], axis=1)
    pull = np.sqrt(ridge * np.var(prediction[known]))
    system = np.vstack([rows, [pull, 0]])
    scale, shift = np.linalg.lstsq(system, np.append(np.sqrt(weight) * y, pull * fit.scale), rcond=None)[0]
    return scale * prediction[tuple(pixel)] + shift


@pytest.mark.parametrize("space", SPACES)
def test_local_alignment_is_the_weighted_least_squares(space):
    rng = np.random.default_rng(5)
    depth, known = a_scene(5), random_share(SHAPE, 5, 0.03)
    prediction = simulated(depth, space, 1.3, 0.1) * rng.uniform(0.9, 1.1, SHAPE)
    fit = fit_globally(prediction, depth, known, space)
    result = align_locally(prediction, depth, known, fit)
    assert np.array_equal(result[known], depth[known])
    compared = 0
    for pixel in rng.permutation(np.argwhere(~known))[:60]:
        distances = np.sort(np.linalg.norm(np.argwhere(known) - pixel, axis=1))
        if distances[4] == distances[5]:  # which of two equally far points comes fifth is free
            continue
        expected = local_by_hand(prediction, depth, known, fit, 0.01, pixel)
        assert into(result[tuple(pixel)], space) == pytest.approx(expected, rel=1e-6)
        compared += 1
    assert compared > 30


def test_local_alignment_follows_errors_that_change_over_the_image():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth, known = a_scene(6), random_share(SHAPE, 6, 0.05)
    prediction = (1 / depth) * (1 + 0.2 * np.sin(x / 25) * np.cos(y / 20))
    fit = fit_globally(prediction, depth, known)
    everywhere = np.abs(apply_fit(fit, prediction, depth[known]) / depth - 1)
    nearby = np.abs(align_locally(prediction, depth, known, fit) / depth - 1)
    assert nearby[~known].mean() < 0.4 * everywhere[~known].mean()
