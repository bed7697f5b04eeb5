"""Poses and focal lengths that are refined with the splats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fit_scenes import blobs, rendered_scene

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.fitting.camera_refinement import RefinedCameras, common_motions
from scene_depth.fitting.checkpoint import load_state, save_state
from scene_depth.fitting.config import CameraRefinement, FitConfig, SettledConfig
from scene_depth.fitting.density import Guided
from scene_depth.fitting.fit import fit
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.scene import Scene
from scene_depth.work import Progress

TRUTH = blobs()
SCENE = rendered_scene(TRUTH, views=12)
CAMERAS = CameraRefinement(camera_lr=3e-3, focal_lr=3e-3)
QUICK = FitConfig(
    steps=12,
    sh_degree=1,
    sh_every=6,
    density=Guided(refine_every=6, refine_start=3),
    max_splats=80,
    start_splats=60,
    cameras=CAMERAS,
)


def perturbed(scene: Scene, degrees: float, shift: float, focal: float) -> Scene:
    """The scene with cameras turned and moved at random by about these amounts, and another focal length."""
    generator = torch.Generator().manual_seed(0)
    cameras = {}
    for view in scene.views:
        pose, K = view.camera.camera_to_world.clone(), view.camera.K.clone()
        turn = torch.randn(3, generator=generator).double() * np.radians(degrees) / np.sqrt(3)
        pose[0, :3, :3] @= quaternions_to_matrices(torch.cat([torch.ones(1).double(), turn / 2]))
        pose[0, :3, 3] += torch.randn(3, generator=generator).double() * shift / np.sqrt(3)
        K[:, :2, :2] *= focal
        cameras[view.name] = replace(view.camera, camera_to_world=pose, K=K)
    return scene.with_cameras(cameras)


def displacement(scene: Scene) -> float:
    """Mean distance in pixels from where true cameras see the true splats, after the similarity that fits the centres best."""
    found, true = (np.stack([view.camera.centers[0].numpy() for view in each.views]) for each in (scene, SCENE))
    a, b = found - found.mean(0), true - true.mean(0)
    left, sizes, right = np.linalg.svd(a.T @ b)
    signs = np.array([1, 1, np.linalg.det(left @ right)])
    rotation, scale = (left * signs) @ right, (sizes * signs).sum() / (b**2).sum()
    points = TRUTH.means.double()
    moved = torch.from_numpy(scale * (points.numpy() - true.mean(0)) @ rotation.T + found.mean(0))
    pairs = zip(scene.views, SCENE.views, strict=True)
    off = [(one.camera.project(moved)[0] - other.camera.project(points)[0]).norm(dim=-1).mean() for one, other in pairs]
    return float(torch.stack(off).mean())


def test_cameras_come_back_to_known_splats() -> None:
    bad = perturbed(SCENE, degrees=1, shift=0.03, focal=1.03)
    config = FitConfig(steps=100, sh_degree=0, density=None, low_resolution_steps=0, cameras=CAMERAS)
    result = fit(bad, initial=TRUTH.select([0]), frozen=TRUTH, config=config)
    assert displacement(bad.with_cameras(result.cameras)) < 0.3 * displacement(bad)
    assert result.report.cameras is not None
    assert result.report.cameras["focal_factors"] == pytest.approx([1 / 1.03], abs=0.015)


def test_poses_come_back_while_splats_are_fitted() -> None:
    bad = perturbed(SCENE, degrees=1, shift=0.03, focal=1)
    density = Guided(refine_start=50, refine_every=25, refine_stop=0.6)
    config = FitConfig(steps=160, sh_degree=0, max_splats=150, density=density, low_resolution_steps=0)
    refined = fit(bad, config=replace(config, cameras=replace(CAMERAS, focal="keep")))
    assert displacement(bad.with_cameras(refined.cameras)) < 0.5 * displacement(bad)


def test_a_motion_and_scale_of_all_cameras_stays_out() -> None:
    cameras = [view.camera for view in SCENE.views]
    directions = common_motions(cameras, extent=2.0)
    assert directions.shape == (72, 7)
    torch.testing.assert_close(directions.T @ directions, torch.eye(7).double())
    for direction in directions.T:  # each of them moves all cameras as one similarity would, and no picture changes
        refined = RefinedCameras(CameraRefinement(focal="keep"), cameras, 2.0)
        with torch.no_grad():
            refined.parameters["increments"].copy_(1e-3 * direction.view(12, 6))
        assert displacement(SCENE.with_cameras(named(refined))) < 2e-4
        refined.step(1.0)
        assert refined.parameters["increments"].abs().max() < 1e-12


def named(refined: RefinedCameras) -> dict[str, Cameras]:
    cameras = refined.finished([view.camera for view in SCENE.views])
    return dict(zip([view.name for view in SCENE.views], cameras, strict=True))


def test_a_stopped_and_resumed_fit_has_the_same_cameras(tmp_path: Path) -> None:
    config = replace(QUICK, cameras=replace(CAMERAS, focal="each"))

    def interrupt(now: Progress) -> None:
        if now.done == 7:
            raise KeyboardInterrupt

    whole = fit(SCENE, config=config)
    part = fit(SCENE, config=config, on_progress=interrupt)
    assert part.state is not None
    assert len(part.cameras) == 12
    save_state(tmp_path / "state.pt", part.state)
    resumed = fit(SCENE, config=config, resume=load_state(tmp_path / "state.pt"))
    assert resumed.splats.sha256() == whole.splats.sha256()
    for name, camera in whole.cameras.items():
        assert torch.equal(resumed.cameras[name].camera_to_world, camera.camera_to_world)
        assert torch.equal(resumed.cameras[name].K, camera.K)
        assert not torch.equal(part.cameras[name].K, camera.K)
    with pytest.raises(InputError, match="resume: cameras"):
        fit(SCENE, config=QUICK, resume=part.state)


def test_cameras_that_may_not_move_change_no_bit() -> None:
    still = fit(SCENE, config=replace(QUICK, cameras=CameraRefinement(camera_lr=0, focal="keep")))
    without = fit(SCENE, config=replace(QUICK, cameras=None))
    assert still.splats.sha256() == without.splats.sha256()
    assert without.cameras == {}
    assert without.report.cameras is None
    for view in SCENE.views:
        assert torch.equal(still.cameras[view.name].camera_to_world, view.camera.camera_to_world)


def test_bad_settings() -> None:
    for option in ({"camera_lr": -1.0}, {"camera_lr_final": 0.0}, {"focal_lr": float("nan")}, {"camera_start": 2.0}):
        with pytest.raises(InputError, match=next(iter(option))):
            CameraRefinement(**option)  # type: ignore[arg-type]
    settled = QUICK.settled("cpu")
    assert SettledConfig.from_dict(settled.as_dict()) == settled
    camera = SCENE.views[0].camera
    for name, other, found in (("none.png", camera, "no such view"), ("000.png", camera.resized(24, 20), "24 x 20")):
        with pytest.raises(InputError, match=found):
            SCENE.with_cameras({name: other})
