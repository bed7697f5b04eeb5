"""Low-rank adaptation (Hu et al. 2022) of attention layers: y = W x + (alpha / r) B A x, with W frozen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


class LowRankLinear(nn.Module):
    """A linear layer whose weights stay and get a trained low-rank part; it starts as the layer itself.

    Args:
        layer: The layer.
        rank: Rank r of the addition.
    """

    def __init__(self, layer: nn.Linear, rank: int):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.normal_(self.down.weight, std=1 / rank)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.up(self.down(x))

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
            _replace(model, name, LowRankLinear(layer, rank))
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


def _replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)
