"""From files to a session: a scene with its photos, or splats alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from scene_depth_heal.history import UNDO_BYTES
from scene_depth_heal.inputs import load_views
from scene_depth_heal.segmented import Segment
from scene_depth_heal.selection import SelectionSource
from scene_depth_heal.session import EditSession

from scene_depth.cli.inputs import open_scene, open_splats
from scene_depth.errors import InputError
from scene_depth.evaluation.placement import check_likeness, photos_of
from scene_depth.extras import needs_viewer
from scene_depth.io.splat_files import WRITERS, read_splats, splat_origin, splats_about_origin, splats_beside
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats
from scene_depth_viewer.page_frame import Axis

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer


def open_page(
    scene: str | Path | Scene | GaussianSplats,
    splats: str | Path | GaussianSplats | None = None,
    edited: Path | None = None,
    *,
    host: str,
    port: int,
    max_size: int,
    picture_size: int,
    up: Axis | None,
    undo_bytes: int = UNDO_BYTES,
    device: str | None = None,
    export_dir: Path | None = None,
    allow_origins: Sequence[str] = (),
    inpainters: Sequence[str] = (),
    colors: Sequence[str] = (),
    scene_options: Sequence[str] = (),
    segment: Segment | None = None,
) -> Viewer:
    """Opens a session and serves it; see ``open_session`` and ``Viewer``.

    Files of the page go to ``export_dir``, by default beside the splats; where those lie in the scene itself, which is no place
    for results, to ``out/NAME OF THE SCENE``.

    Raises:
        InputError: If viser is not installed, a size is too small, or as ``open_session``.
    """
    with needs_viewer():
        from scene_depth_viewer.viewer import Viewer
    for name, size in (("max_size", max_size), ("picture_size", picture_size)):
        if size < 16:
            raise InputError(name, size, "16 pixels or more")
    session = open_session(scene, splats, edited, max_size, device, undo_bytes, scene_options)
    folder = export_dir or usual_export_dir(scene, edited or session.source)
    home = _folder_of(scene)
    if home is not None and home in (folder.resolve(), *folder.resolve().parents):
        raise InputError("export_dir", "a folder of the scene", "another folder, the scene stays as it is", file=folder)
    viewer = Viewer(
        session, host, port, picture_size, up, export_dir=folder,
        allow_origins=allow_origins, inpainters=inpainters, colors=colors, segment=segment,
    )  # fmt: skip
    threading.Thread(target=session.draw_ahead, daemon=True).start()
    return viewer


def _folder_of(scene: str | Path | Scene | GaussianSplats) -> Path | None:
    """Folder of a scene of photos; None for splats alone, and for a scene without one."""
    source = scene.source if isinstance(scene, Scene) else None if isinstance(scene, GaussianSplats) else Path(scene)
    return source.resolve() if source is not None and source.is_dir() else None


def usual_export_dir(scene: str | Path | Scene | GaussianSplats, splats: Path | None) -> Path:
    """Where files of the page go: beside the splats, or, where those lie in the scene itself, to ``out/NAME OF THE SCENE``."""
    home = _folder_of(scene)
    if splats is not None and (home is None or home not in splats.resolve().parents):
        return splats.parent
    folder = Path("out") / ("view" if home is None else home.name)
    return folder if home is None or folder.resolve() != home else folder.with_name(f"{home.name}-view")


def open_session(
    source: str | Path | Scene | GaussianSplats,
    splats: str | Path | GaussianSplats | None,
    edited: Path | None,
    max_size: int,
    device: str | None,
    undo_bytes: int = UNDO_BYTES,
    scene_options: Sequence[str] = (),
) -> EditSession:
    """Opens what is to be viewed.

    Args:
        source: Scene of posed photos, or splats; each as a value or its path.
        splats: Splats of the scene; by default its own splats.ply.
        edited: Edited splats of the same scene, as a further step after the opened one.
        max_size: Longer side of the photos that are worked on, in pixels.
        device: "cpu" or "cuda"; by default CUDA if it is there.
        undo_bytes: Memory for undo.
        scene_options: How a scene at a path is read, as ``KEY=VALUE``.

    Raises:
        InputError: If there are no splats, there are options for a scene that is not read, or a file cannot be read.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    source = Path(source) if isinstance(source, str) else source
    if isinstance(source, Path) and not source.exists():
        raise InputError("scene", "nothing at this path", f"a scene, or splats ({', '.join(WRITERS)})", file=source)
    if isinstance(source, GaussianSplats) or (
        isinstance(source, Path) and source.is_file() and source.name.lower().endswith(tuple(WRITERS))
    ):
        if splats is not None:
            raise InputError("splats", f"{splats} beside {source}", "one file of splats, or a scene and its splats")
        if scene_options:
            raise InputError("scene_options", "given for splats alone", "a scene of posed photos, which they are for")
        loaded = source if isinstance(source, GaussianSplats) else open_splats(source)
        path = source if isinstance(source, Path) else None
        session = EditSession(loaded.to(device), source=path, undo_bytes=undo_bytes, max_size=max_size)
    else:
        scene = source if isinstance(source, Scene) else open_scene(source, scene_options)
        session = _open_scene(scene, splats, max_size, device, undo_bytes)
    if edited is not None:
        shown = splats_about_origin(read_splats(edited, double=True), splat_origin(session.splats))
        session.replace(shown.to(device), edited.name)
    return session


def _open_scene(
    scene: Scene, splats: str | Path | GaussianSplats | None, max_size: int, device: str, undo_bytes: int
) -> EditSession:
    folder = scene.source
    path: Path | None = None
    if isinstance(splats, GaussianSplats):
        loaded = splats
    else:
        path = Path(splats) if splats is not None else None if folder is None else splats_beside(folder)
        if path is None or not path.is_file():
            found = "none beside the photos" if path is None else "no such file"
            accepted = f"--splats FILE; `scene-depth fit {folder} --output OUT` makes one"
            raise InputError("splats", found, accepted, file=path or folder)
        loaded = open_splats(path, scene=scene)
    masked = any(view.load_mask is not None for view in scene.views)
    views = load_views(scene, max_size, SelectionSource() if masked else None)
    check_likeness(loaded, photos_of(scene), stop=False)
    return EditSession(loaded.to(device), views, source=path, undo_bytes=undo_bytes)
