"""Single rows, their JSON, and what summaries make of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats

from scene_depth.datasets.frames import DepthFrame
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_protocols import DepthCase, make_case
from scene_depth.evaluation.depth_report import (
    bootstrap_interval,
    geometric_mean,
    pooled_spearman,
    ratio_of_thirds,
    summarize,
    summarize_mask,
)
from scene_depth.evaluation.depth_rows import DepthRow, FitOptions, evaluate_case
from scene_depth.io.plain_values import from_plain


@pytest.fixture
def case() -> DepthCase:
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 4, (60, 80)).astype(np.float32)
    truth[:, :5] = 0
    found = make_case(DepthFrame("noise", truth, rng.random((60, 80, 3)).astype(np.float32), dataset="made"), "rect")
    assert found is not None
    return found


def scaled_truth(case: DepthCase, factor: float) -> Callable[..., np.ndarray]:
    """An inpainter that knows the truth up to a factor."""
    return lambda rgb, depth, known: np.where(case.truth > 0, factor * case.truth, 1.0)


def read_back(content: dict[str, object]) -> DepthRow:
    return from_plain(DepthRow, content, place="row", whole=True)


def test_a_row_by_hand(case: DepthCase) -> None:
    row = evaluate_case(case, scaled_truth(case, 1.0), "oracle")
    assert row.hidden.abs_rel == pytest.approx(0.0, abs=1e-6)
    assert row.failure is None
    assert row.known_exact is True
    assert (row.width, row.height, row.dataset, row.mask) == (80, 60, "made", "rect")
    assert row.known_share == pytest.approx(case.known.mean())
    assert row.hidden.pixels + row.known.pixels == row.all.pixels == int((case.truth > 0).sum())
    assert row.boundaries is not None
    assert row.boundaries.f1 == 1.0
    assert sum(item.errors.pixels for item in row.distances) == row.hidden.pixels
    assert row.seconds is not None
    assert row.seconds > 0
    assert row.uncertainty is None


def test_known_depth_is_pasted_back_so_only_the_hole_is_wrong(case: DepthCase) -> None:
    def twice(rgb: object, depth: np.ndarray, known: np.ndarray) -> DepthPrediction:
        return DepthPrediction(np.where(case.truth > 0, 2 * case.truth, 1.0))

    twice.harmonize = False  # type: ignore[attr-defined]
    row = evaluate_case(case, twice, "twice")
    assert row.known_exact is True
    assert row.known.abs_rel == 0.0
    assert row.hidden.abs_rel == pytest.approx(1.0, rel=1e-6)
    assert row.hidden.delta3 == 0.0


def test_a_fit_comes_before_the_measures(case: DepthCase) -> None:
    def strange(rgb: object, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
        return np.where(case.truth > 0, 3 * case.truth, 1.0)

    strange.harmonize = False  # type: ignore[attr-defined]
    nothing_known = replace(case, known=np.zeros_like(case.known), depth=case.depth)
    nothing_known.known[0, 10] = True
    row = evaluate_case(nothing_known, strange, "strange", FitOptions("linear", robust=True))
    assert row.fit is not None
    assert row.fit.scale == pytest.approx(1 / 3, rel=1e-3)
    assert row.hidden.abs_rel == pytest.approx(0.0, abs=1e-3)


def test_a_failing_inpainter_is_a_row(case: DepthCase) -> None:
    def broken(rgb: object, depth: object, known: object) -> np.ndarray:
        raise RuntimeError("out of luck")

    row = evaluate_case(case, broken, "broken")
    assert row.failure == "RuntimeError: out of luck"
    assert row.hidden.abs_rel is None
    assert summarize_mask("rect", "broken", [row]).failures == 1
    assert read_back(json.loads(json.dumps(asdict(row), allow_nan=False))) == row


def test_uncertainty_of_a_row(case: DepthCase) -> None:
    noise = np.random.default_rng(1).exponential(0.1, case.truth.shape)

    def honest(rgb: object, depth: np.ndarray, known: np.ndarray) -> DepthPrediction:
        wrong = np.where(case.truth > 0, case.truth * (1 + noise), 1.0)
        return DepthPrediction(wrong, uncertainty=noise.astype(np.float32))

    honest.harmonize = False  # type: ignore[attr-defined]
    row = evaluate_case(case, honest, "honest")
    assert row.uncertainty is not None
    assert row.uncertainty.spearman == pytest.approx(1.0, abs=1e-4)
    assert len(row.uncertainty_samples) == 256
    assert pooled_spearman([row, row]) == pytest.approx(1.0, abs=1e-3)
    assert ratio_of_thirds([row]) == pytest.approx(row.uncertainty.ratio_of_thirds)
    assert read_back(json.loads(json.dumps(asdict(row), allow_nan=False))) == row


def test_a_row_of_another_version(case: DepthCase) -> None:
    content = asdict(evaluate_case(case, scaled_truth(case, 1.0), "oracle"))
    with pytest.raises(InputError, match="row"):
        read_back(content | {"speed": 3})
    del content["hidden"]
    with pytest.raises(InputError, match="row"):
        read_back(content)


def test_means_by_hand() -> None:
    summary = summarize([1.0, None, 4.0, float("nan"), 16.0])
    assert summary.frames == 3
    assert summary.mean == pytest.approx(7)
    assert summary.median == 4
    assert summary.geometric_mean == pytest.approx(4)
    assert summarize([]).mean is None
    assert summarize([2.0]).mean_interval is None
    assert summarize([-1.0, 1.0]).geometric_mean is None
    assert geometric_mean([0.0, 1.0]) == pytest.approx(1e-3)  # the floor of 1e-6


def test_bootstrap_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(1, 60)
    low, high = bootstrap_interval(values, lambda sample: sample.mean(axis=1), repeats=20000) or (0, 0)
    expected = stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile")
    assert low == pytest.approx(expected.confidence_interval.low, abs=0.02)
    assert high == pytest.approx(expected.confidence_interval.high, abs=0.02)
    assert bootstrap_interval(values, lambda sample: sample.mean(axis=1)) == bootstrap_interval(
        values, lambda sample: sample.mean(axis=1)
    )


LARGE_ARRAY = """
import numpy as np
from scene_depth.evaluation.depth_rows import PeakMemory

with PeakMemory() as memory:
    np.ones(64 * 2**20 // 8).sum()
print(memory.megabytes)
"""


def test_peak_memory_sees_a_large_array() -> None:
    """In a process of its own: here the array might lie in memory that earlier tests left to the allocator."""
    told = subprocess.run([sys.executable, "-c", LARGE_ARRAY], capture_output=True, text=True, check=True).stdout.strip()
    if told == "None":
        pytest.skip("this system does not tell")
    assert 50 < float(told) < 200
