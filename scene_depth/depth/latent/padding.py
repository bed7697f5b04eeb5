"""Brings images to sizes that a network takes without stretching them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def padded_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """The smallest size not below the given one with both sides multiples of ``multiple``."""
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def pad_to_multiple(images: Tensor, multiple: int, value: float | None = None) -> Tensor:
    """Pads at the bottom and at the right.

    Args:
        images: Any channels  # [B, C, H, W]
        multiple: Both sides of the result are multiples of it.
        value: What is added; by default the last row and column are repeated.

    Returns:
        # [B, C, H', W']
    """
    height, width = images.shape[-2:]
    full_height, full_width = padded_size(height, width, multiple)
    padding = (0, full_width - width, 0, full_height - height)
    if not any(padding):
        return images
    return F.pad(images, padding, mode="replicate") if value is None else F.pad(images, padding, value=value)


def unpad(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The part of padded images that was there before.

    Args:
        images: Padded  # [B, C, H', W']
        size: Height and width before padding.
    """
    return images[..., : size[0], : size[1]]
