"""The variational autoencoder of latent diffusion: pictures and maps to latents and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene_depth.depth.latent.packages import diffusers_class
from scene_depth.depth.latent.state_dicts import (
    find_state_file,
    load_strictly,
    read_state_dict,
    with_current_names,
    write_state_dict,
)
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.json_files import read_json_object

WEIGHTS = "diffusion_pytorch_model"


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """Reads a JSON configuration.

    Raises:
        InputError: If it is missing or no JSON object.
    """
    path = Path(folder) / name
    try:
        return read_json_object(path)
    except InputError as error:
        raise InputError("configuration", f"unreadable ({error.found})", "a JSON object", file=path) from error


def load_vae(folder: str | Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Any:
    """Loads an ``AutoencoderKL`` in evaluation mode, strictly.

    Args:
        folder: Folder of a saved VAE: config.json and diffusion_pytorch_model.safetensors or .bin.
        dtype, device: Of its parameters.

    Raises:
        InputError: If a file is missing or tensors do not fit the configuration.
    """
    folder = Path(folder)
    vae_class = diffusers_class("AutoencoderKL")
    config = read_config(folder)
    path = find_state_file(folder, WEIGHTS)
    with torch.device("meta"):
        vae = vae_class.from_config(config)
    load_strictly(vae, with_current_names(read_state_dict(path)), name="VAE", file=path, dtype=dtype, device=device)
    return vae.eval().requires_grad_(False)


def write_vae(vae: Any, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Writes the autoencoder in the form that ``load_vae`` reads, which is that of diffusers."""
    write_state_dict(folder / f"{WEIGHTS}.safetensors", vae.state_dict(), dtype)
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(vae.to_json_string(), encoding="utf-8")


def pixels_per_latent(vae: Any) -> int:
    """Side of the square of pixels that one latent cell stands for, 8 in Stable Diffusion."""
    levels: int = len(vae.config.block_out_channels)
    return int(2 ** (levels - 1))


def encode(vae: Any, images: Tensor) -> Tensor:
    """Scaled latents: the mean of the posterior (which is its mode) times the scaling factor.

    Args:
        vae: From ``load_vae``.
        images: In [-1, 1]; a single channel is repeated three times  # [B, 1 or 3, H, W]

    Returns:
        Latents in the type of the VAE; sides are rounded down to whole cells  # [B, 4, H / 8, W / 8]
    """
    images = images.to(device=vae.device, dtype=vae.dtype)
    if images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    latents: Tensor = vae.encode(images).latent_dist.mean * vae.config.scaling_factor
    return latents


def decode(vae: Any, latents: Tensor) -> Tensor:
    """Maps of scaled latents: the mean over the decoder's three channels, not clipped.

    Args:
        vae: From ``load_vae``.
        latents: Scaled latents  # [B, 4, h, w]

    Returns:
        Maps, about [-1, 1], in the type of the VAE  # [B, 1, 8 h, 8 w]
    """
    latents = latents.to(device=vae.device, dtype=vae.dtype)
    maps: Tensor = vae.decode(latents / vae.config.scaling_factor).sample.mean(dim=1, keepdim=True)
    return maps


def save_memory(vae: Any, *, slicing: bool = False, tiling: bool = False) -> None:
    """Switches the VAE's own ways to need less memory.

    Args:
        vae: From ``load_vae``.
        slicing: One picture of a batch at a time.
        tiling: Overlapping tiles of large pictures; changes values slightly.
    """
    (vae.enable_slicing if slicing else vae.disable_slicing)()
    (vae.enable_tiling if tiling else vae.disable_tiling)()
