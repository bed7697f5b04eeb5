"""Real scenes: poses, intrinsics, points, depth and masks belong together, shown by colours and by warping depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scene_depth.io.colmap import read_colmap, write_colmap
from scene_depth.io.scenes import read_scene
from scene_depth.scene import Scene, View

SCENES = {"fox": 43, "llff_fern": 17, "spinnerf_statue": 25, "mobilebrick": 5, "redwood_livingroom": 26, "hololens_office": 27}


@pytest.mark.parametrize(("name", "count"), SCENES.items())
def test_every_posed_scene_reads(name: str, count: int, shared) -> None:
    scene = read_scene(shared(f"data/{name}"))
    assert len(scene) == count
    for view in (scene.views[0], scene.views[-1]):
        assert view.image().shape == (view.camera.height, view.camera.width, 3)
        assert 0.02 < view.image().mean() < 0.98
        forward = view.camera.camera_to_world[0, :3, 2].numpy()
        others = np.stack([other.camera.camera_to_world[0, :3, 2].numpy() for other in scene.views])
        assert np.median(others @ forward) > -0.5  # cameras of a capture do not look away from each other


def pixels_in(view: View, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and depth of points, -1 where they are not in the picture."""
    pixels, depth = view.camera.project(torch.from_numpy(xyz))
    x, y, z = pixels[0, :, 0].numpy(), pixels[0, :, 1].numpy(), depth[0].numpy()
    inside = (x >= 0) & (x < view.camera.width) & (y >= 0) & (y < view.camera.height) & (z > 0)
    return np.where(inside, y, -1).astype(int), np.where(inside, x, -1).astype(int), z


def color_error(scene: Scene, flip: bool = False) -> float:
    """Mean difference between the colour of points and of the pixels where the views see them, 0 to 255."""
    errors = []
    for view in scene.views[::3]:
        seen = scene.points.observations[view.name]
        row, column, _ = pixels_in(view, scene.points.xyz[seen])
        assert (row >= 0).mean() > 0.999
        image = view.image()[::-1, ::-1] if flip else view.image()
        errors.append(np.abs(image[row, column] * 255 - scene.points.rgb[seen]).mean())
    return float(np.mean(errors))


@pytest.mark.parametrize(("name", "limit"), [("llff_fern", 30), ("spinnerf_statue", 14)])
def test_points_have_the_colour_of_the_pixels_that_see_them(name: str, limit: float, shared) -> None:
    scene = read_scene(shared(f"data/{name}"))
    assert color_error(scene) < limit
    assert color_error(scene, flip=True) > 1.8 * limit  # the test would notice


@pytest.mark.parametrize(("name", "median"), [("redwood_livingroom", 0.0015), ("hololens_office", 0.005)])
def test_depth_of_one_view_is_that_of_the_next(name: str, median: float, shared) -> None:
    scene = read_scene(shared(f"data/{name}"))
    errors = []
    for index in range(0, len(scene) - 1, 5):
        first, second = scene.views[index], scene.views[index + 1]
        depth = first.depth()
        points = first.camera.unproject(torch.from_numpy(depth)[None].double())[0].numpy()[depth > 0]
        row, column, z = pixels_in(second, points)
        measured = second.depth()[row, column]
        both = (row >= 0) & (measured > 0)
        assert both.sum() > 5000
        relative = np.abs(z[both] - measured[both]) / measured[both]
        errors.append(np.median(relative))
    assert np.median(errors) < median


def test_the_mask_covers_one_object(shared) -> None:
    scene = read_scene(shared("data/spinnerf_statue"))
    shares = [view.mask().mean() for view in scene.views[::6]]
    assert all(0.02 < share < 0.3 for share in shares)


def test_a_real_scene_through_colmap_files(shared, tmp_path) -> None:
    scene = read_scene(shared("data/spinnerf_statue")).select(range(3))
    write_colmap(tmp_path / "out", scene)
    back = read_colmap(tmp_path / "out")
    assert color_error(back) == pytest.approx(color_error(scene), abs=1e-6)
    name = scene.views[1].name
    np.testing.assert_array_equal(back.points.observations[name], scene.points.observations[name])
    np.testing.assert_array_equal(back.views[1].mask(), scene.views[1].mask())
    assert (tmp_path / "out" / "images" / name).read_bytes() == scene.views[1].image_path.read_bytes()
