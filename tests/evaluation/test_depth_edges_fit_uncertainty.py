"""Edge scores, fits and uncertainty scores against hand-computed cases, scipy and literal loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scene_depth.errors import InputError
from scene_depth.evaluation.depth_fit import Space, fit_depth
from scene_depth.evaluation.depth_metrics import (
    area_under_sparsification_error,
    boundary_scores,
    sobel_edge_scores,
    sparsification_curve,
    spearman,
    uncertainty_scores,
)

EVERYWHERE = np.ones((12, 16), bool)


def step(column: int, near: float = 1.0, far: float = 3.0) -> np.ndarray:
    depth = np.full((12, 16), near)
    depth[:, column:] = far
    return depth


def test_equal_maps_have_perfect_edges() -> None:
    scores = sobel_edge_scores(step(8), step(8), EVERYWHERE)
    assert (scores.precision, scores.recall, scores.f1) == (1.0, 1.0, 1.0)
    scores = boundary_scores(step(8), step(8), EVERYWHERE)
    assert (scores.precision, scores.recall, scores.f1) == (1.0, 1.0, 1.0)


def test_a_shifted_step_by_hand() -> None:
    # The Sobel response of a step of 2 m covers the columns on both sides of it: 7, 8 against 8, 9.
    scores = sobel_edge_scores(step(9), step(8), EVERYWHERE)
    assert scores.precision == pytest.approx(0.5)
    assert scores.recall == pytest.approx(0.5)
    assert scores.f1 == pytest.approx(0.5)
    scores = boundary_scores(step(9), step(8), EVERYWHERE)
    assert (scores.precision, scores.recall, scores.f1) == (0.0, 0.0, 0.0)


def test_sobel_thresholds_are_those_of_the_unnormalised_kernel() -> None:
    # A step of s has the gradient 4 s: 0.1 m passes 0.25 and neither 0.5 nor 1.
    found = [sobel_edge_scores(step(8, far=1.1), step(8), EVERYWHERE, thresholds=[limit]) for limit in (0.25, 0.5, 1.0)]
    assert [score.recall for score in found] == [1.0, 0.0, 0.0]
    assert sobel_edge_scores(step(8, far=1.1), step(8), EVERYWHERE).recall == pytest.approx(1 / 3)


def test_direction_of_occlusion_counts() -> None:
    scores = boundary_scores(step(8, 3.0, 1.0), step(8, 1.0, 3.0), EVERYWHERE)
    assert scores.recall == 0.0


def test_boundary_thresholds_are_weighted_by_their_size() -> None:
    # A step of ratio 1.15 is found at 1.05 ... 1.138; all ten thresholds have true edges.
    thresholds = np.linspace(1.05, 1.25, 10)
    expected = thresholds[thresholds < 1.15].sum() / thresholds.sum()
    assert boundary_scores(step(8, 1.0, 1.15), step(8), EVERYWHERE).recall == pytest.approx(expected)


def test_edges_free_of_scale() -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.uniform(1, 2, (12, 16)), rng.uniform(1, 2, (12, 16))
    one = boundary_scores(prediction, truth, EVERYWHERE)
    other = boundary_scores(1000 * prediction, 7 * truth, EVERYWHERE)
    assert one.f1 == pytest.approx(other.f1)


def test_regions_and_invalid_pixels_are_left_out() -> None:
    valid = EVERYWHERE.copy()
    valid[:, 8] = False
    assert sobel_edge_scores(step(8), step(8), valid).recall is None
    assert boundary_scores(step(8), step(8), valid).recall is None
    region = np.zeros_like(valid)
    region[:, :4] = True
    assert sobel_edge_scores(step(8), step(8), EVERYWHERE, region).f1 is None
    assert boundary_scores(step(8), step(8), EVERYWHERE, region).f1 is None
    flat = np.ones((12, 16))
    scores = sobel_edge_scores(flat, step(8), EVERYWHERE)
    assert scores.precision is None
    assert scores.recall == 0.0
    assert scores.f1 == 0.0


@given(
    scale=st.floats(0.1, 10),
    shift=st.floats(0.0, 0.5),
    space=st.sampled_from(["linear", "inverse", "log"]),
    robust=st.booleans(),
)
def test_a_fit_recovers_the_affine_map(scale: float, shift: float, space: Space, robust: bool) -> None:
    truth = np.random.default_rng(1).uniform(1, 5, 200)
    x = {"linear": truth, "inverse": 1 / truth, "log": np.log(truth)}[space]
    moved = scale * x + shift
    prediction = {"linear": moved, "inverse": 1 / moved, "log": np.exp(moved)}[space]
    fit = fit_depth(prediction, truth, space=space, robust=robust)
    assert fit.scale == pytest.approx(1 / scale, rel=1e-6)
    np.testing.assert_allclose(fit.apply(prediction), truth, rtol=1e-6)


def test_fit_is_that_of_numpy() -> None:
    rng = np.random.default_rng(2)
    truth = rng.uniform(1, 5, 300)
    prediction = rng.uniform(1, 5, 300)
    expected = np.polyfit(1 / prediction, 1 / truth, 1)
    fit = fit_depth(prediction, truth, space="inverse")
    assert (fit.scale, fit.shift) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("space", ["linear", "inverse", "log"])
def test_scale_alone(space: Space) -> None:
    truth = np.random.default_rng(1).uniform(1, 5, 200)
    fit = fit_depth(2.5 * truth, truth, space=space, freedom="scale")
    np.testing.assert_allclose(fit.apply(2.5 * truth), truth, rtol=1e-12)


def test_robust_fit_withstands_a_fifth_of_outliers() -> None:
    rng = np.random.default_rng(4)
    truth = rng.uniform(1, 5, 1000)
    prediction = 0.5 * truth + 0.2 + rng.normal(0, 0.005, 1000)
    wrong = rng.random(1000) < 0.2
    prediction[wrong] = rng.uniform(5, 9, wrong.sum())
    robust = fit_depth(prediction, truth, robust=True)
    plain = fit_depth(prediction, truth)
    assert robust.scale == pytest.approx(2.0, rel=0.05)
    assert abs(plain.scale - 2.0) > 1.0


def test_a_fit_never_leaves_the_positive_numbers() -> None:
    truth = np.array([1.0, 2.0, 4.0])
    for space in ("linear", "inverse", "log"):
        fit = fit_depth(np.array([1.0, 1.1, 1.2]), truth, space=space)
        applied = fit.apply(np.array([0.01, 1.0, 1e6]))
        assert np.isfinite(applied).all()
        assert (applied >= 0.5).all()
        assert (applied <= 8.0).all()
    constant = fit_depth(np.full(3, 2.0), truth)
    np.testing.assert_allclose(constant.apply(np.full(3, 2.0)), 7 / 3)


def test_bad_fits() -> None:
    with pytest.raises(InputError, match="valid"):
        fit_depth(np.ones(3), np.zeros(3))
    with pytest.raises(InputError, match="space"):
        fit_depth(np.ones(3), np.ones(3), space="cubic")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="freedom"):
        fit_depth(np.ones(3), np.ones(3), freedom="none")  # type: ignore[arg-type]


def test_spearman_is_that_of_scipy_with_ties() -> None:
    rng = np.random.default_rng(6)
    first = rng.integers(0, 20, 500).astype(float)
    second = first + rng.normal(0, 5, 500)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert spearman(np.ones(5), np.arange(5)) is None


def test_sparsification_by_literal_removal() -> None:
    rng = np.random.default_rng(7)
    error = rng.exponential(1, 200)
    uncertainty = error + rng.exponential(0.5, 200)
    fractions, curve, oracle = sparsification_curve(uncertainty, error, steps=10)
    for index, fraction in enumerate(fractions):
        left = 200 - int(fraction * 200)
        kept = sorted(range(200), key=lambda pixel: uncertainty[pixel])[:left]
        assert curve[index] == pytest.approx(error[kept].mean() / error.mean())
        assert oracle[index] == pytest.approx(np.sort(error)[:left].mean() / error.mean())


def test_an_uncertainty_that_means_what_it_says() -> None:
    rng = np.random.default_rng(3)
    sigma = rng.uniform(0.01, 0.2, 40_000)
    scores = uncertainty_scores(sigma, np.abs(rng.laplace(0, sigma / np.sqrt(2))))  # of that standard deviation
    assert scores.within_50 == pytest.approx(0.5, abs=0.01)
    assert scores.within_90 == pytest.approx(0.9, abs=0.01)


def test_the_error_itself_is_the_best_uncertainty() -> None:
    error = np.random.default_rng(8).exponential(1, 999)
    perfect, inverted = uncertainty_scores(error, error), uncertainty_scores(1 / (1 + error), error)
    assert perfect.ause == pytest.approx(0.0, abs=1e-12)
    assert perfect.spearman == pytest.approx(1.0)
    assert perfect.within_one_sigma == 1.0
    assert inverted.spearman == pytest.approx(-1.0)
    assert (inverted.ause or 0) > 0.5
    ordered = np.sort(error)
    assert perfect.ratio_of_thirds == pytest.approx(ordered[-333:].mean() / ordered[:333].mean())


def test_uncertainty_that_says_nothing() -> None:
    scores = uncertainty_scores(np.ones(30), np.arange(30.0))
    assert (scores.spearman, scores.ause, scores.ratio_of_thirds) == (None, None, None)
    assert uncertainty_scores([], []).pixels == 0
    assert area_under_sparsification_error(np.arange(5.0), np.zeros(5)) is None
    assert uncertainty_scores([0.1, 0.2, 0.3], [0.0, 0.0, 0.0]).ratio_of_thirds is None
    with pytest.raises(InputError, match="uncertainty"):
        uncertainty_scores([np.nan], [1.0])
    with pytest.raises(InputError, match="as many as errors"):
        uncertainty_scores([1.0], [1.0, 2.0])
