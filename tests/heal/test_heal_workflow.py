"""Heal on a scene whose hidden part is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from room_scene import Room, room, wall
from scene_depth_heal.hole import HealView, open_hole
from scene_depth_heal.selection import select_by_masks
from scene_depth_heal.workflow import HealConfig, heal_views

from scene_depth.color.exemplar.inpainter import ExemplarInpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.images import psnr
from scene_depth.rendering import render
from scene_depth.splats import concatenate_splats
from scene_depth.work import Progress


@pytest.fixture(scope="module")
def scene() -> Room:
    return room()


def views_of(scene: Room) -> list[HealView]:
    return [HealView(f"{index}.png", camera, scene.picture(index)) for index, camera in enumerate(scene.cameras)]


def healed(scene: Room, **options):
    config = HealConfig(steps=60, most_references=2, **options)
    return heal_views(scene.splats, scene.ball, views_of(scene), load_depth_inpainter("harmonic"), ExemplarInpainter(), config)


def test_the_hole_is_repaired_and_the_rest_untouched(scene: Room) -> None:
    result = healed(scene)
    assert result.report.finished
    assert result.report.frozen_sha256_before == result.report.frozen_sha256_after
    kept = scene.splats.select(~scene.ball)
    assert torch.equal(result.splats.means[: len(kept)], kept.means)
    truth, delete_only = wall(with_hole=False), kept
    for index, state in enumerate(result.states):
        hole = state.unseen.numpy()
        wanted = scene.truth(index, truth)
        after = render(result.splats, scene.cameras[index])
        repaired = psnr(after.rgb[0].clamp(0, 1).numpy(), wanted, hole)
        deleted = psnr(render(delete_only, scene.cameras[index]).rgb[0].numpy(), wanted, hole)
        assert repaired > deleted + 10
        assert repaired > 25
        depth = after.depth[0].numpy()[hole]
        true_depth = render(truth, scene.cameras[index]).depth[0].numpy()[hole]
        assert np.mean(np.abs(depth - true_depth) / true_depth) < 0.03


@pytest.mark.cuda
def test_the_same_workflow_runs_on_cuda(scene: Room) -> None:
    views, config = views_of(scene), HealConfig(steps=60, most_references=2)
    depth_inpainter, image_inpainter = load_depth_inpainter("harmonic"), ExemplarInpainter()
    result = heal_views(scene.splats.to("cuda"), scene.ball.to("cuda"), views, depth_inpainter, image_inpainter, config)
    assert result.report.finished
    assert result.report.frozen_sha256_before == result.report.frozen_sha256_after
    truth = wall(with_hole=False)
    for index, state in enumerate(result.states):
        after = render(result.splats.to("cpu"), scene.cameras[index])
        assert psnr(after.rgb[0].clamp(0, 1).numpy(), scene.truth(index, truth), state.unseen.cpu().numpy()) > 25


def test_unseen_is_what_no_camera_sees_past_the_ball(scene: Room) -> None:
    states = open_hole(scene.splats, scene.ball, views_of(scene)).states
    for state in states:
        points = state.camera.unproject(torch.full((1, 72, 96), 1.0, dtype=torch.float64))[0] - state.camera.centers[0]
        scale = (4.0 - state.camera.centers[0, 2]) / points[..., 2]
        on_wall = state.camera.centers[0, :2] + points[..., :2] * scale[..., None]
        inside = on_wall.norm(dim=-1) < 0.65
        assert state.unseen[inside & state.object_pixels].float().mean() > 0.95
        outside = on_wall.norm(dim=-1) > 0.95
        assert state.unseen[outside].float().mean() < 0.02


def test_a_dry_run_invents_nothing(scene: Room) -> None:
    result = heal_views(
        scene.splats, scene.ball, views_of(scene), load_depth_inpainter("nearest"), ExemplarInpainter(), dry_run=True
    )
    assert result.new == 0
    assert not result.fills
    assert len(result.splats) == int((~scene.ball).sum())
    assert 0 < result.report.unseen_share_of_hole <= 1


def test_masks_select_the_ball(scene: Room) -> None:
    everything = open_hole(scene.splats, scene.ball, views_of(scene), widen=0).states
    masks = [state.object_pixels for state in everything]
    selected = select_by_masks(scene.splats, scene.cameras, masks)
    visible = scene.splats.means[:, 2] < 2.5
    assert selected[scene.ball & visible].float().mean() > 0.95
    assert selected[~scene.ball].float().mean() < 0.02


def test_a_stopped_heal_keeps_what_was_done(scene: Room) -> None:
    def stop_in_the_fit(now: Progress) -> bool:
        return now.stage != "fit"

    config = HealConfig(steps=60, most_references=1)
    result = heal_views(
        scene.splats,
        scene.ball,
        views_of(scene),
        load_depth_inpainter("nearest"),
        ExemplarInpainter(),
        config,
        on_progress=stop_in_the_fit,
    )
    assert not result.report.finished
    assert result.new > 0
    assert result.report.frozen_sha256_before == result.report.frozen_sha256_after


def test_the_same_seed_gives_the_same_bits(scene: Room) -> None:
    assert healed(scene, seed=1).splats.sha256() == healed(scene, seed=1).splats.sha256()


def test_bad_input_is_named(scene: Room) -> None:
    views, nearest = views_of(scene), load_depth_inpainter("nearest")
    with pytest.raises(InputError, match="selection: no splat"):
        heal_views(scene.splats, torch.zeros_like(scene.ball), views, nearest, ExemplarInpainter())
    with pytest.raises(InputError, match=r"references is 'x\.png'"):
        heal_views(scene.splats, scene.ball, views, nearest, ExemplarInpainter(), HealConfig(references=("x.png",)))
    with pytest.raises(InputError, match="views: none"):
        heal_views(scene.splats, scene.ball, [], nearest, ExemplarInpainter())
    with pytest.raises(InputError, match=f"two named '{views[1].name}'"):
        heal_views(scene.splats, scene.ball, [*views, views[1]], nearest, ExemplarInpainter())
    with pytest.raises(InputError, match=r"masks\[0\]: size"):
        select_by_masks(scene.splats, scene.cameras[:1], [torch.zeros(3, 3, dtype=torch.bool)])


def test_splats_that_no_photo_supports_go_with_the_object(scene: Room) -> None:
    """Red splats inside the ball, and a dark screen close behind it that no camera sees, would float in the hole."""
    rng = np.random.default_rng(2)
    inside = torch.from_numpy(rng.uniform((-0.15, -0.15, 2.45), (0.15, 0.15, 2.75), (40, 3))).float()
    strays = scene.splats.select(scene.ball).select(slice(0, 40))
    strays = replace(strays, means=inside, log_scales=torch.full((40, 3), -2.5))
    splats = concatenate_splats([scene.splats, strays])
    removed = torch.cat([scene.ball, torch.zeros(40, dtype=torch.bool)])
    views = [HealView(str(index), camera, scene.picture(index)) for index, camera in enumerate(scene.cameras)]
    result = heal_views(splats, removed, views, load_depth_inpainter("nearest"), ExemplarInpainter(), dry_run=True)
    assert 30 <= result.report.stray_splats <= 45
    assert result.report.kept_splats == len(splats) - int(removed.sum()) - result.report.stray_splats
    for state in result.states:
        red = state.rgb_after[..., 0] > state.rgb_after[..., 1] + 0.5
        assert not red.any()
