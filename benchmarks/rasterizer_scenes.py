"""Splats and cameras that the rasteriser is measured on.

The grid's cloud is that of gsplat's test scene, read from ``gsplat_test_garden.npz``. Where that file is absent, a made-up
garden stands in for it: ground, a round table, a pot and a hedge, seen from the same place, with about as many points in
view, as near together, at the same depths.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from scene_depth.cameras import Cameras, look_at
from scene_depth.io.ply import read_ply
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats

GARDEN = "data/splats/gsplat_test_garden.npz"
TRAINED = "data/splats/trained_9k.ply"
_POINTS, _CLUMP = 138_766, 12


@dataclass(frozen=True)
class Cloud:
    """Coloured points and a camera that looks at them.

    Attributes:
        points: In scene units  # [M, 3]
        colors: sRGB in [0, 1]  # [M, 3]
        cameras: One camera.
    """

    points: NDArray[np.float64]
    colors: NDArray[np.float64]
    cameras: Cameras


def garden_cloud(path: Path | None) -> Cloud:
    """gsplat's test scene with its first camera, or the made-up garden if there is no path."""
    if path is None:
        return _made_up_garden()
    data = np.load(path)
    K = torch.from_numpy(data["Ks"][:1].astype(np.float64))
    poses = torch.linalg.inv(torch.from_numpy(data["viewmats"][:1].astype(np.float64)))
    poses[:, 3] = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    cameras = Cameras(poses, K, int(data["width"]), int(data["height"]))
    return Cloud(data["means3d"].astype(np.float64), data["colors"] / 255.0, cameras)


def _made_up_garden() -> Cloud:
    generator = np.random.default_rng(0)
    shares = {"ground": 0.45, "table": 0.17, "pot": 0.08, "hedge": 0.30}
    amounts = {name: int(share * _POINTS / _CLUMP) for name, share in shares.items()}

    def around(radius: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
        angle = generator.uniform(0, 2 * np.pi, len(radius))
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)

    n = amounts["ground"]
    ground = around(np.exp(generator.normal(-0.1, 0.75, n)), generator.normal(-0.06, 0.02, n))
    n = amounts["table"]
    table = around(0.5 * np.sqrt(generator.uniform(0, 1, n)), generator.normal(0.28, 0.005, n))
    n = amounts["pot"]
    sphere = generator.normal(size=(n, 3))
    pot = [0.0, 0.0, 0.42] + 0.13 * sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    n = amounts["hedge"]
    hedge = around(1.9 + generator.gamma(2.0, 0.3, n), generator.gamma(2.0, 0.2, n))
    middles = np.concatenate([ground, table, pot, hedge])
    clumps = generator.normal(0, 0.12, (_CLUMP, len(middles), 3)) * _spacing(middles)  # corners lie where there is texture
    points = (middles + clumps).reshape(-1, 3)
    position, target = np.array([-1.07, -0.33, 0.48]), np.array([0.0, -0.02, 0.23])
    pose = look_at(*(torch.from_numpy(values) for values in (position, target, np.array([0.0, 0.0, 1.0]))))
    K = torch.tensor([[480.6, 0, 324.2], [0, 481.5, 210.1], [0, 0, 1]], dtype=torch.float64)
    return Cloud(points, generator.uniform(0, 1, points.shape), Cameras(pose[None], K[None], 648, 420))


def splats_at_points(cloud: Cloud, count: int, width: int, height: int) -> tuple[GaussianSplats, Cameras]:
    """Splats of the sizes that training starts with, at ``count`` of the points, of random shapes and opacities.

    Scales are the mean distance to three neighbours times a log-normal number, opacities sigmoid(N(0, 2)). Where the cloud
    has too few points, some are taken twice, the second time displaced by about that distance.

    Returns:
        Splats of SH degree 3, and the cloud's camera at the image size wanted.
    """
    generator = np.random.default_rng(0)
    chosen = generator.permutation(len(cloud.points))[:count]
    means, colors = cloud.points[chosen], cloud.colors[chosen]
    if count > len(means):
        again = np.random.default_rng(1).permutation(len(means))[: count - len(means)]
        displaced = means[again] + np.random.default_rng(2).normal(size=(len(again), 3)) * _spacing(means)[again] / 2
        means, colors = np.concatenate([means, displaced]), np.concatenate([colors, colors[again]])
    scales = (_spacing(means) * np.exp(generator.normal(0, 0.5, (count, 3)))).clip(1e-4, 2)
    sh = generator.normal(0, 0.1, (count, 16, 3))
    sh[:, 0] = (colors - 0.5) / SH_C0
    quats, logits = generator.normal(size=(count, 4)), generator.normal(0, 2, count)

    def tensor(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    splats = GaussianSplats(tensor(means), tensor(quats), tensor(np.log(scales)), tensor(logits), tensor(sh))
    return splats, cloud.cameras.resized(width, height)


def _spacing(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean distance to the three nearest neighbours  # [M, 1]."""
    distances: NDArray[np.float64] = cKDTree(points).query(points, k=4)[0]
    mean: NDArray[np.float64] = distances[:, 1:].mean(axis=1, keepdims=True)
    return mean


def random_splats(count: int, seed: int = 0, degree: int = 3, depth: tuple[float, float] = (2.0, 6.0)) -> GaussianSplats:
    """Random splats in front of a camera at the origin, some beside the image, of every opacity and shape."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    z = torch.rand(count, generator=generator) * (depth[1] - depth[0]) + depth[0]
    means = torch.stack([normal(count) * 0.4 * z, normal(count) * 0.4 * z, z], dim=1)
    sh = normal(count, (degree + 1) ** 2, 3) * 0.15
    sh[:, 0] = normal(count, 3)
    return GaussianSplats(means, normal(count, 4), normal(count, 3) * 0.7 - 3, normal(count) * 2, sh)


def pinhole(width: int, height: int, *, fx: float, fy: float, cx: float | None = None, cy: float | None = None) -> Cameras:
    """One camera at the origin that looks along z; the principal point is the image's centre unless it is given."""
    K = torch.eye(3, dtype=torch.float64)
    K[0, 0], K[1, 1] = fx, fy
    K[0, 2], K[1, 2] = width / 2 if cx is None else cx, height / 2 if cy is None else cy
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K[None], width, height)


def trained_scene(path: Path, width: int = 320, height: int = 240) -> tuple[GaussianSplats, Cameras]:
    """A trained scene, and a camera that has most of it in view, with fx != fy and the principal point off the centre."""
    splats = read_ply(path)
    center = splats.means.median(dim=0).values.double()
    size = (splats.means - center).norm(dim=1).median().double()
    position = center + size * torch.tensor([0.4, -0.3, -1.2], dtype=torch.float64)
    pose = look_at(position, center, torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64))
    one = pinhole(320, 240, fx=260, fy=250, cx=150, cy=125)
    return splats, Cameras(pose[None], one.K, 320, 240).resized(width, height)
