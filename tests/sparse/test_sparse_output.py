"""What a refined pointmap result is written as: points, COLMAP, transforms.json, splats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio_parser import parse_with_nerfstudio
from numpy.typing import NDArray
from PIL import Image
from scene_depth_sparse.flags import CONTRADICTED, EDGE, MATCHED, SHELL, SINGLE_VIEW
from scene_depth_sparse.output import (
    OUTPUTS,
    HandOver,
    camera_refinement,
    fit_splats,
    hand_over,
    refined_points,
    refined_scene,
    write_outputs,
)
from scene_depth_sparse.result import RefinedPointmaps, RefinedView, SparseReport

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.fitting.config import CameraRefinement, FitConfig
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats
from scene_depth.pointmaps import PointmapRun, PointmapView
from scene_depth.scene import View

NAMES = ("DSC_0001.JPG", "b/0002.png", "turned.jpg")
SIZE, PHOTO = (32, 24), (84, 62)  # a resize by 2.5 and 2.4 whose borders are cropped
SCALE, OFFSET = (2.5, 2.4), (2.0, 2.2)
NORMAL, DISTANCE = np.array([0.2, -0.1, 1.0]), 3.0  # the plane that all views see


def plane_depth(camera: Cameras) -> NDArray[np.float32]:
    rays, center = camera.ray_directions()[0].numpy(), camera.centers[0].numpy()
    depth: NDArray[np.float32] = ((DISTANCE - NORMAL @ center) / (rays @ NORMAL)).astype(np.float32)
    return depth


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RefinedPointmaps:
    """Three views of a plane, half as large again in the run as in metres, with flags of all kinds in the first."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "b").mkdir()
    columns, rows = np.meshgrid(np.arange(PHOTO[0]), np.arange(PHOTO[1]))
    views = []
    for index, name in enumerate(NAMES):
        pixels = np.stack([3 * columns, 4 * rows, np.full_like(rows, 80 * index)], axis=-1).astype(np.uint8)
        picture, exif = Image.fromarray(pixels), Image.Exif()
        if name == "turned.jpg":
            picture, exif[0x0112] = picture.transpose(Image.Transpose.ROTATE_90), 6
        picture.save(folder / name, exif=exif, quality=95)
        pose = torch.eye(4, dtype=torch.float64)[None]
        pose[0, 0, 3] = 0.3 * index
        K = torch.tensor([[[40.0, 0, 15], [0, 41 + index, 12], [0, 0, 1]]], dtype=torch.float64)
        camera = Cameras(pose, K, *SIZE)
        depth = plane_depth(camera)
        source = PointmapView(
            name, camera, depth, np.ones_like(depth), np.full((*depth.shape, 3), np.float32(index / 2)), None,
            SCALE, OFFSET, PHOTO, folder / name,
        )  # fmt: skip
        flags = np.full(depth.shape, MATCHED, np.uint8)
        sigma = np.full(depth.shape, np.float32(0.02 + 0.01 * index))
        if index == 0:
            flags[:, :4], flags[:, 4:8], flags[:, 8:12], flags[:4] = SHELL, CONTRADICTED, SINGLE_VIEW, EDGE
            sigma[:2] = 0.5
        views.append(RefinedView(source, camera, depth, sigma, flags))
    run = PointmapRun(tuple(view.source for view in views), "dust3r", folder, notes=("a note",))
    return RefinedPointmaps(tuple(views), run, 2 / 3, True, SparseReport("dust3r"))


def test_points_are_the_surest_of_each_voxel(result: RefinedPointmaps) -> None:
    everything = refined_points(result)
    pixels = SIZE[0] * SIZE[1]
    assert pixels < len(everything) < 2 * pixels  # of three views of the same plane
    np.testing.assert_allclose(everything.xyz @ NORMAL, 2 / 3 * DISTANCE, atol=1e-5)  # in metres
    few = refined_points(result, budget=200)
    assert 100 < len(few) <= 200
    blue = np.bincount(few.rgb[:, 2], minlength=256)  # by view
    assert blue[0] > blue[255] > 0  # the first view is the surest, the last one stands where the others do not see
    alone = replace(result, views=result.views[:1])
    assert len(refined_points(alone)) <= pixels - 8 * (SIZE[1] - 4) - 2 * SIZE[0]
    matched = SIZE[0] - 12, SIZE[1] - 4
    strict = refined_points(alone, largest_sigma=0.03)
    assert len(strict) < len(refined_points(alone, largest_sigma=0.6))
    assert len(strict) >= 0.9 * matched[0] * matched[1]
    with pytest.raises(InputError, match="relative sigma of at most"):
        refined_points(result, largest_sigma=0.001)
    with pytest.raises(InputError, match="budget"):
        refined_points(result, budget=0)


@pytest.fixture(scope="module")
def written(result: RefinedPointmaps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_outputs(folder, result, budget=500, sky_masks=True)
    return folder


@pytest.mark.parametrize("kind", ["colmap", "nerfstudio"])
def test_cameras_are_those_of_the_original_photos(result: RefinedPointmaps, written: Path, kind: str) -> None:
    scene = read_scene(written / kind)
    for view, found in zip(result.views, scene.views, strict=True):
        assert found.name == view.name.replace("turned.jpg", "turned.png")  # upright pixels: a file of their own
        assert (found.camera.width, found.camera.height) == PHOTO
        fx, cy = float(view.camera.K[0, 0, 0]), float(view.camera.K[0, 1, 2])
        assert float(found.camera.K[0, 0, 0]) == pytest.approx(SCALE[0] * fx)
        assert float(found.camera.K[0, 1, 2]) == pytest.approx(SCALE[1] * cy + OFFSET[1])
        np.testing.assert_allclose(found.camera.centers[0], view.camera.centers[0] * 2 / 3, atol=1e-12)
        pixels = np.rint(255 * found.image())
        assert abs(pixels[30, 40] - [120, 120, 80 * NAMES.index(view.name)]).max() < 6  # upright, as the model saw it
    assert scene.points is not None
    assert len(scene.points) <= 500


def test_depth_lies_where_the_photo_shows_it(result: RefinedPointmaps, written: Path) -> None:
    for view in read_scene(written / "nerfstudio").views:
        depth, metres = view.depth(), scaled(view)
        known = depth > 0
        assert np.abs(depth / metres - 1)[known].max() < 0.01  # the nearest processed pixel's
        assert not known[:, :2].any()  # cropped away by the model's loader
        assert not known[:2].any()
        assert known[32:59, 40:80].all()
    first = read_scene(written / "nerfstudio").views[0]
    assert not (first.depth()[12:, 2:22] > 0).any()  # shells and contradicted pixels
    assert first.mask()[20:50, 2:12].all()
    assert not first.mask()[20:50, 12:].any()


def scaled(view: View) -> NDArray[np.float32]:
    """Depth of the plane in metres as the camera of a written view sees it."""
    pose = view.camera.camera_to_world.clone()
    pose[:, :3, 3] *= 1.5
    metres: NDArray[np.float32] = plane_depth(replace(view.camera, camera_to_world=pose)) * np.float32(2 / 3)
    return metres


def test_colmap_reads_it(written: Path, result: RefinedPointmaps, tmp_path: Path) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    write_outputs(tmp_path, result, budget=500, text=True)
    lines = (tmp_path / "colmap/sparse/0/images.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")][1::2] == ["", "", ""]
    for folder in (written, tmp_path):
        model = pycolmap.Reconstruction(folder / "colmap" / "sparse" / "0")
        assert len(model.cameras) == len(model.images) == 3
        assert {camera.model.name for camera in model.cameras.values()} == {"PINHOLE"}
        assert {(camera.width, camera.height) for camera in model.cameras.values()} == {PHOTO}
        assert sorted(image.name for image in model.images.values()) == ["DSC_0001.JPG", "b/0002.png", "turned.png"]
        assert 0 < len(model.points3D) <= 500
    with Image.open(tmp_path / "colmap" / "images" / "turned.png") as image:
        assert image.size == PHOTO


def test_nerfstudio_reads_it(written: Path, tmp_path: Path) -> None:
    parsed = parse_with_nerfstudio(written / "nerfstudio", tmp_path, train_split_fraction=1.0)
    scene = read_scene(written / "nerfstudio")
    assert sorted(path.name for path in parsed.image_filenames) == ["0002.png", "DSC_0001.JPG", "turned.png"]
    assert [tuple(size) for size in parsed.sizes] == [PHOTO] * 3
    depths = {path.stem: depth for path, depth in zip(parsed.image_filenames, parsed.depths, strict=True)}
    for view in scene.views:
        np.testing.assert_allclose(depths[Path(view.name).stem].squeeze(), view.depth(), rtol=1e-5)
    assert len(parsed.masks) == 3
    assert scene.points is not None
    assert len(parsed.xyz) == len(scene.points)


def test_splats_are_fitted_from_it(result: RefinedPointmaps) -> None:
    scene = refined_scene(result, budget=300)
    fitted = fit_splats(scene, config=FitConfig(steps=4, max_size=48, sh_degree=0))
    assert set(fitted.cameras) == set(NAMES)
    assert fitted.report.config["start"] == "points"
    assert fitted.report.unit == "metre"
    assert fitted.report.cameras is not None
    assert len(fitted.report.cameras["focal_factors"]) == 3
    assert fit_splats(scene, config=FitConfig(steps=1, max_size=48), refine_cameras=False).cameras == {}


@pytest.mark.parametrize(("spread", "share"), [(0.0, 1.0), (0.05, 1.0), (0.03, 1.0), (0.015, 0.125), (0.004, 0.1)])
def test_cameras_may_move_as_far_as_views_disagree(result: RefinedPointmaps, spread: float, share: float) -> None:
    known = replace(result, report=replace(result.report, alignment={"spread_after": spread}))
    usual, found = CameraRefinement(focal="each"), camera_refinement(known)
    assert (found.camera_lr, found.focal_lr) == pytest.approx((share * usual.camera_lr, share * usual.focal_lr))
    assert replace(found, camera_lr=usual.camera_lr, focal_lr=usual.focal_lr) == usual


def test_all_is_handed_over_at_once(result: RefinedPointmaps, tmp_path: Path) -> None:
    report = hand_over(result, tmp_path / "all", HandOver(budget=300, fit=True, fit_steps=2, fit_size=48))
    assert report is not None
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == sorted(OUTPUTS)
    assert len(read_splats(tmp_path / "all" / "splats.ply")) == report.splats
    refined = read_scene(tmp_path / "all" / "refined_scene")
    pairs = zip(refined.views, read_scene(tmp_path / "all" / "colmap").views, strict=True)
    assert any(not torch.equal(after.camera.K, before.camera.K) for after, before in pairs)
    assert hand_over(result, tmp_path / "few", HandOver(colmap_text=True)) is None
    assert sorted(path.name for path in (tmp_path / "few").iterdir()) == ["colmap", "nerfstudio", "points.ply"]
    bare = tuple(replace(view, source=replace(view.source, image=None, photo_path=None)) for view in result.views)
    without = replace(result, views=bare, report=SparseReport("dust3r"))
    assert hand_over(without, tmp_path / "none", HandOver()) is None
    assert "--photos DIR" in without.report.notes[0]
    assert not (tmp_path / "none").exists()


def test_without_photos_the_pictures_of_the_model_stand_in(result: RefinedPointmaps, tmp_path: Path) -> None:
    without = tuple(replace(view, source=replace(view.source, photo_path=None)) for view in result.views)
    scene = write_outputs(tmp_path / "out", replace(result, views=without))
    for view, given in zip(scene.views, result.views, strict=True):
        assert (view.camera.width, view.camera.height) == SIZE
        assert torch.equal(view.camera.K, given.camera.K)
        np.testing.assert_array_equal(view.image(), given.source.image)
    bare = tuple(replace(view, source=replace(view.source, image=None)) for view in without)
    with pytest.raises(InputError, match=r"'DSC_0001\.JPG': photo.*--photos"):
        write_outputs(tmp_path / "bare", replace(result, views=bare))
    assert not (tmp_path / "bare").exists()
