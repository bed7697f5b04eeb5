"""``scene-depth view``: the live editor in a browser."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console


def view(
    scene: tyro.conf.Positional[Path],
    splats: Path | None = None,
    edited: Path | None = None,
    port: int = 8080,
    host: str = "127.0.0.1",
    max_size: int = 640,
    picture_size: int = 960,
    undo_gb: float = 2.0,
    up: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None,
    device: str | None = None,
) -> None:
    """See a splat scene in the browser, select, delete, heal, and export it. Ctrl-C ends it.

    A file of splats alone can be viewed and edited; to heal, the photos are needed too.

    Args:
        scene: Posed photos (COLMAP folder, transforms.json, RGB-D folder or saved scene) or a file of splats.
        splats: Splats of the scene; by default the splats.ply that lies with it.
        edited: Edited splats of the same scene, such as the healed.ply of heal: undo and "Before" show the two.
        port: Port of the page; the next free one if it is taken.
        host: Address to listen on. Others than 127.0.0.1 let everybody who reaches it edit, and write files.
        max_size: Longer side of the photos that heals work on, in pixels.
        picture_size: Longer side of pictures that are rendered for the page, in pixels.
        undo_gb: Memory for undo, in gigabytes.
        up: Axis that points up; by default as the photos stand, and -y for splats alone (nerfstudio exports with z up).
        device: "cpu" or "cuda"; by default CUDA if it is there.
    """
    from scene_depth_viewer.opening import open_page

    viewer = open_page(
        scene, splats, edited, host=host, port=port, max_size=max_size, picture_size=picture_size, up=up,
        undo_bytes=int(undo_gb * (1 << 30)), device=device,
    )  # fmt: skip
    Console().print(f"{viewer.address}  (Ctrl-C ends it)", highlight=False)
    try:
        threading.Event().wait()
    finally:
        viewer.stop()
