"""The shipped scenes as other programs and the command see them."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nerfstudio_parser import parse_with_nerfstudio
from scene_depth_synthetic.cli import Make, Run
from scene_depth_synthetic.samples import SAMPLE_SCENES
from scene_depth_synthetic.samples.writer import SampleReport, capture, sample_scene, write_sample_scene

from scene_depth.cli.app import GROUP, main
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import count_sightings
from scene_depth.io.scenes import read_scene
from scene_depth.work import Progress

SCENES = Path(__file__).resolve().parents[2] / "scenes"
LARGEST_BYTES = 12e6
SCENES_COMMAND = EntryPoint("scenes", "scene_depth_synthetic.cli:scenes", GROUP)


def test_all_scenes_together_are_small() -> None:
    assert sum(path.stat().st_size for name in SAMPLE_SCENES for path in (SCENES / name).rglob("*")) < LARGEST_BYTES


@pytest.mark.parametrize("name", SAMPLE_SCENES)
def test_a_shipped_depth_without_the_object_is_what_its_recipe_draws(name: str) -> None:
    sample = sample_scene(name)
    drawn = capture(sample).picture(18, removed=True, threads=1)
    shipped = read_scene(SCENES / name / "removed").views[18]
    np.testing.assert_allclose(shipped.depth(), drawn.depth, rtol=0, atol=0.51 * sample.depth_unit)
    assert np.array_equal(shipped.depth() > 0, drawn.depth > 0)
    assert np.abs(shipped.image() - drawn.image / 255).mean() < 0.012  # what JPEG costs


@pytest.mark.parametrize("name", SAMPLE_SCENES)
def test_points_lie_on_surfaces_that_two_views_see(name: str) -> None:
    scene = read_scene(SCENES / name)
    recipe = json.loads((SCENES / name / "recipe.json").read_text())
    assert scene.points is not None
    assert 3000 <= len(scene.points) == recipe["points"] <= 5000
    chosen = torch.from_numpy(scene.points.xyz[::10])
    cameras = [view.camera for view in scene.views]
    depths = [torch.from_numpy(view.depth()) for view in scene.views]
    blocked = [torch.zeros(depth.shape, dtype=torch.bool) for depth in depths]
    assert (count_sightings(chosen, cameras, depths, blocked, tolerance=0.015) >= 2).float().mean() > 0.99


@pytest.mark.parametrize("name", SAMPLE_SCENES)
def test_the_recipe_says_what_is_in_the_folder(name: str) -> None:
    recipe = json.loads((SCENES / name / "recipe.json").read_text())
    scene = read_scene(SCENES / name)
    for view in scene.views[::9]:
        stem = Path(view.name).stem
        assert abs(recipe["object_share_of_image"][stem] - view.mask().mean()) < 1e-4
        assert 0.03 < view.mask().mean() < 0.2
        assert recipe["unseen_share_of_object"][stem] > 0
    _, test = scene.split(every=recipe["held_out_every"])
    assert [Path(view.name).stem for view in test.views] == recipe["held_out"]
    assert len(read_scene(SCENES / name, split="test")) == len(recipe["held_out"]) == 8


def test_nerfstudio_reads_a_scene(tmp_path: Path) -> None:
    unit = SAMPLE_SCENES["table"]().depth_unit  # its users say this on the command line
    train, test = (
        parse_with_nerfstudio(SCENES / "table", tmp_path, split, images=0, depth_unit_scale_factor=unit)
        for split in ("train", "test")
    )
    assert len(train.image_filenames) == 24
    assert [path.stem for path in test.image_filenames] == [f"frame_{i:02d}" for i in range(0, 32, 4)]
    assert [path.stem for path in train.depth_filenames] == [path.stem for path in train.image_filenames]
    assert len(train.xyz) > 3000
    K = SAMPLE_SCENES["table"]().cameras.K[0]
    np.testing.assert_allclose(train.intrinsics[0], K, rtol=1e-6)


def test_the_command_writes_a_scene_twice_with_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents = []
    for threads in (1, 2):
        Make("table", tmp_path / "out", scale=0.1, running=Run(threads=threads)).run()
        files = sorted(path for path in (tmp_path / "out" / "table").rglob("*") if path.is_file())
        contents.append({str(path.relative_to(tmp_path)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 32 * 5 + 5  # the owner mark among them
    assert "seen by no training view" in capsys.readouterr().out
    assert len(read_scene(tmp_path / "out" / "table")) == 32


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name": "cave"}, "name"),
        ({"name": "all", "scale": 0.0}, "scale"),
        ({"name": "table", "running": Run(threads=0)}, "threads"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        Make(output=tmp_path / "out", **options).run()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_stopped_drawing_says_so_and_is_drawn_over_by_the_same_call(tmp_path: Path, interrupt: bool) -> None:
    def stop_at_third(now: Progress) -> bool:
        if interrupt and now.done == 2:
            raise KeyboardInterrupt
        return now.done < 2

    sample = sample_scene("table", 0.1)
    report = write_sample_scene(tmp_path, sample, threads=1, on_progress=stop_at_third)
    assert not report.finished
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["frame_00.jpg"]
    assert not (tmp_path / "transforms.json").exists()
    again = write_sample_scene(tmp_path, sample, threads=1, on_progress=lambda now: now.done < 4)
    assert len(list((tmp_path / "images").iterdir())) == 2
    assert not again.finished
    assert json.loads((tmp_path / "recipe.json").read_text())["finished"] is False


def test_the_command_turns_a_stopped_drawing_into_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scene_depth_synthetic.cli.write_sample_scene", lambda *_, **__: SampleReport({}, finished=False))
    monkeypatch.setattr("scene_depth.cli.app.entry_points", lambda group: [SCENES_COMMAND])
    assert main(["scenes", "make", "table", "--output", str(tmp_path / "out"), "--scale", "0.1"]) == 130


def test_what_something_else_wrote_is_not_drawn_over(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "frame_00.jpg").write_text("mine")
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(InputError, match=r"images, recipe\.json of something else"):
        write_sample_scene(tmp_path, sample_scene("table", 0.1))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["frame_00.jpg", "images", "recipe.json"]
    assert (tmp_path / "images" / "frame_00.jpg").read_text() == "mine"
