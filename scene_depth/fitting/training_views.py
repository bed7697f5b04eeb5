"""The photos that fitting compares with: resized once, kept as 8-bit in a bounded cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.geometry.depth_resampling import resize_sparse_depth
from scene_depth.io.posed_views import is_inverted
from scene_depth.scene import View

MaskUse = Literal["none", "keep", "ignore"]


@dataclass(frozen=True)
class Target:
    """What one view should look like.

    Attributes:
        camera: Of the size of the arrays.
        image: sRGB in [0, 1]  # [H, W, 3]
        counts: Pixels that are compared; None for all  # [H, W]
        depth: z-depth in scene units, 0 = unknown; None if the view has none or it is not wanted  # [H, W]
    """

    camera: Cameras
    image: Tensor
    counts: Tensor | None
    depth: Tensor | None


@dataclass
class TrainingViews:
    """Views at the size of fitting. Each is loaded at its first use and kept while ``cache_bytes`` allow.

    What does not fit is loaded again at each use: views are visited in random order, each as often as the others, so
    that keeping the first ones serves as well as keeping the last ones. Picture, mask and depth are loaded apart, so that who
    wants one does not wait for the others.

    Attributes:
        views: Views with images.
        max_size: Longer side of a picture in pixels, at most; smaller ones are not enlarged.
        mask_use: "none"; "keep": white pixels of a mask count; "ignore": white pixels do not.
        with_depth: Whether depth is wanted.
        cache_bytes: Limit of the memory for loaded pictures, masks and depth.

    Raises:
        InputError: If there is no view, or a view has no image.
    """

    views: Sequence[View]
    max_size: int
    mask_use: MaskUse = "none"
    with_depth: bool = False
    cache_bytes: int = 2 << 30
    _cameras: dict[tuple[int, int], Cameras] = field(default_factory=dict, init=False, repr=False)
    _cache: dict[tuple[int, str], NDArray[Any]] = field(default_factory=dict, init=False, repr=False)
    _used_bytes: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.views:
            raise InputError("views", "none", "one or more views to fit to")
        for view in self.views:
            if view.load_image is None:
                raise InputError(f"view {view.name!r}: image", "none", "a view with an image")

    def __len__(self) -> int:
        return len(self.views)

    def camera(self, index: int, reduction: int = 1) -> Cameras:
        """Camera of a view at the size of fitting, divided by ``reduction``."""
        key = (index, reduction)
        if key not in self._cameras:
            self._cameras[key] = fitted_camera(self.views[index].camera, self.max_size, reduction)
        return self._cameras[key]

    def target(self, index: int, *, reduction: int = 1, device: torch.device | str = "cpu") -> Target:
        """Picture, mask and depth of a view.

        Args:
            index: Number of the view.
            reduction: Divisor of the size of fitting, for the first steps at low resolution.
            device: Where the tensors go.
        """
        image, counts, depth, camera = self.picture(index), self.counts(index), self.depth(index), self.camera(index, reduction)
        if reduction > 1:
            image = resized_image(image, camera.width, camera.height)
            counts = None if counts is None else _resized_mask(counts, camera.width, camera.height)
            depth = None if depth is None else resize_sparse_depth(depth, camera.width, camera.height)
        return Target(
            camera,
            torch.from_numpy(image).to(device).float().div_(255),
            None if counts is None else torch.from_numpy(counts).to(device),
            None if depth is None else torch.from_numpy(depth).to(device),
        )

    def picture(self, index: int) -> NDArray[np.uint8]:
        """The photo of a view, of its camera's size  # [H, W, 3]"""
        return self._kept(index, "picture", self._load_picture)

    def counts(self, index: int) -> NDArray[np.bool_] | None:
        """The pixels of a view that are compared; None for all  # [H, W]"""
        if self.mask_use == "none" or self.views[index].load_mask is None:
            return None
        return self._kept(index, "counts", self._load_counts)

    def depth(self, index: int) -> NDArray[np.float32] | None:
        """The z-depth of a view, 0 = unknown; None if it has none or none is wanted  # [H, W]"""
        return self.known_depth(index) if self.with_depth and self.views[index].load_depth is not None else None

    def known_depth(self, index: int) -> NDArray[np.float32]:
        """The z-depth of a view that has some, 0 = unknown  # [H, W]"""
        return self._kept(index, "depth", self._load_depth)

    def _kept(self, index: int, what: str, load: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
        values = self._cache.get((index, what))
        if values is None:
            values = load(index)
            if self._used_bytes + values.nbytes <= self.cache_bytes:
                self._cache[index, what] = values
                self._used_bytes += values.nbytes
        return values

    def _load_picture(self, index: int) -> NDArray[np.uint8]:
        camera, image = self.camera(index), self.views[index].image()
        return resized_image(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8), camera.width, camera.height)

    def _load_counts(self, index: int) -> NDArray[np.bool_]:
        view, camera = self.views[index], self.camera(index)
        white = view.mask() ^ (view.load_mask is not None and is_inverted(view.load_mask))
        return _resized_mask(white == (self.mask_use == "keep"), camera.width, camera.height)

    def _load_depth(self, index: int) -> NDArray[np.float32]:
        camera, depth = self.camera(index), self.views[index].depth()
        known = np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)
        return known if known.shape == (camera.height, camera.width) else resize_sparse_depth(known, camera.width, camera.height)


def fitted_camera(camera: Cameras, max_size: int, reduction: int = 1) -> Cameras:
    """The camera with its longer side at most ``max_size`` pixels, then divided by ``reduction``."""
    shrink = min(1.0, max_size / max(camera.width, camera.height)) / reduction
    return camera.resized(max(1, round(camera.width * shrink)), max(1, round(camera.height * shrink)))


def resized_image(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture of another size; every new pixel is the mean of the area that it covers  # [H, W, 3]"""
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def _resized_mask(mask: NDArray[np.bool_], width: int, height: int) -> NDArray[np.bool_]:
    """A pixel counts where all of the area that it covers does  # [height, width]"""
    if mask.shape == (height, width):
        return mask
    area = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX)
    whole: NDArray[np.bool_] = np.asarray(area) == 255
    return whole
