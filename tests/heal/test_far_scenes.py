"""Edits in the coordinates of a national grid: regions and points are those of the files, and so is what is reported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scene_depth_heal as sh
import torch
from floor_scene import FLOOR_Y, HEIGHT, WIDTH, blob, cameras, floor
from PIL import Image
from scene_depth_heal.selection import read_region, write_region

import scene_depth as sd
from scene_depth.cli.app import main
from scene_depth.cli.inputs import open_scene, open_splats
from scene_depth.io.splat_files import read_splats, splat_origin, with_origin, write_splats
from scene_depth.rendering import render

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
UTM = np.array([448262.0, 5411932.0, 120.0])
PLACES = {"near": np.zeros(3), "far": UTM}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The floor with something on it, near the zero of its files and far from it; depth of an assumed unit."""
    picture = render(floor(), cameras()[0])
    found = {}
    for name, place in PLACES.items():
        folder = found[name] = tmp_path_factory.mktemp(name)
        frames = []
        for index, camera in enumerate(cameras()):
            Image.fromarray(picture.rgb[0].clamp(0, 1).mul(255).byte().numpy()).save(folder / f"{index}.png")
            Image.fromarray((1000 * picture.depth[0]).numpy().astype(np.uint16)).save(folder / f"depth{index}.png")
            pose = camera.camera_to_world[0].numpy() @ OPENGL
            pose[:3, 3] += place
            matrix = {"transform_matrix": pose.tolist(), "depth_file_path": f"depth{index}.png"}
            frames.append({"file_path": f"{index}.png", **matrix})
        content = {"fl_x": 90.0, "fl_y": 92.0, "cx": 46.0, "cy": 38.0, "w": WIDTH, "h": HEIGHT, "frames": frames}
        (folder / "transforms.json").write_text(json.dumps(content))
        write_splats(folder / "splats.ply", with_origin(floor(), tuple(place.tolist())))
        write_splats(folder / "thing.ply", with_origin(blob(), tuple(place.tolist())))
    return found


def numbers(*values: float) -> str:
    return " ".join(repr(float(value)) for value in values)


def moved(place: np.ndarray, *point: float) -> tuple[float, ...]:
    return tuple((np.array(point) + place).tolist())


def healed(scene: Path, output: Path, *arguments: str) -> dict:
    assert main(["heal", str(scene), "--output", str(output), "--dry-run", "--max-size", "48", *arguments]) == 0
    return json.loads((output / "report.json").read_text())


@pytest.mark.parametrize("kind", ["sphere", "box", "file"])
def test_regions_are_in_the_coordinates_of_the_files(kind: str, scenes: dict[str, Path], tmp_path: Path) -> None:
    removed = {}
    for name, place in PLACES.items():
        center = np.array([0.1, FLOOR_Y, 3.0]) + place
        if kind == "file":
            write_region(tmp_path / f"{name}.json", sh.Box(tuple(center.tolist()), (0.4, 0.3, 0.5)))
        region = {
            "sphere": ["--sphere", numbers(*center, 0.3)],
            "box": ["--box", numbers(*center, 0.4, 0.3, 0.5)],
            "file": ["--box", str(tmp_path / f"{name}.json")],
        }[kind]
        removed[name] = healed(scenes[name], tmp_path / name, *region)["removed_splats"]
    assert removed["near"] == removed["far"] > 50


def test_reports_say_unit_origin_and_what_was_assumed(scenes: dict[str, Path], tmp_path: Path) -> None:
    reports = [healed(scenes["far"], tmp_path / "heal", "--sphere", numbers(*moved(UTM, 0.1, FLOOR_Y, 3.0), 0.3))]
    arguments = ["--steps", "1", "--max-size", "32", "--test-every", "0"]
    assert main(["fit", str(scenes["far"]), "--output", str(tmp_path / "fit"), *arguments]) == 0
    reports.append(json.loads((tmp_path / "fit" / "report.json").read_text()))
    origin = open_scene(scenes["far"]).origin
    np.testing.assert_allclose(origin, UTM, atol=1)
    assert splat_origin(read_splats(tmp_path / "fit" / "splats.ply")) == origin
    for report in reports:
        assert report["unit"] == "scene unit"
        assert report["origin"] == list(origin)
        assert report["scene_notes"][0] == "5 of 5 photos used"
        assert any("assumed, as transforms.json states none" in sentence for sentence in report["scene_notes"])


def test_a_stated_unit_is_in_the_report(scenes: dict[str, Path], tmp_path: Path) -> None:
    content = json.loads((scenes["near"] / "transforms.json").read_text()) | {"depth_unit_scale_factor": 0.001}
    for index, frame in enumerate(content["frames"]):
        frame |= {"file_path": str(scenes["near"] / f"{index}.png"), "depth_file_path": str(scenes["near"] / f"depth{index}.png")}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "transforms.json").write_text(json.dumps(content))
    result = sd.fit(sd.read_scene(tmp_path / "in"), config=sd.FitConfig(steps=1, max_size=32))
    assert result.report.unit == "metre"
    assert any("depth_unit_scale_factor 0.001 in transforms.json" in sentence for sentence in result.report.scene_notes)


@pytest.mark.parametrize("options", ["at", "transform"])
def test_splats_are_inserted_at_points_of_the_files(options: str, scenes: dict[str, Path], tmp_path: Path) -> None:
    reports, new = {}, {}
    for name, place in PLACES.items():
        output = tmp_path / name
        part = numbers(*moved(place, 5.3, -2.0, 1.0), 0.3)
        where = ["--at", *map(repr, moved(place, 0.0, 0.5, 3.0))]
        if options == "transform":
            matrix = np.eye(4)
            matrix[:3, 3] = moved(place, -5.0, 2.5, 2.0)
            (tmp_path / f"{name}.json").write_text(json.dumps(matrix.tolist()))
            where = ["--transform", str(tmp_path / f"{name}.json")]
        thing = ["--ply", str(scenes[name] / "thing.ply"), "--part", part]
        assert main(["insert", str(scenes[name]), "--output", str(output), *thing, *where, "--max-size", "48"]) == 0
        reports[name] = json.loads((output / "report.json").read_text())
        splats = read_splats(output / "edited.ply")
        new[name] = splats.means[len(floor()) :].double().numpy() + splat_origin(splats) - place
    assert reports["near"]["new_splats"] == reports["far"]["new_splats"] > 20
    np.testing.assert_allclose(new["far"], new["near"], atol=1e-4)
    near, far = (np.array(reports[name]["edit"]["matrix"]) for name in PLACES)
    np.testing.assert_allclose(far[:3, 3] - UTM, near[:3, 3], atol=1e-4)
    if options == "at":
        points = [np.array(reports[name]["edit"]["surface_point"]) - place for name, place in PLACES.items()]
        np.testing.assert_allclose(points[1], points[0], atol=1e-4)
        for edit in (reports[name]["edit"] for name in PLACES):
            assert edit["surface_height"] == pytest.approx(np.dot(edit["surface_point"], edit["up"]), abs=1e-6)
            assert edit["lowest"] == pytest.approx(edit["surface_height"], abs=0.02)


def test_a_point_outside_is_named_as_it_was_given(scenes: dict[str, Path], tmp_path: Path, capsys) -> None:
    thing = ["--ply", str(scenes["far"] / "thing.ply"), "--at", "0", "0.5", "3"]
    assert main(["insert", str(scenes["far"]), "--output", str(tmp_path / "out"), *thing, "--max-size", "48"]) == 2
    assert "at: (0.0, 0.5, 3.0), " in capsys.readouterr().err


def test_from_python_scenes_and_splats_meet(scenes: dict[str, Path]) -> None:
    """A scene as it was read, in the frame of its files, and splats that name an origin."""
    results = {}
    for name, place in PLACES.items():
        scene, splats = sd.read_scene(scenes[name]), sd.read_splats(scenes[name] / "splats.ply")
        sphere = sh.Sphere(moved(place, 0.1, FLOOR_Y, 3.0), 0.3)
        results[name] = sh.heal(scene, splats, sphere, max_size=48, dry_run=True)
    near, far = (results[name].report for name in PLACES)
    assert near.removed_splats == far.removed_splats > 50
    assert near.unseen_share_of_hole == pytest.approx(far.unseen_share_of_hole, abs=1e-3)
    assert far.origin == tuple(UTM.tolist())


def test_the_region_of_the_page_is_one_of_the_files(scenes: dict[str, Path], tmp_path: Path) -> None:
    panel = pytest.importorskip("scene_depth_viewer.select_panel", reason="viser is not installed")
    splats = open_splats(scenes["far"] / "splats.ply", scene=open_scene(scenes["far"]))
    shown = sh.Box((0.1, FLOOR_Y, 3.0), (0.4, 0.3, 0.5))
    loaded = []
    page = SimpleNamespace(
        folder=SimpleNamespace(file=lambda name, endings: tmp_path / name),
        session=SimpleNamespace(original=splats),
        write=lambda event, path, write: write(),
    )
    file = SimpleNamespace(value="region.json")
    panel_like = SimpleNamespace(_page=page, file=file, region=lambda: shown, set_region=loaded.append)
    panel.RegionFolder.keep(panel_like, None, "Save")
    np.testing.assert_allclose(read_region(tmp_path / "region.json").center, np.array(shown.center) + splat_origin(splats))
    panel.RegionFolder.keep(panel_like, None, "Load")
    np.testing.assert_allclose(loaded[0].center, shown.center, atol=1e-8)
    assert replace(loaded[0], center=shown.center) == shown
    chosen = sh.select(splats, tmp_path / "region.json")
    assert torch.equal(chosen, shown.contains(splats.means.double()))
