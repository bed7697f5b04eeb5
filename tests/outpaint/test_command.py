"""``scene-depth outpaint``: pictures made elsewhere, stop and go on, undo, files and bad input."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from box_room import PILLARED as ROOM
from scene_depth_outpaint.state import camera_as_plain, camera_from_plain

import scene_depth as sd
from scene_depth.cli.app import main
from scene_depth.io.depth_images import read_depth, write_depth
from scene_depth.io.images import read_image, read_mask, write_image

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RGB-D frame of the room and three trajectories."""
    folder = tmp_path_factory.mktemp("inputs")
    rgb, depth = ROOM.seen(ROOM.camera())
    write_image(folder / "start.png", rgb)
    write_depth(folder / "start.npy", depth)
    (folder / "camera.json").write_text(json.dumps(camera_as_plain(ROOM.camera())))
    poses = [ROOM.camera(angle).camera_to_world[0].numpy() @ OPENGL for angle in (0, 20, 40)]
    frames = [{"file_path": f"images/{i}.png", "transform_matrix": pose.tolist()} for i, pose in enumerate(poses)]
    intrinsics = {"fl_x": 32, "fl_y": 32, "cx": 32, "cy": 32, "w": 64, "h": 64}
    (folder / "transforms.json").write_text(json.dumps({**intrinsics, "frames": frames}))
    (folder / "large.json").write_text(json.dumps({**intrinsics, "w": 128, "h": 128, "frames": frames}))
    prompted = [{**frame, "prompt": "a door"} for frame in frames]
    (folder / "prompted.json").write_text(json.dumps({**intrinsics, "frames": prompted}))
    path = [{"camera_to_world": pose.ravel().tolist(), "fov": 90, "aspect": 1.5} for pose in poses]
    content = {"render_width": 96, "render_height": 64, "camera_path": path, "fps": 24}
    (folder / "path.json").write_text(json.dumps(content))
    return folder


def run(inputs: Path, output: Path, *words: str, start: str = "--image {0}/start.png --depth {0}/start.npy") -> int:
    """Runs the command on the frame, without a fit."""
    camera = f"--camera {inputs}/camera.json" if "--camera" not in words else ""
    fixed = f"{start.format(inputs)} {camera} --output {output} --fit-steps 0".split()
    return main(["outpaint", *fixed, *(word.format(inputs=inputs) for word in words)])


def bits(folder: Path) -> dict[str, str]:
    """Hash of every file of the steps and the results, but for the report with its times."""
    files = [path for path in sorted(folder.rglob("*")) if (path.is_file() and path.parent != folder) or path.suffix == ".ply"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def paint(output: Path, pictures: Path) -> str:
    """Does what the person does whom the loop waits for; gives the number of the step."""
    step = max(path for path in (output / "steps").iterdir())
    camera = camera_from_plain(json.loads((step / "camera.json").read_text()), file=step)
    mask, image, known = read_mask(step / "mask.png"), read_image(step / "image.png"), read_mask(step / "known.png")
    assert not (step / "report.json").exists()
    np.testing.assert_array_equal(mask, ~known)
    assert not image[mask].any()
    pictures.mkdir(exist_ok=True)
    write_image(pictures / f"{step.name}.png", ROOM.seen(camera)[0])
    return step.name


def test_pictures_made_elsewhere(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, pictures = tmp_path / "out", tmp_path / "pictures"
    words = ("--trajectory", "{inputs}/transforms.json", "--color", "pictures", "--color-options", f"folder={pictures}")
    for number in ("001", "002"):
        assert run(inputs, output, *words) == 3
        assert f"waiting for {pictures / number}.png" in capsys.readouterr().err
        assert paint(output, pictures) == number
    assert run(inputs, output, *words) == 0
    assert sorted(path.name for path in (output / "steps").iterdir()) == ["000", "001", "002"]
    for number, angle in enumerate((0, 20, 40)):
        step = output / "steps" / f"{number:03d}"
        assert sorted(path.name for path in step.iterdir()) == [
            "camera.json",
            "depth.npy",
            "image.png",
            "known.png",
            "report.json",
        ]
        rgb, depth = ROOM.seen(ROOM.camera(angle))
        known, found = read_mask(step / "known.png"), np.load(step / "depth.npy")
        assert found.dtype == np.float32
        assert (np.abs(read_image(step / "image.png") - rgb)[~known]).max(initial=0) < 1e-6
        if number == 0:
            np.testing.assert_array_equal(found, depth)
    scene = sd.read_scene(output / "scene")
    assert len(scene) == 3
    np.testing.assert_array_equal(scene.views[2].depth(), read_depth(output / "steps" / "002" / "depth.npy"))
    assert len(sd.read_scene(output / "colmap")) == 3
    assert len(sd.read_splats(output / "splats.ply")) > 4000
    at_once = tmp_path / "at_once"
    assert run(inputs, at_once, *words) == 0
    assert bits(at_once) == bits(output)


def test_stop_undo_and_go_on_give_the_same_bits(inputs: Path, tmp_path: Path) -> None:
    output, words = tmp_path / "out", ("--trajectory", "orbit[angle=40,views=6]", "--color", "membrane")
    assert run(inputs, output, *words) == 0
    whole = bits(output)
    last = max(path.name for path in (output / "steps").iterdir())
    assert main(["outpaint", "--undo", "--output", str(output)]) == 0
    assert not (output / "steps" / last).exists()
    shutil.rmtree(output / "steps" / f"{int(last) - 1:03d}")
    assert run(inputs, output, *words) == 0
    assert bits(output) == whole
    while main(["outpaint", "--undo", "--output", str(output)]) == 0:
        pass
    assert [path.name for path in (output / "steps").iterdir()] == ["000"]


def test_a_dry_run_tells_the_shares_and_writes_nothing(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(inputs, tmp_path / "out", "--trajectory", "lookaround", "--dry-run", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["planned"]) >= 15
    assert all(share <= 0.5 for share in report["planned"])
    assert not (tmp_path / "out").exists()


def test_a_camera_path_is_seen_at_the_size_of_the_start(inputs: Path, tmp_path: Path) -> None:
    assert run(inputs, tmp_path / "out", "--trajectory", "{inputs}/path.json", "--color", "none") == 0
    camera = json.loads((tmp_path / "out" / "steps" / "001" / "camera.json").read_text())
    assert (camera["width"], camera["height"]) == (64, 64)
    np.testing.assert_allclose(camera["K"], ROOM.camera().K[0].numpy(), atol=1e-9)


def test_views_of_a_scene_and_splats_are_starts_too(inputs: Path, tmp_path: Path) -> None:
    words = ("--trajectory", "orbit[angle=20,views=2]", "--color", "none")
    assert run(inputs, tmp_path / "first", *words) == 0
    grown = tmp_path / "grown"
    assert main(["outpaint", str(tmp_path / "first" / "scene"), *words, "--output", str(grown), "--fit-steps", "0"]) == 0
    steps = sorted((grown / "steps").iterdir())
    assert json.loads((steps[2] / "report.json").read_text())["kind"] == "start"
    splats = tmp_path / "first" / "splats.ply"
    camera = ("--camera", str(inputs / "camera.json"))
    assert main(["outpaint", str(splats), *camera, *words, "--output", str(tmp_path / "s"), "--fit-steps", "0"]) == 0
    before, after = sd.read_splats(splats), sd.read_splats(tmp_path / "s" / "splats.ply")
    assert len(after) > len(before)
    np.testing.assert_array_equal(after.means[: len(before)].numpy(), before.means.numpy())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--trajectory nowhere", "trajectory is 'nowhere'; expected a preset"),
        ("--trajectory orbit[speed=2]", "options of orbit"),
        ("--trajectory {inputs}/large.json", "a camera of 128 x 128; expected cameras of 64 x 64"),
        ("--trajectory {inputs}/prompted.json --color none", "prompt: 'a door', which the generator none does not take"),
        ("--trajectory dolly --prompt door", "prompt: 'door', which the generator"),
        ("--trajectory dolly[distance=-1.2,views=1]", "stands inside or behind a surface"),
        ("--trajectory dolly --color pictures", "options of pictures: none; expected folder=DIR"),
        ("--trajectory dolly --depth {inputs}/camera.json", "depth"),
    ],
)
def test_bad_input_is_one_line(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    assert run(inputs, tmp_path / "out", *words.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out" / "steps").exists()


def test_a_picture_without_depth_and_model_is_one_line(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(inputs, tmp_path / "out", "--trajectory", "dolly", start="--image {0}/start.png") == 2
    assert "no model to make one" in capsys.readouterr().err
    assert main(["outpaint", "--prompt", "a room", "--trajectory", "dolly", "--output", str(tmp_path / "out")]) == 2
    assert "expected a monocular model that makes it" in capsys.readouterr().err


def test_a_trajectory_that_sees_nothing_is_one_line(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pose = ROOM.camera(180, (0, 0, -50)).camera_to_world[0].numpy() @ OPENGL
    away = {"fl_x": 32, "w": 64, "h": 64, "frames": [{"transform_matrix": pose.tolist()}]}
    (tmp_path / "away.json").write_text(json.dumps(away))
    assert run(inputs, tmp_path / "out", "--trajectory", str(tmp_path / "away.json")) == 2
    assert "nothing known" in capsys.readouterr().err


def test_pictures_of_a_wrong_size_or_with_a_gap_are_one_line(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--trajectory", "{inputs}/transforms.json", "--color", "pictures", "--color-options", f"folder={tmp_path}")
    write_image(tmp_path / "002.png", np.zeros((64, 64, 3)))
    assert run(inputs, tmp_path / "out", *words) == 2
    assert "001.png: picture: missing, while 002.png is there" in capsys.readouterr().err
    write_image(tmp_path / "001.png", np.zeros((32, 64, 3)))
    assert run(inputs, tmp_path / "out", *words) == 2
    assert "picture size is 64 x 32; expected 64 x 64" in capsys.readouterr().err


def test_a_folder_of_other_settings_is_one_line(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--trajectory", "orbit[angle=20,views=2]", "--color", "none")
    assert run(inputs, tmp_path, *words) == 0
    capsys.readouterr()
    for other, said in (
        (("--trajectory", "dolly", "--color", "none"), "trajectory: begun with"),
        ((*words, "--seed", "1"), "seed: begun with 0, not 1"),
        ((*words[:2], "--color", "membrane"), "generator"),
    ):
        assert run(inputs, tmp_path, *other) == 2
        assert said in capsys.readouterr().err
    assert run(inputs, tmp_path, *words) == 0


def test_a_refused_view_ends_the_run_with_its_reason(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--trajectory", "orbit[angle=30,views=2]", "--color", "none", "--seam-factor", "0", "--seam-offset", "0")
    assert run(inputs, tmp_path / "out", *words) == 4
    assert "step 001 was refused: the depth jumps by" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "report.json").read_text())["refused"]
    assert run(inputs, tmp_path / "kept", *words, "--no-accept") == 0


class StandIn:
    """A page on which somebody stops at the second view that is asked about; the first keeps to all limits."""

    address = "http://127.0.0.1:1/"
    made: ClassVar[list[StandIn]] = []

    def __init__(self, splats: sd.GaussianSplats, views: list[object], port: int, folder: Path, prompt: str | None):
        assert len(splats) > 1000
        assert len(views) == 1
        assert prompt is None
        self.port, self.shown, self.asked, self.stopped = port, [len(splats)], [], False
        StandIn.made.append(self)

    @property
    def by_itself(self) -> bool:
        return len(self.shown) < 2

    def show(self, splats: sd.GaussianSplats, said: str) -> None:
        self.shown.append(len(splats))

    def ask(self, splats: sd.GaussianSplats, camera: object, prompt: str, lines: tuple[str, ...]) -> None:
        self.asked.append(lines)
        self.shown.append(len(splats))

    def answer(self, seconds: float) -> tuple[str, str] | None:
        return ("Stop", "") if len(self.asked) else None

    def stop(self) -> None:
        self.stopped = True


def test_the_page_is_asked_and_ends_with_the_command(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scene_depth_outpaint.watch._page_class", lambda: StandIn)
    StandIn.made.clear()
    words = ("--trajectory", "{inputs}/transforms.json", "--color", "none", "--view", "--port", "9")
    assert run(inputs, tmp_path / "out", *words) == 130
    (page,) = StandIn.made
    assert page.port == 9
    assert page.stopped
    assert page.shown == sorted(page.shown)  # every view brings splats
    assert len(page.asked) == 1
    assert page.asked[0][0].startswith("View 2 of 2, attempt 1")
    assert page.address in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out" / "steps").iterdir()) == ["000", "001"]


def test_without_a_viewer_it_is_said_at_once(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    for name in [name for name in sys.modules if name.startswith("scene_depth_viewer")]:
        monkeypatch.delitem(sys.modules, name)
    assert run(inputs, tmp_path / "out", "--trajectory", "{inputs}/transforms.json", "--color", "none", "--view") == 2
    assert "package viser is not installed. Try: pip install 'scene-depth[viewer]'" in capsys.readouterr().err
    assert not (tmp_path / "out" / "steps").exists()
