"""Filled depth on planes: a floor behind a hole is told by all of its known pixels, and nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scene_depth_heal.fill import on_planes

from scene_depth.cameras import Cameras
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.seam import measure_seam

HEIGHT, WIDTH = 96, 128


def camera() -> Cameras:
    K = torch.tensor([[[110.0, 0, WIDTH / 2], [0, 110.0, HEIGHT / 2], [0, 0, 1]]], dtype=torch.float64)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K, WIDTH, HEIGHT)


def floor_and_wall() -> np.ndarray:
    """A floor 1.2 below the camera up to a wall at 6  # [H, W]"""
    down = (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / 110.0
    depth = np.where(down > 0, 1.2 / np.where(down > 0, down, 1), np.inf)
    return np.tile(np.minimum(depth, 6.0)[:, None], (1, WIDTH)).astype(np.float32)


def hole_in_the_floor() -> np.ndarray:
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[78:92, 45:80] = True
    return hole


def off_by(share: float, measured: np.ndarray) -> DepthPrediction:
    """The floor, in the hole off by a share of the depth, and put on planes."""
    hole = hole_in_the_floor()
    made = DepthPrediction(np.where(hole, floor_and_wall() * np.float32(1 + share), measured))
    return on_planes(made, ~hole, camera())


def test_a_floor_that_is_slightly_off_is_put_right_and_known_depth_stays() -> None:
    truth, hole = floor_and_wall(), hole_in_the_floor()
    rng = np.random.default_rng(0)
    measured = (truth * (1 + 0.003 * rng.standard_normal(truth.shape))).astype(np.float32)
    result = off_by(0.012, measured)
    assert np.array_equal(result.depth[~hole], measured[~hole])
    assert np.abs(result.depth / truth - 1)[hole].max() < 0.002
    (plane,) = result.details["planes"]
    assert plane["pixels"] == pytest.approx(hole.sum(), rel=0.1)
    assert plane["deviation"] < 0.003


def test_what_lies_on_no_known_plane_stays_as_it_was_made() -> None:
    """A thing that the inpainter puts into the hole, well before the floor."""
    truth, hole = floor_and_wall(), hole_in_the_floor()
    result = off_by(-0.3, truth)
    assert result.depth[hole] == pytest.approx(0.7 * truth[hole], rel=1e-5)
    assert result.details["planes"] == []


def test_rough_ground_is_left_alone() -> None:
    truth = floor_and_wall()
    rough = (truth * (1 + 0.06 * np.random.default_rng(0).standard_normal(truth.shape))).astype(np.float32)
    assert off_by(0.01, rough).details["planes"] == []


def test_normals_and_seam_are_those_of_the_new_depth() -> None:
    truth, hole = floor_and_wall(), hole_in_the_floor()
    result = off_by(0.012, truth)
    seam = measure_seam(result.depth, ~hole, camera())
    assert result.seam == seam
    assert seam is not None
    assert seam.depth_jump < 0.002
    assert result.normals is not None
    assert result.normals[hole] @ np.array([0, -1, 0]) == pytest.approx(np.ones(hole.sum()), abs=1e-3)
