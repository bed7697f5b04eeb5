"""Reference features: the self-attention of one UNet also looks at what another UNet saw in the picture.

Both UNets have the same transformer blocks. Let n be the hidden states after a block's first norm. The reference pass
stores its n; the estimation pass computes n + Attn(Q(n), K([n; n_ref]), V([n; n_ref])) with the stored one of the block
of the same name (DepthLab, section 3.2). The store is a value of one call, handed down as an attention keyword, so that
calls in several threads on the same networks do not mix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SELF_ATTENTION = ".attn1.processor"


@dataclass
class FeatureBank:
    """What one reference pass stored, for all steps of one call.

    Attributes:
        half: Round stored features to fp16, as the official code does whatever it runs in.
        plain_rows: Leading rows of the estimation batch that attend to themselves alone (the unconditional ones).
        features: Hidden states by the name of the transformer block  # [B, tokens, C]
        projected: Their keys and values in the estimation UNet, which are the same at every step.
    """

    half: bool = False
    plain_rows: int = 0
    features: dict[str, Tensor] = field(default_factory=dict)
    projected: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def write(self, name: str, hidden_states: Tensor) -> None:
        """Stores the features of a block."""
        self.features[name] = hidden_states.to(torch.float16).to(hidden_states.dtype) if self.half else hidden_states

    def keys_and_values(self, name: str, attn: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of the stored features  # [B, tokens, C] each

        Without gradients they are computed at the first step and the features let go; a backward pass that recomputes
        blocks needs the same operations every time.
        """
        if name in self.projected:
            return self.projected[name]
        features = self.features[name]
        pair = attn.to_k(features), attn.to_v(features)
        if not torch.is_grad_enabled():
            self.projected[name] = pair
            del self.features[name]
        return pair


class CrossAttention:
    """Processor of both UNets for the attention to the picture's embedding; takes the bank along and leaves it alone.

    Args:
        name: Name of the transformer block, for the processors of its self-attention.
        query_slice: Queries attended at once; 0 for all.
    """

    def __init__(self, name: str, query_slice: int = 0):
        self.name, self.query_slice = name, query_slice

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        bank: FeatureBank | None = None,
    ) -> Tensor:
        if encoder_hidden_states is not None:
            return attend(attn, hidden_states, encoder_hidden_states, self.query_slice)
        if bank is not None:
            return self.attend_with(bank, attn, hidden_states)
        return attend(attn, hidden_states, hidden_states, self.query_slice)

    def attend_with(self, bank: FeatureBank, attn: Any, hidden_states: Tensor) -> Tensor:
        """Self-attention where there is a bank."""
        return attend(attn, hidden_states, hidden_states, self.query_slice)


class WritingAttention(CrossAttention):
    """Processor of the reference UNet: self-attention as usual, its input stored in the bank."""

    def attend_with(self, bank: FeatureBank, attn: Any, hidden_states: Tensor) -> Tensor:
        bank.write(self.name, hidden_states)
        return attend(attn, hidden_states, hidden_states, self.query_slice)


class ReadingAttention(CrossAttention):
    """Processor of the estimation UNet: self-attention over its own tokens and the stored ones."""

    def attend_with(self, bank: FeatureBank, attn: Any, hidden_states: Tensor) -> Tensor:
        plain, reading = hidden_states[: bank.plain_rows], hidden_states[bank.plain_rows :]
        result = attend(attn, reading, reading, self.query_slice, bank.keys_and_values(self.name, attn))
        if bank.plain_rows == 0:
            return result
        return torch.cat([attend(attn, plain, plain, self.query_slice), result])


def attend(
    attn: Any, hidden_states: Tensor, source: Tensor, query_slice: int = 0, further: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Scaled dot-product attention with the projections of a diffusers ``Attention`` layer of a transformer block.

    Args:
        attn: The layer.
        hidden_states: Where queries come from  # [B, tokens, C]
        source: Where keys and values come from  # [B, tokens', C']
        query_slice: Queries attended at once; 0 for all.
        further: More keys and values, for B / b rows in turn each  # [b, tokens'', C]

    Returns:
        # [B, tokens, C]
    """
    query, key, value = attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source)
    if further is not None:
        repeats = len(key) // len(further[0])
        key = torch.cat([key, further[0].repeat_interleave(repeats, dim=0)], dim=1)
        value = torch.cat([value, further[1].repeat_interleave(repeats, dim=0)], dim=1)
    query, key, value = (_heads(one, attn.heads) for one in (query, key, value))
    slices = torch.split(query, query_slice, dim=2) if query_slice else (query,)
    parts = [F.scaled_dot_product_attention(part, key, value) for part in slices]
    result = (parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)).transpose(1, 2).flatten(2)
    mixed: Tensor = attn.to_out[1](attn.to_out[0](result))
    return mixed


def _heads(values: Tensor, heads: int) -> Tensor:
    """# [B, tokens, C] -> [B, heads, tokens, C / heads]"""
    return values.reshape(*values.shape[:2], heads, -1).transpose(1, 2)


def connect(estimation: Any, reference: Any, query_slice: int = 0) -> None:
    """Gives both UNets their processors; blocks pair by their names.

    Args:
        estimation, reference: ``UNet2DConditionModel`` with the same transformer blocks.
        query_slice: Queries attended at once, to save memory; 0 for all.
    """
    for unet, own in ((estimation, ReadingAttention), (reference, WritingAttention)):
        kinds = {name: own if name.endswith(SELF_ATTENTION) else CrossAttention for name in unet.attn_processors}
        unet.set_attn_processor({name: kind(name.removesuffix(SELF_ATTENTION), query_slice) for name, kind in kinds.items()})
