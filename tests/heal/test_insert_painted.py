"""Objects painted into one view: where they end up in the world, what they leave alone, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from floor_scene import FLOOR_Y, UP, cameras, floor
from room_scene import cameras_on_an_arc, wall
from scene_depth_heal.edit import EditConfig, in_the_way
from scene_depth_heal.painted import DepthImage, PaintedView, Upright, derived_mask, in_front, insert_painted, strays

from scene_depth.cameras import Cameras
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.rendering import render
from scene_depth.scene import View
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress

RED = np.array([0.9, 0.1, 0.1], dtype=np.float32)
SHORT = EditConfig(steps=30)
REFERENCE, HELD_OUT = 2, 4


@pytest.fixture(scope="module")
def background() -> GaussianSplats:
    return wall(with_hole=False)


@pytest.fixture(scope="module")
def views() -> list[View]:
    arc = cameras_on_an_arc()
    return [View(f"{index}.png", arc[index]) for index in range(6) if index != HELD_OUT]


def rectangle(height: int = 72, width: int = 96) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[28:46, 38:60] = True
    return mask


def red_picture(scene: GaussianSplats, camera: Cameras, mask: np.ndarray, name: str = "2.png") -> PaintedView:
    picture = render(scene, camera).rgb[0].clamp(0, 1).numpy()
    picture[mask] = RED
    return PaintedView(name, camera, picture, mask)


def depth_of_plane(camera: Cameras, z: float) -> np.ndarray:
    """Analytic z-depth of the world plane of that z  # [H, W]"""
    rays = camera.ray_directions()[0].numpy()
    return (z - float(camera.centers[0, 2])) / rays[..., 2]


def seen_from(camera: Cameras, reference: Cameras, mask: np.ndarray, z: float) -> np.ndarray:
    """Pixels of a camera whose point on the plane of that z lies under the reference's mask  # [H, W] bool"""
    points = camera.unproject(torch.from_numpy(depth_of_plane(camera, z))[None])[0].reshape(-1, 3)
    pixels = reference.project(points)[0][0].floor().long().numpy()
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < mask.shape[1]) & (pixels[:, 1] < mask.shape[0])
    found = np.zeros(len(points), dtype=bool)
    found[inside] = mask[pixels[inside, 1], pixels[inside, 0]]
    return found.reshape(mask.shape)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def is_red(scene: GaussianSplats, camera: Cameras) -> np.ndarray:
    rgb = render(scene, camera).rgb[0].numpy()
    return (rgb[..., 0] > 0.7) & (rgb[..., 1] < 0.3)


def test_a_patch_on_a_plane_gets_the_planes_depth_and_shows_in_a_held_out_view(
    background: GaussianSplats, views: list[View]
) -> None:
    reference, held_out = cameras_on_an_arc()[REFERENCE], cameras_on_an_arc()[HELD_OUT]
    mask = rectangle()
    painted = red_picture(background, reference, mask)
    result = insert_painted(background, views, painted, load_depth_inpainter("solver"), SHORT)
    report, count = result.report, len(background)
    assert report.finished
    assert report.frozen_sha256_before == report.frozen_sha256_after == background.sha256()
    assert torch.equal(result.splats.log_scales[:count], background.log_scales)
    new = result.splats.select(slice(count, None))
    assert len(new) == result.new > 0.9 * mask.sum()
    assert float((new.means[:, 2] - 4.0).abs().mean()) < 0.01 * 4.0
    depth = render(result.splats, reference).depth[0].numpy()
    assert np.abs(depth / depth_of_plane(reference, 4.0) - 1)[mask].mean() < 0.01
    assert overlap(is_red(result.splats, held_out), seen_from(held_out, reference, mask, 4.0)) > 0.8
    assert report.checks.psnr_in_mask > 25
    assert report.checks.changed_beside_it < 0.01


def test_a_depth_image_of_any_scale_and_shift_puts_the_object_in_front(background: GaussianSplats, views: list[View]) -> None:
    reference, held_out = cameras_on_an_arc()[REFERENCE], cameras_on_an_arc()[HELD_OUT]
    mask = rectangle()
    truth = np.where(mask, depth_of_plane(reference, 3.0), depth_of_plane(reference, 4.0))
    image = DepthImage(0.3 + 5.0 / truth)
    result = insert_painted(background, views, red_picture(background, reference, mask), image, SHORT)
    new = result.splats.select(slice(len(background), None))
    assert float((new.means[:, 2] - 3.0).abs().mean()) < 0.01 * 3.0
    at_its_place = seen_from(held_out, reference, mask, 3.0)
    assert overlap(is_red(result.splats, held_out), at_its_place) > 0.8
    assert overlap(at_its_place, seen_from(held_out, reference, mask, 4.0)) < 0.8  # or the test could not tell


def test_an_upright_object_stands_where_it_touches_the_floor() -> None:
    scene, posed = floor(), [View(str(i), camera) for i, camera in enumerate(cameras())]
    camera = posed[2].camera
    foot = torch.tensor([[0.0, FLOOR_Y, 3.0]], dtype=torch.float64)
    column, row = camera.project(foot)[0][0, 0].numpy()
    mask = np.zeros((72, 96), dtype=bool)
    mask[int(row) - 20 : int(row) + 1, int(column) - 6 : int(column) + 7] = True
    result = insert_painted(scene, posed, red_picture(scene, camera, mask, "2"), Upright(tuple(UP)), SHORT)
    new = result.splats.select(slice(len(scene), None))
    assert (new.means[:, 2] - 3.0).abs().max() < 0.06
    assert float(new.means[:, 1].max()) == pytest.approx(FLOOR_Y, abs=0.05)
    focal, distance = 92.0, float(camera.project(foot)[1][0, 0])
    assert float(new.means[:, 1].min()) == pytest.approx(FLOOR_Y - 20 * distance / focal, abs=0.12)


def test_an_object_is_never_put_behind_the_surface(background: GaussianSplats, views: list[View]) -> None:
    reference, mask = cameras_on_an_arc()[REFERENCE], rectangle()

    def too_far(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
        return np.where(known, depth, 9.0)

    result = insert_painted(background, views, red_picture(background, reference, mask), too_far, SHORT)
    assert float(result.splats.means[len(background) :, 2].max()) < 4.05
    assert overlap(is_red(result.splats, reference), mask) > 0.8


def test_only_the_mask_is_bounded_by_the_scene() -> None:
    mask = torch.tensor([[True, True, False]])
    bounded = in_front(torch.tensor([[5.0, 2.0, 5.0]]), torch.tensor([[4.0, 4.0, 4.0]]), mask, 0.01)
    assert bounded[0].tolist() == pytest.approx([3.96, 2.0, 5.0])
    assert in_front(torch.tensor([[5.0]]), torch.tensor([[0.0]]), torch.tensor([[True]])).tolist() == [[5.0]]


def test_the_same_seed_gives_the_same_bits(background: GaussianSplats, views: list[View]) -> None:
    painted = red_picture(background, cameras_on_an_arc()[REFERENCE], rectangle())
    first, second = (
        insert_painted(background, views, painted, load_depth_inpainter("nearest"), EditConfig(steps=5, seed=4)) for _ in range(2)
    )
    assert first.splats.sha256() == second.splats.sha256()


@pytest.mark.parametrize(("stage", "some"), [("shape", False), ("raise", True), ("fit", True)])
def test_a_stopped_insertion_keeps_what_was_done(background: GaussianSplats, views: list[View], stage: str, some: bool) -> None:
    def stop(now: Progress) -> bool:
        return now.stage != stage

    painted = red_picture(background, cameras_on_an_arc()[REFERENCE], rectangle())
    result = insert_painted(background, views, painted, load_depth_inpainter("nearest"), SHORT, on_progress=stop)
    assert not result.report.finished
    assert (result.new > 0) == some
    assert result.report.frozen_sha256_before == result.report.frozen_sha256_after


def test_the_mask_is_derived_from_what_was_painted(background: GaussianSplats) -> None:
    camera, mask = cameras_on_an_arc()[REFERENCE], rectangle()
    rng = np.random.default_rng(0)
    render_ = render(background, camera).rgb[0].clamp(0, 1).numpy()
    photo = np.clip(render_ + 0.05, 0, 1)
    noisy = np.clip(np.where(mask[..., None], RED, photo) + rng.normal(scale=0.01, size=photo.shape), 0, 1)
    found, original, _ = derived_mask(noisy, {"render": render_, "photo": photo})
    assert original == "photo"
    assert overlap(found, mask) > 0.8
    assert found[mask].mean() > 0.98
    with pytest.raises(InputError, match="nothing differs from the photo"):
        derived_mask(photo, {"render": render_, "photo": photo})
    with pytest.raises(InputError, match="expected an edit of this view"):
        derived_mask(rng.random(photo.shape), {"photo": photo})


def test_splats_that_leave_the_painted_surface_are_strays(background: GaussianSplats) -> None:
    camera, mask = cameras_on_an_arc()[REFERENCE], rectangle()
    painted, depth = red_picture(background, camera, mask), depth_of_plane(camera, 4.0).astype(np.float32)
    rows, columns = np.nonzero(mask)
    points = camera.unproject(torch.from_numpy(depth)[None])[0][rows, columns][:4]
    points[1] += 0.1 * (camera.centers[0] - points[1])  # a tenth nearer
    points[2] -= 0.1 * (camera.centers[0] - points[2])
    points[3] = camera.unproject(torch.from_numpy(depth)[None])[0][5, 5]  # outside the mask
    some = background.select([0, 1, 2, 3])
    new = GaussianSplats(points.float(), some.quats, some.log_scales, some.logit_opacities, some.sh)
    assert strays(new, painted, torch.from_numpy(depth)).tolist() == [False, True, True, True]


def test_splats_at_a_camera_are_in_the_way() -> None:
    arc = cameras_on_an_arc()
    near = arc[0].centers[0] + torch.tensor([0.0, 0.0, 0.1])
    splats = wall(with_hole=False).select([0, 1, 2])
    means = torch.stack([near.float(), torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0.0, 0.0, -5.0])])
    moved = GaussianSplats(means, splats.quats, torch.full((3, 3), -3.0), splats.logit_opacities, splats.sh)
    assert in_the_way(moved, arc).tolist() == [True, False, False]


def test_bad_input_is_named(background: GaussianSplats, views: list[View]) -> None:
    camera = cameras_on_an_arc()[REFERENCE]
    picture = np.zeros((72, 96, 3), dtype=np.float32)
    with pytest.raises(InputError, match="no white pixel"):
        PaintedView("2.png", camera, picture, np.zeros((72, 96), dtype=bool))
    with pytest.raises(InputError, match="100 % of the pixels"):
        PaintedView("2.png", camera, picture, np.ones((72, 96), dtype=bool))
    with pytest.raises(InputError, match=r"picture of '2\.png': size \(70, 96\)"):
        PaintedView("2.png", camera, picture[:70], rectangle())
    away = Cameras(camera.camera_to_world @ torch.diag(torch.tensor([-1.0, 1, -1, 1])).double(), camera.K, 96, 72)
    with pytest.raises(InputError, match="rendered depth: 0 % of the pixels"):
        insert_painted(background, views, PaintedView("2.png", away, picture, rectangle()), load_depth_inpainter("nearest"))
    painted, values = red_picture(background, camera, rectangle()), np.where(rectangle(), 3.0, np.nan)
    with pytest.raises(InputError, match="depth image: 0 values where the scene's depth is known"):
        insert_painted(background, views, painted, DepthImage(values))
