"""The examples of a training in their order, for every process and from any step on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from scene_depth.training.config import TrainConfig
from scene_depth.training.objective import Objective


class _Examples(Dataset[dict[str, Tensor]]):
    """The endless row of examples as a data set that workers can read."""

    def __init__(self, objective: Objective, seed: int):
        self.objective, self.seed = objective, seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.objective.example(self.seed, index)


def part_indices(config: TrainConfig, start: int, rank: int, processes: int) -> Iterator[list[int]]:
    """Numbers of the examples of each forward pass of one process, from step ``start`` to the last.

    Step n takes examples n B to (n + 1) B - 1, whatever the number of processes and parts.
    """
    size = config.part_size(processes)
    for step in range(start, config.steps):
        first = step * config.batch_size + rank * config.accumulation * size
        for part in range(config.accumulation):
            yield list(range(first + part * size, first + (part + 1) * size))


def batches(objective: Objective, config: TrainConfig, start: int, rank: int, processes: int) -> Iterator[dict[str, Tensor]]:
    """The batches of those examples, in order, on the CPU."""
    loader = DataLoader(
        _Examples(objective, config.seed),
        batch_sampler=_Listed(config, start, rank, processes),
        num_workers=config.workers,
        generator=torch.Generator().manual_seed(0),  # or it would draw from the global generator
        persistent_workers=False,
        multiprocessing_context="spawn" if config.workers else None,  # threads of the parent do not survive a fork
    )
    return iter(loader)


class _Listed(torch.utils.data.Sampler[list[int]]):
    def __init__(self, config: TrainConfig, start: int, rank: int, processes: int):
        self.arguments = (config, start, rank, processes)

    def __iter__(self) -> Iterator[list[int]]:
        return part_indices(*self.arguments)

    def __len__(self) -> int:
        config, start, _, _ = self.arguments
        return (config.steps - start) * config.accumulation


def derived_seed(*numbers: int) -> int:
    """A seed from numbers, well mixed and the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
