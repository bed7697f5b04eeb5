"""A tiny inpainting pipeline and a tiny depth ControlNet with random weights, as diffusers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from depthfm_samples import write_vae

SIZES: dict[str, Any] = {"block_out_channels": (8, 16), "layers_per_block": 1, "cross_attention_dim": 12}
BLOCKS: dict[str, Any] = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "attention_head_dim": 4,
    "norm_num_groups": 4,
}
TOKENS = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3}


def write_pipeline(folder: Path) -> Path:
    """Writes an inpainting pipeline of nine channels, as Stable Diffusion's, with eight pixels a latent cell."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    write_vae(folder / "vae")
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=9, out_channels=4, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **BLOCKS, **SIZES
    )
    sizes = {"hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = CLIPTextConfig(vocab_size=len(TOKENS), bos_token_id=0, eos_token_id=1, pad_token_id=1, **sizes)
    StableDiffusionInpaintPipeline(
        vae=AutoencoderKL.from_pretrained(folder / "vae"),
        text_encoder=CLIPTextModel(text),
        tokenizer=_tokenizer(folder / "tokenizer"),
        unet=unet,
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def _tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(TOKENS))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", **special}))
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def write_controlnet(folder: Path, **changes: Any) -> Path:
    """Writes a ControlNet for that pipeline, or with changes for another. What starts as zeros or small in training is large,
    so that the picture counts."""
    from diffusers import ControlNetModel

    torch.manual_seed(1)
    network = ControlNetModel(**{**BLOCKS, **SIZES, "conditioning_embedding_out_channels": (4, 8, 8, 16), **changes})
    picture = network.controlnet_cond_embedding
    into_the_net = (*network.controlnet_down_blocks, network.controlnet_mid_block)
    for layer in (picture.conv_in, *picture.blocks, picture.conv_out, *into_the_net):
        torch.nn.init.normal_(layer.weight)
    network.save_pretrained(folder)
    return folder
