"""What views look through stays free: analytic views of a wall, and a depth inpainter that brings the object back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from room_scene import Room, cameras_on_an_arc, room
from scene_depth_heal.fill import make_splats
from scene_depth_heal.free_space import LEAST_TOLERANCE, MOST_TOLERANCE, FreeSpace, free_space_of
from scene_depth_heal.hole import HealView, Hole, ViewState
from scene_depth_heal.workflow import HealConfig, heal_views

from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.inpainter import MembraneInpainter
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.rendering import render

WALL = 4.0


def wall_depth(camera: Cameras) -> torch.Tensor:
    """Exact z-depth of the plane z = 4 in the world  # [H, W]"""
    rays = camera.unproject(torch.ones(1, camera.height, camera.width))[0] - camera.centers[0]
    return ((WALL - camera.centers[0, 2]) / rays[..., 2]).float()


def hole_in(noise: float = 0.0) -> Hole:
    """Six views of the wall; a square in the middle of each was an object's, and nothing is known in it."""
    made, rng = [], np.random.default_rng(0)
    for index, camera in enumerate(cameras_on_an_arc()):
        depth = wall_depth(camera) * float(1 + noise * rng.normal())
        hidden = torch.zeros(camera.height, camera.width, dtype=torch.bool)
        hidden[26:46, 38:58] = True
        rgb = torch.full((camera.height, camera.width, 3), 0.5)
        view = HealView(f"{index}.png", camera, rgb)
        made.append(ViewState(view, depth, rgb, torch.where(hidden, 0.0, depth), hidden, hidden))
    splats = room().splats
    return Hole(splats, splats.means[:, 0] < 0, splats, tuple(made), tuple(state.view for state in made))


def test_what_two_views_look_through_moves_to_their_surface_and_the_rest_keeps_its_bits() -> None:
    deletion = hole_in()
    views, free = deletion.views, free_space_of(deletion)
    assert free.tolerance == LEAST_TOLERANCE
    truth = wall_depth(views[0].camera).numpy()
    hole = np.zeros(truth.shape, dtype=bool)
    hole[8:64, 4:92] = True  # far wider than what is hidden, so that other views look through most of it
    wrong = truth.copy()
    wrong[10:20, 10:80] = 2.0
    moved = free.behind(wrong, hole, views[0].camera)
    changed = moved != wrong
    assert changed[10:20, 20:70].all()
    assert not changed[~hole].any()
    assert not changed[40:].any()
    assert np.abs(moved[changed] / truth[changed] - 1).max() < LEAST_TOLERANCE + 0.02


def test_a_surface_behind_what_is_seen_and_one_on_it_stay() -> None:
    deletion = hole_in()
    camera = deletion.views[0].camera
    truth = wall_depth(camera).numpy()
    hole = np.ones(truth.shape, dtype=bool)
    for factor in (0.97, 1.0, 1.5):
        assert (free_space_of(deletion).behind(factor * truth, hole, camera) == factor * truth).all()


def test_what_could_not_be_moved_is_not_made() -> None:
    """Two lines of a completed depth, too thin to be moved: one where others look through, one that only this view shows."""
    deletion = hole_in()
    state, free = deletion.states[0], free_space_of(deletion)
    truth, lines = wall_depth(state.camera).numpy(), np.zeros((state.camera.height, state.camera.width), dtype=bool)
    lines[14:16, 20:70] = lines[36, 44:52] = True
    wrong = np.where(lines, np.float32(2.0), truth)
    assert (free.behind(wrong, lines, state.camera) == wrong).all()
    reference = replace(state, unseen=torch.from_numpy(lines))
    rgb, prediction = np.full((*truth.shape, 3), 0.5, np.float32), DepthPrediction(wrong)
    every, kept = (make_splats(reference, prediction, rgb, each) for each in (None, free))
    left_out = free.looks_through(every.splats.means)
    assert 0 < int(left_out.sum()) < len(every.splats)
    assert torch.equal(kept.splats.means, every.splats.means[~left_out])
    assert not free.looks_through(kept.splats.means).any()
    assert kept.prediction.details["left_out_of_free_space"] == int(left_out.sum())


def test_rough_poses_leave_more_room() -> None:
    rough = free_space_of(hole_in(noise=0.04)).tolerance
    assert LEAST_TOLERANCE < rough <= MOST_TOLERANCE
    assert isinstance(free_space_of(hole_in(0.4)), FreeSpace)


@pytest.fixture(scope="module")
def scene() -> Room:
    return room()


def test_a_depth_inpainter_that_brings_the_object_back_is_not_believed(scene: Room) -> None:
    """It gives the front of the removed ball; the hole must be closed behind it all the same."""
    fronts = [render(scene.splats, camera).depth[0].numpy() for camera in scene.cameras]

    def front_again(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
        closest = min(fronts, key=lambda front: float(np.abs(front - depth)[known].mean()))
        return np.where(known, depth, closest)

    views = [HealView(f"{i}.png", camera, scene.picture(i)) for i, camera in enumerate(scene.cameras)]
    config = HealConfig(steps=0, most_references=6, shadow=False)
    result = heal_views(scene.splats, scene.ball, views, front_again, MembraneInpainter(), config)
    assert result.fills[0].prediction.details["put_where_the_object_was"] > 100
    new = result.splats.select(slice(result.report.kept_splats, None))
    assert float((new.means[:, 2] < 0.93 * WALL).float().mean()) < 0.01
    for state in result.states:
        assert float(render(result.splats, state.camera).alpha[0][state.unseen].min()) > 0.5
