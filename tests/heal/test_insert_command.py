"""The command insert: files that come out, and one line for each kind of bad input, before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro
from floor_scene import FLOOR_Y, HEIGHT, UP, WIDTH, blob, cameras, floor
from PIL import Image
from scene_depth_heal import insert_cli
from scene_depth_heal.insert_cli import insert
from scene_depth_heal.placement import extent_along

from scene_depth.cli.app import STYLE
from scene_depth.errors import InputError
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.rendering import render
from scene_depth.work import OnProgress, Progress

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
RED = (230, 25, 25)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, cameras and splats of the floor; a painted photo with its mask; something to insert."""
    folder = tmp_path_factory.mktemp("scène")
    (folder / "images").mkdir()
    frames = []
    for index, camera in enumerate(cameras()):
        pixels = render(floor(), camera).rgb[0].clamp(0, 1).mul(255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / "images" / f"view_{index}.png")
        matrix = (camera.camera_to_world[0].numpy() @ OPENGL).tolist()
        frames.append({"file_path": f"images/view_{index}.png", "transform_matrix": matrix})
    content = {"fl_x": 90.0, "fl_y": 92.0, "cx": 46.0, "cy": 38.0, "w": WIDTH, "h": HEIGHT, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(content))
    write_splats(folder / "splats.ply", floor())
    write_splats(folder / "thing.ply", blob())
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[24:44, 38:58] = True
    picture = np.array(Image.open(folder / "images" / "view_2.png"))
    picture[mask] = RED
    Image.fromarray(picture).save(folder / "painted.png")
    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(folder / "mask.png")
    return folder


def run(scene: Path, output: Path, *arguments: str | Path) -> dict:
    tyro.cli(insert, args=[str(scene), "--output", str(output), *map(str, arguments)], config=STYLE)
    return json.loads((output / "report.json").read_text())


def hashes(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_painted_object_is_inserted(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashes(scene)
    report = run(scene, tmp_path, "--painted", "view_2", scene / "painted.png", "--mask", scene / "mask.png", "--steps", "10")
    edited = read_splats(tmp_path / "edited.ply")
    assert report["kind"] == "painted"
    assert report["finished"]
    assert report["edit"]["view"] == "view_2.png"
    assert report["edit"]["mask_pixels"] == 400
    assert len(edited) == report["kept_splats"] + report["new_splats"]
    assert torch.equal(edited.means[: len(floor())], floor().means)
    assert report["frozen_sha256_before"] == report["frozen_sha256_after"]
    assert bool(torch.isfinite(edited.means).all())
    with Image.open(tmp_path / "views" / "view_2.png") as image:
        assert image.size == (2 * WIDTH, HEIGHT)
    assert "unchanged" in capsys.readouterr().out
    assert hashes(scene) == before


def test_without_a_mask_it_is_derived_and_the_report_says_so(scene: Path, tmp_path: Path) -> None:
    report = run(scene, tmp_path, "--painted", "view_2.png", scene / "painted.png", "--retexture", "--steps", "5")
    assert report["kind"] == "retexture"
    assert report["edit"]["mask"].startswith("derived: what differs from the")
    assert "no mask was given" in report["notes"][-1]
    assert report["edit"]["mask_pixels"] == pytest.approx(400, rel=0.3)
    assert report["removed_splats"] > 0


def test_another_file_lands_on_the_surface(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixel, _ = cameras()[1].project(torch.tensor([[0.1, FLOOR_Y, 3.0]], dtype=torch.float64))
    column, row = (float(value) - 0.5 for value in pixel[0, 0])
    report = run(
        scene,
        tmp_path,
        "--ply",
        scene / "thing.ply",
        "--pixel",
        "view_1",
        column,
        row,
        "--height",
        "0.2",
        "--yaw",
        "30",
        "--json",
    )
    assert json.loads(capsys.readouterr().out) == report
    new = read_splats(tmp_path / "edited.ply").select(slice(len(floor()), None))
    low, high = extent_along(new, UP)
    assert low == pytest.approx(-FLOOR_Y, abs=0.01)
    assert high - low == pytest.approx(0.2, rel=0.05)
    assert new.means[:, [0, 2]].mean(0).numpy() == pytest.approx([0.1, 3.0], abs=0.05)


def test_a_transform_comes_from_a_file(scene: Path, tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[:3, 3] = [-5.0, 2.5, 2.0]
    (tmp_path / "matrix.json").write_text(json.dumps({"matrix": matrix.tolist()}))
    run(scene, tmp_path / "out", "--ply", scene / "thing.ply", "--transform", tmp_path / "matrix.json")
    new = read_splats(tmp_path / "out" / "edited.ply").select(slice(len(floor()), None))
    assert new.means.mean(0).numpy() == pytest.approx(blob().means.mean(0).numpy() + matrix[:3, 3], abs=1e-4)


def test_a_part_of_a_file_is_inserted(scene: Path, tmp_path: Path) -> None:
    report = run(scene, tmp_path, "--ply", scene / "thing.ply", "--part", "5.3 -2 1 0.3", "--at", "0", "0.5", "3", "--scale", "2")
    inside = (blob().means - torch.tensor([5.3, -2.0, 1.0])).norm(dim=1) <= 0.3
    assert 0 < report["new_splats"] == int(inside.sum()) < 600


def test_ctrl_c_keeps_what_was_done(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def stopping() -> Iterator[OnProgress]:
        def tell(now: Progress) -> bool:
            return now.stage != "fit"

        yield tell

    monkeypatch.setattr(insert_cli, "watch_progress", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(scene, tmp_path, "--painted", "view_2", scene / "painted.png", "--mask", scene / "mask.png", "--steps", "30")
    report = json.loads((tmp_path / "report.json").read_text())
    assert not report["finished"]
    assert len(read_splats(tmp_path / "edited.ply")) == len(floor()) + report["new_splats"]
    assert report["new_splats"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "painted, ply: neither"),
        (["--painted", "view_2", "{painted}", "--ply", "{thing}"], "painted, ply: both"),
        (["--painted", "view_9", "{painted}"], "view is 'view_9'"),
        (["--painted", "view_2", "{small}"], r"small\.png: painted picture size is 50 x 40; expected 96 x 72"),
        (["--painted", "view_2", "{painted}", "--mask", "{small}"], r"small\.png: mask size is 50 x 40"),
        (["--painted", "view_2", "{painted}", "--mask", "{black}"], "no white pixel"),
        (["--painted", "view_2", "{painted}", "--mask", "{white}"], "100 % of the pixels"),
        (["--painted", "view_2", "{missing}"], r"missing\.png"),
        (["--painted", "view_2", "{original}"], "painted picture: nothing differs from the"),
        (["--painted", "view_2", "{painted}", "--retexture", "--shape", "upright"], "retexture: also --shape"),
        (["--painted", "view_2", "{painted}", "--inpainter", "nonsense"], "inpainter is 'nonsense'"),
        (["--painted", "view_2", "{painted}", "--inpainter", "nearest", "--prior", "marigold"], "--prior and --inpainter"),
        (["--painted", "view_2", "{painted}", "--prior", "nonsense"], "monocular model is 'nonsense'"),
        (["--painted", "view_2", "{painted}", "--depth-image", "{small_depth}"], "depth image size is 50 x 40"),
        (["--painted", "view_2", "{painted}", "--at", "0", "0", "3"], "painted: also options of a place"),
        (["--ply", "{thing}", "--mask", "{black}", "--at", "0", "0", "3"], "ply: also options of a painted picture"),
        (["--ply", "{thing}"], "placement: none"),
        (["--ply", "{thing}", "--at", "0", "0", "3", "--part", "9 9 9 0.1"], "part is a region without any of the 600"),
        (["--ply", "{thing}", "--pixel", "view_1", "96", "3"], r"pixel: \(96, 3\)"),
        (["--ply", "{thing}", "--at", "0", "0", "90"], "at: .* radii of the scene"),
        (["--ply", "{nan}", "--at", "0", "0.5", "3"], r"nan\.ply: means: 1 of 600 splats with NaN"),
        (["--ply", "{points}", "--at", "0", "0.5", "3"], r"points\.ply: element vertex is a point cloud"),
        (["--ply", "{thing}", "--transform", "{painted}"], "expected JSON in UTF-8"),
        (["--ply", "{thing}", "--transform", "{matrix}"], r"transform: shape \(3, 3\)"),
        (["--ply", "{output}", "--at", "0", "0.5", "3"], "would replace an input"),
    ],
)
def test_bad_input_is_one_error(scene: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    files = {"painted": scene / "painted.png", "thing": scene / "thing.ply", "original": scene / "images" / "view_2.png"}
    files |= {name: tmp_path / f"{name}.png" for name in ("small", "black", "white", "missing")}
    files |= {"nan": tmp_path / "nan.ply", "points": tmp_path / "points.ply", "matrix": tmp_path / "matrix.json"}
    files |= {"output": tmp_path / "out" / "edited.ply", "small_depth": tmp_path / "depth.npy"}
    Image.new("RGB", (50, 40)).save(files["small"])
    Image.new("L", (WIDTH, HEIGHT), 0).save(files["black"])
    Image.new("L", (WIDTH, HEIGHT), 255).save(files["white"])
    np.save(files["small_depth"], np.ones((40, 50), dtype=np.float32))
    files["matrix"].write_text(json.dumps(np.eye(3).tolist()))
    means = blob().means.clone()
    means[7, 1] = torch.nan
    write_splats(files["nan"], replace(blob(), means=means))
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 1\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz")
    header += "".join(f"property uchar {channel}\n" for channel in ("red", "green", "blue")) + "end_header\n"
    files["points"].write_bytes(header.encode() + bytes(15))
    with pytest.raises(InputError, match=message):
        run(scene, tmp_path / "out", *(argument.format(**files) for argument in arguments))
    assert not (tmp_path / "out" / "edited.ply").exists()
    assert not (tmp_path / "out" / "report.json").exists()
