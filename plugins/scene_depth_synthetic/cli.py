"""``scene-depth scenes``: the sample scenes, drawn again, and real scenes with an object put in."""

from __future__ import annotations

import json as json_module
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from scene_depth.cli.progress import watch_progress
from scene_depth.errors import InputError
from scene_depth.io.atomic import check_writable
from scene_depth.io.scenes import read_scene
from scene_depth_synthetic.composited import composite_object, write_composited
from scene_depth_synthetic.composited.compositing import HELD_OUT_EVERY, check_every
from scene_depth_synthetic.samples import SAMPLE_SCENES
from scene_depth_synthetic.samples.writer import sample_scene, write_sample_scene

ALL = "all"


def scenes(
    action: Annotated[Literal["make", "composite"], tyro.conf.Positional],
    name: Annotated[str, tyro.conf.Positional],
    output: Path,
    scale: float = 1.0,
    threads: int | None = None,
    seed: int = 0,
    size: float | None = None,
    held_out_every: int = HELD_OUT_EVERY,
    json: bool = False,
) -> None:
    """Draw the sample scenes, or put an object into a scene of your own: with the object, and with it gone, as truth.

    make: each sample scene becomes a folder OUTPUT/NAME with transforms.json, images, depth, masks, points.ply and the same
    views without the object below removed. At scale 1 the result is that of the folder scenes of the project, bit for bit.

    composite: a ray-traced object stands in every view of a posed RGB-D scene, before or behind its surfaces as measured
    depth says; OUTPUT gets the same layout, and removed holds the scene as it was.

    Args:
        action: What to do.
        name: make: table, room, street, or all. composite: the scene, with depth for every view.
        output: Folder for the scenes, made if missing; for composite a new or empty one.
        scale: make: size of the pictures relative to the shipped ones.
        threads: Worker threads; by default one for each core. They do not change the result.
        seed: composite: chooses the object and its place.
        size: composite: height of the object in scene units; by default 0.3 of the height of the pictures that see it.
        held_out_every: composite: of the views that show the object, each such one is held out for measuring.
        json: Print the recipes.
    """
    if threads is not None and threads < 1:
        raise InputError("threads", threads, "1 or more")
    if action == "composite":
        recipes = [_composite(Path(name), output, seed, size, held_out_every, threads, quiet=json)]
    else:
        recipes = _make(name, output, scale, threads, quiet=json)
    if json:
        print(json_module.dumps(recipes, indent=1))


def _make(name: str, output: Path, scale: float, threads: int | None, *, quiet: bool) -> list[dict[str, Any]]:
    names = list(SAMPLE_SCENES) if name == ALL else [name]
    samples = [sample_scene(each, scale) for each in names]
    recipes = []
    for sample in samples:
        start = time.monotonic()
        with watch_progress(sample.name) as on_progress:
            recipe = write_sample_scene(output / sample.name, sample, threads=threads, on_progress=on_progress)
        recipes.append(recipe)
        if not quiet:
            unseen = 100.0 * recipe["mean_unseen_share_of_object"]
            print(
                f"{output / sample.name}: {recipe['views']} views, without {recipe['object']} too; "
                f"{unseen:.0f} % of what is behind it is seen by no training view ({time.monotonic() - start:.0f} s)"
            )
    return recipes


def _composite(
    source: Path, output: Path, seed: int, size: float | None, every: int, threads: int | None, *, quiet: bool
) -> dict[str, Any]:
    if output.is_dir() and any(output.iterdir()):
        raise InputError("output", "a folder with files in it", "a new or empty folder", file=output)
    check_every(every)
    check_writable(output.parent)
    start = time.monotonic()
    with watch_progress(source.name) as on_progress:
        composited = composite_object(read_scene(source), seed=seed, size=size, threads=threads, on_progress=on_progress)
    command = f"scene-depth scenes composite {source.name} --output FOLDER --seed {seed} --held-out-every {every}"
    command += "" if size is None else f" --size {size:g}"
    recipe = write_composited(output, composited, every=every, recipe={"scene": source.name, "command": command})
    if not quiet:
        print(
            f"{output}: {recipe['object']} in {recipe['views_with_the_object']} of {recipe['views']} views, "
            f"{len(recipe['held_out'])} of them held out ({time.monotonic() - start:.0f} s)"
        )
    return recipe
