"""A composited scene as a folder, laid out as the sample scenes are: with the object, and below ``removed`` without it."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder
from scene_depth.io.transforms_json_output import write_transforms
from scene_depth_synthetic.composited.compositing import Composited

RECIPE, REMOVED = "recipe.json", "removed"
HELD_OUT_EVERY = 8


def held_out_names(composited: Composited, every: int = HELD_OUT_EVERY) -> list[str]:
    """Every ``every``-th of the views that show the object, in order of their names: others would measure nothing.

    Raises:
        InputError: If that leaves no view to train on.
    """
    check_every(every)
    showing = sorted(view.name for view in composited.scene.views if view.mask().any())
    chosen = showing[::every]
    if len(chosen) == len(composited.scene):
        raise InputError("held_out_every", every, "a number that leaves views to train on")
    return chosen


def check_every(every: int) -> None:
    """Raises InputError if every view would be held out, or none."""
    if every < 2:
        raise InputError("held_out_every", every, "2 or more")


def write_composited(
    path: str | PathLike[str], composited: Composited, *, every: int = HELD_OUT_EVERY, recipe: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Writes ``transforms.json``, ``images``, ``depths``, ``masks`` and ``recipe.json``, and the truth below ``removed``.

    Photos become PNG, so that both states keep their bits. Both ``transforms.json`` name the same training and held-out
    views.

    Args:
        path: New or empty folder, which appears whole or not at all.
        composited: The scene.
        every: See ``held_out_names``.
        recipe: How it was made, for ``recipe.json``.

    Returns:
        What ``recipe.json`` says.

    Raises:
        InputError: If the folder is not empty or cannot be written, or no view is left to train on.
    """
    held_out = held_out_names(composited, every)
    placement = composited.placement
    content = {
        **(recipe or {}),
        "object": composited.object_name,
        "foot": placement.foot,
        "up": placement.up,
        "height": placement.height,
        "on_a_level_surface": placement.level,
        "views": len(composited.scene),
        "views_with_the_object": sum(bool(view.mask().any()) for view in composited.scene.views),
        "held_out": held_out,
        "held_out_every": every,
        "object_share_of_image": {view.name: round(float(view.mask().mean()), 4) for view in composited.scene.views},
    }
    with atomic_folder(path) as folder:
        write_transforms(folder / "scene", composited.scene, held_out=held_out)
        for item in (folder / "scene").iterdir():
            item.rename(folder / item.name)
        (folder / "scene").rmdir()
        write_transforms(folder / REMOVED, composited.removed, masks=False, held_out=held_out)
        (folder / RECIPE).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return json.loads((Path(path) / RECIPE).read_text(encoding="utf-8"))
