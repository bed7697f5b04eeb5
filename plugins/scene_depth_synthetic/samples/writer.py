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
from scene_depth.io.atomic import atomic_path
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import write_mask
from scene_depth.io.output_folder import claim_folder
from scene_depth.io.point_ply import write_point_ply
from scene_depth.io.posed_views import OPENGL_AXES
from scene_depth.scene import PointCloud
from scene_depth.work import OnProgress, Progress, Work
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.exposure import develop, smoothed_radiance
from scene_depth_synthetic.procedural.renderer import PackedScene, render
from scene_depth_synthetic.samples import SAMPLE_SCENES
from scene_depth_synthetic.samples.scenes import HELD_OUT_EVERY, SampleScene

JPEG_QUALITY = 88
POINTS = 4800
RECIPE, REMOVED = "recipe.json", "removed"
NAMES = ("images", "depth", "masks", "points.ply", "transforms.json", REMOVED, RECIPE)
LARGEST_SCALE = 8.0
TOLERANCE = 0.01  # relative difference of depths that still counts as the same surface


@dataclass(frozen=True)
class Picture:
    """One view."""

    image: NDArray[np.uint8]  # sRGB, uint8, [H, W, 3]
    depth: NDArray[np.float32]  # z-depth in metres, exact at the pixel centre, 0 = sky, float32, [H, W]
    mask: NDArray[np.bool_]  # the object to remove, bool, [H, W]


@dataclass(frozen=True)
class Capture:
    """A sample scene ready to be drawn, view by view: its world packed in full, and cleared of the object."""

    sample: SampleScene
    full: PackedScene
    cleared: PackedScene

    def picture(self, index: int, *, removed: bool, threads: int | None = None) -> Picture:
        """Draws a view with the object or with it removed; nothing else differs, the noise neither, for any number of threads."""
        sample, world = self.sample, self.cleared if removed else self.full
        samples = {"samples": sample.samples, "lit_samples": sample.lit_samples}
        rendering = render(world, sample.cameras[index], **samples, seed=index, threads=threads)
        rgb = develop(smoothed_radiance(rendering), sample.exposure)
        image = np.floor(rgb * 255.0 + 0.5).astype(np.uint8)
        return Picture(image, rendering.depth, np.isin(rendering.objects, sample.removed))


def capture(sample: SampleScene) -> Capture:
    """Packs both worlds of a sample scene."""
    return Capture(sample, sample.world.pack(), sample.world.without(sample.removed).pack())


def _sparse_points(cameras: Cameras, pictures: Sequence[Picture], seed: int) -> PointCloud:
    """About ``POINTS`` random surface points that two or more views see, as structure from motion finds them."""
    dice, each = Dice(seed, 7), -(-POINTS // len(pictures))
    unblocked = [replace(picture, mask=np.zeros_like(picture.mask)) for picture in pictures]
    positions, colors = [], []
    for index, picture in enumerate(pictures):
        chosen = np.array([dice.below(picture.depth.size) for _ in range(each)])
        chosen = np.unique(chosen[picture.depth.ravel()[chosen] > 0])
        world = _world_points(cameras[index], picture.depth).reshape(-1, 3)[chosen]
        seen = _sightings(world, cameras, unblocked) >= 2
        positions.append(world[seen])
        colors.append(picture.image.reshape(-1, 3)[chosen][seen])
    return PointCloud(np.concatenate(positions), np.concatenate(colors))


def _unseen_shares(
    cameras: Cameras, pictures: Sequence[Picture], cleared: Sequence[Picture], training: list[int]
) -> list[float | None]:
    """Share of each view's object pixels behind which is a surface that no training view sees; None without the object."""
    known, shares = [pictures[i] for i in training], []
    for index, (picture, truth) in enumerate(zip(pictures, cleared, strict=True)):
        world = _world_points(cameras[index], truth.depth)[picture.mask & (truth.depth > 0)]
        seen = _sightings(world, cameras[training], known) if picture.mask.any() else None
        shares.append(None if seen is None else float((seen == 0).sum()) / float(picture.mask.sum()))
    return shares


def _world_points(camera: Cameras, depth: NDArray[np.float32]) -> NDArray[np.float64]:
    return camera.unproject(torch.from_numpy(depth).double()[None])[0].numpy()


def _sightings(points: NDArray[np.float64], cameras: Cameras, pictures: Sequence[Picture]) -> NDArray[np.int64]:
    masks, depths = ([torch.from_numpy(getattr(picture, name)) for picture in pictures] for name in ("mask", "depth"))
    views = [cameras[i] for i in range(len(cameras))]
    return count_sightings(torch.from_numpy(points), views, depths, masks, TOLERANCE).numpy()


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


@dataclass(frozen=True)
class SampleReport:
    """What was drawn.

    Attributes:
        recipe: What ``recipe.json`` says.
        finished: False if the drawing was stopped before its end.
    """

    recipe: dict[str, Any]
    finished: bool


def write_sample_scene(
    folder: Path,
    sample: SampleScene,
    *,
    threads: int | None = None,
    on_progress: OnProgress | None = None,
    overwrite: bool = False,
) -> SampleReport:
    """Draws a sample scene and writes its folder. The same call writes the same files again.

    Args:
        folder: Where it is written; what stands there from this function is replaced when all is drawn.
        sample: What to draw.
        threads: Worker threads; the result does not depend on them.
        on_progress: Called before each picture; False ends the drawing, and so does Ctrl-C. What is drawn stays, and the same
            call goes over it again.
        overwrite: Replace files of the same names that something else wrote.

    Raises:
        InputError: If the folder holds files of these names from elsewhere, or cannot be written.
    """
    output = claim_folder(folder, "scenes make", NAMES, overwrite=overwrite)
    work, drawn, names = Work(on_progress), capture(sample), sample.view_names()
    recipe: dict[str, Any] = {"scene": sample.name, "finished": False}
    pictures: list[Picture] = []
    with output.stage() as stage, work.stage("draw"):
        folder, stage.finished = stage.path, False
        _write_json(folder / RECIPE, recipe)
        for number in range(2 * len(names)):  # each view with the object, then without it
            index, removed = divmod(number, 2)
            if not work.report(Progress("draw", number, 2 * len(names), f"{sample.name}: {names[index]}")):
                break
            picture = drawn.picture(index, removed=bool(removed), threads=threads)
            _write_picture(folder / REMOVED if removed else folder, names[index], picture, sample.depth_unit)
            pictures.append(picture)
            if not removed:
                write_mask(folder / "masks" / f"{names[index]}.png", picture.mask)
        else:
            recipe = _write_rest(folder, sample, pictures[::2], pictures[1::2])
            stage.finished = True
    return SampleReport(recipe, finished=not work.stopped)


def _write_rest(folder: Path, sample: SampleScene, full: list[Picture], cleared: list[Picture]) -> dict[str, Any]:
    """Writes what all pictures together give, the recipe last; gives the recipe."""
    held_out = sample.held_out()
    training = [i for i in range(len(full)) if i not in held_out]
    points = _sparse_points(sample.cameras[training], [full[i] for i in training], seed=len(full))
    write_point_ply(folder / "points.ply", points)
    _write_json(folder / "transforms.json", _transforms(sample, removed=False))
    _write_json(folder / REMOVED / "transforms.json", _transforms(sample, removed=True))
    recipe = _recipe(sample, full, _unseen_shares(sample.cameras, full, cleared, training), len(points))
    _write_json(folder / RECIPE, recipe)
    return recipe


def _write_picture(folder: Path, name: str, picture: Picture, unit: float) -> None:
    with atomic_path(folder / "images" / f"{name}.jpg") as path:
        Image.fromarray(picture.image).save(path, "JPEG", quality=JPEG_QUALITY, subsampling=2, optimize=True)
    write_depth(folder / "depth" / f"{name}.png", picture.depth, unit=unit)


def _transforms(sample: SampleScene, *, removed: bool) -> dict[str, Any]:
    K, cameras, held_out = sample.cameras.K[0], sample.cameras, set(sample.held_out())
    intrinsics = {"fl_x": float(K[0, 0]), "fl_y": float(K[1, 1]), "cx": float(K[0, 2]), "cy": float(K[1, 2])}
    frames, files = [], [f"images/{name}.jpg" for name in sample.view_names()]
    for file, name, pose in zip(files, sample.view_names(), cameras.camera_to_world.numpy() @ OPENGL_AXES, strict=True):
        mask = {} if removed else {"object_mask_path": f"masks/{name}.png"}
        matrix = (pose + np.zeros_like(pose)).tolist()  # without minus zeros
        frames.append({"file_path": file, "depth_file_path": f"depth/{name}.png", **mask, "transform_matrix": matrix})
    measured = [file for i, file in enumerate(files) if i in held_out]
    return {
        "camera_model": "PINHOLE",
        "w": cameras.width,
        "h": cameras.height,
        **intrinsics,
        "depth_unit_scale_factor": sample.depth_unit,
        "train_filenames": [file for file in files if file not in measured],
        "val_filenames": measured,
        "test_filenames": measured,
        **({} if removed else {"ply_file_path": "points.ply"}),
        "frames": frames,
    }


def _recipe(sample: SampleScene, pictures: list[Picture], unseen: list[float | None], points: int) -> dict[str, Any]:
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
            round(min(float(p.depth[p.depth > 0].min()) for p in pictures), 3),
            round(max(float(p.depth.max()) for p in pictures), 3),
        ],
        "points": points,
        "rays_a_pixel": [sample.samples, sample.lit_samples],
        "jpeg_quality": JPEG_QUALITY,
        "object_share_of_image": {n: round(float(p.mask.mean()), 4) for n, p in zip(names, pictures, strict=True)},
        "unseen_share_of_object": {n: None if s is None else round(s, 4) for n, s in zip(names, unseen, strict=True)},
        "mean_unseen_share_of_object": round(sum(shares) / len(shares), 4),
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
