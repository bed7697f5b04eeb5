"""Which views hold points, without drawing: never fewer than those that show them."""

from __future__ import annotations

import math

import torch

from scene_depth.cameras import Cameras, look_at
from scene_depth.geometry.view_graph import ViewGraph, spread_order


def cameras(count: int = 60, dtype: torch.dtype = torch.float64) -> list[Cameras]:
    """Random places and directions, two image sizes, off-centre principal points."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for index in range(count):
        position, target = torch.randn(2, 3, generator=generator, dtype=torch.float64) * 3
        width, height = (64, 48) if index % 2 else (40, 90)
        K = torch.tensor([[[50.0, 0, 20 + index % 7], [0, 45.0, 30], [0, 0, 1]]], dtype=torch.float64)
        pose = look_at(position, target, torch.tensor([0.0, -1.0, 0.1], dtype=torch.float64))
        found.append(Cameras(pose[None].to(dtype), K.to(dtype), width, height))
    return found


def shows(camera: Cameras, points: torch.Tensor) -> bool:
    pixels, z = camera.project(points)
    inside = (z[0] > 0) & (pixels[0] >= 0).all(1) & (pixels[0, :, 0] < camera.width) & (pixels[0, :, 1] < camera.height)
    return bool(inside.any())


def test_every_view_that_shows_a_point_holds_it_and_most_others_do_not() -> None:
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float64, torch.float32):
        views = cameras(dtype=dtype)
        graph, held, shown = ViewGraph(views), 0, 0
        for _ in range(40):
            points = torch.randn(1, 3, generator=generator) * 3 + 0.1 * torch.randn(20, 3, generator=generator)
            expected = {place for place, camera in enumerate(views) if shows(camera, points)}
            found = graph.views_holding(points)
            assert expected <= set(found)
            assert found == [place for place in spread_order(len(views)) if place in set(found)]
            held, shown = held + len(found), shown + len(expected)
        assert 0 < shown <= held < 2.5 * shown


def test_balls_reach_as_far_as_their_radius() -> None:
    camera = Cameras(torch.eye(4, dtype=torch.float64)[None], torch.tensor([[[50.0, 0, 32], [0, 50, 24], [0, 0, 1]]]), 64, 48)
    graph, point = ViewGraph([camera]), torch.tensor([[0.0, 0.0, -1.0]])
    assert graph.views_holding(point) == []
    assert graph.views_holding(point, torch.tensor([0.9])) == []
    assert graph.views_holding(point, torch.tensor([1.1])) == [0]
    assert graph.views_holding(torch.tensor([[math.nan, 0.0, 1.0]])) == []
    assert graph.views_holding(torch.zeros(0, 3)) == []
