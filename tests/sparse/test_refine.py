"""Refinement of pointmap results: what is kept, what gets better, what is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_depth_sparse import FLAG_NAMES, KnownDistance, RefinedPointmaps, known_cameras, refine_pointmaps
from scene_depth_sparse.align import align_views
from scene_depth_sparse.comparison import PosedDepth, compare_depth, find_neighbours
from scene_depth_sparse.flags import ViewFlags, find_border, find_edges
from scene_depth_sparse.mixing import Calibration, ViewInput, calibrate, refine_view

import scene_depth as sd
from benchmarks.sparse import measure_run
from benchmarks.sparse_runs import LEVELS, SimulatedRun, simulate_run
from scene_depth.cameras import Cameras
from scene_depth.cli.app import main
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import sight
from scene_depth.io.scenes import read_scene
from scene_depth.pointmaps import PointmapRun
from scene_depth.scene import Scene, View
from scene_depth.work import Progress

ROOT = Path(__file__).resolve().parents[2]
MATCHED, SINGLE, CONTRADICTED, EDGE, SHELL, BORDER, MISSING = range(7)


def table_run(level: str = "typical") -> SimulatedRun:
    """Three views of the table scene, 160 pixels wide."""
    return simulate_run(read_scene(ROOT / "scenes/table"), LEVELS[level], 3, 0, 160)


def write_depth_anything(path: Path, run: PointmapRun) -> Path:
    """The layout of Depth Anything 3: world-to-camera poses, pixel centres on integers."""
    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    arrays = {
        "depth": np.stack([view.depth for view in run.views]),
        "extrinsics": np.stack([view.camera.world_to_camera[0, :3].numpy() for view in run.views]),
        "intrinsics": np.stack([view.camera.K[0].numpy() - half for view in run.views]),
        "image": np.stack([(255 * view.image).round().astype(np.uint8) for view in run.views if view.image is not None]),
    }
    np.savez(path, allow_pickle=False, conf=np.ones_like(arrays["depth"]), **arrays)
    return path


@pytest.fixture(scope="module")
def simulated() -> SimulatedRun:
    return table_run()


@pytest.fixture(scope="module")
def refined(simulated: SimulatedRun) -> RefinedPointmaps:
    return refine_pointmaps(simulated.run)


def test_matched_depth_has_the_bits_of_the_model(simulated: SimulatedRun, refined: RefinedPointmaps) -> None:
    for view, source in zip(refined.views, simulated.run.views, strict=True):
        matched = view.flags == MATCHED
        assert 0.2 < matched.mean() < 0.9
        assert np.array_equal(view.depth[matched].view(np.uint32), source.depth[matched].view(np.uint32))
        assert (view.depth[~matched] != source.depth[~matched]).mean() > 0.1
        assert ((view.sigma > 0) == (view.depth > 0)).all()


def test_flagged_depth_gets_better_and_better_yet_with_a_prior(simulated: SimulatedRun) -> None:
    found = measure_run(simulated)
    assert found["same_bits"] == 1
    assert float(found["plain"]) < 1.0
    assert float(found["edges"]) < 0.95
    assert float(found["prior"]) < float(found["plain"])
    assert float(found["prior"]) < float(found["fitted"])
    assert float(found["off"]) < 0.04


def test_comparison_says_what_sight_says(simulated: SimulatedRun) -> None:
    first, second = simulated.run.views[:2]
    differences = compare_depth(PosedDepth.of(first.depth, first.camera), PosedDepth.of(second.depth, second.camera)).ravel()
    points = first.camera.unproject(torch.from_numpy(first.depth).double()[None])[0].reshape(-1, 3)
    seen = sight(points, second.camera, torch.from_numpy(second.depth), tolerance=0.04)
    assert np.array_equal(seen.seen.numpy(), np.abs(differences) <= np.float32(0.04))
    assert np.array_equal(seen.floating.numpy(), differences < -np.float32(0.04))
    assert seen.seen.float().mean() > 0.2


def test_alignment_brings_a_turned_view_back() -> None:
    exact = table_run("mild")
    cameras, depths = list(exact.cameras), list(exact.depth)
    usable = [~find_edges(depth) for depth in depths]
    angle = np.radians(1.0)
    turn = torch.tensor([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    pose = cameras[1].camera_to_world.clone()
    pose[0, :3, :3] = pose[0, :3, :3] @ turn.to(pose)
    turned = [cameras[0], replace(cameras[1], camera_to_world=pose), cameras[2]]
    pairs = find_neighbours([PosedDepth.of(d, c) for d, c in zip(depths, turned, strict=True)])
    found = align_views(turned, depths, usable, pairs)
    assert found.used
    assert found.spread_after < 0.7 * found.spread_before
    same = align_views(cameras, depths, usable, pairs)
    assert not same.used or same.rotation < 0.2
    kept = align_views(turned, depths, usable, pairs, free=("scale",))
    assert all(torch.equal(a.camera_to_world, b.camera_to_world) for a, b in zip(kept.cameras, turned, strict=True)) or kept.used
    assert kept.rotation == 0


def test_sky_at_one_depth_is_a_shell_and_a_wall_is_not(simulated: SimulatedRun) -> None:
    views = list(simulated.run.views)
    for index, view in enumerate(views):
        depth = view.depth.copy()
        depth[:20] = 3 * depth.max()
        views[index] = replace(view, depth=depth)
    result = refine_pointmaps(replace(simulated.run, views=tuple(views)))
    assert all((view.flags[:18] == SHELL).all() for view in result.views)
    wall = torch.full((1, 30, 40), 2.0)
    K = torch.tensor([[[40.0, 0, 20], [0, 40, 15], [0, 0, 1]]])
    pose = torch.eye(4)[None].repeat(2, 1, 1)
    pose[1, 0, 3] = 0.1
    both = [replace(views[0], camera=Cameras(pose[i : i + 1], K, 40, 30), depth=wall[0].numpy(), image=None) for i in (0, 1)]
    result = refine_pointmaps(PointmapRun(tuple(both), "simulated"))
    assert not any((view.flags == SHELL).any() for view in result.views)


def test_padding_stays_without_depth_and_gaps_are_filled(simulated: SimulatedRun) -> None:
    first = simulated.run.views[0]
    height, width = first.depth.shape
    depth = first.depth.copy()
    depth[:, :10] = 0
    depth[50:60, 60:70] = 0
    padded = replace(first, depth=depth, scale=(4, 4), offset=(-40, 0), photo_size=(4 * width - 40, 4 * height))
    assert find_border(padded).sum() == 10 * height
    result = refine_pointmaps(replace(simulated.run, views=(padded, *simulated.run.views[1:])))
    flags = result.views[0].flags
    assert (flags[:, :10] == BORDER).all()
    assert (result.views[0].depth[:, :10] == 0).all()
    assert (flags[50:60, 60:70] == MISSING).all()
    assert (result.views[0].depth[50:60, 60:70] > 0).all()


def test_known_cameras_are_kept_and_give_the_scale(simulated: SimulatedRun) -> None:
    factor = 2.5
    views = []
    for view, camera in zip(simulated.run.views, simulated.cameras, strict=True):
        pose = camera.camera_to_world.double().clone()
        pose[:, :3, 3] *= factor
        views.append(View(view.name, replace(camera, camera_to_world=pose, K=camera.K.double())))
    scene = Scene(tuple(views), metric=True)
    result = refine_pointmaps(simulated.run, cameras=known_cameras(simulated.run, scene), metric=True)
    assert result.metric
    assert result.scale == pytest.approx(factor, rel=0.05)
    for view, camera in zip(result.views, scene.views, strict=True):
        pose = view.camera.camera_to_world.clone()
        pose[:, :3, 3] *= result.scale
        assert torch.allclose(pose, camera.camera.camera_to_world, atol=1e-9)
        assert torch.equal(view.camera.K, camera.camera.K)
    with pytest.raises(InputError, match="cameras: 1 known; expected two or more at different places"):
        refine_pointmaps(simulated.run, cameras=[simulated.cameras[0], None, None])


def test_a_known_distance_gives_the_scale(refined: RefinedPointmaps, simulated: SimulatedRun) -> None:
    view = refined.views[0]
    points = view.points()
    apart = float(np.linalg.norm(points[60, 30] - points[60, 130]))
    known = KnownDistance(view.name, (30.5, 60.5), (130.5, 60.5), 3 * apart)
    result = refine_pointmaps(simulated.run, known_distance=known)
    assert result.scale == pytest.approx(3.0)
    assert result.metric
    with pytest.raises(InputError, match=r"known distance: in 'other\.jpg'; expected the name of a view"):
        refine_pointmaps(simulated.run, known_distance=replace(known, view="other.jpg"))


def test_large_runs_compare_neighbours_alone(simulated: SimulatedRun) -> None:
    views = [PosedDepth.of(d, c) for d, c in zip(simulated.depth, simulated.cameras, strict=True)]
    assert find_neighbours(views) == ((1, 2), (0, 2), (0, 1))
    near = find_neighbours(views, all_pairs=2, most=1)
    assert all(len(others) == 1 for others in near)


def test_work_that_is_stopped_keeps_the_depth_of_the_model(simulated: SimulatedRun) -> None:
    def stop(progress: Progress) -> bool:
        return progress.stage != "refine" or progress.done < 1

    result = refine_pointmaps(simulated.run, on_progress=stop)
    assert not result.report.finished
    assert not np.array_equal(result.views[0].depth, simulated.run.views[0].depth)
    assert np.array_equal(result.views[2].depth, simulated.run.views[2].depth)


def test_a_view_apart_is_named_and_bad_runs_are_refused(simulated: SimulatedRun) -> None:
    far = replace(simulated.run.views[2])
    pose = far.camera.camera_to_world.clone()
    pose[:, :3, 3] += 100
    far = replace(far, camera=replace(far.camera, camera_to_world=pose))
    result = refine_pointmaps(replace(simulated.run, views=(*simulated.run.views[:2], far)))
    assert any("overlaps with no other" in note and far.name in note for note in result.report.notes)
    assert not (result.views[2].flags == MATCHED).any()
    with pytest.raises(InputError, match="views is 1; expected two or more"):
        refine_pointmaps(replace(simulated.run, views=simulated.run.views[:1]))
    empty = replace(far, depth=np.zeros_like(far.depth))
    with pytest.raises(InputError, match="depth: none at any pixel"):
        refine_pointmaps(replace(simulated.run, views=(*simulated.run.views[:2], empty)))
    bare = replace(simulated.run, views=tuple(replace(view, image=None) for view in simulated.run.views))
    with pytest.raises(InputError, match=r"picture: none; expected the photos \(--photos\)"):
        refine_pointmaps(bare, prior=lambda rgb: rgb.mean(axis=2))
    with pytest.raises(InputError, match="prior: 1 maps; expected 3, one a view"):
        refine_pointmaps(simulated.run, prior=[simulated.priors[0]])


def test_views_of_mixed_sizes_are_stored_at_the_top_left(simulated: SimulatedRun) -> None:
    first, second, third = simulated.run.views
    assert second.image is not None
    cut = replace(second, camera=second.camera.cropped(0, 0, 120, 100), depth=second.depth[:100, :120], image=None)
    arrays = refine_pointmaps(replace(simulated.run, views=(first, cut, third))).arrays()
    assert arrays["sizes"].tolist() == [[160, 120], [120, 100], [160, 120]]
    assert (arrays["flags"][1, 100:] == BORDER).all()
    assert (arrays["depth"][1, :, 120:] == 0).all()


def test_the_command_writes_all(simulated: SimulatedRun, refined: RefinedPointmaps, tmp_path: Path) -> None:
    path = write_depth_anything(tmp_path / "results.npz", simulated.run)
    fit = ["--fit", "--fit-steps", "2", "--fit-size", "48", "--budget", "500"]
    assert main(["sparse", str(path), "--output", str(tmp_path / "out"), *fit]) == 0
    assert len(sd.read_splats(tmp_path / "out/splats.ply")) <= 500
    assert len(sd.read_scene(tmp_path / "out/refined_scene")) == len(sd.read_scene(tmp_path / "out/nerfstudio")) == 3
    with np.load(tmp_path / "out/refined.npz", allow_pickle=False) as arrays:
        assert arrays["flag_names"].tolist() == list(FLAG_NAMES)
        assert arrays["depth"].dtype == np.float32
        assert arrays["flags"].dtype == np.uint8
        assert arrays["camera_to_world"].shape == (3, 4, 4)
        assert arrays["K"].shape == (3, 3, 3)
        assert arrays["names"].shape == (3,)
        matched = arrays["flags"] == 0
        assert np.array_equal(arrays["depth"][matched], np.stack([view.depth for view in simulated.run.views])[matched])
        same = np.mean(arrays["flags"] == np.stack([view.flags for view in refined.views]))
        assert same > 0.97
    report = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert report["self_check"]["model"] == "depth_anything_3"
    assert report["finished"]
    assert len(list((tmp_path / "out/flags").glob("*.png"))) == len(list((tmp_path / "out/depth").glob("*.png"))) == 3


def test_the_command_says_what_is_wrong_in_one_line(
    simulated: SimulatedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    assert main(["sparse", str(tmp_path / "other.npz"), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "other.npz" in said[0]


def corner_view(matched_width: int) -> ViewInput:
    """A wall whose left part another view confirms, and an inpainter that goes astray to the right of it, 2 % a pixel."""
    flags = np.full((60, 160), SINGLE, np.uint8)
    flags[:, :matched_width] = MATCHED
    found = ViewFlags(flags, (flags == MATCHED).astype(np.uint8), np.zeros(flags.shape, np.float32))

    def astray(rgb: np.ndarray | None, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
        beyond = np.maximum(0, np.arange(160) - np.flatnonzero(known.any(axis=0)).max())
        return (2 * np.exp(0.02 * beyond) * np.ones((60, 1))).astype(np.float32)

    camera = Cameras(torch.eye(4)[None], torch.tensor([[[100.0, 0, 80], [0, 100, 30], [0, 0, 1]]]), 160, 60)
    return ViewInput(np.full((60, 160), 2, np.float32), None, camera, found, load_depth_inpainter(astray))


def test_an_inpainter_that_could_be_measured_beside_a_corner_alone_is_not_mixed_in() -> None:
    """Near known depth any inpainter is right, so that hiding a little of it measures nothing of what lies far from it."""
    narrow, wide = (calibrate([corner_view(width)], 0.01, True, 0) for width in (16, 110))
    assert narrow.held_out == 0
    assert wide.held_out > 0
    assert narrow.weight < 0.05
    refined = refine_view(corner_view(16), narrow, True, 0)
    assert np.abs(np.log(refined.depth / 2)).mean() < 0.05


def test_where_an_inpainter_goes_astray_in_one_view_its_weight_falls_there() -> None:
    calibration = Calibration(matched=0.01, raw=0.03, inpainted=0.03, held_out=1000, disagreement=0.042)
    assert calibration.weight_in(0.03) == calibration.weight == 0.5
    assert calibration.weight_in(0.3) < 0.03
    found = [calibration.weight_in(difference) for difference in np.linspace(0, 1, 50)]
    assert found == sorted(found, reverse=True)
