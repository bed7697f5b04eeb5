"""Depth errors against hand-computed values and slow, literal loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import depth_errors, errors_by_distance, split_regions


def test_two_pixels_by_hand() -> None:
    errors = depth_errors([2.0, 5.0], [1.0, 4.0])
    assert errors.pixels == 2
    assert errors.abs_rel == pytest.approx((1 / 1 + 1 / 4) / 2)
    assert errors.sq_rel == pytest.approx((1 / 1 + 1 / 4) / 2)
    assert errors.delta1 == 0.0  # 5 / 4 = 1.25 is not below 1.25
    assert errors.delta2 == 0.5
    assert errors.delta3 == 0.5  # 2 > 1.953
    assert errors.rmse == pytest.approx(1.0)
    assert errors.mae == pytest.approx(1.0)
    assert errors.imae == pytest.approx(1000 * (0.5 + 0.05) / 2)  # 1/km
    assert errors.irmse == pytest.approx(1000 * math.sqrt((0.25 + 0.0025) / 2))
    assert errors.log10 == pytest.approx((math.log10(2) + math.log10(1.25)) / 2)
    assert errors.rmse_log == pytest.approx(math.sqrt((math.log(2) ** 2 + math.log(1.25) ** 2) / 2))
    mean_square, mean = (math.log(2) ** 2 + math.log(1.25) ** 2) / 2, (math.log(2) + math.log(1.25)) / 2
    assert errors.silog == pytest.approx(100 * math.sqrt(mean_square - mean**2))


def test_against_literal_loops() -> None:
    rng = np.random.default_rng(3)
    truth = rng.uniform(0.3, 90, (13, 17)).astype(np.float32)
    prediction = (truth * np.exp(rng.normal(0, 0.3, truth.shape))).astype(np.float32)
    valid = rng.random(truth.shape) < 0.6
    errors = depth_errors(prediction, truth, valid)
    pairs = [
        (float(prediction[row, column]), float(truth[row, column]))
        for row in range(13)
        for column in range(17)
        if valid[row, column]
    ]
    count = len(pairs)
    expected = {
        "abs_rel": sum(abs(d - g) / g for d, g in pairs) / count,
        "sq_rel": sum((d - g) ** 2 / g for d, g in pairs) / count,
        "delta1": sum(max(d / g, g / d) < 1.25 for d, g in pairs) / count,
        "delta2": sum(max(d / g, g / d) < 1.25**2 for d, g in pairs) / count,
        "delta3": sum(max(d / g, g / d) < 1.25**3 for d, g in pairs) / count,
        "rmse": math.sqrt(sum((d - g) ** 2 for d, g in pairs) / count),
        "mae": sum(abs(d - g) for d, g in pairs) / count,
        "irmse": 1000 * math.sqrt(sum((1 / d - 1 / g) ** 2 for d, g in pairs) / count),
        "imae": 1000 * sum(abs(1 / d - 1 / g) for d, g in pairs) / count,
        "log10": sum(abs(math.log10(d) - math.log10(g)) for d, g in pairs) / count,
        "rmse_log": math.sqrt(sum((math.log(d) - math.log(g)) ** 2 for d, g in pairs) / count),
    }
    for name, value in expected.items():
        assert getattr(errors, name) == pytest.approx(value, rel=1e-12), name


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 2**32 - 1))
def test_how_errors_change_with_the_unit(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = rng.uniform(1, 5, 50), rng.uniform(1, 5, 50)
    one, other = depth_errors(prediction, truth), depth_errors(scale * prediction, scale * truth)
    for name in ("abs_rel", "log10", "rmse_log", "silog"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-9), name
    for name in ("rmse", "mae", "sq_rel"):
        assert getattr(other, name) == pytest.approx(scale * getattr(one, name), rel=1e-9), name
    for name in ("irmse", "imae"):
        assert getattr(other, name) == pytest.approx(getattr(one, name) / scale, rel=1e-9), name


def test_scale_alone_has_no_silog() -> None:
    truth = np.random.default_rng(0).uniform(1, 5, 100)
    assert depth_errors(1.7 * truth, truth).silog == pytest.approx(0.0, abs=1e-9)


def test_an_empty_set_gives_none_and_no_crash() -> None:
    errors = depth_errors(np.ones((3, 4)), np.zeros((3, 4)))
    assert errors.pixels == 0
    assert errors.abs_rel is None
    assert errors.delta1 is None
    assert errors_by_distance(np.ones(3), np.zeros(3)) == []


def test_distance_ranges_partition_the_pixels() -> None:
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.1, 120, 1000)
    ranges = errors_by_distance(1.1 * truth, truth)
    assert sum(item.errors.pixels for item in ranges) == 1000
    assert [item.near for item in ranges] == [0, 1, 2, 3, 5, 10, 20, 40, 80]
    assert ranges[-1].far is None
    for item in ranges:
        assert item.errors.abs_rel == pytest.approx(0.1)
        assert item.near * 0.1 <= (item.errors.mae or 0) <= (item.far or 120) * 0.1


def test_regions() -> None:
    known = np.zeros((7, 9), bool)
    known[:, :2] = True
    valid = np.ones((7, 9), bool)
    valid[0] = False
    regions = split_regions(valid, known)
    assert regions.known.sum() == 12
    assert regions.hidden.sum() == 42
    assert regions.seam.sum() == 12  # columns 2 and 3
    assert not regions.seam[:, 4:].any()
    assert (regions.all == valid).all()
    assert not split_regions(valid, np.zeros_like(known)).seam.any()


@pytest.mark.parametrize(
    ("prediction", "truth", "valid", "field"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), None, "prediction"),
        (np.array([1.0, np.nan]), np.ones(2), None, "prediction"),
        (np.array([1.0, -1.0]), np.ones(2), None, "prediction"),
        (np.ones(2), np.array([1.0, 0.0]), np.array([True, True]), "truth"),
        (np.ones(2), np.ones(2), np.array([1, 1]), "valid"),
        (np.ones(2), np.ones(2), np.array([True]), "valid"),
    ],
)
def test_bad_input(prediction: np.ndarray, truth: np.ndarray, valid: np.ndarray | None, field: str) -> None:
    with pytest.raises(InputError) as caught:
        depth_errors(prediction, truth, valid)
    assert caught.value.field == field
