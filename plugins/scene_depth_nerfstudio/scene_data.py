"""Data parser ``scene-data``: any scene that ``read_scene`` reads, as nerfstudio wants it.

Registered while nerfstudio's data managers are half imported: nothing of ``nerfstudio.engine``, ``nerfstudio.pipelines`` or
``nerfstudio.data.datamanagers`` may be imported here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from nerfstudio.cameras.camera_utils import auto_orient_and_center_poses
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.data.utils.dataparsers_utils import (
    get_train_eval_split_all,
    get_train_eval_split_filename,
    get_train_eval_split_fraction,
    get_train_eval_split_interval,
)
from nerfstudio.plugins.registry_dataparser import DataParserSpecification
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.fitting.initialization import points_on_depth
from scene_depth.fitting.training_views import MaskUse, TrainingViews
from scene_depth.io.json_files import read_json_object
from scene_depth.io.nerfstudio_run import read_nerfstudio_run
from scene_depth.io.posed_views import OPENGL_AXES, is_inverted
from scene_depth.io.scenes import detect_format, read_scene
from scene_depth.io.transforms_json import transforms_file
from scene_depth.options import split_pairs
from scene_depth.scene import Scene, View
from scene_depth_nerfstudio.prepared_files import Prepared, prepare_files

NAMES, DEPTHS = "view_names", "depth_filenames"
"""Keys of the metadata: names of the views as in the scene, and files of their depth."""


@dataclass
class SceneDataParserConfig(DataParserConfig):
    """Any scene that scene_depth reads: nerfstudio, COLMAP, RGB-D folders, saved scenes."""

    _target: type = field(default_factory=lambda: SceneDataParser)
    """target class to instantiate"""
    data: Path = Path()
    """Folder or JSON file of the scene."""
    scene_options: tuple[str, ...] = ()
    """How the scene is read, as KEY=VALUE (images=FOLDER, depth_unit=METRES, format=colmap, ...); see scene-depth fit --help."""
    frame_of: Path | None = None
    """A run of nerfstudio whose frame is taken, in place of one made from the poses."""
    max_size: int = 1600
    """Longer side of the pictures at most, in pixels; larger ones are kept smaller in the user's cache folder."""
    masks: Literal["auto", "keep", "ignore", "none"] = "auto"
    """keep: white pixels of mask files count; ignore: white pixels do not; none: no masks. auto: keep where the scene says so or
    says nothing, as nerfstudio means masks; none where white is an object, which is left in the pictures."""
    depth: Literal["auto", "sensor", "points", "none"] = "auto"
    """Depth to train with: of the scene's depth images; of its points, sparse; auto: images, else points whose files say which
    views see them."""
    orientation_method: Literal["pca", "up", "vertical", "none"] = "up"
    """The method to use for orientation."""
    center_method: Literal["poses", "focus", "none"] = "poses"
    """The method to use to center the poses."""
    auto_scale_poses: bool = True
    """Whether to scale the poses so that they fit in +/- 1."""
    scale_factor: float = 1.0
    """How much to scale the camera origins by."""
    eval_mode: Literal["fraction", "filename", "interval", "all"] = "fraction"
    """How views are held out, where the scene's files do not say it; as in nerfstudio-data."""
    train_split_fraction: float = 0.9
    """The share of the views to train with, for the mode fraction."""
    eval_interval: int = 8
    """Every which view is held out, for the mode interval."""
    load_3D_points: bool = True
    """Start from the scene's points; without any, from its depth."""
    max_points: int = 200_000
    """Points to start from at most, drawn at random."""


@dataclass
class SceneDataParser(DataParser):
    """Reads a scene once, for all splits."""

    config: SceneDataParserConfig
    downscale_factor: int | None = None

    @cached_property
    def scene(self) -> Scene:
        """All views, those of the training split first if the files hold splits, about an origin that float32 can hold."""
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[Scene, int | None]:
        """The scene, and how many of its views train; None if its files do not say it."""
        options = split_pairs(self.config.scene_options, "scene_options")
        if "split" in options or not _has_splits(self.config.data):
            return read_scene(self.config.data, **options).about_origin(), None
        train = read_scene(self.config.data, split="train", **options)
        for held_out in ("test", "val"):
            try:
                test = read_scene(self.config.data, split=held_out, **options)
            except InputError:
                continue
            others = [view for view in test.views if view.image_path not in {mine.image_path for mine in train.views}]
            taken = {view.name for view in train.views}
            named = [replace(view, name=f"{held_out}/{view.name}") if view.name in taken else view for view in others]
            return replace(train, views=(*train.views, *named)).about_origin(), len(train)
        return train.about_origin(), None

    @cached_property
    def frame(self) -> tuple[Tensor, float]:
        """How points of the scene's files come into the run: turned and moved, then scaled  # [3, 4], factor"""
        poses = torch.cat([view.camera.camera_to_world for view in self.scene.views]).double()
        origin = torch.tensor(self.scene.origin, dtype=torch.float64)
        if self.config.frame_of is not None:
            matrix = read_nerfstudio_run(self.config.frame_of).photos_to_run
            scale = float(torch.linalg.det(matrix[:3, :3]).abs() ** (1 / 3))
            return matrix[:3] / scale, scale
        moved, turn = auto_orient_and_center_poses(
            (poses @ torch.from_numpy(OPENGL_AXES)).float(),
            method=self.config.orientation_method,
            center_method=self.config.center_method,
        )
        turn = turn.double()
        turn[:, 3] -= turn[:, :3] @ origin
        scale = self.config.scale_factor
        if self.config.auto_scale_poses:
            scale /= max(float(moved[:, :3, 3].abs().max()), 1e-9)
        return turn, scale

    @property
    def photos_to_run(self) -> Tensor:
        """The same as one similarity, from the frame that ``scene`` is in  # [4, 4]"""
        turn, scale = self.frame
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, :3] = scale * turn[:, :3]
        matrix[:3, 3] = scale * (turn[:, 3] + turn[:, :3] @ torch.tensor(self.scene.origin, dtype=torch.float64))
        return matrix

    def scene_in_run(self) -> Scene:
        """The scene with cameras, depth and points in the frame and the unit of the run."""
        _, scale = self.frame
        matrix = self.photos_to_run
        views = []
        for view in self.scene.views:
            pose = matrix @ view.camera.camera_to_world[0].double()
            pose[:3, :3] /= scale
            load = view.load_depth
            scaled = None if load is None else _ScaledDepth(load, scale)
            views.append(replace(view, camera=replace(view.camera, camera_to_world=pose[None]), load_depth=scaled))
        points = self.scene.points
        if points is not None:
            points = replace(points, xyz=points.xyz @ matrix[:3, :3].numpy().T + matrix[:3, 3].numpy())
        return replace(self.scene, views=tuple(views), points=points, origin=(0.0, 0.0, 0.0), metric=False)

    def _generate_dataparser_outputs(self, split: str = "train", **_: Any) -> DataparserOutputs:
        views, chosen = self.scene.views, self._indices(split)
        mask_use = self._mask_use(views)
        prepared = prepare_files(
            [views[i] for i in chosen],
            self.scene.points,
            max_size=self.config.max_size,
            mask_use=mask_use,
            depth=self.config.depth,
        )
        turn, scale = self.frame
        metadata: dict[str, Any] = {NAMES: [views[i].name for i in chosen], "depth_unit_scale_factor": 1.0}
        if prepared.depths is not None:
            metadata[DEPTHS] = prepared.depths
        if self.config.load_3D_points and split == "train":
            metadata |= self._points([views[i] for i in chosen])
        return DataparserOutputs(
            image_filenames=prepared.images,
            cameras=self._cameras([views[i] for i in chosen], prepared),
            scene_box=SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])),
            mask_filenames=prepared.masks,
            dataparser_scale=scale,
            dataparser_transform=turn if any(self.scene.origin) else turn.float(),
            metadata=metadata,
        )

    def _indices(self, split: str) -> list[int]:
        count, trained = len(self.scene.views), self._read[1]
        if trained is not None:
            return list(range(trained)) if split == "train" else list(range(trained, count)) or [0]
        order = sorted(range(count), key=lambda i: self.scene.views[i].name)
        files = [Path(self.scene.views[i].name) for i in order]
        modes = {
            "fraction": lambda: get_train_eval_split_fraction(files, self.config.train_split_fraction),
            "filename": lambda: get_train_eval_split_filename(files),
            "interval": lambda: get_train_eval_split_interval(files, self.config.eval_interval),
            "all": lambda: get_train_eval_split_all(files),
        }
        train, held_out = modes[self.config.eval_mode]()
        return [order[i] for i in (train if split == "train" else held_out)]

    def _mask_use(self, views: Sequence[View]) -> MaskUse:
        masked = [view.load_mask for view in views if view.load_mask is not None]
        if self.config.masks != "auto":
            return self.config.masks if masked else "none"
        return "keep" if masked and (is_inverted(masked[0]) or not self.scene.masks_are_objects) else "none"

    def _cameras(self, views: Sequence[View], prepared: Prepared) -> Cameras:
        matrix, scale = self.photos_to_run, self.frame[1]
        poses = matrix @ torch.cat([view.camera.camera_to_world for view in views]).double() @ torch.from_numpy(OPENGL_AXES)
        poses[:, :3, :3] /= scale
        K = torch.cat([camera.K for camera in prepared.cameras]).float()
        return Cameras(
            fx=K[:, 0, 0],
            fy=K[:, 1, 1],
            cx=K[:, 0, 2],
            cy=K[:, 1, 2],
            width=torch.tensor([camera.width for camera in prepared.cameras]),
            height=torch.tensor([camera.height for camera in prepared.cameras]),
            camera_to_worlds=poses[:, :3].float(),
            camera_type=CameraType.PERSPECTIVE,
        )

    def _points(self, views: Sequence[View]) -> dict[str, Tensor]:
        """Points to start from, in the frame of the run; of the training views' depth where the scene has none."""
        rng, cloud = np.random.default_rng(0), self.scene.points
        if cloud is not None and len(cloud):
            chosen = rng.permutation(len(cloud))[: self.config.max_points]
            xyz, rgb = cloud.xyz[chosen], cloud.rgb[chosen]
        elif any(view.load_depth is not None for view in views) and self.config.depth in ("auto", "sensor"):
            scene = replace(self.scene, views=tuple(views))
            count = min(self.config.max_points, 20_000)
            xyz, colors = points_on_depth(scene, TrainingViews(views, self.config.max_size, cache_bytes=0), count, rng)
            rgb = np.rint(255 * colors).astype(np.uint8)
        else:
            return {}
        moved = torch.from_numpy(xyz) @ self.photos_to_run[:3, :3].T + self.photos_to_run[:3, 3]
        return {"points3D_xyz": moved.float(), "points3D_rgb": torch.from_numpy(np.ascontiguousarray(rgb))}


@dataclass(frozen=True)
class _ScaledDepth:
    load: Any
    scale: float

    def __call__(self) -> Any:
        return (self.load() * np.float32(self.scale)).astype(np.float32)


def _has_splits(path: Path) -> bool:
    """Whether the files of a scene say which views are held out."""
    if not path.exists() or detect_format(path).name != "transforms":
        return False
    file = transforms_file(path)
    try:
        return file.name != "transforms.json" or "train_filenames" in read_json_object(file)
    except json.JSONDecodeError:
        return False


scene_data = DataParserSpecification(
    config=SceneDataParserConfig(), description="Any scene that scene_depth reads: COLMAP, transforms.json, RGB-D, saved scenes."
)
