"""Measured depth is resized by moving its points."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scene_depth.cameras import Cameras
from scene_depth.geometry.depth_resampling import move_sparse_depth, resize_sparse_depth

DEPTHS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(0.5, 9, width=32) | st.just(0.0)
)


@given(depth=DEPTHS)
def test_the_same_size_changes_nothing(depth: np.ndarray) -> None:
    np.testing.assert_array_equal(resize_sparse_depth(depth, depth.shape[1], depth.shape[0]), depth)


@given(depth=DEPTHS, factor=st.integers(2, 4))
def test_whole_factors(depth: np.ndarray, factor: int) -> None:
    height, width = depth.shape
    larger = resize_sparse_depth(depth, width * factor, height * factor)
    np.testing.assert_array_equal(np.sort(larger[larger > 0]), np.sort(depth[depth > 0]))  # no point more or less
    np.testing.assert_array_equal(resize_sparse_depth(larger, width, height), depth)
    blocks = np.where(depth == 0, np.inf, depth)
    blocks = np.pad(blocks, ((0, -height % factor), (0, -width % factor)), constant_values=np.inf)
    nearest = blocks.reshape(blocks.shape[0] // factor, factor, -1, factor).min(axis=(1, 3))
    if height % factor == 0 and width % factor == 0:
        smaller = resize_sparse_depth(depth, width // factor, height // factor)
        np.testing.assert_array_equal(smaller, np.where(np.isinf(nearest), 0, nearest))


@settings(max_examples=50)
@given(depth=DEPTHS, width=st.integers(1, 12), height=st.integers(1, 12))
def test_values_are_never_mixed(depth: np.ndarray, width: int, height: int) -> None:
    resized = resize_sparse_depth(depth, width, height)
    assert resized.shape == (height, width)
    assert set(resized[resized > 0].tolist()) <= set(depth[depth > 0].tolist())
    if (depth > 0).any():
        assert resized[resized > 0].min() == depth[depth > 0].min()  # the nearest point is never lost


def test_other_intrinsics_are_a_projection_of_the_points() -> None:
    random = np.random.default_rng(0)
    depth = random.uniform(1, 5, (20, 30)).astype(np.float32)
    K = np.array([[31.0, 0, 14.2], [0, 29, 11.1], [0, 0, 1]])
    target = np.array([[55.0, 0, 24.9], [0, 57, 18.2], [0, 0, 1]])
    moved = move_sparse_depth(depth, K, target, 48, 36)
    pose = torch.eye(4, dtype=torch.float64)[None]
    points = Cameras(pose, torch.from_numpy(K)[None], 30, 20).unproject(torch.from_numpy(depth)[None].double()).reshape(-1, 3)
    pixels, z = Cameras(pose, torch.from_numpy(target)[None], 48, 36).project(points)
    expected = np.zeros((36, 48), np.float32)
    for (x, y), value in sorted(zip(pixels[0].tolist(), z[0].tolist(), strict=True), key=lambda pair: -pair[1]):
        if 0 <= x < 48 and 0 <= y < 36:
            expected[int(y), int(x)] = value
    np.testing.assert_array_equal(moved, expected)
