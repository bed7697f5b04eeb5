"""Depth completed for supervision: measured pixels as they are, the others weighted by their doubt, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.depth.supervision import TRUSTED, complete_for_supervision

RGB = np.zeros((6, 8, 3), np.uint8)


def with_hole() -> np.ndarray:
    depth = np.full((6, 8), 2.0, np.float32)
    depth[2:4, 3:6] = 0
    return depth


def test_what_is_filled_counts_the_less_the_less_sure_it_is(tmp_path: Path) -> None:
    calls = []

    def doubtful(rgb, depth, known):
        calls.append(1)
        return DepthPrediction(np.full(depth.shape, 2.0), np.full(depth.shape, 3 * TRUSTED))

    measured, inpainter = with_hole(), load_depth_inpainter(doubtful)
    for _ in range(2):
        depth, weight = complete_for_supervision(RGB, measured, inpainter, key="doubtful", cache=tmp_path)
    assert len(calls) == 1, "the second time it was found"
    known = measured > 0
    np.testing.assert_array_equal(depth[known], measured[known])
    np.testing.assert_array_equal(weight[known], 1.0)
    np.testing.assert_allclose(weight[~known], 0.1, rtol=1e-5)
    complete_for_supervision(RGB + 1, measured, inpainter, key="doubtful", cache=tmp_path)
    assert len(calls) == 2, "another picture is another view"


def test_without_a_doubt_said_and_without_depth(tmp_path: Path) -> None:
    inpainter = load_depth_inpainter(lambda rgb, depth, known: np.full(depth.shape, 2.0))
    _, weight = complete_for_supervision(RGB, with_hole(), inpainter, key="plain", cache=tmp_path)
    assert sorted(set(weight.ravel().tolist())) == [0.25, 1.0]
    depth, weight = complete_for_supervision(RGB, np.zeros((6, 8), np.float32), inpainter, key="plain", cache=tmp_path)
    assert not depth.any()
    assert not weight.any()


def test_a_broken_file_in_the_cache_is_made_anew(tmp_path: Path) -> None:
    inpainter = load_depth_inpainter("nearest")
    first, _ = complete_for_supervision(RGB, with_hole(), inpainter, key="nearest", cache=tmp_path)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:40])
    second, _ = complete_for_supervision(RGB, with_hole(), inpainter, key="nearest", cache=tmp_path)
    np.testing.assert_array_equal(first, second)
    assert first[3, 4] == pytest.approx(2.0)
