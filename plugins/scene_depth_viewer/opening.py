"""From files to a session: a scene with its photos, or splats alone."""

from __future__ import annotations

from pathlib import Path

import torch
from scene_depth_heal.inputs import SelectionSource, load_views

from scene_depth.errors import InputError
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import WRITERS, read_splats, splats_beside
from scene_depth_viewer.session import EditSession

NO_SELECTION = SelectionSource(box="")  # anything but masks: views are loaded without them


def open_session(source: Path, splats: Path | None, edited: Path | None, max_size: int, device: str | None) -> EditSession:
    """Opens what is to be viewed.

    Args:
        source: Scene of posed photos, or a file of splats.
        splats: Splats of the scene; by default its own splats.ply.
        edited: Edited splats of the same scene, as a further step after the opened one.
        max_size: Longer side of the photos that are worked on, in pixels.
        device: "cpu" or "cuda"; by default CUDA if it is there.

    Raises:
        InputError: If there are no splats, or a file cannot be read.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not source.exists():
        raise InputError("scene", "nothing at this path", f"a scene, or splats ({', '.join(WRITERS)})", file=source)
    if source.is_file() and source.name.lower().endswith(tuple(WRITERS)):
        if splats is not None:
            raise InputError("splats", f"{splats} beside {source}", "one file of splats, or a scene and its splats")
        session = EditSession(read_splats(source).to(device), source=source)
    else:
        session = _open_scene(source, splats, max_size, device)
    if edited is not None:
        session.replace(read_splats(edited).to(device), edited.name)
    return session


def _open_scene(source: Path, splats: Path | None, max_size: int, device: str) -> EditSession:
    scene = read_scene(source)
    path = splats or splats_beside(source)
    if path is None or not path.is_file():
        found = "none beside the photos" if path is None else "no such file"
        accepted = f"--splats FILE; `scene-depth fit {source} --output OUT` makes one"
        raise InputError("splats", found, accepted, file=path or source)
    loaded = read_splats(path).to(device)
    masked = any(view.load_mask is not None for view in scene.views)
    views = load_views(scene, max_size, SelectionSource() if masked else NO_SELECTION)
    return EditSession(loaded, views, source=path)
