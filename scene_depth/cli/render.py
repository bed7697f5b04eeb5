"""``scene-depth render``: pictures and depth of splats."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from PIL import Image
from rich.console import Console
from rich.progress import track

from scene_depth.cameras import Cameras
from scene_depth.cli.inputs import SceneOptions, open_scene, open_splats
from scene_depth.errors import InputError
from scene_depth.fitting.training_views import fitted_camera
from scene_depth.io.atomic import atomic_path
from scene_depth.io.camera_paths import read_camera_path
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import write_image
from scene_depth.io.output_folder import claim_folder
from scene_depth.io.scene_output import safe_name
from scene_depth.rendering import Render
from scene_depth.rendering import render as render_splats
from scene_depth.scene import Scene

What = Literal["rgb", "depth", "alpha"]


@dataclass(frozen=True)
class CameraSource:
    """Where to look from."""

    cameras: Path | None = None
    """Scene whose cameras to render from: COLMAP folder, transforms.json, RGB-D folder or saved scene."""
    scene_options: SceneOptions = ()
    path: Path | None = None
    """Camera path of nerfstudio (JSON) to render along, in place of --cameras."""
    max_size: int | None = None
    """Longer side of the pictures in pixels, at most; by default that of the cameras."""

    def named_cameras(self) -> tuple[list[tuple[str, Cameras]], Scene | None]:
        """Cameras with the names that their files get, and the scene that they are from, if they are from one.

        Raises:
            InputError: If there is not one source, or the size is none.
        """
        if self.max_size is not None and self.max_size < 1:
            raise InputError("max_size", self.max_size, "1 or more")
        if self.cameras is None and self.scene_options:
            raise InputError("scene_options", "given without --cameras", "--cameras SCENE, which they are for")
        scene: Scene | None = None
        if self.cameras is not None and self.path is None:
            scene = open_scene(self.cameras, self.scene_options)
            names = [str(safe_name(view.name, file=self.cameras)) for view in scene.views]
            found = [(re.sub(r"\.[^./]*$", "", name), view.camera) for name, view in zip(names, scene.views, strict=True)]
            if len({name.casefold() for name, _ in found}) < len(found):  # a.jpg and a.png
                found = [(f"{name}-{number:04d}", camera) for number, (name, camera) in enumerate(found)]
        elif self.path is not None and self.cameras is None:
            along, _ = read_camera_path(self.path)
            found = [(f"{number:05d}", along[number]) for number in range(len(along))]
        else:
            raise InputError("cameras, path", "both" if self.cameras else "neither", "one of --cameras SCENE and --path FILE")
        return [(name, fitted_camera(camera, self.max_size) if self.max_size else camera) for name, camera in found], scene


@dataclass(frozen=True)
class PictureOptions:
    """What is drawn."""

    what: tuple[What, ...] = ("rgb", "depth")
    """What to write: rgb, depth, alpha."""
    depth_format: Literal["npy", "exr", "png"] = "npy"
    """File type of depth."""
    median_depth: bool = False
    """Write the median depth in place of the mean."""
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Colour behind the splats, three numbers from 0 to 1."""
    min_alpha: float = 0.5
    """Least alpha of a pixel whose depth is known."""

    def __post_init__(self) -> None:
        if not all(0 <= value <= 1 for value in self.background):
            raise InputError("background", self.background, "three numbers from 0 to 1")


def render(
    splats: tyro.conf.Positional[Path],
    output: Path,
    overwrite: bool = False,
    device: str | None = None,
    source: Annotated[CameraSource, tyro.conf.arg(name="cameras")] = CameraSource(),
    pictures: Annotated[PictureOptions, tyro.conf.arg(name="pictures")] = PictureOptions(),
) -> None:
    """Render splats from the cameras of a scene or along a path.

    Writes OUTPUT/rgb/NAME.png, OUTPUT/depth/NAME.npy (or .exr, .png) and OUTPUT/alpha/NAME.png. Depth is z-depth,
    0 = unknown; npy and exr hold scene units, png 16-bit thousandths of them (millimetres of a metric scene).

    Args:
        splats: A .ply, .compressed.ply, .spz, .splat, .sog or .glb file.
        output: Folder for the pictures; made if missing.
        overwrite: Replace files in the output folder that something else wrote; never those that are read.
        device: "cpu" or "cuda"; by default CUDA if it is there.
        source: Where to look from.
        pictures: What to draw and write.
    """
    named, scene = source.named_cameras()
    inputs = (splats, source.path)
    folder = claim_folder(
        output, "render", ("rgb", "depth", "alpha"), scenes=(source.cameras,), inputs=inputs, overwrite=overwrite
    )
    loaded = open_splats(splats, scene=scene).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    behind, console = torch.tensor(pictures.background), Console(stderr=True)
    draw = partial(render_splats, background=behind, median_depth=pictures.median_depth, depth_alpha_threshold=pictures.min_alpha)
    with torch.no_grad(), folder.stage() as stage:
        for name, camera in track(named, "rendering", console=console, transient=True, disable=not console.is_terminal):
            image = draw(loaded, camera)
            for part in pictures.what:
                _write(stage.path, name, part, image, pictures.depth_format)
    print(f"{len(named)} views, {' and '.join(pictures.what)} of each, in {output}.")


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
