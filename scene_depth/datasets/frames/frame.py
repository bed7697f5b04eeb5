"""One RGB-D frame with truth, as the evaluation of depth inpainting takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.depth_images import known_depth


@dataclass(frozen=True)
class DepthFrame:
    """A view with true depth. All maps have one size; depth is z-depth in metres, 0 where there is none.

    Attributes:
        name: Name of the frame, unique in its data set.
        truth: True depth, 0 = no truth  # [H, W]
        rgb: sRGB in [0, 1], or None if the frame has no picture  # [H, W, 3]
        camera: The pinhole camera, one, or None if its intrinsics are not known.
        measured: What sensors gave, by name ("sensor_depth", "lidar", ...), the most native first  # each [H, W]
        object_mask: True = the object or region to fill that came with the frame  # [H, W]
        score_mask: Where errors of measured input are to be scored, if not everywhere  # [H, W]
        prior: A monocular prediction that came with the frame, grows with depth, scale free  # [H, W]
        instances: Number of the object that each pixel shows, 0 = none  # [H, W]
        classes: Number of the semantic class that each pixel shows, 0 = none  # [H, W]
        class_names: Names of the classes by their number, the first for 0; may be shorter than there are numbers.
        dataset: Name of the data set.
        role: What the frame is for: "eval", or as ``frames.json`` says.
    """

    name: str
    truth: NDArray[np.float32]
    rgb: NDArray[np.float32] | None = None
    camera: Cameras | None = None
    measured: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    object_mask: NDArray[np.bool_] | None = None
    score_mask: NDArray[np.bool_] | None = None
    prior: NDArray[np.float32] | None = None
    instances: NDArray[np.int32] | None = None
    classes: NDArray[np.int32] | None = None
    class_names: tuple[str, ...] = ()
    dataset: str = ""
    role: str = "eval"

    def __post_init__(self) -> None:
        wanted = self.truth.shape[::-1]
        sizes = {name: array.shape[1::-1] for name, array in self.arrays().items()}
        if self.camera is not None:
            sizes["camera"] = (self.camera.width, self.camera.height)
        for name, size in sizes.items():
            if size != wanted:
                accepted = f"{wanted[0]} x {wanted[1]}, the size of the true depth"
                raise InputError(f"{self.name}: {name}", "size " + " x ".join(map(str, size)), accepted)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Pixels with truth  # [H, W]"""
        return self.truth > 0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every map beside the truth that is there, by name."""
        names = ("rgb", "object_mask", "score_mask", "prior", "instances", "classes")
        single = {name: getattr(self, name) for name in names}
        return {name: array for name, array in single.items() if array is not None} | dict(self.measured)


class FrameSource(Protocol):
    """A frame that is not loaded yet. Sources are small and can be sent to another process."""

    @property
    def name(self) -> str:
        """Name of the frame."""
        ...

    @property
    def role(self) -> str:
        """Its role, see ``DepthFrame.role``."""
        ...

    def load(self) -> DepthFrame:
        """Reads the files.

        Raises:
            InputError: If a file is missing or not what it should be.
        """
        ...


@dataclass(frozen=True)
class FileFrame:
    """A frame in files.

    Attributes:
        name: Name of the frame.
        read: Reads the frame of that name: a ``functools.partial`` of a module's function, which other processes can be sent.
        role: See ``DepthFrame.role``.
    """

    name: str
    read: Callable[[str], DepthFrame]
    role: str = "eval"

    def load(self) -> DepthFrame:
        """Reads the files."""
        return self.read(self.name)


def pinhole(fx: float, fy: float, cx: float, cy: float, width: int, height: int, *, first_center: float) -> Cameras:
    """One camera at the origin from published intrinsics.

    Args:
        fx, fy, cx, cy: In pixels.
        width, height: Image size.
        first_center: Coordinate of the centre of the first pixel in the convention of (cx, cy): 0 for calibrations made with
            OpenCV or MATLAB's toolbox (after its shift by one), 0.5 for COLMAP, which is this package's convention.
    """
    shift = 0.5 - first_center
    K = torch.tensor([[[fx, 0.0, cx + shift], [0.0, fy, cy + shift], [0.0, 0.0, 1.0]]], dtype=torch.float64)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K, width, height)


def only_valid(depth: NDArray[Any]) -> NDArray[np.float32]:
    """Depth as float32 with everything that is no measurement (not finite, not positive, background) set to 0."""
    return np.where(known_depth(depth), depth, 0).astype(np.float32)
