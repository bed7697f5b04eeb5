"""A floor and things to put on it, with known truth: the floor is the plane y = 1, up is -y."""

from __future__ import annotations

import numpy as np
import torch

from scene_depth.cameras import Cameras, look_at
from scene_depth.splats import SH_C0, GaussianSplats

FLOOR_Y = 1.0
UP = np.array([0.0, -1.0, 0.0])
WIDTH, HEIGHT = 96, 72


def floor() -> GaussianSplats:
    """Flat grey splats, 3 cm apart, on 3 x 3 units of the plane."""
    x, z = torch.meshgrid(torch.linspace(-1.5, 1.5, 101), torch.linspace(1.5, 4.5, 101), indexing="ij")
    means = torch.stack([x.flatten(), torch.full((x.numel(),), FLOOR_Y), z.flatten()], dim=1)
    grey = 0.4 + 0.1 * torch.sin(4 * means[:, :1]) * torch.sin(4 * means[:, 2:])
    return GaussianSplats(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(len(means), 1),
        log_scales=torch.tensor([0.02, 0.002, 0.02]).log().repeat(len(means), 1),
        logit_opacities=torch.full((len(means),), 4.0),
        sh=((grey.expand(-1, 3) - 0.5) / SH_C0)[:, None],
    )


def cameras() -> list[Cameras]:
    """Five views that look down at the floor, a tenth of a unit apart."""
    K = torch.tensor([[90.0, 0, 46.0], [0, 92.0, 38.0], [0, 0, 1]], dtype=torch.float64)
    found = []
    for x in np.linspace(-0.2, 0.2, 5):
        position = torch.tensor([x, -0.2, 0.2], dtype=torch.float64)
        target = torch.tensor([0.0, 0.8, 3.0], dtype=torch.float64)
        found.append(Cameras(look_at(position, target, torch.from_numpy(UP))[None], K[None], WIDTH, HEIGHT))
    return found


def blob(degree: int = 1) -> GaussianSplats:
    """A long, lopsided thing, its colour dependent on the direction of view: 0.6 along x, 0.3 along y, 0.2 along z."""
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(600, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    means = torch.from_numpy(directions * [0.3, 0.15, 0.1] + [5.0, -2.0, 1.0]).float()
    return GaussianSplats(
        means=means,
        quats=torch.from_numpy(rng.normal(size=(600, 4))).float(),
        log_scales=torch.from_numpy(rng.uniform(-4.5, -3.5, size=(600, 3))).float(),
        logit_opacities=torch.full((600,), 3.0),
        sh=torch.from_numpy(rng.normal(scale=0.4, size=(600, (degree + 1) ** 2, 3))).float(),
    )
