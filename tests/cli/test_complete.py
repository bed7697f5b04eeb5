"""``scene-depth complete``: formats kept, known depth exact, everything checked first, runs that go on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import plyfile
import pytest
import tyro
from PIL import Image

from scene_depth.cli.app import STYLE
from scene_depth.cli.complete import Complete
from scene_depth.depth import completion
from scene_depth.depth.completion_files import FrameFiles, frame_camera
from scene_depth.errors import InputError
from scene_depth.io.output_folder import MARK

SHAPE = (24, 32)


def a_scene(seed=0):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = 1.5 + 0.03 * x + 0.02 * y + 0.3 * (np.hypot(x - 16, y - 12) < 6)
    rng = np.random.default_rng(seed)
    return depth, (rng.random((*SHAPE, 3)) * 255).astype(np.uint8), rng.random(SHAPE) < 0.7


def write_frame(folder: Path, name="0", seed=0, suffix=".png", factor=1000.0):
    """A picture and a depth file with gaps, as a maker of that format would write them."""
    depth, rgb, known = a_scene(seed)
    for part in ("rgb", "depth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(folder / "rgb" / f"{name}.png")
    path = folder / "depth" / f"{name}{suffix}"
    if suffix == ".png":
        Image.fromarray(np.where(known, np.rint(depth * factor), 0).astype(np.uint16)).save(path)
    else:
        np.save(path, np.where(known, depth, np.nan).astype(np.float32))
    return folder / "rgb" / f"{name}.png", path


def command(*arguments) -> Complete:
    return tyro.cli(Complete, args=[str(argument) for argument in arguments], config=STYLE)


def run(*arguments):
    return command(*arguments, "--inpainter", "harmonic").run()


def stored(path: Path):
    return np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))


def contents(folder: Path):
    """Every file but the owner mark."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != MARK)


@pytest.mark.parametrize(("format", "factor"), [(None, 1000.0), ("kitti", 256.0), ("tum", 5000.0)])
def test_integer_files_keep_format_unit_and_every_known_value(tmp_path, format, factor):
    rgb, depth = write_frame(tmp_path / "in", factor=factor)
    before = stored(depth)
    report = run(rgb, depth, "--output", tmp_path / "out", *(["--format", format] if format else []))
    after = stored(tmp_path / "out/depth/0.png")
    assert after.dtype == np.uint16
    assert np.array_equal(after[before > 0], before[before > 0])
    assert (after > 0).all()
    truth, _, known = a_scene()
    assert np.median(np.abs(after[~known] / factor / truth[~known] - 1)) < 0.03
    assert report.frames[0].known_share == pytest.approx(known.mean())


def test_float_files_keep_every_bit(tmp_path):
    rgb, depth = write_frame(tmp_path / "in", suffix=".npy")
    before = stored(depth)
    run(rgb, depth, "--output", tmp_path / "out")
    after = stored(tmp_path / "out/depth/0.npy")
    assert after.dtype == np.float32
    known = np.isfinite(before)
    assert np.array_equal(after[known].view(np.uint32), before[known].view(np.uint32))
    assert np.isfinite(after).all()


def test_all_files_are_there_and_can_be_read(tmp_path):
    rgb, depth = write_frame(tmp_path / "in")
    (tmp_path / "in/K.json").write_text(json.dumps({"fx": 30.0, "fy": 31.0, "cx": 15.0, "cy": 11.0, "width": 32, "height": 24}))
    run(rgb, depth, "--output", tmp_path / "out")
    files = ["depth/0.png", "frames/0.json", "points/0.ply", "preview/0.png", "report.json", "uncertainty/0.npy"]
    assert contents(tmp_path / "out") == files
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["frames"][0]["intrinsics"].endswith("K.json")
    assert report["settings"]["inpainter"] == "harmonic"
    assert Image.open(tmp_path / "out/preview/0.png").size == (64, 48)
    vertex = plyfile.PlyData.read(tmp_path / "out/points/0.ply")["vertex"]
    z = stored(tmp_path / "out/depth/0.png") / 1000.0
    y, x = np.mgrid[:24, :32]  # K.json counts pixel centres from 0
    np.testing.assert_allclose(vertex["z"], z.ravel(), atol=6e-4)
    np.testing.assert_allclose(vertex["x"], ((x - 15.0) / 30.0 * z).ravel(), atol=1e-3)
    np.testing.assert_allclose(vertex["y"], ((y - 11.0) / 31.0 * z).ravel(), atol=1e-3)
    colors = np.stack([vertex["red"], vertex["green"], vertex["blue"]], axis=-1)
    assert np.array_equal(colors, np.asarray(Image.open(rgb)).reshape(-1, 3))
    uncertainty = np.load(tmp_path / "out/uncertainty/0.npy")
    known = stored(depth) > 0
    assert (uncertainty[known] == 0).all()
    assert (uncertainty[~known] > 0).all()


def test_without_intrinsics_the_report_says_so(tmp_path, capsys):
    rgb, depth = write_frame(tmp_path / "in")
    report = run(rgb, depth, "--output", tmp_path / "out")
    assert report.frames[0].intrinsics.startswith("nominal, 60 degrees")
    assert "field of view of 60 degrees" in capsys.readouterr().out
    camera = frame_camera(FrameFiles("0", depth, None, None, None, (32, 24)), None, 0.0).camera
    assert 2 * np.degrees(np.arctan(16 / float(camera.K[0, 0, 0]))) == pytest.approx(60)


def test_intrinsics_of_another_size_are_scaled(tmp_path):
    rgb, depth = write_frame(tmp_path / "in")
    K = tmp_path / "large.json"
    K.write_text(json.dumps({"fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5, "width": 64, "height": 48}))
    placed = frame_camera(FrameFiles("0", depth, None, None, None, (32, 24)), K, 0.0)
    assert placed.camera.K[0].tolist() == [[30, 0, 16], [0, 30, 12], [0, 0, 1]]
    assert placed.source == str(K)
    K.write_text(json.dumps({"fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5, "width": 64, "height": 64}))
    with pytest.raises(InputError, match="64 x 64"):
        run(rgb, depth, "--output", tmp_path / "out", "--K", K)


@pytest.mark.parametrize("white", ["known", "fill"])
def test_masks_say_what_is_known(tmp_path, white):
    rgb, depth = write_frame(tmp_path / "in")
    hole = np.zeros(SHAPE, dtype=bool)
    hole[5:15, 8:20] = True
    mask = tmp_path / "mask.png"
    Image.fromarray(np.where(hole == (white == "fill"), 255, 0).astype(np.uint8)).save(mask)
    run(rgb, depth, "--mask", mask, "--mask-white", white, "--output", tmp_path / "out")
    before, after = stored(depth), stored(tmp_path / "out/depth/0.png")
    known = (before > 0) & ~hole
    assert np.array_equal(after[known], before[known])
    assert (after[hole & (before > 0)] != before[hole & (before > 0)]).mean() > 0.5


def test_without_picture(tmp_path):
    _, depth = write_frame(tmp_path / "in")
    run("-", depth, "--output", tmp_path / "out")
    vertex = plyfile.PlyData.read(tmp_path / "out/points/0.ply")["vertex"]
    assert set(vertex["red"]) == {128}


def test_ray_distances_stay_ray_distances(tmp_path):
    truth, _, known = a_scene()
    y, x = np.mgrid[:24, :32]
    rays = np.sqrt(1 + ((x - 15.0) / 30.0) ** 2 + ((y - 11.0) / 30.0) ** 2)
    np.save(tmp_path / "d.npy", np.where(known, truth * rays, 0).astype(np.float32))
    K = tmp_path / "K.txt"
    K.write_text("30 30 15 11\n")
    run("-", tmp_path / "d.npy", "--kind", "ray", "--K", K, "--output", tmp_path / "out")
    after = np.load(tmp_path / "out/depth/d.npy")
    np.testing.assert_allclose(after[known], (truth * rays)[known], rtol=1e-6)
    z = plyfile.PlyData.read(tmp_path / "out/points/d.ply")["vertex"]["z"].reshape(SHAPE)
    np.testing.assert_allclose(z[known], truth[known], rtol=1e-5)
    os.remove(K)
    with pytest.raises(InputError, match="for ray distances"):
        run("-", tmp_path / "d.npy", "--kind", "ray", "--output", tmp_path / "out2")


def a_folder(tmp_path, count=3):
    for index in range(count):
        write_frame(tmp_path / "in", f"{index:03d}", seed=index)
    return tmp_path / "in/rgb", tmp_path / "in/depth"


def test_folders(tmp_path, capsys):
    rgb, depth = a_folder(tmp_path)
    report = run(rgb, depth, "--output", tmp_path / "out", "--no-points", "--json")
    assert json.loads(capsys.readouterr().out)["planned"] == 3
    assert [frame.name for frame in report.frames] == ["000", "001", "002"]
    assert contents(tmp_path / "out/depth") == ["000.png", "001.png", "002.png"]
    assert not (tmp_path / "out/points").exists()


def counted(monkeypatch):
    calls = []
    original = completion.inpaint_depth

    def count(*arguments, **keywords):
        calls.append(1)
        return original(*arguments, **keywords)

    monkeypatch.setattr(completion, "inpaint_depth", count)
    return calls


def test_a_second_run_does_only_what_is_new(tmp_path, monkeypatch):
    rgb, depth = a_folder(tmp_path)
    run(rgb, depth, "--output", tmp_path / "out")
    calls = counted(monkeypatch)
    assert run(rgb, depth, "--output", tmp_path / "out").resumed == 3
    assert not calls
    (tmp_path / "out/preview/001.png").unlink()
    write_frame(tmp_path / "in", "002", seed=9)
    assert run(rgb, depth, "--output", tmp_path / "out").resumed == 1
    assert len(calls) == 2
    run(rgb, depth, "--output", tmp_path / "out", "--seed", 1)
    assert len(calls) == 5
    run(rgb, depth, "--output", tmp_path / "out", "--seed", 1, "--fresh")
    assert len(calls) == 8


def test_ctrl_c_keeps_what_is_done(tmp_path, monkeypatch):
    rgb, depth = a_folder(tmp_path)
    original, calls = completion.inpaint_depth, []

    def interrupted(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **keywords)

    monkeypatch.setattr(completion, "inpaint_depth", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(rgb, depth, "--output", tmp_path / "out")
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert [row["name"] for row in report["frames"]] == ["000"]
    assert report["planned"] == 3
    assert report["finished"] is False
    assert contents(tmp_path / "out/depth") == ["000.png"]
    monkeypatch.setattr(completion, "inpaint_depth", original)
    assert run(rgb, depth, "--output", tmp_path / "out").resumed == 1


def test_a_record_does_not_vouch_for_depth_of_other_settings(tmp_path, monkeypatch):
    rgb, depth = write_frame(tmp_path / "in")
    output = tmp_path / "out"
    command(rgb, depth, "--output", output, "--inpainter", "harmonic").run()
    first = (output / "depth/0.png").read_bytes()

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(completion, "write_image", stopped)  # after the depth, before the record
        with pytest.raises(KeyboardInterrupt):
            command(rgb, depth, "--output", output, "--inpainter", "nearest").run()
    assert (output / "depth/0.png").read_bytes() != first
    assert command(rgb, depth, "--output", output, "--inpainter", "harmonic").run().resumed == 0
    assert (output / "depth/0.png").read_bytes() == first


def test_a_frame_that_fails_does_not_stop_the_others(tmp_path):
    rgb, depth = a_folder(tmp_path)
    Image.fromarray(np.zeros(SHAPE, dtype=np.uint16)).save(depth / "001.png")
    with pytest.raises(InputError, match=r"1 of 3 frames: 001: .*no pixel"):
        run(rgb, depth, "--output", tmp_path / "out")
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert list(report["failed"]) == ["001"]
    assert [row["name"] for row in report["frames"]] == ["000", "002"]


def test_fills_beyond_the_file_format_are_cut_off_and_counted(tmp_path):
    (tmp_path / "far.py").write_text(
        "import numpy as np\n\ndef fill(rgb, depth, known):\n    return np.where(known, depth, 90.0)\n"
    )
    rgb, depth = write_frame(tmp_path / "in")
    report = command(rgb, depth, "--output", tmp_path / "out", "--inpainter", f"{tmp_path / 'far.py'}:fill").run()
    known = stored(depth) > 0
    assert report.frames[0].beyond_format == (~known).sum()
    assert (stored(tmp_path / "out/depth/0.png")[~known] == 65534).all()  # 65535 means unknown in this format


def test_priors_of_files_and_functions(tmp_path):
    rgb, depth = write_frame(tmp_path / "in")
    truth, _, known = a_scene()
    prior = tmp_path / "prior.npz"
    np.savez(prior, depth=(7 * truth + 2).astype(np.float32))
    Image.fromarray(np.rint(truth * 60).astype(np.uint8)).convert("RGB").save(rgb)
    (tmp_path / "model.py").write_text("def model(rgb):\n    return rgb[..., 0]\n")
    for given, name in ((prior, "file"), (f"{tmp_path / 'model.py'}:model", "function")):
        report = command(rgb, depth, "--prior", given, "--output", tmp_path / name).run()
        after = stored(tmp_path / name / "depth/0.png") / 1000
        assert np.abs(after[~known] / truth[~known] - 1).mean() < 0.01
        assert report.frames[0].details["model"]["prior_fit"]["space"] == "depth"


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (1, 1), (20, 30)])
@pytest.mark.parametrize("what", ["all known", "one known", "constant", "stray values"])
def test_extreme_frames(tmp_path, shape, what):
    depth = np.full(shape, 2.0, dtype=np.float32)
    if what == "all known":
        depth += np.random.default_rng(0).random(shape, dtype=np.float32)
    elif what == "one known":
        depth.flat[1:] = 0
    else:
        depth.flat[1::3] = np.nan if what == "stray values" else 0
        depth.flat[4::3] = -1.0 if what == "stray values" else 0
    np.save(tmp_path / "depth.npy", depth)
    command("-", tmp_path / "depth.npy", "--output", tmp_path / "out").run()
    after = np.load(tmp_path / "out/depth/depth.npy")
    known = depth > 0
    assert np.array_equal(after[known], depth[known])
    np.testing.assert_allclose(after[~known], 2.0, rtol=1e-3)
    assert np.asarray(Image.open(tmp_path / "out/preview/depth.png")).shape == (2 * shape[0], 2 * shape[1], 3)


def test_nothing_known_is_named_with_its_file(tmp_path):
    np.save(tmp_path / "depth.npy", np.full((4, 5), np.nan, dtype=np.float32))
    with pytest.raises(InputError, match=r"depth.npy: known depth: no pixel"):
        command("-", tmp_path / "depth.npy", "--output", tmp_path / "out").run()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: {"rgb": f / "no.png"}, "no.png: RGB: no such file"),
        (lambda f: {"depth": f / "no.png"}, "no.png: depth: no such file"),
        (lambda f: {"rgb": f / "rgb"}, "rgb: RGB is a folder; expected a file like the depth"),
        (lambda f: {"depth": f / "rgb.txt"}, "rgb.txt"),
        (lambda f: {"options": ["--mask", f / "small.png"]}, "small.png: mask size: 4 x 9 pixels"),
        (lambda f: {"rgb": f / "small.png"}, "small.png: RGB size: 4 x 9 pixels; expected 32 x 24"),
        (lambda f: {"options": ["--inpainter", "nix"]}, "inpainter is 'nix'"),
        (lambda f: {"options": ["--prior", "nix"]}, "monocular model is 'nix'"),
        (lambda f: {"options": ["--prior", "marigold", "--inpainter", "linear"]}, "prior: with the inpainter 'linear'"),
        (lambda f: {"options": ["--format", "jpeg"]}, "depth format: jpeg"),
        (lambda f: {"options": ["--K", f / "none.json"]}, "none.json"),
        (lambda f: {"output": f / "rgb/0.png"}, "output folder"),
        (lambda f: {"output": f}, "input is never overwritten"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(tmp_path, change, message):
    folder = tmp_path / "in"
    rgb, depth = write_frame(folder)
    (folder / "rgb.txt").write_text("no depth")
    Image.fromarray(np.zeros((9, 4), dtype=np.uint8)).save(folder / "small.png")
    before = {path: (folder / path).read_bytes() for path in contents(folder)}
    parts = {"rgb": rgb, "depth": depth, "output": tmp_path / "out", "options": [], **change(folder)}
    with pytest.raises(InputError, match=message):
        command(parts["rgb"], parts["depth"], "--output", parts["output"], *parts["options"]).run()
    assert {path: (folder / path).read_bytes() for path in contents(folder)} == before
    assert not (tmp_path / "out").exists() or contents(tmp_path / "out") == []


def test_folders_must_go_together(tmp_path):
    rgb, depth = a_folder(tmp_path)
    (rgb / "001.png").unlink()
    with pytest.raises(InputError, match="no RGB named 001 \\(1 of 3 frames have none\\)"):
        run(rgb, depth, "--output", tmp_path / "out")
    np.save(depth / "000.npy", np.ones(SHAPE))
    with pytest.raises(InputError, match=r"000\.npy and 000\.png"):
        run("-", depth, "--output", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no depth image"):
        run("-", tmp_path / "empty", "--output", tmp_path / "out")


def test_real_frames(tmp_path, shared):
    folder = shared("data/cleargrasp_stars")
    report = run(folder / "rgb.jpg", folder / "sensor_depth.png", "--output", tmp_path)
    before, after = stored(folder / "sensor_depth.png"), stored(tmp_path / "depth/sensor_depth.png")
    assert np.array_equal(after[before > 0], before[before > 0])
    assert (after > 0).all()
    assert report.frames[0].intrinsics == str(folder / "K.json")
