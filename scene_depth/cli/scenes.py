"""``scene-depth scenes``: the sample scenes, drawn again."""

from __future__ import annotations

import json as json_module
import time
from pathlib import Path
from typing import Annotated, Literal

import tyro

from scene_depth.cli.progress import progress_bar
from scene_depth.datasets.samples import SAMPLE_SCENES
from scene_depth.datasets.samples.writer import sample_scene, write_sample_scene
from scene_depth.errors import InputError

ALL = "all"


def scenes(
    action: Annotated[Literal["make"], tyro.conf.Positional],
    name: Annotated[str, tyro.conf.Positional],
    output: Path,
    scale: float = 1.0,
    threads: int | None = None,
    json: bool = False,
) -> None:
    """Draw the sample scenes: posed pictures with exact depth, with an object and with it gone.

    Each becomes a folder OUTPUT/NAME with transforms.json, images, depth, masks, points.ply and the same views without
    the object below removed. At scale 1 the result is that of the folder scenes of the project, bit for bit.

    Args:
        action: What to do.
        name: table, room, street, or all.
        output: Folder for the scenes; made if missing.
        scale: Size of the pictures relative to the shipped ones.
        threads: Worker threads; by default one for each core. They do not change the result.
        json: Print the recipes.
    """
    if threads is not None and threads < 1:
        raise InputError("threads", threads, "1 or more")
    names = list(SAMPLE_SCENES) if name == ALL else [name]
    samples = [sample_scene(each, scale) for each in names]
    recipes = []
    for sample in samples:
        start = time.monotonic()
        with progress_bar(sample.name) as show:
            recipe = write_sample_scene(output / sample.name, sample, threads=threads, progress=show)
        recipes.append(recipe)
        if not json:
            unseen = 100.0 * recipe["mean_unseen_share_of_object"]
            print(
                f"{output / sample.name}: {recipe['views']} views, without {recipe['object']} too; "
                f"{unseen:.0f} % of what is behind it is seen by no training view ({time.monotonic() - start:.0f} s)"
            )
    if json:
        print(json_module.dumps(recipes, indent=1))
