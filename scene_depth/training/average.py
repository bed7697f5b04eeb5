"""Exponential moving average of a module's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """A second module whose weights follow those of the first; all processes keep the same one.

    Args:
        model: The module that is trained, not wrapped.
        decay: Of the average once it has run in; at update n it is at most (1 + n) / (10 + n), so that the random start
            does not linger.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.module = copy.deepcopy(model).eval()
        self.module.requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the present weights; buffers are copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        trained = dict(model.named_parameters())
        for name, mean in self.module.named_parameters():
            now = trained[name].detach()
            if trained[name].requires_grad:
                mean.lerp_(now.to(mean.dtype), 1 - decay)
            else:
                mean.copy_(now)
        for buffer, latest in zip(self.module.buffers(), model.buffers(), strict=True):
            buffer.copy_(latest)
