"""Sample scenes as folders that every tool of the field reads.

A folder holds ``transforms.json`` (nerfstudio), ``images``, ``depth``, ``masks``, ``points.ply`` and ``recipe.json``;
below ``removed`` the same views with the object gone have a ``transforms.json`` of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import count_sightings
from scene_depth.io.atomic import atomic_path, check_writable
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import write_mask
from scene_depth.io.point_ply import write_point_ply
from scene_depth.io.posed_views import OPENGL_AXES
from scene_depth.scene import PointCloud
from scene_depth.work import OnProgress, Progress
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.exposure import develop, smoothed_radiance
from scene_depth_synthetic.procedural.renderer import PackedScene, render
from scene_depth_synthetic.samples import SAMPLE_SCENES
from scene_depth_synthetic.samples.scenes import HELD_OUT_EVERY, SampleScene


@dataclass(frozen=True)
class Picture:
    """One view.

    Attributes:
        image: sRGB, uint8  # [H, W, 3]
        depth: z-depth in metres, exact at the pixel centre, 0 = sky, float32  # [H, W]
        mask: The object to remove, bool  # [H, W]
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Capture:
    """A sample scene ready to be drawn, view by view.

    Attributes:
        sample: The scene.
        full: Its world, packed.
        cleared: Its world without the object, packed.
    """

    sample: SampleScene
    full: PackedScene
    cleared: PackedScene

    def picture(self, index: int, *, removed: bool, threads: int | None = None) -> Picture:
        """Draws one view with the object or without it; nothing else differs, the noise neither.

        Args:
            index: Of the view.
            removed: Whether the object is gone.
            threads: Worker threads; the result does not depend on them.
        """
        sample = self.sample
        rendering = render(
            self.cleared if removed else self.full,
            sample.cameras[index],
            samples=sample.samples,
            lit_samples=sample.lit_samples,
            seed=index,
            threads=threads,
        )
        rgb = develop(smoothed_radiance(rendering), sample.exposure)
        image = np.floor(rgb * 255.0 + 0.5).astype(np.uint8)
        return Picture(image, rendering.depth, np.isin(rendering.objects, sample.removed))


def capture(sample: SampleScene) -> Capture:
    """Packs both worlds of a sample scene."""
    return Capture(sample, sample.world.pack(), sample.world.without(sample.removed).pack())


TOLERANCE = 0.01  # relative difference of depths that still counts as the same surface
LEAST_SIGHTINGS = 2


def sparse_points(cameras: Cameras, pictures: Sequence[Picture], *, count: int, seed: int) -> PointCloud:
    """Random surface points that two or more views see, coloured by one of them.

    Args:
        cameras: One for each picture.
        pictures: Views with the object.
        count: About how many points.
        seed: Of the choice.
    """
    dice, each = Dice(seed, 7), -(-count // len(pictures))
    positions, colors = [], []
    for index, picture in enumerate(pictures):
        height, width = picture.depth.shape
        chosen = np.array([dice.below(height * width) for _ in range(each)])
        chosen = np.unique(chosen[picture.depth.ravel()[chosen] > 0])
        world = _world_points(cameras[index], picture.depth).reshape(-1, 3)[chosen]
        seen = _sightings(world, cameras, pictures, range(len(pictures)), blocked=False)
        positions.append(world[seen >= LEAST_SIGHTINGS])
        colors.append(picture.image.reshape(-1, 3)[chosen][seen >= LEAST_SIGHTINGS])
    return PointCloud(np.concatenate(positions), np.concatenate(colors))


def unseen_shares(
    cameras: Cameras, pictures: Sequence[Picture], cleared: Sequence[Picture], training: Sequence[int]
) -> list[float | None]:
    """Share of each view's object pixels behind which there is a surface that no training view has seen.

    Args:
        cameras: One for each picture.
        pictures, cleared: Views with the object and without it.
        training: Indices of the views that are for training.

    Returns:
        For each view a number in [0, 1], or None where the object is not in sight.
    """
    shares: list[float | None] = []
    for index, (picture, truth) in enumerate(zip(pictures, cleared, strict=True)):
        behind = picture.mask & (truth.depth > 0)
        if not picture.mask.any():
            shares.append(None)
            continue
        world = _world_points(cameras[index], truth.depth)[behind]
        seen = _sightings(world, cameras, pictures, training, blocked=True)
        shares.append(float((seen == 0).sum()) / float(picture.mask.sum()))
    return shares


def _world_points(camera: Cameras, depth: NDArray[np.float32]) -> NDArray[np.float64]:
    return camera.unproject(torch.from_numpy(depth).double()[None])[0].numpy()


def _sightings(
    points: NDArray[np.float64], cameras: Cameras, pictures: Sequence[Picture], views: Sequence[int], *, blocked: bool
) -> NDArray[np.int64]:
    masks = [torch.from_numpy(pictures[i].mask if blocked else np.zeros_like(pictures[i].mask)) for i in views]
    depths = [torch.from_numpy(pictures[i].depth) for i in views]
    chosen = [cameras[i] for i in views]
    return count_sightings(torch.from_numpy(points), chosen, depths, masks, TOLERANCE).numpy()


JPEG_QUALITY = 88
POINTS = 4800
RECIPE = "recipe.json"
LARGEST_SCALE = 8.0


def sample_scene(name: str, scale: float = 1.0) -> SampleScene:
    """A sample scene by name.

    Args:
        name: "table", "room" or "street".
        scale: Size of its pictures relative to the shipped ones.

    Raises:
        InputError: For an unknown name or a scale that is out of range.
    """
    if name not in SAMPLE_SCENES:
        raise InputError("name", repr(name), f"all, {', '.join(SAMPLE_SCENES)}")
    if not 0.1 <= scale <= LARGEST_SCALE:
        raise InputError("scale", scale, f"0.1 to {LARGEST_SCALE:g}")
    sample = SAMPLE_SCENES[name]()
    if scale == 1.0:
        return sample
    size = (round(sample.cameras.width * scale), round(sample.cameras.height * scale))
    return replace(sample, cameras=sample.cameras.resized(*size))


def write_sample_scene(
    folder: Path, sample: SampleScene, *, threads: int | None = None, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Draws a sample scene and writes its folder. The same call writes the same files again.

    Args:
        folder: New or empty, or a folder written by this function, whose files are then replaced.
        sample: What to draw.
        threads: Worker threads; the result does not depend on them.
        on_progress: Called before each picture; False ends the drawing.

    Returns:
        What ``recipe.json`` says.

    Raises:
        InputError: If the folder holds something else, or cannot be written.
        KeyboardInterrupt: If it was stopped; what is drawn stays, and the same call goes over it again.
    """
    _check_folder(folder)
    drawn, names, total = capture(sample), sample.view_names(), 2 * len(sample.cameras)
    pictures: list[list[Picture]] = [[], []]
    for index, name in enumerate(names):
        for state in (0, 1):
            now = Progress("draw", 2 * index + state, total, f"{sample.name}: {name}")
            if on_progress is not None and on_progress(now) is False:
                raise KeyboardInterrupt
            picture = drawn.picture(index, removed=bool(state), threads=threads)
            _write_picture(folder / "removed" if state else folder, name, picture, sample.depth_unit)
            pictures[state].append(picture)
        write_mask(folder / "masks" / f"{name}.png", pictures[0][index].mask)
    training = [i for i in range(len(names)) if i not in sample.held_out()]
    chosen = [pictures[0][i] for i in training]
    points = sparse_points(sample.cameras[training], chosen, count=POINTS, seed=len(names))
    write_point_ply(folder / "points.ply", points)
    _write_json(folder / "transforms.json", _transforms(sample, removed=False))
    _write_json(folder / "removed" / "transforms.json", _transforms(sample, removed=True))
    recipe = _recipe(sample, pictures, unseen_shares(sample.cameras, pictures[0], pictures[1], training), len(points))
    _write_json(folder / RECIPE, recipe)
    return recipe


def encode_image(path: Path, image: np.ndarray) -> None:
    """Writes a picture as the JPEG that the scenes ship."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, "JPEG", quality=JPEG_QUALITY, subsampling=2, optimize=True)


def _write_picture(folder: Path, name: str, picture: Picture, unit: float) -> None:
    encode_image(folder / "images" / f"{name}.jpg", picture.image)
    check_writable(folder / "depth")
    write_depth(folder / "depth" / f"{name}.png", picture.depth, unit=unit)


def _transforms(sample: SampleScene, *, removed: bool) -> dict[str, Any]:
    K, cameras, names = sample.cameras.K[0], sample.cameras, sample.view_names()
    held_out = set(sample.held_out())
    files = [f"images/{name}.jpg" for name in names]
    meta: dict[str, Any] = {
        "camera_model": "PINHOLE",
        "w": cameras.width,
        "h": cameras.height,
        "fl_x": float(K[0, 0]),
        "fl_y": float(K[1, 1]),
        "cx": float(K[0, 2]),
        "cy": float(K[1, 2]),
        "depth_unit_scale_factor": sample.depth_unit,
        "train_filenames": [file for i, file in enumerate(files) if i not in held_out],
        "val_filenames": [file for i, file in enumerate(files) if i in held_out],
        "test_filenames": [file for i, file in enumerate(files) if i in held_out],
    }
    if not removed:
        meta["ply_file_path"] = "points.ply"
    meta["frames"] = [_frame(sample, i, name, removed=removed) for i, name in enumerate(names)]
    return meta


def _frame(sample: SampleScene, index: int, name: str, *, removed: bool) -> dict[str, Any]:
    pose = sample.cameras.camera_to_world[index].numpy() @ OPENGL_AXES
    frame: dict[str, Any] = {"file_path": f"images/{name}.jpg", "depth_file_path": f"depth/{name}.png"}
    if not removed:
        frame["mask_path"] = f"masks/{name}.png"
    frame["transform_matrix"] = (pose + np.zeros_like(pose)).tolist()  # without minus zeros
    return frame


def _recipe(sample: SampleScene, pictures: list[list[Picture]], unseen: list[float | None], points: int) -> dict[str, Any]:
    shares = [share for share in unseen if share is not None]
    names = sample.view_names()
    return {
        "scene": sample.name,
        "command": f"scene-depth scenes make {sample.name} --output FOLDER",
        "object": sample.object_name,
        "views": len(names),
        "held_out": [names[i] for i in sample.held_out()],
        "held_out_every": HELD_OUT_EVERY,
        "size": [sample.cameras.width, sample.cameras.height],
        "unit": "metre, z up",
        "depth_step_in_metres": sample.depth_unit,
        "nearest_and_farthest_in_metres": [
            round(min(float(p.depth[p.depth > 0].min()) for p in pictures[0]), 3),
            round(max(float(p.depth.max()) for p in pictures[0]), 3),
        ],
        "points": points,
        "rays_a_pixel": [sample.samples, sample.lit_samples],
        "jpeg_quality": JPEG_QUALITY,
        "object_share_of_image": {n: round(float(p.mask.mean()), 4) for n, p in zip(names, pictures[0], strict=True)},
        "unseen_share_of_object": {n: None if s is None else round(s, 4) for n, s in zip(names, unseen, strict=True)},
        "mean_unseen_share_of_object": round(sum(shares) / len(shares), 4),
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _check_folder(folder: Path) -> None:
    check_writable(folder)
    if any(folder.iterdir()) and not (folder / RECIPE).is_file():
        raise InputError("output", "a folder with other files", "a new or empty folder, or one with a recipe.json", file=folder)
