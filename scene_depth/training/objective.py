"""What is trained: the one protocol between the loop and every model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Validation:
    """What a validation gives.

    Attributes:
        measures: Numbers by name.
        score: The number that says which weights are best, the lower the better; None if none does.
        pictures: sRGB in [0, 1] by name  # each [H, W, 3]
    """

    measures: dict[str, float]
    score: float | None = None
    pictures: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class Objective(Protocol):
    """A model with its data and its loss.

    Everything random in it follows from the seeds and generators that the loop hands in, never from global state, so
    that an interrupted training goes on as if nothing had happened.
    """

    @property
    def name(self) -> str:
        """Name of the model in reports."""
        ...

    def build(self) -> nn.Module:
        """The module to train, on the CPU in fp32. Its random weights come from torch's global generator, which is seeded.

        For gradient checkpointing it needs a method ``enable_gradient_checkpointing()``.
        """
        ...

    def place(self, device: torch.device) -> None:
        """Moves what is not trained (a frozen VAE) to a device."""
        ...

    def example(self, seed: int, index: int) -> dict[str, Tensor]:
        """One training example of an endless row, the same for the same two numbers; called in worker processes too."""
        ...

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars of one batch: "loss" is minimised, the others are logged.

        Args:
            model: The module, perhaps wrapped for several processes; call it, do not reach into it.
            batch: Stacked examples, on the device of the model.
            generator: On the CPU, whatever the device, so that noise is the same everywhere.
        """
        ...

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups of the optimiser: "params", and optionally "factor" of the learning rate and "weight_decay"."""
        ...

    def validate(self, model: nn.Module, pictures: int) -> Validation:
        """Measures the model (in evaluation mode, not wrapped) on held-out data, always the same.

        Args:
            model: The module or its average.
            pictures: Most pictures to make.
        """
        ...

    def save(self, model: nn.Module, folder: Path) -> None:
        """Writes the weights in the layout that inference loads."""
        ...


def all_parameters(model: nn.Module) -> list[dict[str, Any]]:
    """One group of everything that takes a gradient."""
    return [{"params": [parameter for parameter in model.parameters() if parameter.requires_grad]}]
