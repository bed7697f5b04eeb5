"""New networks of latent diffusion, at any size, for training from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scene_depth.depth.latent.vae import diffusers_class
from scene_depth.errors import InputError

LATENT_SCALE = 0.18215  # of Stable Diffusion


@dataclass(frozen=True)
class UNetShape:
    """Shape of a U-Net in the family of Stable Diffusion 2: attention at every level but the lowest.

    Attributes:
        channels: Width of each level.
        layers: ResNets a level.
        head_channels: Width of an attention head.
        context: Width of what cross-attention looks at.
        groups: Groups of the norms, a divisor of every width.
    """

    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2
    head_channels: int = 64
    context: int = 1024
    groups: int = 32

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1:
            raise InputError("channels", self.channels, "two or more positive widths")
        for name, divisor in (("groups", self.groups), ("head_channels", self.head_channels)):
            if divisor < 1 or any(width % divisor for width in self.channels):
                raise InputError(name, divisor, f"a divisor of every width of {self.channels}")
        if self.layers < 1 or self.context < 1:
            raise InputError("layers, context", f"{self.layers}, {self.context}", "1 or more")

    def config(self, inputs: int) -> dict[str, Any]:
        """Configuration of a ``UNet2DConditionModel`` with 4 output channels."""
        lower = len(self.channels) - 1
        return {
            "_class_name": "UNet2DConditionModel",
            "in_channels": inputs,
            "out_channels": 4,
            "block_out_channels": list(self.channels),
            "layers_per_block": self.layers,
            "down_block_types": ["CrossAttnDownBlock2D"] * lower + ["DownBlock2D"],
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * lower,
            "attention_head_dim": [width // self.head_channels for width in self.channels],
            "cross_attention_dim": self.context,
            "use_linear_projection": True,
            "norm_num_groups": self.groups,
        }


SMALL = UNetShape(channels=(64, 128, 192), layers=1, head_channels=32, context=64, groups=16)
TINY = UNetShape(channels=(16, 32), layers=1, head_channels=8, context=8, groups=4)
"""Shapes of the presets that start without published weights."""


@dataclass(frozen=True)
class VaeShape:
    """Shape of an autoencoder; each level but the first halves the picture.

    Attributes:
        channels: Width of each level.
        layers: ResNets a level.
        groups: Groups of the norms, a divisor of every width.
    """

    channels: tuple[int, ...] = (32, 64, 64)
    layers: int = 1
    groups: int = 8

    def __post_init__(self) -> None:
        if not self.channels or self.groups < 1 or any(width % self.groups for width in self.channels):
            raise InputError("channels, groups", f"{self.channels}, {self.groups}", "widths that the number of groups divides")


def new_unet(config: dict[str, Any]) -> Any:
    """A U-Net with random weights."""
    return diffusers_class("UNet2DConditionModel").from_config(config)


def new_vae(shape: VaeShape) -> Any:
    """An ``AutoencoderKL`` of 4 latent channels with random weights."""
    levels = len(shape.channels)
    return diffusers_class("AutoencoderKL")(
        block_out_channels=shape.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=shape.layers,
        latent_channels=4,
        norm_num_groups=shape.groups,
        scaling_factor=LATENT_SCALE,
    )
