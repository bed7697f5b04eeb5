"""A scene: posed views whose pictures stay on disk until they are asked for, and a point cloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError

Loader = Callable[[], NDArray[Any]]
COARSE_SHARE = 1e-5  # of the size of a scene: steps of float32 that are too coarse for it


@dataclass(frozen=True)
class View:
    """One posed picture. Images, masks and depth are read from disk at each use, so that large scenes fit in memory.

    Attributes:
        name: Unique in the scene; by habit the path of the image below the scene's image folder, with forward slashes.
        camera: One pinhole camera, already undistorted, of the size of all arrays below.
        load_image: Gives float32 sRGB in [0, 1]  # [H, W, 3]
        load_mask: Gives bool, True on the object; where the files do not say what white in them means
            (``Scene.masks_are_objects``), True where they are white  # [H, W]
        load_depth: Gives float32 z-depth in scene units, 0 = unknown  # [H, W]
        image_path: File that the image comes from, if it comes from one.

    Example:
        >>> import scene_depth as sd
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> view
        View('frame_00.jpg', 320 x 240, with image, mask, depth)
        >>> view.image().shape
        (240, 320, 3)
    """

    name: str
    camera: Cameras
    load_image: Loader | None = None
    load_mask: Loader | None = None
    load_depth: Loader | None = None
    image_path: Path | None = None

    def __post_init__(self) -> None:
        if len(self.camera) != 1:
            raise InputError(f"view {self.name!r}: camera", f"{len(self.camera)} cameras", "one camera")

    def __repr__(self) -> str:
        loaders = {"image": self.load_image, "mask": self.load_mask, "depth": self.load_depth}
        there = ", ".join(name for name, load in loaders.items() if load is not None) or "nothing"
        return f"View({self.name!r}, {self.camera.width} x {self.camera.height}, with {there})"

    def image(self) -> NDArray[np.float32]:
        """The picture, sRGB in [0, 1]  # [H, W, 3]"""
        return self._load("image", self.load_image, (self.camera.height, self.camera.width, 3))

    def mask(self) -> NDArray[np.bool_]:
        """True on the object, or, where nothing says what that is, where the file is white  # [H, W]"""
        return self._load("mask", self.load_mask, (self.camera.height, self.camera.width))

    def depth(self) -> NDArray[np.float32]:
        """z-depth in scene units, 0 = unknown  # [H, W]"""
        return self._load("depth", self.load_depth, (self.camera.height, self.camera.width))

    def _load(self, what: str, load: Loader | None, shape: tuple[int, ...]) -> NDArray[Any]:
        if load is None:
            raise InputError(f"view {self.name!r}: {what}", "none", f"a view with {what}")
        values = load()
        if values.shape != shape:
            raise InputError(f"view {self.name!r}: {what}", f"shape {values.shape}", f"{shape}, the size of its camera")
        return values


@dataclass(frozen=True)
class PointCloud:
    """Coloured points in the frame and unit of the scene.

    Attributes:
        xyz: Positions, float64  # [P, 3]
        rgb: Colours, uint8  # [P, 3]
        errors: Reprojection errors in pixels, if known  # [P]
        observations: For each view name, the indices of the points that it sees, if known.

    Example:
        >>> import numpy as np
        >>> import scene_depth as sd
        >>> sd.PointCloud(np.zeros((2, 3)), np.zeros((2, 3), np.uint8))
        PointCloud(2 points)
    """

    xyz: NDArray[np.float64]
    rgb: NDArray[np.uint8]
    errors: NDArray[np.float64] | None = None
    observations: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.xyz.ndim != 2 or self.xyz.shape[1] != 3 or self.rgb.shape != self.xyz.shape:
            raise InputError("points", f"xyz {self.xyz.shape}, rgb {self.rgb.shape}", "both [P, 3]")

    def __len__(self) -> int:
        return len(self.xyz)

    def __repr__(self) -> str:
        return f"PointCloud({len(self):,} points)"


@dataclass(frozen=True)
class Scene:
    """Posed views and points in one frame.

    Attributes:
        views: Views with unique names.
        points: Sparse or dense points, if there are any.
        metric: Whether the unit is known to be the metre.
        source: File or folder that the scene was read from.
        notes: What the reader has to say: photos used and left out, what was found elsewhere or assumed.
        origin: Point of the files that is the zero of this scene; see ``about_origin``.
        masks_are_objects: Whether True in masks is the object; False where the files do not say what white is, and it is white.

    Example:
        >>> import scene_depth as sd
        >>> scene = sd.read_scene("scenes/table")
        >>> train, test = scene.split(every=8)
        >>> len(train), len(test)
        (28, 4)
    """

    views: tuple[View, ...]
    points: PointCloud | None = None
    metric: bool = False
    source: Path | None = None
    notes: tuple[str, ...] = ()
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    masks_are_objects: bool = True

    def __post_init__(self) -> None:
        names = [view.name for view in self.views]
        if not names:
            raise InputError("views", "none", "one or more views", file=self.source)
        if len(set(names)) != len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise InputError("views", f"the name {repeated!r} more than once", "unique names", file=self.source)

    def __len__(self) -> int:
        return len(self.views)

    def __repr__(self) -> str:
        sizes = sorted({(view.camera.width, view.camera.height) for view in self.views})
        size = f"{sizes[0][0]} x {sizes[0][1]}" + ("" if len(sizes) == 1 else f" to {sizes[-1][0]} x {sizes[-1][1]}")
        loaders = {"masks": "load_mask", "depth": "load_depth"}
        counts = {word: sum(getattr(view, name) is not None for view in self.views) for word, name in loaders.items()}
        there = "".join(f", {count} with {word}" for word, count in counts.items() if count)
        points = "" if self.points is None else f", {len(self.points):,} points"
        unit = ", metric" if self.metric else ""
        source = "" if self.source is None else f", from {self.source}"
        return f"Scene({len(self)} views of {size}{there}{points}{unit}{source})"

    @property
    def unit(self) -> str:
        """The unit in words: "metre" where it is known to be that, else "scene unit"."""
        return "metre" if self.metric else "scene unit"

    def select(self, indices: Sequence[int]) -> Scene:
        """The scene with the chosen views, in that order."""
        return replace(self, views=tuple(self.views[i] for i in indices))

    def with_cameras(self, cameras: Mapping[str, Cameras]) -> Scene:
        """The scene with other cameras of some views, by their names, such as those that a fit refined.

        Raises:
            InputError: If there is no view of a name, or a camera has another image size than its view.
        """
        sizes = {view.name: (view.camera.width, view.camera.height) for view in self.views}
        for name, camera in cameras.items():
            if sizes.get(name) != (camera.width, camera.height):
                found = f"{camera.width} x {camera.height}" if name in sizes else "no such view"
                raise InputError(f"camera of view {name!r}", found, "the name and image size of a view", file=self.source)
        views = (replace(view, camera=cameras.get(view.name, view.camera)) for view in self.views)
        return replace(self, views=tuple(views))

    def about_origin(self, origin: tuple[float, float, float] | None = None) -> Scene:
        """The same scene with its zero at another point of its files' frame. Writers put it back into that frame.

        Args:
            origin: The point. None: the middle of the cameras, rounded, where coordinates are so large for the size of the
                scene that float32 would not hold them (metres of a national grid); else the zero of the files.

        Returns:
            The scene; itself if nothing moves.
        """
        if origin is None:
            origin = self._needed_origin()
        shift = np.array(self.origin) - np.array(origin)
        if not shift.any():
            return self
        views = [replace(view, camera=view.camera.translated(torch.from_numpy(shift))) for view in self.views]
        points = None if self.points is None else replace(self.points, xyz=self.points.xyz + shift)
        return replace(self, views=tuple(views), points=points, origin=origin)

    def _needed_origin(self) -> tuple[float, float, float]:
        centers = np.stack([view.camera.camera_to_world[0, :3, 3].double().cpu().numpy() for view in self.views])
        places = [centers if self.points is None else np.concatenate([centers, self.points.xyz])]
        extent = float(np.ptp(np.quantile(places[0], [0.05, 0.95], axis=0), axis=0).max())
        middle = np.median(centers, axis=0)
        if not np.spacing(np.float32(np.abs(middle).max())) > COARSE_SHARE * extent:
            return self.origin
        x, y, z = (np.round(middle) + self.origin).tolist()
        return (x, y, z)

    def split(self, every: int = 8, first: int = 0) -> tuple[Scene, Scene]:
        """Training and test views by the rule of the field: of the views sorted by name, each ``every``-th is held out.

        Raises:
            InputError: If nothing would remain to train on or to test with.
        """
        order = sorted(range(len(self)), key=lambda i: self.views[i].name)
        test = order[first::every] if every > 0 else []
        train = [i for i in order if i not in set(test)]
        if not test or not train:
            raise InputError("every", f"{every} with {len(self)} views", "a number that leaves at least one view on each side")
        return self.select(train), self.select(test)
