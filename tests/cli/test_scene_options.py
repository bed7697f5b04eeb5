"""Options that say how a scene is read: the same in every command, checked against the readers, named by their messages."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene_samples import sample_scene, smooth_image

import scene_depth as sd
from scene_depth.cli.app import main
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import write_image
from scene_depth.io.scenes import FORMATS, read_scene, write_scene
from scene_depth.options import bind_options

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "scenes" / "table"
SPLATS = str(TABLE / "splats.spz")
COMMANDS = {
    "fit": ["fit", "SCENE", "--output", "OUT"],
    "heal": ["heal", "SCENE", "--output", "OUT", "--splats", SPLATS],
    "insert": ["insert", "SCENE", "--output", "OUT", "--ply", SPLATS, "--at", "0", "0", "0"],
    "render": ["render", SPLATS, "--cameras", "SCENE", "--output", "OUT"],
    "eval scene": ["eval", "scene", SPLATS, "--reference", "SCENE"],
    "inspect": ["inspect", SPLATS, "--cameras", "SCENE"],
    "convert": ["convert", "SCENE", "OUT", "--to", "colmap"],
    "scenes composite": ["scenes", "composite", "SCENE", "--output", "OUT"],
    "view": ["view", "SCENE", "--splats", SPLATS, "--export-dir", "OUT"],
}


def run(command: str, scene: Path, output: Path, *options: str, flag: str = "--scene-options") -> int:
    places = {"SCENE": str(scene), "OUT": str(output)}
    return main([*(places.get(word, word) for word in COMMANDS[command]), flag, *options])


@pytest.mark.parametrize("flag", ["--scene-options", "--scene"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_a_scene_has_them(
    command: str, flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, TABLE, tmp_path / "out", "split=train", "wrong=1", flag=flag) == 2
    (line,) = capsys.readouterr().err.splitlines()
    taken = "split, images, rescale_cameras, skip_missing, turned_photos, depth_unit, mask_white"
    assert line == f"scene-depth: {TABLE}: scene options: wrong; expected options of this format: {taken}"


@pytest.mark.parametrize("kind", ["colmap", "transforms", "rgbd", "scene"])
def test_each_format_names_its_own(kind: str, tmp_path: Path) -> None:
    write_scene(tmp_path / "in", sample_scene(tmp_path, masks=False), format=kind)
    with pytest.raises(ValueError, match="scene options: skip_found; expected options of this format: ") as caught:
        sd.read_scene(tmp_path / "in", skip_found=True)
    for name, parameter in inspect.signature(FORMATS[kind].read).parameters.items():
        assert (parameter.kind is parameter.KEYWORD_ONLY) == (name in str(caught.value).split("format: ")[1])


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("convert", ["images"], "scene options is 'images'; expected KEY=VALUE"),
        ("convert", ["images=a", "=b"], "scene options is '=b'; expected KEY=VALUE"),
        ("convert", ["skip_missing=perhaps"], "skip_missing is 'perhaps'; expected true or false"),
        ("convert", ["depth_unit=mm"], "depth_unit is 'mm'; expected a finite number, none"),
        ("convert", ["depth_unit=nan"], "depth_unit is nan; expected a finite number, none"),
        ("convert", ["depth_unit=-1"], "depth_unit is -1; expected a positive number"),
        ("convert", ["format=blender"], "scene format: blender; expected scene, transforms, colmap, rgbd"),
        ("convert", ["split=validation"], "split: validation; expected train, val, test"),
    ],
)  # fmt: skip
def test_wrong_values_are_one_line(
    command: str, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, TABLE, tmp_path / "out", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["render", SPLATS, "--path", "path.json", "--output", "OUT"],
        ["inspect", SPLATS],
        ["convert", SPLATS, "OUT.ply"],
        ["view", SPLATS],
    ],
)
def test_without_a_scene_they_are_an_error(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word.replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert main([*words, "--scene-options", "split=train"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "scene_options: " in line


def converted(scene: Path, *options: str) -> sd.Scene:
    """The scene that ``convert`` reads with such options."""
    out = scene.parent / f"out{len(list(scene.parent.glob('out*')))}"
    options = ("--scene-options", *options) if options else ()
    assert main(["convert", str(scene), str(out), "--to", "scene", *options]) == 0
    return read_scene(out)


def write_colmap_scene(folder: Path) -> sd.Scene:
    scene = sample_scene(folder, masks=False, depth=False)
    write_scene(folder / "in", scene, format="colmap")
    return scene


def test_a_folder_of_photos_and_cameras_that_follow_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = write_colmap_scene(tmp_path)
    for view in scene.views:
        write_image(tmp_path / "in" / "half size" / view.name, smooth_image(9, 12) / 255)
    assert converted(tmp_path / "in").views[0].camera.width == 24
    assert run("convert", tmp_path / "in", tmp_path / "no", "images=half size") == 2
    assert "rescale_cameras=true (--scene-options) lets cameras follow photos of another size" in capsys.readouterr().err
    assert converted(tmp_path / "in", "images=half size", "rescale_cameras=true").views[0].camera.width == 12
    for view in scene.views:  # a name that looks like a number is text all the same
        write_image(tmp_path / "in" / "4" / view.name, smooth_image(18, 24) / 255)
    assert len(converted(tmp_path / "in", "images=4")) == len(scene)
    assert run("convert", tmp_path / "in", tmp_path / "no", "images=nowhere") == 2
    assert "images=NAME (--scene-options) names another" in capsys.readouterr().err


def test_photos_that_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = write_colmap_scene(tmp_path)
    (tmp_path / "in" / "images" / scene.views[0].name).unlink()
    assert len(converted(tmp_path / "in")) == len(scene) - 1
    assert run("convert", tmp_path / "in", tmp_path / "no", "skip_missing=false") == 2
    assert "skip_missing=true (--scene-options) leaves out views without one" in capsys.readouterr().err


@pytest.mark.parametrize("entry", [3, 6, 8])
@pytest.mark.parametrize("kind", ["colmap", "transforms"])
def test_turned_photos(kind: str, entry: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where sizes cannot tell, photos are used as stored, that is said, and the option turns them."""
    sizes = (18, 18) if entry != 3 else (24, 18)
    scene = sample_scene(tmp_path, masks=False, depth=False, views=1, size=sizes)
    write_scene(tmp_path / "in", scene, format=kind)
    photo = tmp_path / "in" / "images" / scene.views[0].name
    stored, exif = scene.views[0].image(), Image.Exif()
    exif[0x0112] = entry
    Image.open(photo).save(photo, exif=exif)
    turns = {3: 2, 6: -1, 8: 1}[entry]
    for asked, expected in (("none", stored), ("true", np.rot90(stored, turns)), ("false", stored)):
        read = converted(tmp_path / "in", f"turned_photos={asked}")
        np.testing.assert_allclose(read.views[0].image(), expected, atol=1e-6)
        said = capsys.readouterr().err
        assert ("turned_photos=true of --scene-options" in said) == (asked == "none")
        assert ("as their EXIF entries turn them" in said) == (asked == "true")


def test_turned_photos_of_another_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the pixels, and sides exchanged: one line says what is wrong, both options together put it right."""
    scene = sample_scene(tmp_path, masks=False, depth=False, views=1)
    write_scene(tmp_path / "in", scene, format="colmap")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = tmp_path / "in" / "images" / scene.views[0].name
    Image.fromarray(smooth_image(12, 9)).save(photo, exif=exif)
    assert run("convert", tmp_path / "in", tmp_path / "no") == 2
    assert "9 x 12 (stored; its EXIF rotation would show 12 x 9)" in capsys.readouterr().err
    (view,) = converted(tmp_path / "in", "rescale_cameras=true").views
    assert (view.camera.width, view.camera.height) == (12, 9)
    np.testing.assert_allclose(view.image(), np.rot90(smooth_image(12, 9) / 255, -1), atol=1e-6)
    assert run("convert", tmp_path / "in", tmp_path / "no", "turned_photos=true") == 2
    assert "12 x 9 as its EXIF entry turns it; expected 24 x 18" in capsys.readouterr().err


def test_the_unit_and_camera_of_rgbd_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = sample_scene(tmp_path, masks=False)
    write_scene(tmp_path / "in", scene, format="rgbd")
    (tmp_path / "in" / "camera_intrinsic.json").rename(tmp_path / "my camera.json")
    assert run("convert", tmp_path / "in", tmp_path / "no") == 2
    assert "or intrinsics=FILE (--scene-options)" in capsys.readouterr().err
    read = converted(tmp_path / "in", f"intrinsics={tmp_path / 'my camera.json'}", "depth_unit=0.0002")
    assert "a stored 1 of depth is 0.0002 (1/5000) m, as asked" in capsys.readouterr().err
    np.testing.assert_allclose(read.views[0].depth(), scene.views[0].depth() / 5, atol=2e-4)
    np.testing.assert_allclose(read.views[0].camera.K[0, :2, 2], scene.views[0].camera.K[0, :2, 2])


def test_the_unit_of_transforms_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = sample_scene(tmp_path, masks=False, views=1)
    write_scene(tmp_path / "in", scene, format="transforms", depth=False)
    file = tmp_path / "in" / "transforms.json"
    content = json.loads(file.read_text())
    write_depth(tmp_path / "in" / "depth" / "0.png", scene.views[0].depth(), format="tum")
    content["frames"][0]["depth_file_path"] = "C:\\scan\\depth\\0.png"
    file.write_text(json.dumps(content))
    np.testing.assert_allclose(converted(tmp_path / "in").views[0].depth(), 5 * scene.views[0].depth(), atol=2e-3)
    said = capsys.readouterr().err
    assert "assumed, as transforms.json states none; depth_unit=NUMBER (--scene-options) says another" in said
    assert "1 masks, depth images or points found without the folders of their names (depth/0.png for C:" in said
    read = converted(tmp_path / "in", "depth_unit=0.0002")
    np.testing.assert_allclose(read.views[0].depth(), scene.views[0].depth(), atol=2e-4)


def test_times_and_lost_poses_of_rgbd_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    for number in (1, 2):
        write_image(folder / "rgb" / f"{number}.png", smooth_image(18, 24, number) / 255)
        write_depth(folder / "depth" / f"{number}.png", np.full((18, 24), number, np.float32), format="tum")
    (folder / "rgb.txt").write_text("1.0 C:\\log\\rgb\\1.png\n2.0 /home/me/log/rgb/2.png\n")
    (folder / "depth.txt").write_text("1.0 depth\\1.png\n2.0 depth/2.png\n")
    (folder / "groundtruth.txt").write_text("1.0 0 0 0 0 0 0 1\n2.5 0 0 0 0 0 0 1\n")
    (folder / "K.txt").write_text("20 21 11 9\n")
    assert [view.name for view in converted(folder).views] == ["1.png"]
    said = capsys.readouterr().err
    assert "1 of 2 photos used; 1 left out: no pose within 0.02 s (2.png)" in said
    assert "max_time_difference=SECONDS (--scene-options) pairs times farther apart" in said
    assert len(converted(folder, "max_time_difference=0.6")) == 2
    (folder / "groundtruth.txt").write_text("1.0 0 0 0 0 0 0 1\n2.0 nan 0 0 0 0 0 1\n")
    assert len(converted(folder)) == 1
    assert run("convert", folder, tmp_path / "no", "skip_lost=false") == 2


def test_options_of_the_written_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The errors of writers name options too; they are reached by --to-options."""
    write_colmap_scene(tmp_path)
    (tmp_path / "in" / "masks").mkdir()
    name = next((tmp_path / "in" / "images").iterdir()).name
    Image.new("L", (24, 18)).save(tmp_path / "in" / "masks" / f"{name}.png")
    arguments = ["convert", str(tmp_path / "in"), str(tmp_path / "made"), "--to", "transforms"]
    assert main(arguments) == 2
    assert "masks=false (--to-options) leaves them out" in capsys.readouterr().err
    assert main([*arguments, "--to-options", "mask=false"]) == 2
    found = "options of transforms: mask; expected options of this format: masks, depth, object_masks, held_out"
    assert found in capsys.readouterr().err
    assert main([*arguments, "--to-options", "masks=false"]) == 0
    assert "mask_path" not in (tmp_path / "made" / "transforms.json").read_text()


def test_options_that_messages_name_exist() -> None:
    """Each KEY=VALUE that a message sends to --scene-options is a keyword of some reader, those of --to-options of a writer."""
    named = set()
    for part in ("scene_depth", "plugins"):
        for file in sorted((ROOT / part).rglob("*.py")):
            pattern = r"(\w+)=\w+ (?:\(|of )--(scene|to)-options"
            named |= {match.groups() for match in re.finditer(pattern, file.read_text(encoding="utf-8"))}
    assert len(named) >= 7
    for option, which in named:
        functions = [entry.read if which == "scene" else entry.write for entry in FORMATS.values()]
        assert any(option in inspect.signature(function).parameters for function in functions), option


def test_values_from_python_are_checked_too() -> None:
    with pytest.raises(ValueError, match="rescale_cameras is 2; expected true or false, none"):
        sd.read_scene(TABLE, rescale_cameras=2)
    assert len(sd.read_scene(TABLE, split="train", skip_missing=False)) == 24

    def read(path: Path, *, name: str | None = "a", count: float = 1.0, matrix: np.ndarray | str | None = None) -> None: ...

    given = {"name": "none", "count": "2", "matrix": np.eye(3)}
    bound = bind_options(read, given, "options")
    assert bound["name"] is None
    assert bound["count"] == 2.0
    assert bound["matrix"] is given["matrix"]
    assert bind_options(read, {"name": "2", "matrix": "none"}, "options") == {"name": "2", "matrix": None}
