"""Visibility against a scene whose answer is known: a wall, and a card that stands before a part of it."""

from __future__ import annotations

import pytest
import torch

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import count_sightings, sight

WIDTH, HEIGHT = 40, 30


def camera_at(x: float) -> Cameras:
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = x
    return camera_from_fov(pose, 0.9, WIDTH, HEIGHT)


def wall_with_card() -> torch.Tensor:
    """Wall at 4, card at 2 over the left half."""
    depth = torch.full((HEIGHT, WIDTH), 4.0, dtype=torch.float64)
    depth[:, : WIDTH // 2] = 2.0
    return depth


def test_points_on_before_and_behind_the_surface() -> None:
    camera = camera_at(0.0)
    points = torch.tensor([[0.5, 0, 4], [-0.5, 0, 4], [-0.5, 0, 2], [0.5, 0, 2], [0, 0, -1], [50, 0, 4]], dtype=torch.float64)
    result = sight(points, camera, wall_with_card())
    assert result.seen.tolist() == [True, False, True, False, False, False]
    assert result.occluded.tolist() == [False, True, False, False, False, False]
    assert result.floating.tolist() == [False, False, False, True, False, False]


def test_every_point_of_a_depth_map_is_seen_by_its_own_view() -> None:
    camera, depth = camera_at(0.3), wall_with_card()
    points = camera.unproject(depth[None]).reshape(-1, 3)
    assert sight(points, camera, depth, tolerance=1e-6).seen.all()


def test_blocked_pixels_have_seen_nothing_and_unknown_depth_says_nothing() -> None:
    camera, depth = camera_at(0.0), wall_with_card()
    points = camera.unproject(depth[None]).reshape(-1, 3)
    blocked = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    blocked[:, :10] = True
    result = sight(points, camera, depth, blocked)
    assert torch.equal(result.seen.reshape(HEIGHT, WIDTH), ~blocked)
    assert torch.equal(result.occluded.reshape(HEIGHT, WIDTH), blocked)
    nothing = sight(points, camera, torch.zeros_like(depth))
    assert not (nothing.seen | nothing.occluded | nothing.floating).any()


def test_a_point_hidden_from_one_view_is_seen_by_another() -> None:
    cameras = [camera_at(0.0), camera_at(1.5)]
    flat = torch.full((HEIGHT, WIDTH), 4.0, dtype=torch.float64)
    points = torch.tensor([[-0.1, 0.0, 4.0]], dtype=torch.float64)
    free = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    assert count_sightings(points, cameras, [wall_with_card(), flat], [free, free]).tolist() == [1]


def test_a_depth_map_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"depth: shape \(3, 3\); expected \(30, 40\)"):
        sight(torch.zeros(1, 3), camera_at(0.0), torch.ones(3, 3))
