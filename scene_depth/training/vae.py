"""A small autoencoder, for training small latent models.

Of pictures, depth maps and masks, so that small latent models can be trained from scratch.

Loss: mean absolute error of the reconstruction plus a small KL divergence (Rombach et al. 2022, without the perceptual and
adversarial parts, which depth does not need).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.streams import ViewConfig
from scene_depth.depth.latent.vae import write_vae
from scene_depth.training.checkpoints import replaced_folder
from scene_depth.training.config import TrainConfig
from scene_depth.training.latent import (
    STRATEGIES,
    VaeShape,
    check_sides,
    check_strategies,
    drawn_known,
    filled_truth,
    new_vae,
    picture_map,
)
from scene_depth.training.objective import Batch, FrameConfig, FrameObjective, Validation, as_map, with_tiny_frames
from scene_depth.training.registry import Training

KINDS = ("picture", "log depth", "depth", "mask")
SCALE_FRAMES = 64


@dataclass(frozen=True)
class VaeConfig(FrameConfig):
    """Configuration of the training.

    Attributes:
        shape: Shape of the autoencoder.
        kl_weight: Of the KL divergence beside the mean absolute error.
        masks: Strategies of the masks that it learns to encode.
    """

    shape: VaeShape = field(default_factory=VaeShape)
    kl_weight: float = 1e-5
    masks: tuple[str, ...] = STRATEGIES
    view: ViewConfig = field(default_factory=lambda: ViewConfig(width=256, height=192))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=20000, learning_rate=3e-4, schedule="cosine"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strategies(self.masks)
        check_sides(self.view.width, self.view.height, 2 ** (len(self.shape.channels) - 1))


class VaeTrainee(nn.Module):
    """The autoencoder with one call for a training step."""

    def __init__(self, vae: Any):
        super().__init__()
        self.vae = vae

    def forward(self, maps: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction and KL divergence a latent number.

        Args:
            maps: In about [-1, 1]  # [B, 3, H, W]
            noise: Standard normal  # [B, 4, h, w]
        """
        posterior = self.vae.encode(maps).latent_dist
        return self.vae.decode(posterior.mean + posterior.std * noise).sample, posterior.kl().mean() / noise[0].numel()

    def enable_gradient_checkpointing(self) -> None:
        """Computes activations again in the backward pass."""
        self.vae.enable_gradient_checkpointing()


class VaeObjective(FrameObjective[VaeConfig]):
    """The autoencoder with its data and its loss."""

    name = "vae"

    def build(self) -> nn.Module:
        """The autoencoder."""
        return VaeTrainee(new_vae(self.config.shape))

    def example_of(self, view: DepthFrame, rng: np.random.Generator) -> dict[str, Tensor]:
        """A picture, a depth map or a mask."""
        return {"maps": self._map(view, KINDS[int(rng.integers(len(KINDS)))], rng)}

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Reconstruction and KL divergence."""
        maps = batch["maps"]
        cell = 2 ** (len(self.config.shape.channels) - 1)
        shape = (len(maps), 4, maps.shape[2] // cell, maps.shape[3] // cell)
        again, divergence = model(maps, torch.randn(shape, generator=generator).to(maps.device))
        parts = {"reconstruction": (again.float() - maps).abs().mean(), "kl": divergence.float()}
        return {"loss": parts["reconstruction"] + self.config.kl_weight * parts["kl"], **parts}

    def validate(self, model: nn.Module, pictures: int) -> Validation:
        """Mean absolute error of each kind of map, decoded from the mean of the posterior."""
        assert isinstance(model, VaeTrainee)
        device = next(model.parameters()).device
        errors: dict[str, list[float]] = {kind: [] for kind in KINDS}
        shown: dict[str, NDArray[np.float32]] = {}
        for number, view in self.held_out_views():
            for kind in KINDS:
                maps = self._map(view, kind, np.random.default_rng((7, number)))[None].to(device)
                again = model.vae.decode(model.vae.encode(maps).latent_dist.mean).sample
                errors[kind].append(float((again - maps).abs().mean()))
                if len(shown) < pictures:
                    pair = torch.cat([maps, again], dim=3)[0].permute(1, 2, 0).cpu().numpy()
                    shown[f"{view.name}_{kind}"] = np.clip(pair * 0.5 + 0.5, 0, 1).astype(np.float32)
        measures = {kind.replace(" ", "_"): float(np.mean(values)) for kind, values in errors.items() if values}
        return Validation(measures, float(np.mean(list(measures.values()))) if measures else None, shown)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Writes the autoencoder in the form of diffusers, scaled so that latents have about unit variance."""
        assert isinstance(model, VaeTrainee)
        model.vae.register_to_config(scaling_factor=self._scaling(model))
        with replaced_folder(folder) as new:
            write_vae(model.vae, new)

    def _scaling(self, model: VaeTrainee) -> float:
        """1 / standard deviation of the latents of held-out maps."""
        device, latents = next(model.parameters()).device, []
        with torch.no_grad():
            for number, view in islice(self.held_out_views(), SCALE_FRAMES):
                for kind in KINDS[:2]:
                    maps = self._map(view, kind, np.random.default_rng((7, number)))[None].to(device)
                    latents.append(model.vae.encode(maps).latent_dist.mean.flatten())
        return float(1 / torch.cat(latents).std().clamp(min=1e-6))

    def _map(self, view: DepthFrame, kind: str, rng: np.random.Generator) -> Tensor:
        """# [3, H, W]"""
        if kind == "picture":
            return picture_map(view)
        if kind == "mask":
            return as_map(1 - 2 * drawn_known(view, self.config.masks, rng).astype(np.float32)).expand(3, -1, -1).clone()
        depth = filled_truth(view)
        values = np.log(depth) if kind == "log depth" else depth
        low, high = np.quantile(values, [0.02, 0.98])
        spread = rng.uniform(0.2, 1.0)  # the share of the range that known depth takes in DepthLab
        normalized = np.clip(((values - low) / (high - low + 1e-6) - 0.5) * 2 * spread, -1.5, 1.5)
        return as_map(normalized).expand(3, -1, -1).clone()


_DEFAULT = VaeConfig()
PRESETS: Mapping[str, VaeConfig] = MappingProxyType(
    {
        "default": _DEFAULT,
        "tiny": with_tiny_frames(
            replace(_DEFAULT, shape=VaeShape(channels=(8, 8, 16), layers=1, groups=4)),
            TrainConfig(steps=20, batch_size=4, learning_rate=3e-3, validate_every=0, log_every=1),
        ),
    }
)

TRAINING = Training("vae", VaeConfig, PRESETS, VaeObjective)
