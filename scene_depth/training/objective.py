"""What is trained: the one protocol between the loop and every model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.streams import (
    FrameStream,
    SourceConfig,
    ViewConfig,
    drawn_view,
    open_stream,
    procedural_source,
    training_view,
)
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import DepthErrors
from scene_depth.training.config import TrainConfig

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
        """Moves what is not trained (a frozen VAE) to a device; by default there is nothing."""
        return

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
        """Parameter groups of the optimiser: "params", and optionally "factor" of the learning rate and "weight_decay".

        By default one group of everything that takes a gradient.
        """
        return [{"params": [parameter for parameter in model.parameters() if parameter.requires_grad]}]

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


@dataclass(frozen=True)
class FrameConfig:
    """Frames of a training and its loop; the configurations of trainings on views of frames add their own fields.

    Attributes:
        data: Sources of training frames.
        held_out: Sources of validation frames.
        held_out_count: Number of validation frames.
        view: Size and window of the examples.
        train: Parameters of the loop.
    """

    data: tuple[SourceConfig, ...] = (SourceConfig(),)
    held_out: tuple[SourceConfig, ...] = (procedural_source(seed=2, count=24),)
    held_out_count: int = 24
    view: ViewConfig = field(default_factory=ViewConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.held_out_count < 1:
            raise InputError("held_out_count", self.held_out_count, "1 or more")


Config = TypeVar("Config", bound=FrameConfig)


class FrameObjective(Objective, Generic[Config]):
    """An objective whose examples are views of frames."""

    def __init__(self, config: Config):
        self.config = config
        self.stream: FrameStream = open_stream(config.data)
        self.held_out = [source for entry in config.held_out for source in entry.frames()][: config.held_out_count]

    def example(self, seed: int, index: int) -> dict[str, Tensor]:
        """The example of a view drawn from the stream."""
        rng = np.random.default_rng((seed, 2, index))
        return self.example_of(drawn_view(self.stream, seed, index, self.config.view, rng), rng)

    @abstractmethod
    def example_of(self, view: DepthFrame, rng: np.random.Generator) -> dict[str, Tensor]:
        """What the network learns from of a view, by name; maps are (C, H, W)."""

    def held_out_views(self) -> Iterator[tuple[int, DepthFrame]]:
        """The validation views with their numbers, always the same."""
        for number, source in enumerate(self.held_out):
            yield number, training_view(source.load(), self.config.view, None)


def with_tiny_frames(config: Config, train: TrainConfig, width: int = 64, height: int = 48, held_out: int = 2) -> Config:
    """The configuration with a few small procedural frames, for presets that are tried in seconds."""
    options = {"width": width, "height": height, "samples": 1}
    return replace(
        config,
        data=(procedural_source(count=12, **options),),
        held_out=(procedural_source(seed=2, count=held_out, **options),),
        view=ViewConfig(width=width, height=height),
        train=train,
    )


def as_map(values: NDArray[np.floating] | NDArray[np.bool_]) -> Tensor:
    """# [H, W] -> [1, H, W]"""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None]


def mean_errors(rows: Sequence[DepthErrors], names: Sequence[str]) -> dict[str, float]:
    """Means of some errors over frames; nothing without a frame."""
    return {name: float(np.mean([getattr(row, name) for row in rows])) for name in names if rows}


def derived_seed(*numbers: int) -> int:
    """A seed from numbers, well mixed and the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
