"""``scene-depth scenes``: the sample scenes, drawn again, and real scenes with an object put in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from scene_depth.cli.inputs import SceneOptions, read_found
from scene_depth.cli.progress import end_if_stopped, print_json, watch_progress
from scene_depth.errors import InputError
from scene_depth.io.atomic import check_writable
from scene_depth_synthetic.composited import composite_object, write_composited
from scene_depth_synthetic.composited.compositing import HELD_OUT_EVERY, check_every
from scene_depth_synthetic.samples import SAMPLE_SCENES
from scene_depth_synthetic.samples.writer import sample_scene, write_sample_scene

ALL = "all"


@dataclass(frozen=True)
class Run:
    """How it is run, and what is printed."""

    threads: int | None = None
    """Worker threads; by default one for each core."""
    json: bool = False
    """Print the recipes."""

    def check(self) -> None:
        """Raises InputError for a number of threads out of range."""
        if self.threads is not None and self.threads < 1:
            raise InputError("threads", self.threads, "1 or more")


@dataclass(frozen=True)
class Make:
    """Draw the sample scenes.

    Each becomes a folder OUTPUT/NAME with transforms.json, images, depth, masks, points.ply and the same views without the
    object below removed. At scale 1 the result is that of the folder scenes of the project, bit for bit.
    """

    name: tyro.conf.Positional[str]
    """table, room, street, or all."""
    output: Path
    """Folder for the scenes, made if missing."""
    scale: float = 1.0
    """Size of the pictures relative to the shipped ones."""
    overwrite: bool = False
    """Replace files in these folders that something else wrote."""
    running: Annotated[Run, tyro.conf.arg(name="running")] = Run()
    """Does not change the result."""

    def run(self) -> None:
        """Runs the command."""
        self.running.check()
        samples = [sample_scene(name, self.scale) for name in (SAMPLE_SCENES if self.name == ALL else [self.name])]
        recipes = []
        for sample in samples:
            start, folder = time.monotonic(), self.output / sample.name
            with watch_progress(sample.name) as on_progress:
                report = write_sample_scene(
                    folder, sample, threads=self.running.threads, on_progress=on_progress, overwrite=self.overwrite
                )
            end_if_stopped(report)
            recipe = report.recipe
            recipes.append(recipe)
            if not self.running.json:
                unseen = 100.0 * recipe["mean_unseen_share_of_object"]
                print(
                    f"{folder}: {recipe['views']} views, without {recipe['object']} too; "
                    f"{unseen:.0f} % of what is behind it is seen by no training view ({time.monotonic() - start:.0f} s)"
                )
        if self.running.json:
            print_json(recipes, indent=1)


@dataclass(frozen=True)
class Composite:
    """Put an object into a scene of your own: with the object, and with it gone, as truth.

    A ray-traced object stands in every view of a posed RGB-D scene, before or behind its surfaces as measured depth says;
    OUTPUT gets the layout of the sample scenes, and removed holds the scene as it was.
    """

    scene: tyro.conf.Positional[Path]
    """The scene, with depth for every view."""
    output: Path
    """New or empty folder for the result."""
    scene_options: SceneOptions = ()
    seed: int = 0
    """Chooses the object and its place."""
    size: float | None = None
    """Height of the object in scene units; by default 0.3 of the height of the pictures that see it."""
    held_out_every: int = HELD_OUT_EVERY
    """Of the views that show the object, each such one is held out for measuring."""
    running: Annotated[Run, tyro.conf.arg(name="running")] = Run()
    """Does not change the result."""

    def run(self) -> None:
        """Runs the command."""
        self.running.check()
        if self.output.is_dir() and any(self.output.iterdir()):
            raise InputError("output", "a folder with files in it", "a new or empty folder", file=self.output)
        check_every(self.held_out_every)
        check_writable(self.output.parent)
        start, scene, name = time.monotonic(), read_found(self.scene, self.scene_options), self.scene.name
        with watch_progress(name) as on_progress:
            made = composite_object(scene, seed=self.seed, size=self.size, threads=self.running.threads, on_progress=on_progress)
        end_if_stopped(made)
        command = f"scene-depth scenes composite {name} --output FOLDER --seed {self.seed} --held-out-every {self.held_out_every}"
        command += "" if self.size is None else f" --size {self.size:g}"
        recipe = write_composited(self.output, made, every=self.held_out_every, recipe={"scene": name, "command": command})
        if self.running.json:
            print_json([recipe], indent=1)
            return
        print(
            f"{self.output}: {recipe['object']} in {recipe['views_with_the_object']} of {recipe['views']} views, "
            f"{len(recipe['held_out'])} of them held out ({time.monotonic() - start:.0f} s)"
        )


def scenes(
    action: Annotated[Make, tyro.conf.subcommand("make")] | Annotated[Composite, tyro.conf.subcommand("composite")],
) -> None:
    """Draw the sample scenes, or put an object into a scene of your own: with the object, and with it gone, as truth.

    Args:
        action: What to do.
    """
    action.run()
