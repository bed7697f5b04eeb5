"""Small scenes for tests of fitting: views rendered from known splats."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras, camera_from_fov, look_at
from scene_depth.rendering import render
from scene_depth.scene import PointCloud, Scene, View
from scene_depth.splats import SH_C0, GaussianSplats

UP = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


def blobs(count: int = 60, seed: int = 0) -> GaussianSplats:
    """Coloured splats in the unit cube around the origin."""
    generator = torch.Generator().manual_seed(seed)
    return GaussianSplats(
        means=torch.rand(count, 3, generator=generator) - 0.5,
        quats=torch.randn(count, 4, generator=generator),
        log_scales=torch.log(0.05 + 0.1 * torch.rand(count, 3, generator=generator)),
        logit_opacities=torch.full((count,), 2.0),
        sh=(torch.rand(count, 1, 3, generator=generator) - 0.5) / SH_C0,
    )


def ring_cameras(count: int, width: int, height: int, distance: float = 2.2) -> list[Cameras]:
    """Cameras on a slightly wavy ring that look at the origin; the principal point is off the middle."""
    cameras = []
    for i in range(count):
        angle = 2 * np.pi * i / count
        position = torch.tensor(
            [distance * np.cos(angle), distance * np.sin(angle), 0.6 * np.sin(3 * angle)], dtype=torch.float64
        )
        camera = camera_from_fov(look_at(position, torch.zeros(3, dtype=torch.float64), UP), 0.7, width, height)
        K = camera.K.clone()
        K[:, 0, 2] += 1.5
        cameras.append(Cameras(camera.camera_to_world, K, width, height))
    return cameras


def rendered_scene(
    splats: GaussianSplats, *, views: int = 10, width: int = 48, height: int = 40, depth: bool = False, points: bool = True
) -> Scene:
    """Scene whose photos are renders of splats over black, in float32."""
    made = []
    for number, camera in enumerate(ring_cameras(views, width, height)):
        image = render(splats, camera)
        rgb = image.rgb[0].clamp(0, 1).numpy()
        z = torch.where(image.depth_valid, image.depth, torch.zeros_like(image.depth))[0].numpy()
        made.append(View(f"{number:03d}.png", camera, lambda rgb=rgb: rgb, load_depth=(lambda z=z: z) if depth else None))
    cloud = PointCloud(splats.means.double().numpy(), _bytes(splats.base_colors.numpy())) if points else None
    return Scene(tuple(made), points=cloud)


def _bytes(colors: NDArray) -> NDArray[np.uint8]:
    return np.rint(np.clip(colors, 0, 1) * 255).astype(np.uint8)
