"""From files to what heal takes: views at the working size, the selection, edited pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.fitting.training_views import TrainingViews, resized_image
from scene_depth.io.images import check_white_share, images_named_like, parse_mask_ids, read_image, read_mask
from scene_depth.io.posed_views import with_mask_ids
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats
from scene_depth_heal.regions import Box, Region, Sphere, parse_region, read_region
from scene_depth_heal.selection import check_selection, grow, select_by_masks, shrink, without_leftovers
from scene_depth_heal.workflow import HealView


@dataclass(frozen=True)
class SelectionSource:
    """What to remove, exactly one of these; by default the scene's own masks.

    Attributes:
        masks: Folder of masks named like the images, white on the object.
        box: "CX CY CZ SX SY SZ [QW QX QY QZ]" or a JSON file.
        sphere: "CX CY CZ R" or a JSON file.
        indices: ``.npy`` or text file of splat indices.
        mask_white: What white in masks is: the "object", or what to "keep", as in masks of nerfstudio and COLMAP. By default
            the object, unless white is most of nearly every picture.
        mask_id: Labels of the object in masks of several: numbers, or colours such as #ff0000.
        masks_in_order: Pair the files of ``masks`` with the views in order, whatever their names.
    """

    masks: Path | None = None
    box: str | None = None
    sphere: str | None = None
    indices: Path | None = None
    mask_white: Literal["object", "keep"] | None = None
    mask_id: tuple[str, ...] = ()
    masks_in_order: bool = False

    def __post_init__(self) -> None:
        given = [name for name in ("masks", "box", "sphere", "indices") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError("selection", " and ".join(given), "one of masks, box, sphere, indices")

    @property
    def by_masks(self) -> bool:
        """Whether 2D masks choose the splats."""
        return self.box is None and self.sphere is None and self.indices is None


def load_views(
    scene: Scene, max_size: int, source: SelectionSource | None, painted: Mapping[str, Path] | None = None
) -> list[HealView]:
    """The scene's views at the working size, with masks where masks select, and edited pictures where there are any.

    Args:
        scene: Posed photos.
        max_size: Longer side of the views, at most, in pixels.
        source: What selects; None for views without masks.
        painted: Files of edited pictures by the name of their view.

    Raises:
        InputError: If masks are wanted and there are none, a mask is missing or of another size, or an edited picture
            belongs to no view.
    """
    painted = dict(painted or {})
    folder = None if source is None else source.masks
    own_masks = source is not None and source.by_masks and folder is None
    masks: dict[str, Path] = {}
    if source is not None and folder is not None:
        names = [view.name for view in scene.views]
        masks = images_named_like(folder, names, what="masks", in_order=source.masks_in_order)
    ids = () if source is None else parse_mask_ids(source.mask_id)
    if ids:
        scene = with_mask_ids(scene, ids)
    if own_masks and all(view.load_mask is None for view in scene.views):
        raise InputError("masks", "a scene without masks", "--masks DIR, --box, --sphere or --indices", file=scene.source)
    sized = TrainingViews(scene.views, max_size, mask_use="keep")
    views = []
    for index, view in enumerate(scene.views):
        target = sized.target(index)
        size = (target.camera.width, target.camera.height)
        mask = None
        if view.name in masks:
            mask = _resized_mask(masks[view.name], ids, (view.camera.width, view.camera.height), size)
        elif own_masks and target.counts is not None:
            mask = target.counts.numpy()
        if mask is not None and source is not None and source.mask_white == "keep":
            mask = ~mask
        edited = painted.pop(view.name, None)
        views.append(
            HealView(
                view.name, sized.camera(index), target.image.numpy(), mask, None if edited is None else _picture(edited, size)
            )
        )
    if painted:
        raise InputError("painted", f"pictures for {sorted(painted)}", "names of views of the scene")
    shares = {view.name: float(view.mask.mean()) for view in views if view.mask is not None}
    check_white_share(shares, None if source is None else source.mask_white, file=folder or scene.source)
    return views


def select(splats: GaussianSplats, views: list[HealView], source: SelectionSource, growth: int = 0) -> Tensor:
    """The splats to remove  # [N] bool

    Args:
        splats: The scene.
        views: Its views, with masks if masks select.
        source: What selects.
        growth: Steps to grow the selection by, or to shrink it if negative.

    Raises:
        InputError: If the selection is empty or everything.
    """
    if source.box is not None or source.sphere is not None:
        region = _region(source)
        selected = check_selection(region.contains(splats.means.detach().double()).cpu(), type(region).__name__.lower())
    elif source.indices is not None:
        selected = _from_indices(source.indices, len(splats))
    else:
        masked = [view for view in views if view.mask is not None]
        masks = [torch.from_numpy(view.mask).to(splats.device) for view in masked]
        selected = select_by_masks(splats, [view.camera for view in masked], masks)
        selected = without_leftovers(splats, selected)
    selected = grow(splats, selected, growth) if growth > 0 else shrink(splats, selected, -growth)
    return check_selection(selected, "selection")


def _region(source: SelectionSource) -> Region:
    text, kind = (source.box, Box) if source.box is not None else (source.sphere, Sphere)
    assert text is not None
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        return read_region(text)
    return parse_region(kind, numbers)


def _from_indices(path: Path, count: int) -> Tensor:
    try:
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, dtype=np.int64, ndmin=1)
    except (OSError, ValueError) as error:
        raise InputError(
            "indices", str(error), "a .npy or text file of splat indices, or a mask of all splats", file=path
        ) from error
    if values.dtype == np.bool_ and values.shape == (count,):
        return check_selection(torch.from_numpy(values), "indices")
    if not np.issubdtype(values.dtype, np.integer) or values.size == 0 or values.min() < 0 or values.max() >= count:
        raise InputError(
            "indices", f"{values.dtype} from {values.min(initial=0)} to {values.max(initial=0)}", f"0 to {count - 1}", file=path
        )
    selected = torch.zeros(count, dtype=torch.bool)
    selected[torch.from_numpy(values.ravel().astype(np.int64))] = True
    return check_selection(selected, "indices")


def _resized_mask(path: Path, ids: tuple[int, ...], native: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    mask = read_mask(path, ids)
    found = (mask.shape[1], mask.shape[0])
    if found not in (native, size):
        raise InputError("mask size", f"{found[0]} x {found[1]}", f"{native[0]} x {native[1]}, the size of its image", file=path)
    grey = np.repeat(np.where(mask, np.uint8(255), np.uint8(0))[..., None], 3, axis=2)
    return resized_image(grey, *size)[..., 0] >= 128


def _picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    picture = read_image(path)
    return resized_image(np.rint(255 * picture).astype(np.uint8), *size).astype(np.float32) / 255
