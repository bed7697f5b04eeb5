"""Values of a pointmap result: depth and cameras of a feed-forward model (DUSt3R, VGGT, Depth Anything 3 and their kin)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError


@dataclass(frozen=True)
class PointmapView:
    """Depth and camera that a model gave for one photo, at the size that the model worked at.

    Attributes:
        name: Name of the photo, as its file is called, or the number of the view where the run names none.
        camera: Camera at the processed size, in the conventions of this package (OpenCV axes, first pixel's centre at 0.5).
        depth: z-depth in the unit of the run, 0 = none (padding, not finite, cut by the model)  # [H, W] float32
        confidence: As the model saved it, larger is surer, in no common unit  # [H, W] float32
        image: Colours that the model saw, sRGB in [0, 1]  # [H, W, 3] float32
        points: World points where the file stores them beside depth, as stored  # [H, W, 3]
        scale: Pixels of the photo per processed pixel along x and y.
        offset: Coordinate in the photo of the left and of the top edge of the processed picture; negative where it is padded.
        photo_size: Width and height of the photo, turned as the model turned it.
        photo_path: The photo, if it was found.
        photo_turned: Whether the model followed the EXIF entry of the photo; else its pixels are meant as stored.
    """

    name: str
    camera: Cameras
    depth: NDArray[np.float32]
    confidence: NDArray[np.float32] | None = None
    image: NDArray[np.float32] | None = None
    points: NDArray[np.float64] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    photo_size: tuple[int, int] | None = None
    photo_path: Path | None = None
    photo_turned: bool = False

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for what in ("depth", "confidence", "image", "points"):
            array = getattr(self, what)
            if array is not None and array.shape[:2] != size:
                raise InputError(f"view {self.name!r}: {what}", f"{array.shape[1]} x {array.shape[0]}", f"{size[1]} x {size[0]}")

    def __repr__(self) -> str:
        return f"PointmapView({self.name!r}, {self.camera.width} x {self.camera.height})"

    def photo_camera(self) -> Cameras:
        """The camera of the whole photo: intrinsics by the mapping of each axis, the pose unchanged."""
        width, height = self.photo_size or (self.camera.width, self.camera.height)
        K = self.camera.K.clone()
        for axis in (0, 1):
            K[:, axis, axis] *= self.scale[axis]
            K[:, axis, 2] = K[:, axis, 2] * self.scale[axis] + self.offset[axis]
        return replace(self.camera, K=K, width=width, height=height)


@dataclass(frozen=True)
class PointmapRun:
    """What one run of a pointmap model gave, in the frame and unit of the run.

    Attributes:
        views: One a photo, in the order of the file.
        model: Name of the model ("vggt", "depth_anything_3", ...).
        path: File or folder that it was read from.
        metric: Whether the unit is said to be the metre.
        declared: What the model's rules say of the file: direction of poses, axes, kind of depth, pixel centre.
        detected: What the numbers of the file say, where they can.
        notes: What was passed over or assumed, a sentence each.

    Example:
        >>> import torch
        >>> import numpy as np
        >>> import scene_depth as sd
        >>> from scene_depth.pointmaps import PointmapView
        >>> K = torch.tensor([[[40.0, 0, 21], [0, 40, 14], [0, 0, 1]]])
        >>> camera = sd.Cameras(torch.eye(4)[None], K, 42, 28)
        >>> view = PointmapView("a.jpg", camera, np.ones((28, 42), np.float32), scale=(10, 10), photo_size=(420, 280))
        >>> view.photo_camera()
        Cameras(1 camera of 420 x 280, fx 400 fy 400 cx 210 cy 140)
        >>> sd.PointmapRun((view, view), "vggt")
        PointmapRun(2 views of vggt, 42 x 28)
    """

    views: tuple[PointmapView, ...]
    model: str
    path: Path | None = None
    metric: bool = False
    declared: dict[str, str] = field(default_factory=dict)
    detected: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.views)

    def __repr__(self) -> str:
        sizes = sorted({(view.camera.width, view.camera.height) for view in self.views})
        return f"PointmapRun({len(self)} views of {self.model}, {', '.join(f'{w} x {h}' for w, h in sizes)})"
