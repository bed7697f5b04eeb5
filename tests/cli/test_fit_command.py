"""The commands fit and render, run in the process and as a program that is interrupted."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tyro
from PIL import Image

from scene_depth.cameras import camera_from_fov, look_at
from scene_depth.cli.app import STYLE
from scene_depth.cli.fit import fit
from scene_depth.cli.render import render
from scene_depth.errors import InputError
from scene_depth.fitting.fit import fit as fit_splats
from scene_depth.io.camera_paths import read_camera_path
from scene_depth.io.depth_images import read_depth
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.rendering import render as render_splats
from scene_depth.splats import SH_C0, GaussianSplats

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
SHORT = ["--steps", "12", "--refine-start", "2", "--refine-every", "4", "--start-splats", "50", "--max-splats", "60"]


def few_splats() -> GaussianSplats:
    generator = torch.Generator().manual_seed(0)
    return GaussianSplats(
        means=torch.rand(30, 3, generator=generator) - 0.5,
        quats=torch.randn(30, 4, generator=generator),
        log_scales=torch.full((30, 3), -2.0),
        logit_opacities=torch.full((30,), 3.0),
        sh=(torch.rand(30, 1, 3, generator=generator) - 0.5) / SH_C0,
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine photos of a few splats with a transforms.json, the names not in ASCII."""
    folder = tmp_path_factory.mktemp("szene-ü")
    (folder / "images").mkdir()
    frames = []
    for i in range(9):
        angle = 2 * np.pi * i / 9
        position = torch.tensor([2.2 * np.cos(angle), 2.2 * np.sin(angle), 0.3], dtype=torch.float64)
        camera = camera_from_fov(look_at(position, torch.zeros(3).double(), torch.tensor([0.0, 0, 1])), 0.7, 40, 32)
        pixels = render_splats(few_splats(), camera).rgb[0].clamp(0, 1).mul(255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        frames.append({"file_path": f"images/{i}.png", "transform_matrix": (camera.camera_to_world[0].numpy() @ OPENGL).tolist()})
    focal = camera.K[0, 0, 0].item()
    content = {"fl_x": focal, "fl_y": focal, "cx": 20, "cy": 16, "w": 40, "h": 32, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def run_fit(*arguments: str) -> None:
    tyro.cli(fit, args=list(arguments), config=STYLE)


def run_render(*arguments: str) -> None:
    tyro.cli(render, args=list(arguments), config=STYLE)


def test_fit_writes_splats_report_and_test_views(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_fit(str(scene), "--output", str(tmp_path / "out"), "--json", *SHORT)
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["finished"]
    assert report["steps"] == 12
    assert [row["name"] for row in report["test"]] == ["0.png", "8.png"]
    assert report["psnr_test"] == pytest.approx(np.mean([row["psnr"] for row in report["test"]]))
    assert 0 < report["ssim_test"] < 1
    assert report["seconds"] > 0
    assert len(read_splats(tmp_path / "out" / "splats.ply")) == report["splats"]
    with Image.open(tmp_path / "out" / "test" / "0.png") as image:
        assert image.size == (80, 32)


def test_fit_without_json_says_what_it_did(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_fit(str(scene), "--output", str(tmp_path), "--test-every", "0", *SHORT)
    assert "12 steps" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["psnr_test"] is None


def test_refined_cameras_are_kept_beside_the_splats(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    run_fit(str(scene), "--output", str(out), "--refine-cameras", "--camera-start", "0", *SHORT)
    assert "Cameras were turned by" in capsys.readouterr().out
    given, refined = read_scene(scene), read_scene(out / "refined_scene")
    assert [view.name for view in refined.views] == [view.name for view in given.views]
    for before, after in zip(given.views, refined.views, strict=True):
        held_out = before.name in ("0.png", "8.png")
        assert torch.equal(before.camera.camera_to_world, after.camera.camera_to_world) == held_out
        assert torch.equal(before.camera.K, after.camera.K) == held_out
        assert after.image_path == scene / "images" / before.name  # the photos stay where they are
    report = json.loads((out / "report.json").read_text())
    assert 0 < report["cameras"]["turned_degrees"]["median"] < 5
    assert report["config"]["cameras"]["camera_start"] == 0
    run_fit(str(scene), "--output", str(out), *SHORT)
    assert not (out / "refined_scene").exists()


def test_fit_keeps_frozen_splats_out_of_the_file_and_never_overwrites_them(scene: Path, tmp_path: Path) -> None:
    write_splats(tmp_path / "frozen.ply", few_splats())
    run_fit(
        str(scene), "--output", str(tmp_path / "out"), "--frozen", str(tmp_path / "frozen.ply"), "--start-opacity", "0.01", *SHORT
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frozen_splats"] == 30
    assert report["frozen_sha256"] == read_splats(tmp_path / "frozen.ply").sha256()
    assert report["psnr_test"] > 25  # the frozen splats are the truth
    write_splats(tmp_path / "splats.ply", few_splats())
    with pytest.raises(InputError, match="never overwritten"):
        run_fit(str(scene), "--output", str(tmp_path), "--initial", str(tmp_path / "splats.ply"), *SHORT)


@pytest.mark.usefixtures("control_c")
def test_an_interrupted_fit_keeps_what_was_done_and_resumes_to_the_same_bits(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_control_c(*arguments: Any, on_progress: Any, **options: Any) -> Any:
        def told(now: Any) -> bool:
            if now.done == 7:
                signal.raise_signal(signal.SIGINT)
            return on_progress(now)

        return fit_splats(*arguments, on_progress=told, **options)

    out, whole = tmp_path / "out", tmp_path / "whole"
    with monkeypatch.context() as patch:
        patch.setattr("scene_depth.cli.fit.fit_splats", press_control_c)
        with pytest.raises(KeyboardInterrupt):
            run_fit(str(scene), "--output", str(out), "--json", *SHORT)
    report = json.loads(capsys.readouterr().out)
    assert not report["finished"]
    assert report["steps"] == 7
    assert report["psnr_test"] is not None
    assert len(read_splats(out / "splats.ply")) == report["splats"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run_fit(str(scene), "--output", str(out), "--resume", *SHORT)
    run_fit(str(scene), "--output", str(whole), *SHORT)
    assert read_splats(out / "splats.ply").sha256() == read_splats(whole / "splats.ply").sha256()
    assert json.loads((out / "report.json").read_text())["finished"]


def test_bad_input_ends_before_the_work(scene: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments, found in (
        ([str(scene), "--output", str(tmp_path / "file")], "output folder"),
        ([str(tmp_path / "nothing"), "--output", str(tmp_path)], "nothing"),
        ([str(scene), "--output", str(tmp_path), "--resume"], "checkpoint"),
        ([str(scene), "--output", str(tmp_path), "--test-every", "1"], "every"),
        ([str(scene), "--output", str(tmp_path), "--start", "points"], "points"),
        ([str(scene), "--output", str(tmp_path), "--density", "mcmc", "--grow-gradient", "1"], "grow_gradient.*--density mcmc"),
        ([str(scene), "--output", str(tmp_path), "--focal-lr", "1"], "focal_lr.*--refine-cameras"),
    ):
        with pytest.raises(InputError, match=found):
            run_fit(*arguments, *SHORT)
    assert not (tmp_path / "splats.ply").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the super-user may write everywhere")
def test_read_only_output(scene: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="output folder"):
        run_fit(str(scene), "--output", str(tmp_path / "out"), *SHORT)


def test_render_writes_pictures_depth_and_alpha(scene: Path, tmp_path: Path) -> None:
    write_splats(tmp_path / "few.ply", few_splats())
    common = [str(tmp_path / "few.ply"), "--cameras", str(scene)]
    run_render(*common, "--output", str(tmp_path / "out"), "--what", "rgb", "depth", "alpha")
    for number in range(9):
        photo = np.asarray(Image.open(scene / "images" / f"{number}.png"))
        (written,) = (tmp_path / "out" / "rgb").rglob(f"{number}.png")
        np.testing.assert_allclose(np.asarray(Image.open(written)).astype(int), photo, atol=1)
    (alpha_file,) = (tmp_path / "out" / "alpha").rglob("3.png")
    (depth_file,) = (tmp_path / "out" / "depth").rglob("3.npy")
    alpha, depth = np.asarray(Image.open(alpha_file)), read_depth(depth_file)
    np.testing.assert_array_equal(depth[alpha > 129] > 0, True)
    np.testing.assert_array_equal(depth[alpha < 126], 0)
    assert 1.2 < depth[depth > 0].min() < depth.max() < 3.2
    run_render(*common, "--output", str(tmp_path / "png"), "--depth-format", "png", "--max-size", "20", "--median-depth")
    (png,) = (tmp_path / "png" / "depth").rglob("3.png")
    assert read_depth(png).shape == (16, 20)


def test_render_along_a_camera_path(tmp_path: Path) -> None:
    pose = look_at(torch.tensor([0.0, -2.2, 0.0]).double(), torch.zeros(3).double(), torch.tensor([0.0, 0, 1]))
    flat = (pose.numpy() @ OPENGL).reshape(-1).tolist()
    content = {
        "render_width": 30,
        "render_height": 20,
        "fps": 24,
        "camera_path": [{"camera_to_world": flat, "fov": 45, "aspect": 1.5}] * 2,
    }
    path = tmp_path / "path.json"
    path.write_text(json.dumps(content))
    cameras, fps = read_camera_path(path)
    assert fps == 24
    torch.testing.assert_close(cameras.camera_to_world[1], pose)
    assert cameras.K[0, 1, 1].item() == pytest.approx(10 / np.tan(np.radians(22.5)))
    write_splats(tmp_path / "few.ply", few_splats())
    run_render(str(tmp_path / "few.ply"), "--path", str(path), "--output", str(tmp_path / "out"))
    assert sorted(file.name for file in (tmp_path / "out" / "rgb").iterdir()) == ["00000.png", "00001.png"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"camera_path": []}, "camera_path"),
        ({"render_width": 0}, "render_width"),
        ({"camera_type": "equirectangular"}, "camera_type"),
        ({"camera_path": [{"camera_to_world": [1, 2], "fov": 45}]}, r"camera_path\[0\]"),
        ({"camera_path": [{"camera_to_world": np.eye(4).ravel().tolist(), "fov": 200}]}, "fov"),
        ({"camera_path": [{"camera_to_world": (2 * np.eye(4)).ravel().tolist(), "fov": 45}]}, "camera_to_world"),
    ],
)
def test_bad_camera_paths(change: dict[str, object], field: str, tmp_path: Path) -> None:
    good = {"render_width": 3, "render_height": 2, "camera_path": [{"camera_to_world": np.eye(4).ravel().tolist(), "fov": 45}]}
    path = tmp_path / "path.json"
    path.write_text(json.dumps({**good, **change}))
    with pytest.raises(InputError, match=field):
        read_camera_path(path)


def test_render_needs_one_source_of_cameras(tmp_path: Path) -> None:
    for more in ([], ["--cameras", "a", "--path", "b"]):
        with pytest.raises(InputError, match="cameras, path"):
            run_render("few.ply", "--output", str(tmp_path), *more)
