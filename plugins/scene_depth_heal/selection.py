"""Which splats are the object: from masks in the views, from regions, grown, shrunk and cleaned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.rendering import blending_weights
from scene_depth.splats import GaussianSplats

NEIGHBOURS = 8
FAINT = 0.1  # pixels of blending weight over all views below which a splat counts as never seen


def select_by_masks(
    splats: GaussianSplats,
    cameras: Sequence[Cameras],
    masks: Sequence[Tensor],
    *,
    share: float = 0.5,
    halo_share: float = 0.15,
) -> Tensor:
    """Splats whose contribution to the views lies mostly inside the masks.

    A splat's share is its blending weight inside the masks over its blending weight in all views. Splats of at least
    ``share`` are the object. Splats of at least ``halo_share`` that touch it are its halo: they blend object and
    background and would stay as dark specks. Splats that no view sees belong to it if every view that has them in its
    picture has them inside its mask.

    Args:
        splats: A trained scene.
        cameras: One camera a view.
        masks: True on the object, of the camera's size  # [H, W] each

    Returns:
        Mask of the splats  # [N] bool

    Raises:
        InputError: If a mask is not of its camera's size, or the masks select nothing or everything.
    """
    inside = torch.zeros(len(splats))
    total = torch.zeros(len(splats))
    in_mask = torch.zeros(len(splats), dtype=torch.int64)
    in_picture = torch.zeros(len(splats), dtype=torch.int64)
    for number, (camera, mask) in enumerate(zip(cameras, masks, strict=True)):
        if mask.shape != (camera.height, camera.width):
            raise InputError(
                f"masks[{number}]", f"size {tuple(mask.shape)}", f"({camera.height}, {camera.width}), the size of its view"
            )
        everywhere = torch.ones_like(mask)
        weights = blending_weights(splats, camera, mask[None])[0].cpu()
        inside += weights
        total += weights + blending_weights(splats, camera, (everywhere & ~mask)[None])[0].cpu()
        column, row, visible = _pixels_of(splats, camera)
        in_picture += visible
        in_mask += visible & mask.cpu()[row, column]
    ratio = inside / total.clamp_min(1e-12)
    seen = total > FAINT
    selected = seen & (ratio >= share)
    hidden = ~seen & (in_picture > 0) & (in_mask == in_picture)
    halo = seen & (ratio >= halo_share) & touching(splats, selected)
    return check_selection(selected | hidden | halo, "masks")


def check_selection(selected: Tensor, what: str) -> Tensor:
    """The selection itself.

    Raises:
        InputError: If it is empty or holds everything.
    """
    count = int(selected.sum())
    if count == 0:
        raise InputError(what, "a selection of no splat", "masks, a region or indices that contain some of the splats")
    if count == len(selected):
        raise InputError(what, f"a selection of all {count} splats", "a selection that leaves some splats")
    return selected


def touching(splats: GaussianSplats, selected: Tensor, reach: float = 2.0) -> Tensor:
    """Splats whose centre lies within ``reach`` of their local spacing from a selected one  # [N] bool"""
    if not selected.any():
        return torch.zeros_like(selected)
    means = splats.means.detach().cpu().double().numpy()
    chosen = selected.cpu().numpy()
    distance, _ = cKDTree(means[chosen]).query(means)
    return torch.from_numpy(distance <= reach * local_spacing(splats))


def grow(splats: GaussianSplats, selected: Tensor, steps: int = 1) -> Tensor:
    """The selection and, ``steps`` times, the splats that touch it  # [N] bool"""
    for _ in range(steps):
        selected = selected | touching(splats, selected)
    return selected


def shrink(splats: GaussianSplats, selected: Tensor, steps: int = 1) -> Tensor:
    """The selection less, ``steps`` times, the splats that touch the rest  # [N] bool"""
    return ~grow(splats, ~selected, steps)


def without_leftovers(splats: GaussianSplats, selected: Tensor, majority: float = 0.75) -> Tensor:
    """Adds unselected splats whose neighbours are nearly all selected, and drops selected ones that stand alone.

    Args:
        splats: The scene.
        selected: A selection  # [N] bool
        majority: Share of the nearest neighbours that decides.
    """
    if len(splats) <= NEIGHBOURS:
        return selected
    means = splats.means.detach().cpu().double().numpy()
    _, index = cKDTree(means).query(means, k=NEIGHBOURS + 1)
    around = selected.cpu()[torch.from_numpy(index[:, 1:])].float().mean(dim=1)
    return (selected.cpu() & (around > 1 - majority)) | (around >= majority)


def local_spacing(splats: GaussianSplats) -> np.ndarray:
    """Mean distance of each splat to its nearest neighbours, in scene units  # [N] float64"""
    means = splats.means.detach().cpu().double().numpy()
    neighbours = min(4, len(means))
    if neighbours < 2:
        return np.zeros(len(means))
    distance, _ = cKDTree(means).query(means, k=neighbours)
    return distance[:, 1:].mean(axis=1)


def _pixels_of(splats: GaussianSplats, camera: Cameras) -> tuple[Tensor, Tensor, Tensor]:
    pixels, z = camera.project(splats.means.detach().cpu().double())
    pixels, z = pixels[0], z[0]
    visible = (z > 0) & (pixels >= 0).all(1) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    safe = torch.where(visible[:, None], pixels, 0.0).long()
    return safe[:, 0], safe[:, 1], visible
