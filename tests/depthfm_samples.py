"""Tiny random weights of DepthFM in the layout of the official file, and the autoencoder beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

HPARAMS = {
    "image_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 32,
    "attention_resolutions": [2, 1],
    "num_res_blocks": 1,
    "channel_mult": [1, 1, 2],
    "num_head_channels": 16,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "transformer_depth": 1,
    "context_dim": 12,
    "legacy": False,
}


def official_content(seed: int = 0) -> dict[str, Any]:
    """What the official file holds, with random tensors under latent diffusion names."""
    from diffusers import UNet2DConditionModel

    from scene_depth.depth.depthfm.ldm import ldm_names, unet_config

    torch.manual_seed(seed)
    state = UNet2DConditionModel.from_config(unet_config(HPARAMS)).state_dict()
    names = ldm_names(state)
    return {
        "noising_step": 400,
        "empty_text_embedding": torch.randn(1, 7, HPARAMS["context_dim"]),
        "ldm_hparams": dict(HPARAMS),
        "state_dict": {names[name]: value.clone() for name, value in state.items()},
    }


def write_official_file(path: Path) -> dict[str, Any]:
    """Writes the checkpoint; gives what it holds."""
    content = official_content()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return content


def write_vae(folder: Path) -> None:
    """Writes an autoencoder with eight pixels a latent cell."""
    from diffusers import AutoencoderKL

    torch.manual_seed(1)
    AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
    ).save_pretrained(folder)
