"""A surface painted anew in one view: its colour in other views, its shape, and everything else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from room_scene import cameras_on_an_arc, wall
from scene_depth_heal import edit as edit_module
from scene_depth_heal import hole as hole_module
from scene_depth_heal import painted as painted_module
from scene_depth_heal import texture as texture_module
from scene_depth_heal.edit import EditConfig, EditResult
from scene_depth_heal.painted import PaintedView, insert_painted
from scene_depth_heal.texture import bilinear, carried, retexture, standing_before
from scipy import ndimage

from scene_depth.cameras import Cameras
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.rendering import Render, render
from scene_depth.scene import View
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import Progress

REFERENCE, HELD_OUT = 2, 5


def texture(points: np.ndarray) -> np.ndarray:
    """Green with bars along x, by the place on the wall  # [..., 3]"""
    bars = 0.5 + 0.3 * np.sign(np.sin(12 * points[..., 0]))
    return np.stack([0.1 * np.ones_like(bars), bars, 0.2 * np.ones_like(bars)], axis=-1).astype(np.float32)


def on_wall(index: int) -> np.ndarray:
    """World points of the wall, z = 4, that each pixel sees  # [H, W, 3]"""
    camera = cameras_on_an_arc()[index]
    rays, center = camera.ray_directions()[0].numpy(), camera.centers[0].numpy()
    return center + rays * ((4.0 - center[2]) / rays[..., 2])[..., None]


def painted_part(points: np.ndarray) -> np.ndarray:
    return (np.abs(points[..., 0] - 0.1) < 0.6) & (np.abs(points[..., 1]) < 0.5)


@pytest.fixture(scope="module")
def background() -> GaussianSplats:
    return wall(with_hole=False)


@pytest.fixture(scope="module")
def views() -> list[View]:
    arc = cameras_on_an_arc()
    return [View(f"{index}.png", arc[index]) for index in range(6) if index != HELD_OUT]


def painted_wall(background: GaussianSplats) -> PaintedView:
    camera, points = cameras_on_an_arc()[REFERENCE], on_wall(REFERENCE)
    mask = painted_part(points)
    picture = render(background, camera).rgb[0].clamp(0, 1).numpy()
    return PaintedView("2.png", camera, np.where(mask[..., None], texture(points), picture), mask)


@pytest.fixture(scope="module")
def result(background: GaussianSplats, views: list[View]) -> EditResult:
    return retexture(background, views, painted_wall(background), EditConfig(steps=60))


def test_other_views_show_the_new_texture(background: GaussianSplats, result: EditResult) -> None:
    for index in (REFERENCE, HELD_OUT):
        points = on_wall(index)
        inside = ndimage.binary_erosion(painted_part(points), iterations=2)
        rgb = render(result.splats, cameras_on_an_arc()[index]).rgb[0].numpy()
        before = render(background, cameras_on_an_arc()[index]).rgb[0].numpy()
        error = np.abs(rgb - texture(points))[inside].mean()
        assert error < 0.08
        assert error < 0.3 * np.abs(before - texture(points))[inside].mean()


def test_depth_stays_and_nothing_changes_beside_it(background: GaussianSplats, result: EditResult) -> None:
    for index in (0, REFERENCE, HELD_OUT):
        camera, points = cameras_on_an_arc()[index], on_wall(index)
        before, after = render(background, camera), render(result.splats, camera)
        assert float((after.alpha - before.alpha).min()) > -0.05
        assert float((after.depth / before.depth - 1).abs().max()) < 0.01
        outside = ~ndimage.binary_dilation(painted_part(points), iterations=3)
        assert np.abs((after.rgb - before.rgb)[0].numpy())[outside].mean() < 0.005


def test_what_is_not_replaced_stays_bit_for_bit(background: GaussianSplats, result: EditResult) -> None:
    report = result.report
    assert report.finished
    assert report.frozen_sha256_before == report.frozen_sha256_after
    assert report.kept_splats + report.removed_splats == len(background)
    assert report.removed_splats > 400
    kept = {tuple(row) for row in result.splats.means[: report.kept_splats].tolist()}
    assert kept <= {tuple(row) for row in background.means.tolist()}
    inside = painted_part(background.means.numpy())
    assert report.removed_splats == pytest.approx(int(inside.sum()), rel=0.1)


def test_report_measures_the_edit(result: EditResult) -> None:
    checks = result.report.checks
    assert checks.median_depth_change < 0.005
    assert checks.psnr_of_texture_in_other_views > 18
    assert checks.views_that_show_it == 5
    assert result.report.edit.mask_without_surface == 0


@pytest.mark.parametrize("what", ["texture", "object"])
def test_views_that_look_away_are_not_drawn_and_change_nothing(
    background: GaussianSplats, views: list[View], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = views[0].camera
    pose = camera.camera_to_world.clone()
    pose[:, :3, 1:3] *= -1  # turned about its horizontal axis
    away = [View(f"away_{place}.png", replace(camera, camera_to_world=pose)) for place in range(2)]
    painted, drawn = painted_wall(background), list[bool]()

    def edited(views: list[View]) -> EditResult:
        if what == "texture":
            return retexture(background, views, painted, EditConfig(steps=10))
        return insert_painted(background, views, painted, load_depth_inpainter("harmonic"), EditConfig(steps=10))

    def watched(splats: GaussianSplats, camera: Cameras, **options: Any) -> Render:
        drawn.append(camera is away[0].camera or camera is away[1].camera)
        return render(splats, camera, **options)

    alone = edited(views)
    for module in (texture_module, painted_module, edit_module, hole_module):
        monkeypatch.setattr(module, "render", watched)
    beside = edited([away[0], *views, away[1]])
    assert drawn
    assert not any(drawn)
    assert beside.splats.sha256() == alone.splats.sha256()
    assert {name: share for name, share in beside.report.shows_in.items() if not name.startswith("away")} == alone.report.shows_in
    assert beside.report.shows_in["away_0.png"] == beside.report.shows_in["away_1.png"] == 0
    assert beside.report.checks.changed_beside_it == alone.report.checks.changed_beside_it


def test_hidden_surfaces_keep_their_colour(background: GaussianSplats, views: list[View]) -> None:
    """A second wall behind the first keeps all its splats."""
    behind = GaussianSplats(
        background.means + torch.tensor([0.0, 0.0, 2.0]),
        background.quats,
        background.log_scales,
        background.logit_opacities,
        background.sh,
    )
    both = concatenate_splats([background, behind])
    done = retexture(both, views, painted_wall(background), EditConfig(steps=0))
    kept_behind = done.splats.means[: done.report.kept_splats]
    assert int((kept_behind[:, 2] > 5).sum()) == len(behind)


def test_splats_before_the_known_surface_are_found(background: GaussianSplats, views: list[View]) -> None:
    surfaces = carried(background, views, painted_wall(background))
    some = background.select([0, 1])
    means = torch.tensor([[0.1, 0.0, 4.0], [0.1, 0.0, 3.5]])
    new = GaussianSplats(means, some.quats, some.log_scales, some.logit_opacities, some.sh)
    assert standing_before(new, surfaces).tolist() == [False, True]


@pytest.mark.parametrize("stage", ["surface", "make", "fit"])
def test_a_stopped_retexture_leaves_no_hole(background: GaussianSplats, views: list[View], stage: str) -> None:
    def stop(now: Progress) -> bool:
        return now.stage != stage

    done = retexture(background, views, painted_wall(background), EditConfig(steps=30), on_progress=stop)
    assert not done.report.finished
    assert done.report.frozen_sha256_before == done.report.frozen_sha256_after
    alpha = render(done.splats, cameras_on_an_arc()[REFERENCE]).alpha[0].numpy()
    assert alpha[painted_wall(background).mask].min() > 0.9


def test_a_mask_without_a_surface_is_refused(background: GaussianSplats, views: list[View]) -> None:
    painted = painted_wall(background)
    half = background.select(~torch.from_numpy(painted_part(background.means.numpy() * [0.5, 0.5, 1.0])))
    with pytest.raises(InputError, match="no opaque surface under it"):
        retexture(half, views, painted)


def test_colours_are_read_between_pixel_centres() -> None:
    ramp = np.repeat(np.arange(4, dtype=np.float32)[None, :, None], 3, axis=2) * np.ones((3, 1, 1), dtype=np.float32)
    found = bilinear(torch.from_numpy(ramp), torch.tensor([[0.5, 1.5], [1.0, 1.5], [3.5, 0.2], [9.0, 1.0]]))
    assert found[:, 0].tolist() == pytest.approx([0.0, 0.5, 3.0, 3.0])
