"""``scene-depth render``: pictures and depth of splats."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from PIL import Image
from rich.console import Console
from rich.progress import track

from scene_depth.cameras import Cameras
from scene_depth.cli.inputs import open_splats
from scene_depth.errors import InputError
from scene_depth.fitting.training_views import fitted_camera
from scene_depth.io.atomic import atomic_path, check_writable
from scene_depth.io.camera_paths import read_camera_path
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import write_image
from scene_depth.io.scenes import read_scene
from scene_depth.rendering import Render
from scene_depth.rendering import render as render_splats

What = Literal["rgb", "depth", "alpha"]


@dataclass(frozen=True)
class _Shot:
    """A camera with the name that its files get."""

    name: str
    camera: Cameras


def render(
    splats: tyro.conf.Positional[Path],
    output: Path,
    cameras: Path | None = None,
    path: Path | None = None,
    what: tuple[What, ...] = ("rgb", "depth"),
    depth_format: Literal["npy", "exr", "png"] = "npy",
    median_depth: bool = False,
    max_size: int | None = None,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    min_alpha: float = 0.5,
    device: str | None = None,
) -> None:
    """Render splats from the cameras of a scene or along a path.

    Writes OUTPUT/rgb/NAME.png, OUTPUT/depth/NAME.npy (or .exr, .png) and OUTPUT/alpha/NAME.png. Depth is z-depth,
    0 = unknown; npy and exr hold scene units, png 16-bit thousandths of them (millimetres of a metric scene).

    Args:
        splats: A .ply, .compressed.ply, .spz or .splat file.
        output: Folder for the pictures; made if missing.
        cameras: Scene whose cameras to render from: COLMAP folder, transforms.json, RGB-D folder or saved scene.
        path: Camera path of nerfstudio (JSON) to render along, in place of --cameras.
        what: What to write: rgb, depth, alpha.
        depth_format: File type of depth.
        median_depth: Write the median depth in place of the mean.
        max_size: Longer side of the pictures in pixels, at most; by default that of the cameras.
        background: Colour behind the splats, three numbers from 0 to 1.
        min_alpha: Least alpha of a pixel whose depth is known.
        device: "cpu" or "cuda"; by default CUDA if it is there.
    """
    if (cameras is None) == (path is None):
        raise InputError("cameras, path", "both" if cameras else "neither", "one of --cameras SCENE and --path FILE")
    if max_size is not None and max_size < 1:
        raise InputError("max_size", max_size, "1 or more")
    if not all(0 <= value <= 1 for value in background):
        raise InputError("background", background, "three numbers from 0 to 1")
    folder = check_writable(output)
    loaded = open_splats(splats).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    shots = _shots(cameras, path, max_size)
    console = Console(stderr=True)
    with torch.no_grad():
        for shot in track(shots, "rendering", console=console, transient=True, disable=not console.is_terminal):
            image = render_splats(
                loaded,
                shot.camera,
                background=torch.tensor(background),
                median_depth=median_depth,
                depth_alpha_threshold=min_alpha,
            )
            for part in what:
                _write(folder, shot.name, part, image, depth_format)


def _shots(cameras: Path | None, path: Path | None, max_size: int | None) -> list[_Shot]:
    if cameras is not None:
        shots = [_Shot(re.sub(r"\.[^./]*$", "", view.name), view.camera) for view in read_scene(cameras).views]
        if len({shot.name for shot in shots}) < len(shots):  # a.jpg and a.png
            shots = [_Shot(shot.name + f"-{number:04d}", shot.camera) for number, shot in enumerate(shots)]
    else:
        assert path is not None
        along, _ = read_camera_path(path)
        shots = [_Shot(f"{number:05d}", along[number]) for number in range(len(along))]
    return [_Shot(shot.name, _limited(shot.camera, max_size)) for shot in shots]


def _limited(camera: Cameras, max_size: int | None) -> Cameras:
    return camera if max_size is None else fitted_camera(camera, max_size)


def _write(folder: Path, name: str, part: What, image: Render, depth_format: str) -> None:
    if part == "rgb":
        write_image(folder / "rgb" / f"{name}.png", image.rgb[0].clamp(0, 1).cpu().numpy())
    elif part == "alpha":
        with atomic_path(folder / "alpha" / f"{name}.png") as temporary:
            pixels = np.rint(image.alpha[0].clamp(0, 1).cpu().numpy() * 255).astype(np.uint8)
            Image.fromarray(pixels).save(temporary)
    else:
        depth, valid = image.depth[0], image.depth_valid[0]
        if image.median_depth is not None and image.median_valid is not None:
            depth, valid = image.median_depth[0], valid & image.median_valid[0]
        known = torch.where(valid, depth, torch.zeros_like(depth)).cpu().numpy()
        write_depth(folder / "depth" / f"{name}.{depth_format}", known)
