"""Whole commands that are killed, interrupted or out of space at their writes: the old result or the new one, nothing left over.

A few writes of every command are tried; with ``SCENE_DEPTH_EVERY_WRITE=1`` all of them, with 3 every third, and slow
commands too.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from depthlab_samples import write_official
from PIL import Image
from pointmap_samples import sampled, write_vggt
from test_fit_command import OPENGL, few_splats
from write_events import KILLED, Ended, How, Runner, contents, result_in

from scene_depth.cameras import camera_from_fov, look_at
from scene_depth.io.output_folder import MARK
from scene_depth.io.splat_files import write_splats
from scene_depth.rendering import render as render_splats

EVERY = int(os.environ.get("SCENE_DEPTH_EVERY_WRITE", "0"))
TRAINING = """
import torch
from dataclasses import dataclass, field
from toy_objective import ToyObjective, toy_config
from scene_depth.io.torch_files import write_torch
from scene_depth.training.checkpoints import replaced_folder
from scene_depth.training.config import TrainConfig
from scene_depth.training.registry import Training

class Toy(ToyObjective):
    def save(self, model, folder):
        with replaced_folder(folder) as new:
            write_torch(new / "line.pt", model.state_dict())

@dataclass(frozen=True)
class Config:
    train: TrainConfig = field(default_factory=lambda: toy_config(steps=4, checkpoint_every=2, validate_every=2))

TRAINING = Training("toy", Config, {"default": Config()}, lambda config: Toy())
"""


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        command: Its arguments; {inputs} and {output} stand for folders.
        earlier: Further ones of the run before, whose result is there already; None for a command that replaces nothing.
        later: Further ones of the run that is killed.
        again: Further ones of a run after it, where the output is there.
        by_file: Whether files take their places one by one, as every frame of a folder does.
        new_only: Whether the command refuses a folder that holds a result.
    """

    command: str
    earlier: str | None
    later: str
    again: str = ""
    by_file: bool = False
    new_only: bool = False


SPLATS = "--splats {inputs}/few.ply --max-size 40 --device cpu --save-every 1e-9"
CASES = {
    "fit": Case(
        "fit {inputs}/scene --output {output} --steps 4 --start-splats 30 --max-splats 40 --save-every 1e-9 --device cpu",
        "--seed 1",
        "",
    ),
    "heal": Case(
        f"heal {{inputs}}/scene --output {{output}} {SPLATS} --inpainter nearest --steps 2 --most-references 1 --no-shadow",
        "--sphere '-0.3 0 0 0.3'",
        "--sphere '0.2 0 0 0.3'",
    ),
    "insert": Case(
        f"insert {{inputs}}/scene --output {{output}} {SPLATS} --ply {{inputs}}/few.ply --scale 0.2",
        "--at 0 0 0.3",
        "--at 0 0 0.6",
    ),
    "complete": Case(
        "complete - {inputs}/frames/depth --output {output} --inpainter nearest",
        "--harmonize off",
        "--harmonize on",
        by_file=True,
    ),
    "convert": Case("convert {inputs}/few.ply {output}/few.spz", "", "--scale 2 --overwrite"),
    "inspect": Case("inspect {inputs}/few.ply --fix {output}/fixed.ply", "--keep unnormalised_quats", "--overwrite"),
    "eval": Case("eval depth {inputs}/frames --inpainter nearest --masks rand10 --processes 0 --output {output}", None, ""),
    "convert a scene": Case("convert {inputs}/scene {output} --to colmap", None, "", new_only=True),
    "render": Case(
        "render {inputs}/few.ply --cameras {inputs}/scene --output {output} --device cpu --max-size 20",
        "--background 1 1 1 --what rgb alpha",
        "",
    ),
    "outpaint": Case(
        "outpaint --image {inputs}/frames/rgb/0.png --depth {inputs}/frames/depth/0.png --color membrane --output {output} "
        "--trajectory orbit[angle=24,views=4] --fit-steps 2",
        None,
        "",
    ),
    "eval a scene": Case(
        "eval scene {inputs}/few.ply --reference {inputs}/scene --masks {inputs}/masks --max-size 40 "
        "--output {output}/measures.json",
        "",
        "--before {inputs}/few.ply --overwrite",
    ),
    "sparse": Case("sparse {inputs}/predictions.npz --photos {inputs}/photos --output {output} --inpainter nearest", None, ""),
    "train": Case("train {inputs}/training.py:TRAINING --output {output}", None, "", again="--resume"),
}
if EVERY:  # it takes as long as all the others
    CASES["weights"] = Case("weights convert depthlab {inputs}/official {output}", None, "", new_only=True)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the commands read: four photos of a few splats, two depth images, a training."""
    folder = tmp_path_factory.mktemp("inputs")
    write_splats(folder / "few.ply", few_splats())
    images = folder / "scene" / "images"
    images.mkdir(parents=True)
    frames = []
    for i in range(4):
        angle = np.pi * i / 8
        position = torch.tensor([2.2 * np.cos(angle), 2.2 * np.sin(angle), 0.3], dtype=torch.float64)
        camera = camera_from_fov(look_at(position, torch.zeros(3).double(), torch.tensor([0.0, 0, 1])), 0.7, 40, 32)
        pixels = render_splats(few_splats(), camera).rgb[0].clamp(0, 1).mul(255).round().byte().numpy()
        Image.fromarray(pixels).save(images / f"{i}.png")
        frames.append({"file_path": f"images/{i}.png", "transform_matrix": (camera.camera_to_world[0].numpy() @ OPENGL).tolist()})
    focal = camera.K[0, 0, 0].item()
    content = {"fl_x": focal, "fl_y": focal, "cx": 20, "cy": 16, "w": 40, "h": 32, "frames": frames}
    (folder / "scene" / "transforms.json").write_text(json.dumps(content))
    (folder / "frames" / "depth").mkdir(parents=True)
    (folder / "frames" / "rgb").mkdir()
    for i in range(2):
        depth = np.where(np.hypot(*(np.mgrid[:16, :20] - 8)) < 3, 0, 1000 + 50 * i + np.arange(20)).astype(np.uint16)
        Image.fromarray(depth).save(folder / "frames" / "depth" / f"{i}.png")
        Image.fromarray(np.full((16, 20, 3), 90 + i, np.uint8)).save(folder / "frames" / "rgb" / f"{i}.png")
    (folder / "training.py").write_text(TRAINING)
    (folder / "masks").mkdir()
    for i in range(4):
        Image.fromarray(np.uint8(255 * (np.hypot(*(np.mgrid[:32, :40] - 16)) < 8))).save(folder / "masks" / f"{i}.png")
    write_vggt(folder / "predictions.npz", sampled(folder / "photos", "vggt", 2))
    if EVERY:
        write_official(folder / "official")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "training")
        yield folder


class Runs:
    """Runs of one command, each in a new folder.

    Attributes:
        command: Which of CASES.
        results: Whether the earlier result was there -> files of a folder in which nothing went wrong.
        earlier: Files of the earlier result.
        events: Changes that such a run makes.
    """

    def __init__(self, command: str, inputs: Path, folder: Path, runner: Runner):
        self.command, self.case, self.inputs, self.folder, self.count = command, (case := CASES[command]), inputs, folder, 0
        self.results, self.events, self.runner = {}, {}, runner
        assert runner.warm(self.words(folder / "warm", case.later)) == 0
        if case.earlier is not None:
            ended = self.run(folder / "earlier", case.earlier)
            assert ended.code == 0, ended.said
            self.earlier = contents(folder / "earlier", hidden=False)
        starts = [True, False] if EVERY else [True]
        for with_earlier in starts if case.earlier is not None else [False]:
            ended = self.run(root := self.prepared(with_earlier), case.later)
            assert ended.code == 0, ended.said
            self.results[with_earlier], self.events[with_earlier] = contents(root), ended.events
            assert not [name for name in contents(root) if "/." in name and MARK not in name]

    def run(self, root: Path, more: str, *how: Any, **options: int) -> Ended:
        return self.runner.run(self.words(root, more), root, *how, **options)

    def words(self, root: Path, more: str) -> list[str]:
        """Arguments of the program."""
        words = shlex.split(f"{self.case.command} {more}")
        return [word.format(inputs=self.inputs, output=root / "out") for word in words]

    def prepared(self, with_earlier: bool) -> Path:
        """A folder for a run, with the earlier result in it or empty."""
        root = self.folder / f"{self.count}"
        self.count += 1
        if with_earlier:
            shutil.copytree(self.folder / "earlier", root)
        else:
            root.mkdir()
        return root

    def places(self, samples: int) -> Iterator[tuple[bool, int]]:
        """Start and number of the change at which a run ends."""
        for with_earlier, count in self.events.items():
            yield from (
                (with_earlier, int(at)) for at in (range(0, count, EVERY) if EVERY else np.linspace(1, count - 1, samples))
            )

    def check(self, root: Path, with_earlier: bool, place: str) -> None:
        """The old result or the new one, and what one more run makes of it."""
        found, new = result_in(root), {name: text for name, text in self.results[with_earlier].items() if "/." not in name}
        if with_earlier and not self.case.by_file:
            assert found in (self.earlier, new), place
        elif with_earlier:
            mixed = {name for name, text in found.items() if text not in (self.earlier.get(name), new.get(name))}
            assert mixed <= {"out/report.json", "out/frames"}, place  # the latter if it holds no record now
            kept = {name for name in self.earlier if not name.startswith("out/frames/")}  # a record goes before its files change
            assert kept <= set(found), place
        again = self.case.again if self.case.again and (root / "out" / "checkpoint.pt").exists() else ""
        ended = self.run(root, f"{self.case.later} {again}")
        is_there = self.case.new_only and found == new
        assert ended.code == (2 if is_there else 0), f"{place}: {ended.said}"
        assert contents(root) == self.results[with_earlier], place
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def runner(inputs: Path) -> Iterator[Runner]:
    made = Runner()
    yield made
    made.close()


@pytest.fixture(scope="module", params=CASES)
def runs(request: pytest.FixtureRequest, inputs: Path, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(request.param, inputs, tmp_path_factory.mktemp("runs"), runner)


def test_a_killed_run_leaves_the_old_result_or_the_new_one_and_the_next_run_leaves_nothing_else(runs: Runs) -> None:
    for with_earlier, at in runs.places(10 if runs.command == "outpaint" else 3):
        root = runs.prepared(with_earlier)
        ended = runs.run(root, runs.case.later, "kill", at)
        assert ended.code == KILLED, ended.said
        runs.check(root, with_earlier, f"killed at {at} of {runs.events[with_earlier]}")


@pytest.mark.parametrize(("how", "code"), [("interrupt", 130), ("full", 2)])
def test_an_interrupted_run_and_one_on_a_full_disk_end_with_one_line(runs: Runs, how: How, code: int) -> None:
    for with_earlier, at in runs.places(2):
        root = runs.prepared(with_earlier)
        ended = runs.run(root, runs.case.later, how, at)
        place = f"{how} at {at} of {runs.events[with_earlier]}: {ended.said}"
        assert ended.code in (0, code), place
        assert "Traceback" not in ended.said, place
        if ended.code:
            assert ended.said.splitlines()[-1].startswith("scene-depth: "), place
        runs.check(root, with_earlier, place)


@pytest.mark.parametrize("runs", ["fit", "heal"], indirect=True)
def test_ctrl_c_in_the_middle_of_the_steps_keeps_what_was_done_beside_the_finished_result(runs: Runs) -> None:
    root = runs.prepared(with_earlier=True)
    ended = runs.run(root, runs.case.later, "ctrl-c", 20)
    assert ended.code == 130, ended.said
    assert result_in(root) == runs.earlier
    left = root / "out" / "unfinished"
    assert json.loads((left / "report.json").read_text())["finished"] is False
    assert {path.name for path in left.iterdir()} >= {"report.json", "splats.ply" if runs.command == "fit" else "healed.ply"}
    runs.check(root, True, ended.said)


@pytest.mark.parametrize("file_size", [100, 1000])
def test_a_disk_that_is_full_in_the_middle_of_a_file_is_one_line(runs: Runs, file_size: int) -> None:
    with_earlier = True in runs.events
    root = runs.prepared(with_earlier)
    ended = runs.run(root, runs.case.later, file_size=file_size)
    assert ended.code in (0, 2), ended.said
    assert "Traceback" not in ended.said
    assert (ended.code == 0) == ("File too large" not in ended.said), ended.said
    runs.check(root, with_earlier, ended.said)
