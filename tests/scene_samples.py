"""Small scenes for tests of readers and writers: smooth random photos, exact depth, points with tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras, look_at
from scene_depth.io.images import ImageFile, write_image, write_mask
from scene_depth.scene import PointCloud, Scene, View

# Distortion coefficients of a strength that real lenses have, by COLMAP's model names.
LENSES = {
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": (-0.1,),
    "RADIAL": (-0.12, 0.03),
    "OPENCV": (-0.1, 0.02, 1e-3, -2e-3),
    "OPENCV_FISHEYE": (0.02, -0.01, 0.003, -0.001),
    "FULL_OPENCV": (-0.1, 0.02, 1e-3, -2e-3, 0.01, 0.02, -0.01, 0.002),
    "FOV": (0.9,),
    "SIMPLE_RADIAL_FISHEYE": (0.02,),
    "RADIAL_FISHEYE": (0.02, -0.01),
    "THIN_PRISM_FISHEYE": (0.02, -0.01, 1e-3, -1e-3, 0.002, 0.001, 1e-3, -2e-3),
    "RAD_TAN_THIN_PRISM_FISHEYE": (0.02, -0.01, 3e-3, -1e-3, 2e-4, 1e-4, 1e-3, -2e-3, 1e-3, -1e-3, 2e-3, 1e-4),
    "SIMPLE_DIVISION": (-0.1,),
    "DIVISION": (-0.1,),
    "SIMPLE_FISHEYE": (),
    "FISHEYE": (),
    "EUCM": (0.6, 1.1),
}
DISTORTING = [name for name in LENSES if not name.endswith("PINHOLE")]
ONE_FOCAL_LENGTH = {name for name in LENSES if name.startswith("SIMPLE") or name in ("RADIAL", "RADIAL_FISHEYE")}


def lens_parameters(name: str, focal: float = 500.0, center: tuple[float, float] = (322.0, 237.0)) -> list[float]:
    """Parameters in COLMAP's order, fx != fy where the model has both, principal point off the centre."""
    focals = [focal] if name in ONE_FOCAL_LENGTH else [focal, 1.02 * focal]
    return [*focals, *center, *LENSES[name]]


def smooth_image(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A photo-like picture without sharp edges, so that interpolation can be compared."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / random.uniform(8, 20) + random.uniform(0, 6)) * np.cos(y / random.uniform(8, 20)) for _ in range(3)]
    return np.rint((np.stack(waves, axis=-1) * 0.45 + 0.5) * 255).astype(np.uint8)


def random_pose(random: np.random.Generator) -> NDArray[np.float64]:
    """Pose of a camera about four units from the origin that looks near it  # [4, 4]"""
    position = torch.from_numpy(random.normal(size=3))
    position = position / position.norm() * random.uniform(3.5, 4.5)
    return look_at(position, torch.from_numpy(random.normal(size=3) * 0.2), torch.from_numpy(random.normal(size=3))).numpy()


def sample_scene(
    folder: Path, *, views: int = 3, size: tuple[int, int] = (24, 18), masks: bool = True, depth: bool = True, points: int = 40
) -> Scene:
    """A scene whose photos are PNG files below ``folder``; masks and depth come from memory."""
    random = np.random.default_rng(7)
    width, height = size
    K = torch.tensor([[20.0, 0.0, 11.3], [0.0, 21.5, 9.4], [0.0, 0.0, 1.0]], dtype=torch.float64)
    made = []
    for index in range(views):
        path = folder / f"photo {index} é.png"
        write_image(path, smooth_image(height, width, index) / 255)
        camera = Cameras(torch.from_numpy(random_pose(random))[None], K[None], width, height)
        mask = random.uniform(size=(height, width)) > 0.5
        z = random.uniform(1, 9, (height, width)).astype(np.float32)
        z[random.uniform(size=z.shape) < 0.3] = 0
        made.append(View(path.name, camera, ImageFile(path), _given(mask) if masks else None, _given(z) if depth else None, path))
    cloud = None
    if points:
        seen = {view.name: np.flatnonzero(random.uniform(size=points) < 0.6) for view in made}
        colors = random.integers(0, 256, (points, 3)).astype(np.uint8)
        cloud = PointCloud(random.normal(size=(points, 3)) * 0.5, colors, random.uniform(0, 2, points), seen)
    return Scene(tuple(made), cloud, metric=True)


def _given(values: NDArray):
    return lambda: values


def write_test_images(folder: Path, names: list[str], width: int, height: int) -> None:
    """One smooth photo for each name, in folders as the names say."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, smooth_image(height, width, seed) / 255)


def write_test_mask(path: Path, width: int, height: int) -> NDArray[np.bool_]:
    """A mask with a white rectangle; gives it back."""
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mask(path, mask)
    return mask


def assert_same_cameras(first: Scene, second: Scene, tolerance: float = 0.0) -> None:
    """Views of the same names have the same poses, intrinsics and sizes."""
    others = {view.name: view.camera for view in second.views}
    assert sorted(others) == sorted(view.name for view in first.views)
    for view in first.views:
        other = others[view.name]
        assert (view.camera.width, view.camera.height) == (other.width, other.height)
        torch.testing.assert_close(view.camera.camera_to_world, other.camera_to_world, rtol=0, atol=tolerance)
        torch.testing.assert_close(view.camera.K, other.K, rtol=0, atol=tolerance)
