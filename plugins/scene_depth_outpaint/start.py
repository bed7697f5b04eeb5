"""What an outpainting begins with: a picture, an RGB-D frame, a text, views of a scene, or splats and a camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.monocular import load_prior
from scene_depth.depth.prior import model_name, predict
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.intrinsics_files import read_intrinsics
from scene_depth.io.json_files import read_json_object
from scene_depth.io.posed_views import OPENGL_AXES, one_camera
from scene_depth.rendering import render
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats

MOST_VIEWS = 12  # of a scene, where none are named
NEAREST, FARTHEST = 1.0, 10.0  # depth that a prediction without a scale is taken to span, in scene units
FIELD_OF_VIEW = 55.0  # degrees across, of a picture without a camera


def picture_view(
    rgb: NDArray[np.float32], name: str, depth: Path | None, camera: Path | None, prior: str | None, seed: int = 0
) -> tuple[View, list[str]]:
    """A picture as the view to begin with, and what a person should know about it.

    Args:
        rgb: sRGB in [0, 1]  # [H, W, 3]
        name: Of the view.
        depth: Image of its depth; None lets a monocular model make one.
        camera: File of its intrinsics, which may hold a pose; None assumes a field of view of 55 degrees.
        prior: Monocular model.
        seed: Of the model.

    Raises:
        InputError: If there is neither depth nor a model, or a size is another one than the picture's.
    """
    height, width = rgb.shape[:2]
    posed, notes = _camera(camera, width, height)
    if depth is not None:
        values = read_depth(depth)
        if values.shape != (height, width):
            found = f"{values.shape[1]} x {values.shape[0]}"
            raise InputError("depth size", found, f"{width} x {height}, the size of the picture", file=depth)
        if not values.any():
            raise InputError("depth", "unknown everywhere", "depth of at least a part of the picture", file=depth)
    elif prior is not None:
        values, note = _predicted(prior, rgb, seed)
        notes.append(note)
    else:
        hint = "--depth FILE, or --prior MODEL, a monocular model that predicts one (transformers, marigold, module:function)"
        raise InputError("depth", f"none of the picture {name!r}, and no model to make one", "", hint=hint)
    return View(name, posed, load_image=partial(_same, rgb), load_depth=partial(_same, values)), notes


def scene_views(scene: Scene, names: Sequence[str], splats: GaussianSplats | None) -> list[View]:
    """Views of a scene to begin with; those without depth take that of its splats.

    Args:
        scene: The scene.
        names: Which views; none takes up to 12 that are spread evenly.
        splats: Its splats, if there are any.

    Raises:
        InputError: If there is no view of a name.
    """
    known = {view.name: view for view in scene.views}
    if unknown := [name for name in names if name not in known]:
        some = ", ".join(list(known)[:5])
        raise InputError("views", repr(unknown[0]), f"names of views of the scene: {some}{', …' if len(known) > 5 else ''}")
    places = np.unique(np.linspace(0, len(scene) - 1, min(len(scene), MOST_VIEWS)).round().astype(int)).tolist()
    chosen = [known[name] for name in names] or [scene.views[place] for place in places]
    if splats is None:
        return chosen
    return [view if view.load_depth else replace(view, load_depth=partial(_depth_of, splats, view.camera)) for view in chosen]


def splat_view(splats: GaussianSplats, camera: Path | None, name: str) -> View:
    """What a camera sees of splats, as the view to begin with.

    Raises:
        InputError: If there is no camera with a size and a pose, or it sees none of the splats.
    """
    if camera is None:
        raise InputError("camera", "none", "a file with K, width, height and camera_to_world, to look at the splats (--camera)")
    size = read_intrinsics(camera).size
    if size is None:
        raise InputError("width, height", "none", "the size of the picture to make of the splats", file=camera)
    posed = _camera(camera, *size)[0]
    drawn = render(splats, posed)
    depth = torch.where(drawn.depth_valid[0], drawn.depth[0], 0.0).numpy().astype(np.float32)
    if not depth.any():
        raise InputError("camera", "sees none of the splats", "a camera that looks at them", file=camera)
    return View(
        name,
        posed,
        load_image=partial(_same, drawn.rgb[0].clamp(0, 1).numpy().astype(np.float32)),
        load_depth=partial(_same, depth),
    )


def _camera(path: Path | None, width: int, height: int) -> tuple[Cameras, list[str]]:
    pose = np.eye(4)
    if path is None:
        focal = 0.5 * width / math.tan(math.radians(FIELD_OF_VIEW / 2))
        K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        note = f"no camera is given: a field of view of {FIELD_OF_VIEW:g} degrees across is assumed"
        return one_camera(pose, K, width, height, file=None, frame="camera"), [note]
    intrinsics = read_intrinsics(path)
    if intrinsics.coefficients and any(intrinsics.coefficients):
        raise InputError("distortion", "a lens that bends", "a picture without distortion", file=path)
    if intrinsics.size not in (None, (width, height)):
        found = f"{intrinsics.size[0]} x {intrinsics.size[1]}" if intrinsics.size else ""
        raise InputError("camera size", found, f"{width} x {height}, the size of the picture", file=path)
    if path.suffix.lower() == ".json":
        content = read_json_object(path)
        for key, axes in (("camera_to_world", np.eye(4)), ("transform_matrix", OPENGL_AXES)):
            if key in content:
                pose = _matrix(content[key], key, path) @ axes
    return one_camera(pose, intrinsics.corner_matrix(0.5), width, height, file=path, frame="camera"), []


def _matrix(value: Any, key: str, path: Path) -> NDArray[np.float64]:
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (4, 4):
        raise InputError(key, f"shape {matrix.shape}", "4 x 4 numbers", file=path)
    return matrix


def _predicted(prior: str, rgb: NDArray[np.float32], seed: int) -> tuple[NDArray[np.float32], str]:
    """Depth of a picture from a monocular model; without a scale of its own it is taken to span 1 to 10 units."""
    model, _ = load_prior(prior)
    found = predict(model, rgb, seed)
    values = found.values.astype(np.float64)
    if found.space in ("depth", "auto") and values.min() > 0:
        return values.astype(np.float32), f"the depth of the start is that of {model_name(model)}, in its unit"
    low, high = np.quantile(values, [0.005, 0.995])
    unit = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    if found.space == "log":
        depth = NEAREST * (FARTHEST / NEAREST) ** unit
    elif found.space == "depth":
        depth = NEAREST + (FARTHEST - NEAREST) * unit
    else:
        depth = 1 / (1 / FARTHEST + (1 / NEAREST - 1 / FARTHEST) * unit)
    return depth.astype(np.float32), f"{model_name(model)} predicts no scale: the start spans {NEAREST:g} to {FARTHEST:g} units"


def _depth_of(splats: GaussianSplats, camera: Cameras) -> NDArray[np.float32]:
    drawn = render(splats, camera)
    return torch.where(drawn.depth_valid[0], drawn.depth[0], 0.0).numpy().astype(np.float32)


def _same(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values
