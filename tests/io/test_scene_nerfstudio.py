"""transforms.json with nerfstudio's own data parser as the other side."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio_parser import Parsed, parse_with_nerfstudio
from scene_samples import sample_scene

from scene_depth.errors import InputError
from scene_depth.io.posed_views import OPENGL_AXES
from scene_depth.io.transforms_json import read_transforms
from scene_depth.io.transforms_json_output import write_transforms
from scene_depth.scene import Scene

pytestmark = pytest.mark.slow


@pytest.fixture
def parse(tmp_path: Path) -> Callable[..., Parsed]:
    """Their parser with every change of frame switched off, all views in one split."""
    return partial(parse_with_nerfstudio, output=tmp_path / "parsed", eval_mode="all")


def assert_read_alike(outputs: Parsed, scene: Scene, intrinsics: bool = True) -> None:
    """Their cameras, files and frame are those of our scene (their numbers are float32)."""
    views = {view.image_path.resolve(): view for view in scene.views}
    assert len(outputs.image_filenames) == len(scene)
    assert outputs.camera_to_worlds.shape == (len(scene), 3, 4)
    for index, path in enumerate(outputs.image_filenames):
        camera = views[path.resolve()].camera
        ours = camera.camera_to_world[0].numpy() @ OPENGL_AXES
        np.testing.assert_allclose(outputs.camera_to_worlds[index], ours[:3], rtol=1e-6, atol=1e-6)
        if intrinsics:
            np.testing.assert_allclose(outputs.intrinsics[index], camera.K[0].numpy(), rtol=1e-6)
        assert outputs.sizes[index].tolist() == [camera.width, camera.height]
    np.testing.assert_array_equal(outputs.transform, np.eye(4)[:3])


@pytest.mark.parametrize("different", [False, True])
def test_they_read_what_we_write(different: bool, parse: Callable[..., Parsed], tmp_path: Path) -> None:
    scene = sample_scene(tmp_path, views=4)
    if different:  # intrinsics that differ from view to view
        resized = [replace(view, camera=_shifted(view.camera, index)) for index, view in enumerate(scene.views)]
        scene = replace(scene, views=tuple(resized))
    write_transforms(tmp_path / "out", scene)
    outputs = parse(tmp_path / "out")
    written = read_transforms(tmp_path / "out")
    assert_read_alike(outputs, written)
    names = [path.relative_to(tmp_path / "out" / "images").as_posix() for path in outputs.image_filenames]
    original = {view.name: view for view in scene.views}
    for index, name in enumerate(names):
        np.testing.assert_array_equal(outputs.masks[index], ~original[name].mask())  # theirs are True where pixels count
        np.testing.assert_allclose(outputs.depths[index], original[name].depth(), rtol=1e-6)
        np.testing.assert_allclose(outputs.intrinsics[index], original[name].camera.K[0], rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(outputs.xyz, scene.points.xyz, atol=1e-6)
    assert np.abs(outputs.rgb.astype(int) - scene.points.rgb).max() <= 1  # they truncate


def _shifted(camera, index: int):
    shift = torch.tensor([[0.0, 0.0, index], [0.0, 0.5 * index, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    return replace(camera, K=camera.K + shift)


@pytest.mark.parametrize("name", ["fox", "llff_fern", "spinnerf_statue", "redwood_livingroom", "hololens_office"])
def test_they_read_the_same_as_we_do(name: str, parse: Callable[..., Parsed], shared) -> None:
    folder = shared(f"data/{name}")
    outputs, scene = parse(folder, images=1), read_transforms(folder)
    assert_read_alike(outputs, scene)
    if scene.views[0].load_depth is not None:
        view = next(view for view in scene.views if view.image_path == outputs.image_filenames[0])
        np.testing.assert_allclose(outputs.depths[0], view.depth(), rtol=1e-6)
    if scene.views[0].load_mask is not None:
        assert [path.name for path in outputs.mask_filenames] == [view.load_mask.path.name for view in scene.views]


def test_intrinsics_of_frames_win_over_those_of_the_file(parse: Callable[..., Parsed], shared) -> None:
    """The one known difference: their parser takes the file's intrinsics where both are given."""
    folder = shared("data/mobilebrick")
    outputs, scene = parse(folder, images=1), read_transforms(folder)
    assert_read_alike(outputs, scene, intrinsics=False)
    meta = json.loads((folder / "transforms.json").read_text())
    assert [float(view.camera.K[0, 0, 0]) for view in scene.views] == [frame["fl_x"] for frame in meta["frames"]]


def test_applied_scale_and_points(parse: Callable[..., Parsed], tmp_path: Path) -> None:
    """Their parser scales points and depths, but not poses, by applied_scale."""
    scene = sample_scene(tmp_path, masks=False)
    write_transforms(tmp_path / "out", scene)
    file = tmp_path / "out" / "transforms.json"
    meta = {**json.loads(file.read_text()), "applied_scale": 0.25, "applied_transform": np.eye(4)[[0, 2, 1]].tolist()}
    file.write_text(json.dumps(meta))
    outputs, back = parse(tmp_path / "out"), read_transforms(tmp_path / "out")
    np.testing.assert_allclose(outputs.xyz, back.points.xyz, atol=1e-6)
    np.testing.assert_allclose(back.points.xyz, scene.points.xyz * 0.25, atol=1e-6)
    for index, path in enumerate(outputs.image_filenames):
        view = next(view for view in back.views if view.image_path == path)
        np.testing.assert_allclose(outputs.depths[index], view.depth(), rtol=1e-6)
        ours = (view.camera.camera_to_world[0].numpy() @ OPENGL_AXES)[:3]
        np.testing.assert_allclose(outputs.camera_to_worlds[index], ours, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("file_path", r"\{{300}: path: No such file or directory"),
        ("depth_file_path", "depth_file_path .* a name of 300 bytes; expected at most 255"),
        ("mask_path", "mask_path .* a name of 300 bytes; expected at most 255"),
    ],
)
def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path, field: str, said: str) -> None:
    write_transforms(tmp_path / "scene", sample_scene(tmp_path))
    file = tmp_path / "scene" / "transforms.json"
    content = json.loads(file.read_text())
    content["frames"][0][field] = "images/" + "{" * 300
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        read_transforms(file)
