"""Tiny DepthLab weights in the official layout, written by the libraries that write the real ones, and a view."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

UNET = {
    "sample_size": 16,
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": [8, 16, 16, 16],
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 1,
    "cross_attention_dim": 12,
    "attention_head_dim": [2, 4, 4, 4],
    "norm_num_groups": 4,
    "use_linear_projection": True,
}
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
    "timestep_spacing": "leading",
}
TOKENS = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3}


def write_official(root: Path) -> Path:
    """The folders that the official instructions ask for, with random weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    marigold, own = root / "marigold-depth-v1-0", root / "DepthLab"
    own.mkdir(parents=True)
    estimation = UNet2DConditionModel(**{**UNET, "in_channels": 12}).state_dict()
    reference = UNet2DConditionModel(**{**UNET, "in_channels": 4}).state_dict()
    reference = {key: value for key, value in reference.items() if not key.startswith(("conv_norm_out", "conv_out"))}
    torch.save(estimation, own / "denoising_unet.pth")
    torch.save(reference, own / "reference_unet.pth")
    torch.save(
        {"mapping_layer.weight": torch.randn(12, 10), "mapping_layer.bias": torch.randn(12)},
        own / "mapping_layer.pth",
    )
    write_json(marigold / "unet/config.json", {"_class_name": "UNet2DConditionModel", **UNET})
    write_json(marigold / "scheduler/scheduler_config.json", SCHEDULER)
    AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=2,
        latent_channels=4,
    ).save_pretrained(marigold / "vae")
    text = CLIPTextConfig(vocab_size=4, hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    text.bos_token_id, text.eos_token_id, text.pad_token_id = 0, 1, 1
    CLIPTextModel(text).save_pretrained(marigold / "text_encoder")
    write_json(marigold / "tokenizer/vocab.json", TOKENS)
    (marigold / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    write_json(marigold / "tokenizer/special_tokens_map.json", special)
    write_json(marigold / "tokenizer/tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", **special})
    vision = CLIPVisionConfig(
        hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, patch_size=56, projection_dim=10
    )
    CLIPVisionModelWithProjection(vision).save_pretrained(root / "CLIP-ViT-H-14-laion2B-s32B-b79K")
    return root


def write_json(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def a_view(height: int = 72, width: int = 96, seed: int = 0):
    """A slanted floor with a box, a picture of noise, a hole in the middle: rgb, depth, known."""
    y, x = np.mgrid[:height, :width]
    depth = (2 + 0.01 * x + 0.02 * y - 0.5 * ((abs(x - width / 2) < width / 5) & (y > height / 2))).astype(np.float32)
    rng = np.random.default_rng(seed)
    known = ~((abs(x - width / 2) < width / 4) & (abs(y - height / 2) < height / 4))
    return rng.random((height, width, 3)).astype(np.float32), depth, known
