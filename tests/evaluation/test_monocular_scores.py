"""Scores of log-depth predictions: against predictions whose error is known."""

from __future__ import annotations

import numpy as np
import pytest

from scene_depth.depth.prior import MonocularMap
from scene_depth.errors import InputError
from scene_depth.evaluation.monocular_scores import monocular_scores

RNG = np.random.default_rng(0)
TRUTH = np.exp(RNG.uniform(0, 2, (30, 40)))
VALID = RNG.random((30, 40)) < 0.8


def noisy(sigma, members=1):
    """Log depth under an affine map with noise of two strengths, and the strength as uncertainty."""
    strength = np.where(np.arange(40) < 20, 0.2, 1.0) * sigma
    noise = np.random.default_rng(1).standard_normal((members, *TRUTH.shape)).mean(axis=0) * strength
    values = (0.4 * (np.log(TRUTH) + noise) - 3).astype(np.float32)
    return MonocularMap(values, "log", (0.4 * strength * np.ones_like(TRUTH)).astype(np.float32))


def test_an_affine_map_of_log_depth_has_no_error():
    scores = monocular_scores(noisy(0.0), TRUTH, VALID)
    assert scores.errors.abs_rel < 1e-5
    assert scores.errors.delta1 == 1.0
    assert scores.errors.pixels == VALID.sum()
    assert scores.edges.f1 == 1.0
    assert scores.fit.scale == pytest.approx(2.5, rel=1e-4)


def test_noise_of_log_depth_becomes_relative_error():
    scores = monocular_scores(noisy(0.05), TRUTH, VALID)
    expected = np.mean(np.where(np.arange(40) < 20, 0.2, 1.0)) * 0.05 * np.sqrt(2 / np.pi)
    assert scores.errors.abs_rel == pytest.approx(expected, rel=0.1)
    assert 3 < scores.uncertainty.ratio_of_thirds < 7  # 5 in the limit
    assert scores.uncertainty.within_one_sigma == pytest.approx(0.683, abs=0.05)


def test_uncertainty_is_left_out_where_there_is_none():
    assert monocular_scores(MonocularMap(noisy(0.1).values, "log"), TRUTH, VALID).uncertainty is None


@pytest.mark.parametrize("space", ["depth", "inverse", "auto"])
def test_other_spaces_are_refused(space):
    with pytest.raises(InputError, match="log depth"):
        monocular_scores(MonocularMap(noisy(0.1).values, space), TRUTH, VALID)


def test_a_sweep_has_a_row_for_every_pair():
    benchmark = pytest.importorskip("benchmarks.monocular_sweep")
    sweep, sweep_table = benchmark.sweep, benchmark.sweep_table
    rows = sweep(lambda rgb, steps, members: noisy(0.1 / steps, members), [(None, TRUTH, VALID)], (1, 4), (1, 9))
    assert [(row.steps, row.ensemble) for row in rows] == [(1, 1), (1, 9), (4, 1), (4, 9)]
    errors = [row.abs_rel for row in rows]
    assert errors[0] > 2.5 * errors[1]
    assert errors[0] > 3.5 * errors[2]
    assert len(sweep_table(rows)) == 6
    with pytest.raises(InputError, match="frames"):
        sweep(lambda rgb, steps, members: noisy(0.1), [])
