"""What a training of DepthLab starts from: its own weights, Marigold's, Stable Diffusion's, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from scene_depth.depth.depthlab import DepthLabModel
from scene_depth.depth.depthlab.conditioning import MappingLayer, load_image_encoder
from scene_depth.depth.depthlab.networks import DualBranch, build_unets
from scene_depth.depth.depthlab.weights import MARKER
from scene_depth.depth.latent.state_dicts import find_state_file, read_state_dict
from scene_depth.depth.latent.vae import WEIGHTS, read_config
from scene_depth.errors import InputError
from scene_depth.training.latent import UNetShape, frozen_vae

SCHEDULER: Mapping[str, Any] = MappingProxyType(
    {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 1000,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "prediction_type": "v_prediction",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "timestep_spacing": "leading",
    }
)
"""Marigold's and Stable Diffusion 2's levels of noise."""
OUTPUT_LAYERS = ("conv_norm_out.", "conv_out.")
PICTURE, DEPTH = slice(0, 4), slice(4, 8)  # of Marigold's eight input channels


@dataclass(frozen=True)
class DepthLabStart:
    """Weights to start from.

    Attributes:
        unet_config: Configuration of both UNets.
        vae: The autoencoder, frozen.
        image_encoder: CLIP's vision tower, frozen.
        scheduler: Configuration of the noise levels.
        networks: Makes both UNets and the mapping layer, in fp32 on the CPU.
    """

    unet_config: Mapping[str, Any]
    vae: Any
    image_encoder: Any
    scheduler: Mapping[str, Any]
    networks: Callable[[], tuple[DualBranch, MappingLayer]]


def start_from(start: str, shape: UNetShape, vae: str, clip: str) -> DepthLabStart:
    """Loads what a training starts from; arguments as in ``DepthLabConfig``.

    Raises:
        InputError: If weights are missing or of another architecture.
    """
    if start and _is_depthlab(Path(start)):
        model = DepthLabModel.from_pretrained(start, clip=clip or None, device="cpu", dtype="fp32")
        autoencoder = frozen_vae(vae) if vae else model.vae
        parts = (model.networks, model.mapping)
        return DepthLabStart(model.unet_config, autoencoder, model.image_encoder, dict(model.schedule.config), lambda: parts)
    autoencoder, encoder = frozen_vae(vae or start), _image_encoder(clip)
    if not start:
        config = shape.config(4)
        return DepthLabStart(config, autoencoder, encoder, dict(SCHEDULER), lambda: _new(config, encoder))
    folder = Path(start)
    config, state = read_config(folder / "unet"), read_state_dict(find_state_file(folder / "unet", WEIGHTS))
    scheduler = dict(SCHEDULER)
    if (folder / "scheduler" / "scheduler_config.json").is_file():
        scheduler = read_config(folder / "scheduler", "scheduler_config.json")
    channels = state["conv_in.weight"].shape[1] if "conv_in.weight" in state else 0
    if channels not in (4, 8):
        raise InputError("start", f"a U-Net of {channels} channels", "Stable Diffusion, with 4, or Marigold, with 8", file=folder)
    return DepthLabStart(config, autoencoder, encoder, scheduler, lambda: _filled(config, state, encoder))


def estimation_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the estimation UNet: noisy depth goes in as it did before, mask and masked depth start without effect.

    The paper says that both UNets start from Marigold, not how the first convolution is widened.

    Args:
        state: Of a U-Net with 4 channels (Stable Diffusion) or 8 (Marigold: picture, depth).
    """
    kernel = state["conv_in.weight"].float()
    noisy = kernel if kernel.shape[1] == 4 else kernel[:, DEPTH]
    widened = torch.cat([noisy, torch.zeros_like(noisy), torch.zeros_like(noisy)], dim=1)
    return {name: value.float() for name, value in state.items()} | {"conv_in.weight": widened}


def reference_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the reference UNet, which sees the picture and has no output layers."""
    kernel = state["conv_in.weight"].float()
    kept = {name: value.float() for name, value in state.items() if not name.startswith(OUTPUT_LAYERS)}
    return kept | {"conv_in.weight": kernel if kernel.shape[1] == 4 else kernel[:, PICTURE]}


def _filled(config: Mapping[str, Any], state: Mapping[str, Tensor], encoder: Any) -> tuple[DualBranch, MappingLayer]:
    networks, mapping = _new(config, encoder)
    for module, own in ((networks.estimation, estimation_state(state)), (networks.reference, reference_state(state))):
        module.load_state_dict(own)
    return networks, mapping


def _new(config: Mapping[str, Any], encoder: Any) -> tuple[DualBranch, MappingLayer]:
    networks = build_unets(config, device="cpu")
    return networks, MappingLayer(encoder.config.projection_dim, networks.estimation.config.cross_attention_dim)


def _image_encoder(folder: str) -> Any:
    if folder:
        return load_image_encoder(Path(folder), dtype=torch.float32, device=torch.device("cpu"))
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    shape = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1, patch_size=56, projection_dim=16
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same in all processes and after resuming
        encoder: torch.nn.Module = CLIPVisionModelWithProjection(shape)
    return encoder.eval().requires_grad_(False)


def _is_depthlab(folder: Path) -> bool:
    names = (MARKER, "denoising_unet.pth", "denoising_unet.safetensors", "DepthLab")
    return any((folder / name).exists() for name in names)
