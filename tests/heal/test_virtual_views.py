"""Splats without photos: a box on a floor is healed by what the splats show from around it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from floor_scene import FLOOR_Y, floor
from scene_depth_heal import Box, HealConfig, HealResult, Sphere, heal
from scene_depth_heal.hole import HealView, open_hole
from scene_depth_heal.session import EditSession
from scene_depth_heal.virtual_views import find_virtual_views

from scene_depth.cameras import camera_from_fov, look_at
from scene_depth.cli.app import main
from scene_depth.errors import InputError
from scene_depth.evaluation.images import psnr
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.rendering import render
from scene_depth.rendering.bounds import bounding_region, footprint_bounds
from scene_depth.splats import SH_C0, GaussianSplats, concatenate_splats
from scene_depth.work import Progress

HALF, MIDDLE = 0.2, (0.0, FLOOR_Y - 0.2, 3.0)  # of a cube that stands on the floor
REGION = Box(MIDDLE, (0.44, 0.44, 0.44))
TYPED = "0 0.79 3 0.46 0.4 0.46"  # the same without the floor's splats at its foot
SMALL = HealConfig(steps=20, most_references=2, shadow=False)


def cube() -> GaussianSplats:
    """Red splats on the five free faces of the cube, 2.5 cm apart."""
    a, b = (values.flatten() for values in torch.meshgrid(*[torch.linspace(-HALF, HALF, 17)] * 2, indexing="ij"))
    side = torch.full_like(a, HALF)
    faces = [torch.stack(face, dim=1) for face in ((side, a, b), (-side, a, b), (a, b, side), (a, b, -side), (a, -side, b))]
    points = torch.cat(faces) + torch.tensor(MIDDLE)
    points = points[points[:, 1] < FLOOR_Y - 0.01]
    return GaussianSplats(
        means=points,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(len(points), 1),
        log_scales=torch.full((len(points), 3), 0.015).log(),
        logit_opacities=torch.full((len(points),), 4.0),
        sh=((torch.tensor([0.8, 0.1, 0.1]) - 0.5) / SH_C0).repeat(len(points), 4, 1) * torch.tensor([1.0, 0, 0, 0])[:, None],
    )


@pytest.fixture(scope="module")
def scene() -> tuple[GaussianSplats, torch.Tensor]:
    """A floor without splats where the cube stands on it, and the cube, of SH degree 1."""
    whole, thing = floor(), cube()
    below = (whole.means - torch.tensor(MIDDLE)).abs()[:, [0, 2]].amax(dim=1) < HALF
    splats = concatenate_splats([whole.select(~below), thing])
    return splats, torch.arange(len(splats)) >= len(splats) - len(thing)


@pytest.fixture(scope="module")
def healed(scene: tuple[GaussianSplats, torch.Tensor]) -> HealResult:
    return heal(scene[0], scene[1], inpainter="harmonic", config=SMALL, max_size=128)


def test_views_stand_above_the_floor_all_around_and_the_right_way_up(scene: tuple[GaussianSplats, torch.Tensor]) -> None:
    views, found = find_virtual_views(*scene, max_size=96)
    assert 8 <= len(views) == found.count <= 16
    np.testing.assert_allclose(found.up, (0, -1, 0), atol=0.05)
    places = np.stack([view.camera.centers[0].numpy() for view in views])
    assert (places[:, 1] < FLOOR_Y - 0.1).all()
    turns = np.sort(np.arctan2(places[:, 0] - MIDDLE[0], places[:, 2] - MIDDLE[2]))
    assert np.diff(np.append(turns, turns[0] + 2 * np.pi)).max() < np.radians(120)
    assert found.refused["behind surfaces"] + found.refused.get("object hidden", 0) > 20
    for view in views:
        drawn = render(scene[0], view.camera).rgb[0].clamp(0, 1)
        assert view.alpha is not None
        opaque = view.alpha > 0.9
        assert float((view.rgb - drawn)[opaque].abs().max()) < 0.1
        red = view.rgb[..., 0] - view.rgb[..., 1] > 0.3
        assert 0.05 < float(red.float().mean()) < 0.4


def test_the_floor_is_filled_where_it_lies_and_nowhere_else(
    scene: tuple[GaussianSplats, torch.Tensor], healed: HealResult
) -> None:
    splats, removed = scene
    kept, report = splats.select(~removed), healed.report
    assert report.finished
    there = {row.numpy().tobytes() for row in kept.means}
    frozen = torch.tensor([row.numpy().tobytes() in there for row in healed.splats.means])
    old, gone = healed.splats.select(frozen), report.stray_splats
    assert len(old) == report.kept_splats == len(kept) - gone
    assert gone < 100  # at the foot of the cube
    left = {row.numpy().tobytes() for row in old.means}
    same = kept.select(torch.tensor([row.numpy().tobytes() in left for row in kept.means]))
    assert report.frozen_sha256_before == report.frozen_sha256_after == old.sha256() == same.sha256()
    assert healed.splats.sh_degree == 1
    new = healed.splats.means[report.kept_splats :]
    assert len(new) > 100
    assert float((new[:, 1] - FLOOR_Y).abs().median()) < 0.015  # rendered depth of overlapping splats lies nearer by this
    assert float((new[:, 1] - FLOOR_Y).abs().max()) < 0.05
    assert float((new - torch.tensor(MIDDLE)).abs()[:, [0, 2]].max()) < HALF + 0.15
    pose = look_at(*(torch.tensor(v, dtype=torch.float64) for v in ((0.3, -0.3, 1.8), (0.0, 1.0, 3.0), (0.0, -1.0, 0.0))))
    camera = camera_from_fov(pose[None], 0.5, 96, 72)
    truth, after, hole = (render(each, camera) for each in (floor(), healed.splats, kept))
    where = (hole.alpha[0] < 0.5).numpy()
    assert where.sum() > 300
    assert psnr(after.rgb[0].clamp(0, 1).numpy(), truth.rgb[0].clamp(0, 1).numpy(), where) > 25
    difference = (after.depth[0] - truth.depth[0]).abs() / truth.depth[0]
    assert float(difference[torch.from_numpy(where)].median()) < 0.01


def test_a_hole_ends_where_the_surfaces_around_it_end(scene: tuple[GaussianSplats, torch.Tensor]) -> None:
    """From low down the cube hides the far edge of the floor, beyond which there is nothing to continue."""
    pose = look_at(*(torch.tensor(v, dtype=torch.float64) for v in ((0.0, 0.7, 1.6), (0.0, 0.8, 3.0), (0.0, -1.0, 0.0))))
    camera = camera_from_fov(pose[None], 0.6, 96, 72)
    view = HealView("low", camera, torch.zeros(72, 96, 3))
    nothing = render(floor(), camera).alpha[0] < 0.5
    photo, virtual = (
        open_hole(*scene, [each]).states[0] for each in (view, replace(view, alpha=render(scene[0], camera).alpha[0]))
    )
    region = bounding_region(footprint_bounds(scene[0].select(scene[1]), camera), camera)
    part = virtual.part(region)
    assert part.view.alpha is not None
    assert part.view.alpha.shape == part.unseen.shape == (part.camera.height, part.camera.width)
    hidden = photo.object_pixels & nothing
    assert hidden.sum() > 200
    assert photo.unseen[hidden].float().mean() > 0.9
    assert virtual.unseen[hidden].float().mean() < 0.1
    assert virtual.unseen[photo.unseen & ~nothing].float().mean() > 0.9


def test_the_report_says_what_stood_in_for_photos(healed: HealResult) -> None:
    found = healed.report.virtual_views
    assert found is not None
    said = healed.report.notes[0]
    assert f"{found.count} virtual views" in said
    assert "no photos" in said
    assert "invented" in said
    assert "the surface around the object" in said
    assert json.loads(json.dumps(healed.report.as_dict()))["virtual_views"]["count"] == found.count
    assert healed.report.likeness is None
    assert "views" in healed.report.seconds


def test_the_command_takes_a_file_alone(
    scene: tuple[GaussianSplats, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "scene.compressed.ply", tmp_path / "out"
    write_splats(source, scene[0])
    content = source.read_bytes()
    arguments = ["heal", str(source), "--output", str(output), "--max-size", "64", "--box", TYPED, "--no-shadow"]
    assert main([*arguments, "--dry-run"]) == 0
    assert "virtual views" in capsys.readouterr().out
    assert not (output / "healed.ply").exists()
    assert main([*arguments, "--steps", "2", "--most-references", "1", "--inpainter", "harmonic"]) == 0
    printed = capsys.readouterr().out
    assert "unchanged, bit for bit" in printed
    assert "all of that is invented" in printed
    report = json.loads((output / "report.json").read_text())
    assert report["virtual_views"]["count"] >= 8
    before = {row.numpy().tobytes() for row in read_splats(source).means}
    after = read_splats(output / "healed.ply").means[: report["kept_splats"]]
    assert all(row.numpy().tobytes() in before for row in after)
    assert len(list((output / "views").glob("virtual_*.png"))) >= 4
    assert source.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "masks.*--box, --sphere or --indices"),
        (["--box", TYPED, "--splats", "other.ply"], "splats.*beside a file of splats alone"),
        (["--sphere", "0 0 0 0.1"], "no splat"),
        (["--sphere", "0 0 0 100"], "all"),
    ],
)
def test_what_belongs_to_photos_and_empty_selections_are_refused_before_work(
    scene: tuple[GaussianSplats, torch.Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    source = tmp_path / "scene.ply"
    write_splats(source, scene[0])
    assert main(["heal", str(source), "--output", str(tmp_path / "out"), *options]) != 0
    error = capsys.readouterr().err
    assert re.search(message, error.replace("\n", " "))


def test_holes_that_nothing_surrounds_or_nobody_can_see_are_refused(scene: tuple[GaussianSplats, torch.Tensor]) -> None:
    splats, removed = scene
    thing = splats.select(removed)
    far = splats.select(slice(0, 200))
    far = replace(far, means=far.means + 4.0)
    with pytest.raises(InputError, match="nothing around it"):
        heal(concatenate_splats([thing, far]), Sphere(MIDDLE, 0.5), dry_run=True)
    around = torch.from_numpy(np.random.default_rng(0).normal(size=(4000, 3))).float()
    shell = far.select(torch.zeros(4000, dtype=torch.long))
    shell = replace(shell, means=0.5 * torch.nn.functional.normalize(around, dim=1) + torch.tensor(MIDDLE))
    shell = replace(shell, log_scales=torch.full((4000, 3), 0.02).log())
    with pytest.raises(InputError, match="no free space for a virtual view"):
        heal(concatenate_splats([thing, shell]), REGION, dry_run=True)


def test_splats_without_a_usable_scale_are_refused(scene: tuple[GaussianSplats, torch.Tensor]) -> None:
    splats, removed = scene
    with pytest.raises(InputError, match="spread in space"):
        heal(replace(splats, means=torch.zeros_like(splats.means)), removed)
    with pytest.raises(InputError, match=r"scales.*--fix"):
        heal(replace(splats, log_scales=splats.scales), removed)
    with pytest.raises(InputError, match="expected the object"):
        heal(splats, splats)
    with pytest.raises(InputError, match="masks belong to"):
        heal(splats)


def test_a_stopped_search_leaves_the_splats_as_they_were(scene: tuple[GaussianSplats, torch.Tensor]) -> None:
    result = heal(*scene, on_progress=lambda now: now.done < 2)
    assert not result.report.finished
    assert result.report.frozen_sha256_before == result.report.frozen_sha256_after
    assert torch.equal(result.splats.means, scene[0].means)


def test_the_editor_heals_splats_alone_and_undoes_it(scene: tuple[GaussianSplats, torch.Tensor]) -> None:
    splats, removed = scene
    session = EditSession(splats, max_size=64)
    session.select(removed)
    session.delete()
    seen: list[str] = []

    def note(now: Progress) -> None:
        seen.append(now.stage)

    report = session.heal("harmonic", "exemplar", replace(SMALL, steps=2, most_references=1), note).report
    assert report.virtual_views is not None
    assert seen[0] == "views"
    assert len(session.splats) == report.kept_splats + report.new_splats > int((~removed).sum())
    assert session.undo()
    assert session.undo()
    assert len(session.splats) == len(splats)
