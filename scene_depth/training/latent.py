"""What the trainings of latent models share: frames as maps with holes, new networks of any size, low-rank adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.depth.latent.packages import diffusers_class
from scene_depth.depth.latent.vae import load_vae
from scene_depth.depth.masks import check_masks, instances, known_mask
from scene_depth.depth.scattered import nearest_fill
from scene_depth.errors import InputError

OBJECTS = "objects"
"""Name of the strategy that hides one labelled object (a silhouette where no object has a fitting size)."""
STRATEGIES = ("strokes", "circles", "squares", "mixture", "sparse", OBJECTS)
"""DepthLab's training masks; the paper names them and not their shares, here each is as likely as the others."""
LATENT_SCALE = 0.18215  # of Stable Diffusion
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


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


class LowRankLinear(nn.Module):
    """Low-rank adaptation (Hu et al. 2022) of a layer: y = W x + B A x with W frozen; it starts as the layer itself.

    Args:
        layer: The linear layer.
        rank: Rank of A and B.
    """

    def __init__(self, layer: nn.Linear, rank: int):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.normal_(self.down.weight, std=1 / rank)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        adapted: Tensor = self.layer(x) + self.up(self.down(x))
        return adapted

    def merged(self) -> nn.Linear:
        """One linear layer that computes the same."""
        merged = nn.Linear(self.layer.in_features, self.layer.out_features, bias=self.layer.bias is not None)
        with torch.no_grad():
            merged.weight.copy_(self.layer.weight + self.up.weight @ self.down.weight)
            if self.layer.bias is not None:
                merged.bias.copy_(self.layer.bias)
        return merged


def add_low_rank(model: nn.Module, rank: int) -> None:
    """Freezes a U-Net and gives all projections of its attention layers a low-rank part, in place.

    The first convolution stays trainable: its new channels have nothing to start from.
    """
    model.requires_grad_(False)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear) and name.endswith(PROJECTIONS):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, LowRankLinear(layer, rank))
    for name, parameter in model.named_parameters():
        if name.startswith("conv_in."):
            parameter.requires_grad_(True)


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """Tensors of the model as if every low-rank part had been added to its layer, under the original names."""
    adapted = {name: layer for name, layer in model.named_modules() if isinstance(layer, LowRankLinear)}
    state = {
        name: value for name, value in model.state_dict().items() if not any(name.startswith(f"{prefix}.") for prefix in adapted)
    }
    for prefix, layer in adapted.items():
        state |= {f"{prefix}.{name}": value.detach() for name, value in layer.merged().state_dict().items()}
    return state
