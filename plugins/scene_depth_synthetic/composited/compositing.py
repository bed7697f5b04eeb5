"""A real scene with a ray-traced object in it: every pixel that the object changes is known, and what is behind it too."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder
from scene_depth.io.transforms_json_output import write_transforms
from scene_depth.scene import Scene, View
from scene_depth.work import OnProgress, Progress, Work
from scene_depth_synthetic.composited.drawing import Appearance, object_for, standing_object
from scene_depth_synthetic.composited.placement import Placement, find_placement
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.exposure import SHOULDER

TINT = 0.5  # share of the surroundings' colour cast that the light on the object takes over
LIGHT = (0.03, 0.28)  # linear bounds of the object's mean brightness: neither lost in the dark nor burnt out


@dataclass(frozen=True)
class Composited:
    """A scene with an object and the same scene without it.

    Attributes:
        scene: Views with the object: 8-bit colours, depth, and masks that are white where the object changes anything.
        removed: The same views, by the same names, as they were: the truth once the object is removed.
        object_name: What it is, in words.
        placement: Where it stands.
        finished: False if the drawing was stopped before its end.
    """

    scene: Scene
    removed: Scene
    object_name: str
    placement: Placement
    finished: bool = True


@dataclass(frozen=True)
class _Drawn:
    """A view of the scene: 8-bit colours [H, W, 3], z-depth with 0 for unknown [H, W], and what it sees of the object."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    look: Appearance | None


def composite_object(
    scene: Scene, *, seed: int = 0, size: float | None = None, threads: int | None = None, on_progress: OnProgress | None = None
) -> Composited:
    """Puts an object into every view of a posed RGB-D scene.

    The object stands on a surface that many views see (``find_placement``). At each pixel the nearer of object and scene
    is shown. Where the scene's depth is unknown, that of the nearest known pixel decides: gaps of sensors are narrow, and
    what is beyond their range is behind what borders on it. Pixels that the object covers in part blend with the scene in
    linear light; the mask holds them too, so outside it nothing differs from the scene by any bit. The object's mean
    brightness is that of its surroundings within bounds, and its light takes part of their colour; it casts no shadow,
    since the scene without it has none. Points of the scene are left out: they were found without the object.

    Args:
        scene: Two or more views with photo and depth.
        seed: Chooses object and place; the same seed gives the same bits.
        size: Height of the object in scene units; by default 0.3 of the height of the pictures that see it.
        threads: Worker threads; the result does not depend on them.
        on_progress: Called before each picture; False ends the drawing, and so does Ctrl-C. Views that were not reached are
            left without the object.

    Raises:
        InputError: If a view has no photo or no depth, the size is not positive, or nothing can stand anywhere.
    """
    _check(scene, seed, size)
    name, piece = object_for(seed)
    placement = find_placement(scene, max(piece.width, piece.depth) / piece.height, size=size, seed=seed)
    standing = standing_object(piece, placement, Dice(seed, 303).uniform(0.0, 6.28))
    work, drawn = Work(on_progress), []
    with work.stage("composite"):
        for index, view in enumerate(scene.views):
            if not work.report(Progress("composite", index, len(scene), f"{name}: {view.name}")):
                break
            rgb, depth = np.rint(np.clip(view.image(), 0, 1) * 255).astype(np.uint8), view.depth()
            look = standing.appearance(view.camera, seed=index, threads=threads)
            drawn.append(_Drawn(rgb, depth, None if look is None else _not_hidden(look, depth)))
    light = _light(drawn)
    with_object, without = [], []
    for index, view in enumerate(scene.views):
        plain = replace(view, name=str(PurePosixPath(view.name).with_suffix(".png")), load_mask=None)
        pair = _composite(plain, drawn[index], light) if index < len(drawn) else (_with_empty_mask(plain), plain)
        with_object.append(pair[0])
        without.append(pair[1])
    full, removed = (replace(scene, views=tuple(views), points=None, masks_are_objects=True) for views in (with_object, without))
    return Composited(full, removed, name, placement, finished=not work.stopped)


def _check(scene: Scene, seed: int, size: float | None) -> None:
    if size is not None and not 0 < size < float("inf"):
        raise InputError("size", size, "a positive height in scene units")
    if seed < 0:
        raise InputError("seed", seed, "0 or more")
    if len(scene) < 2:
        raise InputError("views", len(scene), "two or more views with photo and depth", file=scene.source)
    for view in scene.views:
        for what, load in (("photo", view.load_image), ("depth", view.load_depth)):
            if load is None:
                raise InputError(
                    f"view {view.name!r}: {what}", "none", "a scene whose views all have photo and depth", file=scene.source
                )
    names = [str(PurePosixPath(view.name).with_suffix("")) for view in scene.views]
    if len(set(names)) != len(names):
        raise InputError("views", "names that differ only in their ending", "names that differ before it", file=scene.source)


def _not_hidden(look: Appearance, depth: NDArray[np.float32]) -> Appearance:
    """The part of the object that no surface of the scene hides."""
    known = np.isfinite(depth) & (depth > 0)
    if known.all() or not known.any():
        filled = np.where(known, depth, np.inf)
    else:
        index = distance_transform_edt(~known, return_distances=False, return_indices=True)
        filled = depth[tuple(index)]
    front = look.depth <= filled[look.rows, look.columns]
    return replace(look, coverage=np.where(front, look.coverage, 0).astype(np.float32), centered=look.centered & front)


def _light(views: list[_Drawn]) -> NDArray[np.float64]:
    """Factors on the object's radiance so that its mean is as bright as the windows around it  # [3]"""
    own, around = [], []
    for view in views:
        if view.look is not None and (view.look.coverage > 0.5).any():
            own.append(view.look.radiance[view.look.coverage > 0.5].mean(axis=0))
            around.append(_linear(view.rgb[view.look.rows, view.look.columns]).reshape(-1, 3).mean(axis=0))
    if not own:
        return np.ones(3)
    color = np.mean(around, axis=0)
    brightness = float(np.clip(color.mean(), *LIGHT))
    cast = 1 + TINT * (color / max(float(color.mean()), 1e-6) - 1)
    return np.asarray(brightness / max(float(np.mean(own)), 1e-6) * cast)


def _composite(view: View, drawn: _Drawn, light: NDArray[np.float64]) -> tuple[View, View]:
    """A view with the object, and as it was."""
    rgb, depth, mask = drawn.rgb.copy(), drawn.depth.copy(), np.zeros(drawn.depth.shape, dtype=bool)
    if (look := drawn.look) is not None:
        window = (look.rows, look.columns)
        share = look.coverage.astype(np.float64)[..., None]
        blended = share * _shoulder(look.radiance * light) + (1 - share) * _linear(drawn.rgb[window])
        mask[window] = look.coverage > 0
        rgb[window] = np.where(mask[window][..., None], _encoded(blended), rgb[window])
        depth[window] = np.where(look.centered, look.depth, depth[window])
    return _loaded(view, rgb, depth, mask), _loaded(view, drawn.rgb, drawn.depth, None)


def _with_empty_mask(view: View) -> View:
    return replace(view, load_mask=lambda: np.zeros((view.camera.height, view.camera.width), dtype=bool))


def _loaded(view: View, rgb: NDArray[np.uint8], depth: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> View:
    load_mask = None if mask is None else lambda: mask
    return View(view.name, view.camera, lambda: rgb.astype(np.float32) / np.float32(255), load_mask, lambda: depth)


def _shoulder(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Highlights compressed as ``exposure.develop`` does."""
    over = np.maximum(linear - SHOULDER, 0) / (1 - SHOULDER)
    return np.where(linear <= SHOULDER, linear, SHOULDER + (1 - SHOULDER) * over / (1 + over))


def _linear(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Linear values of sRGB (IEC 61966-2-1)."""
    value = rgb / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _encoded(linear: NDArray[np.float64]) -> NDArray[np.uint8]:
    value = np.clip(linear, 0, 1)
    curve = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    encoded: NDArray[np.uint8] = np.rint(255 * curve).astype(np.uint8)
    return encoded


RECIPE, REMOVED = "recipe.json", "removed"
HELD_OUT_EVERY = 8


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
        every: Each such one of the views that show the object, by name, is held out: others would measure nothing.
        recipe: How it was made, for ``recipe.json``.

    Returns:
        What ``recipe.json`` says.

    Raises:
        InputError: If the folder is not empty or cannot be written, or no view is left to train on.
    """
    check_every(every)
    names = [view.name for view in composited.scene.views if view.mask().any()]
    held_out = sorted(names)[::every]
    if len(held_out) == len(composited.scene):
        raise InputError("held_out_every", every, "a number that leaves views to train on")
    placement = composited.placement
    content = {
        **(recipe or {}),
        "object": composited.object_name,
        "foot": placement.foot,
        "up": placement.up,
        "height": placement.height,
        "on_a_level_surface": placement.level,
        "views": len(composited.scene),
        "views_with_the_object": len(names),
        "held_out": held_out,
        "held_out_every": every,
        "object_share_of_image": {view.name: round(float(view.mask().mean()), 4) for view in composited.scene.views},
    }
    with atomic_folder(path) as folder:
        write_transforms(folder / "scene", composited.scene, object_masks=True, held_out=held_out)
        for item in (folder / "scene").iterdir():
            item.rename(folder / item.name)
        (folder / "scene").rmdir()
        write_transforms(folder / REMOVED, composited.removed, masks=False, held_out=held_out)
        (folder / RECIPE).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    written: dict[str, Any] = json.loads((Path(path) / RECIPE).read_text(encoding="utf-8"))
    return written
