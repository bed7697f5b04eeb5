"""Frames as the latent models see them: maps in [-1, 1], holes, and which latent cells count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.datasets.frames import DepthFrame
from scene_depth.depth.latent.vae import load_vae
from scene_depth.depth.masks import check_masks, instances, known_mask
from scene_depth.depth.scattered import nearest_fill
from scene_depth.errors import InputError

OBJECTS = "objects"
"""Name of the strategy that hides one labelled object (a silhouette where no object has a fitting size)."""
STRATEGIES = ("strokes", "circles", "squares", "mixture", "sparse", OBJECTS)
"""DepthLab's training masks; the paper names them and not their shares, here each is as likely as the others."""


def check_strategies(names: Sequence[str]) -> None:
    """Raises InputError unless every name is a mask strategy."""
    check_masks(names, also=(OBJECTS,))


def drawn_known(frame: DepthFrame, strategies: Sequence[str], rng: np.random.Generator) -> NDArray[np.bool_]:
    """The known pixels of a frame under a strategy drawn at random, where its truth is valid  # [H, W]"""
    name, seed = strategies[int(rng.integers(len(strategies)))], int(rng.integers(2**31))
    if name == OBJECTS:
        if frame.instances is not None:
            try:
                known = instances(frame.instances, seed) & frame.valid
            except InputError:  # no object of a fitting size
                known = np.zeros_like(frame.valid)
            if known.any():
                return known
        name = "silhouette"
    return known_mask(name, frame.truth, seed, rgb=frame.rgb, camera=frame.camera)


def picture_map(frame: DepthFrame) -> Tensor:
    """The picture in [-1, 1]  # [3, H, W]

    Raises:
        InputError: If the frame has none.
    """
    if frame.rgb is None:
        raise InputError("data", f"{frame.name} without a picture", "frames with pictures")
    return torch.from_numpy(np.ascontiguousarray(frame.rgb)).permute(2, 0, 1).contiguous() * 2 - 1


def filled_truth(frame: DepthFrame) -> NDArray[np.float64]:
    """True depth with invalid pixels replaced by the nearest valid one, as DepthFM does before encoding  # [H, W]

    Raises:
        InputError: If no pixel is valid.
    """
    if not frame.valid.any():
        raise InputError("data", f"{frame.name} without valid depth", "frames with depth")
    return np.asarray(nearest_fill(frame.truth.astype(np.float64), frame.valid), dtype=np.float64)


def as_map(values: NDArray[np.floating] | NDArray[np.bool_]) -> Tensor:
    """# [H, W] -> [1, H, W]"""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None]


def whole_cells(valid: Tensor, cell: int) -> Tensor:
    """1 for latent cells whose pixels are all valid, else 0  # [B, 1, H, W] -> [B, 1, H / cell, W / cell]"""
    return -F.max_pool2d(-valid, cell)


def masked_mean(errors: Tensor, cells: Tensor) -> Tensor:
    """Mean over the cells that count; 0 if none does.

    Args:
        errors: # [B, C, h, w]
        cells: 1 or 0  # [B, 1, h, w]
    """
    return (errors * cells).sum() / (cells.sum() * errors.shape[1]).clamp(min=1)


def frozen_vae(folder: str) -> Any:
    """The autoencoder that latents are made with.

    Args:
        folder: Folder of the VAE, or of a model with a folder ``vae``.

    Raises:
        InputError: If none is named, or it cannot be loaded.
    """
    if not folder:
        raise InputError("vae", "none", "a folder with an AutoencoderKL; scene-depth train vae makes a small one")
    path = Path(folder)
    return load_vae(path / "vae" if (path / "vae" / "config.json").is_file() else path)


def check_sides(width: int, height: int, multiple: int) -> None:
    """Raises InputError unless both sides fit the networks' halvings."""
    if width % multiple or height % multiple:
        raise InputError("view", f"{width} x {height}", f"sides that are multiples of {multiple}")
