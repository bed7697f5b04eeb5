"""``scene-depth view``: the live editor in a browser."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from scene_depth.cli.inputs import SceneOptions


def view(
    scene: tyro.conf.Positional[Path],
    splats: Path | None = None,
    edited: Path | None = None,
    export_dir: Path | None = None,
    scene_options: SceneOptions = (),
    inpainter: tuple[str, ...] = (),
    color: tuple[str, ...] = (),
    sam2: str | None = None,
    port: int = 8080,
    host: str = "127.0.0.1",
    allow_origin: tuple[str, ...] = (),
    max_size: int = 640,
    picture_size: int = 960,
    undo_gb: float = 2.0,
    up: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None,
    device: str | None = None,
) -> None:
    """See a splat scene in the browser, select, delete, heal, and export it. Ctrl-C ends it.

    A file of splats alone can be viewed, edited and healed; without photos, what the splats do not show is invented.

    The page is for whoever started it. It reads and writes files in one folder only (--export-dir), asks before it replaces one,
    and offers what is registered or named here, nothing else. Pages of other sites are refused. With a --host that other
    machines can reach, the address holds a token; whoever has it can edit.

    Args:
        scene: Posed photos (COLMAP folder, transforms.json, RGB-D folder or saved scene) or a file of splats.
        splats: Splats of the scene; by default the splats.ply that lies with it.
        edited: Edited splats of the same scene, such as the healed.ply of heal: undo and "Before" show the two.
        export_dir: The one folder that the page reads and writes files in; by default that of the splats, or out/NAME where
            they lie in the scene itself.
        scene_options: How the photos are read.
        inpainter: Depth inpainters with options for the page to offer, such as depthlab[weights=FOLDER], or module:attribute.
        color: Image inpainters, likewise.
        sam2: SAM 2 for the Object tool to ask what clicks show: a folder in the layout of transformers, or a hub id such as
            facebook/sam2.1-hiera-small. By default the splats tell.
        port: Port of the page; the next free one if it is taken.
        host: Address to listen on. With others than 127.0.0.1 the address that is printed holds a token.
        allow_origin: Further addresses under which the page is reached, as http://HOST:PORT: of a proxy, or of a tunnel to
            another port.
        max_size: Longer side of the photos that heals work on, in pixels.
        picture_size: Longer side of pictures that are rendered for the page, in pixels.
        undo_gb: Memory for undo, in gigabytes.
        up: Axis that points up; by default as the photos stand, and -y for splats alone (nerfstudio exports with z up).
        device: "cpu" or "cuda"; by default CUDA if it is there.
    """
    from scene_depth_heal.sam2 import Sam2

    from scene_depth_viewer.opening import open_page

    segment = None if sam2 is None else Sam2(sam2)  # what is wrong with the weights is said at once
    viewer = open_page(
        scene, splats, edited, host=host, port=port, max_size=max_size, picture_size=picture_size, up=up,
        undo_bytes=int(undo_gb * (1 << 30)), device=device, export_dir=export_dir, allow_origins=allow_origin,
        inpainters=inpainter, colors=color, scene_options=scene_options, segment=segment,
    )  # fmt: skip
    console = Console(soft_wrap=True)
    console.print(f"{viewer.address}  (Ctrl-C ends it)", highlight=False, markup=False)
    console.print(f"Files of the page: {viewer.folder.path}", highlight=False, markup=False)
    try:
        threading.Event().wait()
    finally:
        viewer.stop()
