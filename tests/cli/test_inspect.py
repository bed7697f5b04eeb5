"""``scene-depth inspect``, called as from a shell."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro
from PIL import Image
from splat_samples import independent_statistics, random_splats, same_bits

from scene_depth.cli.app import STYLE
from scene_depth.cli.inspect import inspect
from scene_depth.errors import InputError
from scene_depth.io.ply import read_ply, write_ply
from scene_depth.io.splat_files import read_splats, write_splats

Shared = Callable[[str], Path]


def run(*arguments: object) -> None:
    tyro.cli(inspect, args=[str(argument) for argument in arguments], config=STYLE)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Two splats with NaN, one giant, one copy, one infinite opacity, rotations of any length."""
    splats = random_splats(200, 1)
    splats.means[[5, 9], 1] = math.nan
    splats.log_scales[20] = 9.0
    splats.logit_opacities[30] = math.inf
    path = tmp_path / "größe.ply"
    write_ply(path, splats.select(torch.cat([torch.arange(200), torch.tensor([50])])))
    return path


def report_of(capsys) -> dict:
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_the_report_names_counts_and_advice(broken: Path, capsys) -> None:
    before = broken.read_bytes()
    run(broken)
    said = capsys.readouterr().out
    for line in (
        "201 splats, SH degree 1, .ply",
        "error: nan: 2 (0.995 %) have NaN among their values",
        "warning: giants: 1 ",
        "warning: duplicates: 1 ",
        "warning: infinite_opacity: 1 ",
        "note: unnormalised_quats: 1",
        "remove them: they turn whole pictures to NaN (--fix does)",
        "up: not clear; --cameras tells",
    ):
        assert line in said
    assert said.index("error: ") < said.index("warning: ") < said.index("note: ")
    assert broken.read_bytes() == before


def test_json(broken: Path, capsys) -> None:
    run(broken, "--json")
    report = report_of(capsys)
    assert {f["name"]: f["count"] for f in report["findings"] if f["severity"] != "note"} == {
        "nan": 2,
        "infinite_opacity": 1,
        "giants": 1,
        "duplicates": 1,
    }
    assert all(f["advice"] and f["message"] for f in report["findings"])
    assert (report["splats"], report["clean"], report["fixed"], report["file"]) == (201, False, None, str(broken))


@pytest.mark.parametrize("name", ["fixed.ply", "fixed.spz", "fixed.compressed.ply", "fixed.splat"])
def test_fix_writes_a_sound_file_that_others_read(broken: Path, capsys, name: str) -> None:
    output = broken.with_name(name)
    run(broken, "--fix", output, "--json")
    fixed = report_of(capsys)["fixed"]
    assert {r["name"]: r["count"] for r in fixed["repairs"] if r["name"] != "unnormalised_quats"} == {
        "nan": 2,
        "giants": 1,
        "infinite_opacity": 1,
        "duplicates": 1,
    }
    assert fixed["splats"] == len(read_splats(output)) == 197
    run(output, "--strict", "--json")  # nothing worse than a note is left
    if name != "fixed.splat":
        columns = independent_statistics(output)["columns"]
        assert not any(values["nanCount"] or values["infCount"] for values in columns.values())


def test_fix_says_in_words_what_was_changed(broken: Path, capsys) -> None:
    run(broken, "--fix", broken.with_name("fixed.splat"))
    said = capsys.readouterr().out
    assert "197 splats" in said
    assert "nan: 2 removed" in said
    assert "infinite_opacity: 1 bounded to opacities" in said
    assert "lost: .splat holds base colours only" in said


def test_fix_of_a_sound_file_changes_nothing(tmp_path: Path, capsys) -> None:
    splats = random_splats(200, 2)
    splats = replace(splats, quats=torch.nn.functional.normalize(splats.quats, dim=1), comments=("by me",))
    write_ply(tmp_path / "a.ply", splats)
    run(tmp_path / "a.ply", "--fix", tmp_path / "b.ply")
    assert "nothing to repair" in capsys.readouterr().out
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


def test_keep_leaves_findings_alone(broken: Path) -> None:
    run(broken, "--fix", broken.with_name("b.ply"), "--keep", "giants", "duplicates", "unnormalised_quats")
    source, fixed = read_ply(broken), read_ply(broken.with_name("b.ply"))
    kept = torch.ones(201, dtype=torch.bool)
    kept[[5, 9]] = False
    expected = source.select(kept)
    assert len(fixed) == 199
    changed = fixed.logit_opacities != expected.logit_opacities
    assert changed.nonzero()[:, 0].tolist() == [28]
    assert same_bits(replace(fixed, logit_opacities=expected.logit_opacities), expected)


def test_a_wrong_number_of_harmonics_is_repaired(tmp_path: Path, capsys) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, random_splats(20, 1))
    path.write_bytes(path.read_bytes().replace(b"float f_rest_8\n", b"float spare_8\n"))
    run(path, "--fix", tmp_path / "b.ply", "--json")
    report = report_of(capsys)
    assert report["findings"][0]["name"] == "sh_count"
    assert report["fixed"]["repairs"][0] == {"name": "sh_count", "count": 20, "action": "cut to SH degree 0"}
    assert read_ply(tmp_path / "b.ply").sh_degree == 0


def test_an_empty_file_is_an_error(tmp_path: Path, capsys) -> None:
    write_splats(tmp_path / "a.ply", random_splats(0, 0))
    with pytest.raises(SystemExit):
        run(tmp_path / "a.ply", "--strict")
    assert "error: empty: 0 (0 %) splats are in it" in capsys.readouterr().out


def test_strict_fails_by_the_exit_code(broken: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        run(broken, "--strict")
    assert caught.value.code == 1


def scene_of(folder: Path) -> Path:
    """transforms.json with two upright cameras (OpenGL axes, world with z up) that look along +y and -y at the origin."""
    frames = []
    for i, side in enumerate((-1.0, 1.0)):
        right, up, back = np.array([-side, 0, 0]), np.array([0, 0, 1.0]), np.array([0, side, 0])
        pose = np.eye(4)
        pose[:3, :4] = np.stack([right, up, back, np.array([0, 10 * side, 0])], axis=1)
        Image.new("RGB", (64, 48)).save(folder / f"{i}.png")
        frames.append({"file_path": f"{i}.png", "transform_matrix": pose.tolist()})
    meta = {"fl_x": 60.0, "fl_y": 60.0, "cx": 32.0, "cy": 24.0, "w": 64, "h": 48, "camera_model": "OPENCV", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(meta))
    return folder


def test_cameras_tell_fog_and_up(tmp_path: Path, capsys) -> None:
    splats = random_splats(500, 0)
    splats = replace(splats, means=splats.means * 0.3, quats=torch.nn.functional.normalize(splats.quats, dim=1))
    splats.means[0] = torch.tensor([0.0, -9.8, 0.0])  # 0.2 before the first camera, of half a picture's size
    splats.log_scales[0] = math.log(0.1)
    write_ply(tmp_path / "a.ply", splats)
    run(tmp_path / "a.ply", "--cameras", scene_of(tmp_path), "--fix", tmp_path / "b.ply", "--json")
    report = report_of(capsys)
    assert [(f["name"], f["count"]) for f in report["findings"] if f["severity"] == "warning"] == [("near_camera_fog", 1)]
    assert (report["up"], report["up_from"]) == ("+z", "cameras")
    assert same_bits(read_ply(tmp_path / "b.ply"), splats.select(slice(1, None)))
    run(tmp_path / "a.ply", "--cameras", tmp_path / "transforms.json")
    assert "up: +z, as the cameras are held; for viewers that show +y upward, convert --rotate -90 0 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty.ply", "--fix", "b.ply"], "splats: none left of 0 after the repair"),
        (["nan.ply", "--fix", "b.ply"], "splats: none left of 3 after the repair"),
        (["a.ply", "--fix", "a.ply"], "output: the path of the input"),
        (["a.ply", "--fix", "b.obj"], "extension is '.obj'"),
        (["a.ply", "--fix", "folder.ply"], "output is a folder"),
        (["a.ply", "--keep", "fogg"], "keep is 'fogg'"),
        (["folder.ply"], "path is a folder"),
        (["none.ply"], "No such file"),
        (["a.txt"], "extension is '.txt'"),
        (["cut.ply"], "the file is cut short"),
        (["garbage.ply"], "magic"),
        (["points.ply"], "a point cloud"),
        (["a.ply", "--cameras", "nowhere"], "scene: nothing at this path"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path: Path, monkeypatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_splats("a.ply", random_splats(3, 0))
    write_splats("empty.ply", random_splats(0, 0))
    write_splats("nan.ply", replace(random_splats(3, 0), means=torch.full((3, 3), math.nan)))
    Path("folder.ply").mkdir()
    Path("cut.ply").write_bytes(Path("a.ply").read_bytes()[:-5])
    Path("garbage.ply").write_bytes(b"\x00\x01" * 400)
    header = "ply\nformat ascii 1.0\nelement vertex 1\n{}end_header\n0 0 0 1 1 1\n"
    properties = [f"property float {axis}\n" for axis in "xyz"] + [f"property uchar {c}\n" for c in ("red", "green", "blue")]
    Path("points.ply").write_text(header.format("".join(properties)).replace("ascii", "binary_little_endian"))
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=message) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["trained_9k.ply", "tile_14k.ply", "biker.spz", "biker.compressed.ply"])
def test_real_files(shared: Shared, capsys, name: str) -> None:
    run(shared(f"data/splats/{name}"), "--json")
    report = report_of(capsys)
    assert not [finding for finding in report["findings"] if finding["severity"] == "error"]
    assert report["radius"] > 0
