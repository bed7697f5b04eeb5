"""The membrane solver against dense linear algebra and harmonic functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scene_depth.geometry.membrane import solve_membrane


def dense_solution(right, down, values, fixed):
    """The same minimiser by a dense solve of the normal equations."""
    height, width = fixed.shape
    matrix = np.zeros((height * width, height * width))
    for i in range(height):
        for j in range(width):
            for di, dj, weight in ((0, 1, right), (1, 0, down)):
                if i + di < height and j + dj < width:
                    p, q, w = i * width + j, (i + di) * width + j + dj, weight[i, j]
                    matrix[p, p] += w
                    matrix[q, q] += w
                    matrix[p, q] -= w
                    matrix[q, p] -= w
    free, held = ~fixed.ravel(), fixed.ravel()
    result = values.ravel().astype(float).copy()
    result[free] = np.linalg.solve(matrix[np.ix_(free, free)], -matrix[np.ix_(free, held)] @ result[held])
    return result.reshape(fixed.shape)


@given(st.integers(1, 17), st.integers(2, 19), st.integers(0, 10**6))
@settings(max_examples=40)
def test_against_a_dense_solve(height, width, seed):
    rng = np.random.default_rng(seed)
    right, down = np.exp(rng.normal(0, 1.5, (2, height, width)))
    values = rng.normal(size=(height, width))
    fixed = rng.random((height, width)) < rng.uniform(0.02, 0.6)
    fixed.flat[rng.integers(fixed.size)] = True
    result = solve_membrane(right, down, values, fixed, tolerance=1e-12, most_iterations=500)
    np.testing.assert_allclose(result.values, dense_solution(right, down, values, fixed), atol=1e-8)
    assert np.array_equal(result.values[fixed], values[fixed])


def test_reproduces_discrete_harmonic_functions():
    y, x = np.mgrid[:70, :90].astype(float)
    for function in (2 * x - 3 * y + 1, x * y, x**2 - y**2):
        fixed = np.zeros((70, 90), dtype=bool)
        fixed[[0, -1], :] = fixed[:, [0, -1]] = True
        result = solve_membrane(np.ones_like(x), np.ones_like(x), function, fixed, tolerance=1e-12)
        np.testing.assert_allclose(result.values, function, rtol=1e-8, atol=1e-6)


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_maximum_principle(seed):
    rng = np.random.default_rng(seed)
    values, fixed = rng.normal(size=(40, 33)), rng.random((40, 33)) < 0.05
    fixed[0, 0] = True
    result = solve_membrane(*np.exp(rng.normal(0, 2, (2, 40, 33))), values, fixed, tolerance=1e-10).values
    assert result.min() >= values[fixed].min() - 1e-6
    assert result.max() <= values[fixed].max() + 1e-6


@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_iterations_hardly_grow_with_size(size):
    fixed = np.zeros((size, size), dtype=bool)
    fixed[[0, -1], :] = fixed[:, [0, -1]] = True
    values = np.random.default_rng(0).normal(size=fixed.shape)
    result = solve_membrane(np.ones(fixed.shape), np.ones(fixed.shape), values, fixed, tolerance=1e-6)
    assert result.residual <= 1e-6
    assert result.iterations <= 20


def test_parts_without_fixed_pixels_keep_their_start():
    right, down = np.ones((10, 12)), np.ones((10, 12))
    right[:, 5] = 0  # the right part is cut off
    fixed = np.zeros((10, 12), dtype=bool)
    fixed[:, 0] = True
    start = np.full((10, 12), 7.0)
    result = solve_membrane(right, down, np.full((10, 12), 3.0), fixed, start).values
    np.testing.assert_allclose(result[:, :6], 3.0, atol=1e-4)
    assert np.array_equal(result[:, 6:], start[:, 6:])


def test_nothing_to_do():
    values = np.arange(6.0).reshape(2, 3)
    everything = solve_membrane(np.ones((2, 3)), np.ones((2, 3)), values, np.ones((2, 3), dtype=bool))
    assert np.array_equal(everything.values, values)
    nothing = solve_membrane(np.ones((2, 3)), np.ones((2, 3)), values, np.zeros((2, 3), dtype=bool), start=np.full((2, 3), 2.0))
    assert np.array_equal(nothing.values, np.full((2, 3), 2.0))
