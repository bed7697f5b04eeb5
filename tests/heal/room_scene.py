"""A tiny scene with known truth: a ball before a wall, as splats and as posed pictures, with and without the ball."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from scene_depth.cameras import Cameras, look_at
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats, concatenate_splats

WIDTH, HEIGHT = 96, 72


@dataclass(frozen=True)
class Room:
    """Splats of wall and ball, the cameras, and which splats are the ball."""

    splats: GaussianSplats
    ball: torch.Tensor
    cameras: list[Cameras]

    def picture(self, index: int) -> np.ndarray:
        return render(self.splats, self.cameras[index]).rgb[0].clamp(0, 1).numpy()

    def truth(self, index: int, whole_wall: GaussianSplats) -> np.ndarray:
        return render(whole_wall, self.cameras[index]).rgb[0].clamp(0, 1).numpy()


def wall_color(points: torch.Tensor) -> torch.Tensor:
    """Smooth colour that depends on the place on the wall only  # [N, 3]"""
    x, y = points[:, 0], points[:, 1]
    return torch.stack([0.5 + 0.1 * x, 0.5 - 0.1 * y, torch.full_like(x, 0.4)], dim=-1).clamp(0.05, 0.95)


def cameras_on_an_arc(count: int = 6) -> list[Cameras]:
    K = torch.tensor([[90.0, 0, 46.0], [0, 92.0, 38.0], [0, 0, 1]], dtype=torch.float64)
    found = []
    for x in np.linspace(-0.5, 0.5, count):
        position = torch.tensor([x, 0.1 * x, 0.0], dtype=torch.float64)
        pose = look_at(position, torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64), torch.tensor([0.0, -1.0, 0.0]))
        found.append(Cameras(pose[None], K[None], WIDTH, HEIGHT))
    return found


def wall(with_hole: bool, columns: int = 192) -> GaussianSplats:
    """The wall at depth 4, of so many splats in a row; with a hole where no camera sees past the ball."""
    pose, rows = torch.eye(4, dtype=torch.float64), columns * 3 // 4
    pose[2, 3] = -2.0
    K = torch.tensor([[0.625 * columns, 0, columns / 2], [0, 0.625 * columns, rows / 2], [0, 0, 1]], dtype=torch.float64)
    camera = Cameras(pose[None], K[None], columns, rows)
    depth = np.full((rows, columns), 6.0)
    points = camera.unproject(torch.from_numpy(depth)[None])[0].reshape(-1, 3)
    rgb = wall_color(points).reshape(rows, columns, 3).numpy()
    where = np.ones((rows, columns), dtype=bool)
    if with_hole:
        where = (points[:, :2].norm(dim=1) > 0.8).reshape(rows, columns).numpy()
    return splats_on_depth(rgb, depth, where, camera, opacity=0.99)


def ball(count: int = 3000) -> GaussianSplats:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = torch.from_numpy(directions * 0.45 + [0, 0, 2.5]).float()
    return GaussianSplats(
        means=points,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.full((count, 3), float(np.log(0.02 * (3000 / count) ** 0.5))),
        logit_opacities=torch.full((count,), 4.0),
        sh=torch.tensor([1.2, -1.4, -1.4]).repeat(count, 1, 1),
    )


def room(columns: int = 192, ball_splats: int = 3000) -> Room:
    background, object_ = wall(True, columns), ball(ball_splats)
    chosen = torch.arange(len(background) + len(object_)) >= len(background)
    return Room(concatenate_splats([background, object_]), chosen, cameras_on_an_arc())
