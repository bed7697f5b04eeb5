"""The losses of Lu et al. (CVPR 2020, section 3.4): depth over pixels with truth, and the grey image over all pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scene_depth.depth.auxiliary.network import NetworkOutput
from scene_depth.errors import InputError

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601), as OpenCV makes it."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss.

    Attributes:
        depth: "l2", mean squared error, or "l1", mean absolute error, in the unit of the network's depth (below).
        depth_weight: w_dpt.
        image_weight: w_img.
        image_range: Brightness of white in the image loss. The paper's w_img of 1e-4 is small beside errors in metres only if
            grey values run to 255; the paper does not say so.
        error_weight: Weight of the learnt uncertainty, which changes the depth not at all.
    """

    depth: Literal["l2", "l1"] = "l2"
    depth_weight: float = 1.0
    image_weight: float = 1e-4
    image_range: float = 255.0
    error_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.depth not in ("l2", "l1"):
            raise InputError("depth", repr(self.depth), "l2, l1")
        for name in ("depth_weight", "image_weight", "error_weight"):
            if getattr(self, name) < 0:
                raise InputError(name, getattr(self, name), "0 or more")
        if self.image_range <= 0:
            raise InputError("image_range", self.image_range, "a number above 0, 1 or 255")


def auxiliary_loss(
    output: NetworkOutput, truth: Tensor, gray: Tensor | None, unit: Tensor, config: LossConfig
) -> dict[str, Tensor]:
    """The parts of the loss and their weighted sum "loss".

    Args:
        output: Output of the network.
        truth: z-depth, 0 = none  # [B, 1, H, W]
        gray: Grey image in [0, 1]; None without an image  # [B, 1, H, W]
        unit: Depth that counts as 1 in the depth loss: 1 for metres, or each frame's mean known depth  # [B, 1, 1, 1]
        config: Weights.
    """
    valid = truth > 0
    count = valid.sum().clamp(min=1)
    residual = (output.depth - truth) / unit
    distance = residual.abs() if config.depth == "l1" else residual.square()
    parts = {"depth": torch.where(valid, distance, 0).sum() / count}
    total = config.depth_weight * parts["depth"]
    if output.image is not None and gray is not None:
        parts["image"] = (config.image_range * (output.image - gray)).square().mean()
        total = total + config.image_weight * parts["image"]
    if output.error is not None:
        scale = output.error / unit
        parts["error"] = torch.where(valid, residual.detach().abs() / scale + scale.log(), 0).sum() / count
        total = total + config.error_weight * parts["error"]
    return {"loss": total, **parts}


def gray_image(rgb: Tensor) -> Tensor:
    """Grey values of sRGB colours  # [B, 3, H, W] -> [B, 1, H, W]"""
    weights = torch.tensor(LUMA, dtype=rgb.dtype, device=rgb.device).view(1, 3, 1, 1)
    return (rgb * weights).sum(dim=1, keepdim=True)
