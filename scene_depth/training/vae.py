"""Training of a small autoencoder of pictures, depth maps and masks, so that small latent models can be trained from scratch.

Loss: mean absolute error of the reconstruction plus a small KL divergence (Rombach et al. 2022, without the perceptual and
adversarial parts, which depth does not need).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.streams import SourceConfig, ViewConfig, drawn_view, open_stream, procedural_source, training_view
from scene_depth.training.config import TrainConfig
from scene_depth.training.folders import replaced_folder
from scene_depth.training.latent_examples import (
    STRATEGIES,
    as_map,
    check_sides,
    check_strategies,
    drawn_known,
    filled_truth,
    picture_map,
)
from scene_depth.training.latent_networks import VaeShape, new_vae
from scene_depth.training.objective import Batch, Validation, all_parameters
from scene_depth.training.registry import Training

KINDS = ("picture", "log depth", "depth", "mask")
SCALE_FRAMES = 64


@dataclass(frozen=True)
class VaeConfig:
    """Configuration of the training.

    Attributes:
        shape: Shape of the autoencoder.
        kl_weight: Of the KL divergence beside the mean absolute error.
        masks: Strategies of the masks that it learns to encode.
        data, held_out, held_out_count, view: As in ``AuxiliaryConfig``.
        train: Parameters of the loop.
    """

    shape: VaeShape = field(default_factory=VaeShape)
    kl_weight: float = 1e-5
    masks: tuple[str, ...] = STRATEGIES
    data: tuple[SourceConfig, ...] = (SourceConfig(),)
    held_out: tuple[SourceConfig, ...] = (procedural_source(seed=2, count=24),)
    held_out_count: int = 24
    view: ViewConfig = field(default_factory=lambda: ViewConfig(width=256, height=192))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=20000, learning_rate=3e-4, schedule="cosine"))

    def __post_init__(self) -> None:
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


class VaeObjective:
    """The autoencoder with its data and its loss."""

    name = "vae"

    def __init__(self, config: VaeConfig):
        self.config = config
        self.stream = open_stream(config.data)
        self.held_out = [source for entry in config.held_out for source in entry.frames()][: config.held_out_count]

    def build(self) -> nn.Module:
        """The autoencoder."""
        return VaeTrainee(new_vae(self.config.shape))

    def place(self, device: torch.device) -> None:
        """Nothing is frozen."""

    def example(self, seed: int, index: int) -> dict[str, Tensor]:
        """A picture, a depth map or a mask, each kind in turn."""
        rng = np.random.default_rng((seed, 2, index))
        view = drawn_view(self.stream, seed, index, self.config.view, rng)
        return {"maps": self._map(view, KINDS[int(rng.integers(len(KINDS)))], rng)}

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Reconstruction and KL divergence."""
        maps = batch["maps"]
        cell = 2 ** (len(self.config.shape.channels) - 1)
        shape = (len(maps), 4, maps.shape[2] // cell, maps.shape[3] // cell)
        again, divergence = model(maps, torch.randn(shape, generator=generator).to(maps.device))
        parts = {"reconstruction": (again.float() - maps).abs().mean(), "kl": divergence.float()}
        return {"loss": parts["reconstruction"] + self.config.kl_weight * parts["kl"], **parts}

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """One group."""
        return all_parameters(model)

    def validate(self, model: nn.Module, pictures: int) -> Validation:
        """Mean absolute error of each kind of map, decoded from the mean of the posterior."""
        assert isinstance(model, VaeTrainee)
        device = next(model.parameters()).device
        errors: dict[str, list[float]] = {kind: [] for kind in KINDS}
        shown: dict[str, NDArray[np.float32]] = {}
        for number, source in enumerate(self.held_out):
            view = training_view(source.load(), self.config.view, None)
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
            model.vae.save_pretrained(new)

    def _scaling(self, model: VaeTrainee) -> float:
        """1 / standard deviation of the latents of held-out maps."""
        device, latents = next(model.parameters()).device, []
        with torch.no_grad():
            for number, source in enumerate(self.held_out[:SCALE_FRAMES]):
                view = training_view(source.load(), self.config.view, None)
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
        "tiny": replace(
            _DEFAULT,
            shape=VaeShape(channels=(8, 8, 16), layers=1, groups=4),
            data=(procedural_source(count=12, width=64, height=48, samples=1),),
            held_out=(procedural_source(seed=2, count=2, width=64, height=48, samples=1),),
            view=ViewConfig(width=64, height=48),
            train=TrainConfig(steps=20, batch_size=4, learning_rate=3e-3, validate_every=0, log_every=1),
        ),
    }
)

TRAINING = Training("vae", VaeConfig, PRESETS, VaeObjective)
