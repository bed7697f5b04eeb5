"""The two ways in which the official code attends.

Without xformers it scales self-attention by sqrt(ln N / ln 4N / d), with N tokens and heads of width d; with xformers,
which its requirements list, by 1 / sqrt(d). Cross-attention is the same in both.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from scene_depth.errors import InputError

AttentionVariant = Literal["plain", "official"]
VARIANTS = ("plain", "official")


class ScaledByTokens:
    """Attention processor of diffusers: self-attention whose scale depends on the number of tokens."""

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        """Args are those of processors of diffusers; ``hidden_states`` # [B, N, C]."""
        query, key, value = (
            layer(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2) for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        tokens, width = query.shape[-2:]
        scale = math.sqrt(math.log(tokens) / math.log(4 * tokens) / width)
        mixed = F.scaled_dot_product_attention(query, key, value, scale=scale)
        for layer in attn.to_out:
            mixed = layer(mixed.transpose(1, 2).flatten(2) if mixed.ndim == 4 else mixed)
        return mixed


def set_attention(unet: Any, variant: AttentionVariant) -> None:
    """Chooses how a U-Net attends.

    Args:
        unet: A ``UNet2DConditionModel``.
        variant: "plain", or "official" for the official code without xformers.

    Raises:
        InputError: If there is no such variant.
    """
    from diffusers.models.attention_processor import AttnProcessor2_0

    if variant not in VARIANTS:
        raise InputError("attention", repr(variant), f"one of {', '.join(VARIANTS)}")
    scaled = variant == "official"
    unet.set_attn_processor(
        {
            name: ScaledByTokens() if scaled and name.endswith("attn1.processor") else AttnProcessor2_0()
            for name in unet.attn_processors
        }
    )
