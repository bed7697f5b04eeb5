"""A straight line with noise, dropout and a batch statistic: small, but with everything that a resumed run could get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from scene_depth.depth.completion_report import process_share
from scene_depth.training.config import TrainConfig
from scene_depth.training.loop import train
from scene_depth.training.objective import Objective, Validation


class Line(nn.Module):
    """y = a x + b behind dropout."""

    def __init__(self, dropout: float):
        super().__init__()
        self.layer, self.dropout = nn.Linear(2, 1), nn.Dropout(dropout)
        self.checkpointing = False

    def enable_gradient_checkpointing(self) -> None:
        self.checkpointing = True

    def forward(self, x):
        return self.layer(self.dropout(x))


class ToyObjective(Objective):
    """Learns y = 3 x_0 - x_1 + 1."""

    name = "toy"

    def __init__(self, noise: float = 0.1, dropout: float = 0.1, poison: int = -1):
        self.noise, self.dropout, self.poison = noise, dropout, poison
        self.asked: list[int] = []
        self.saved = 0

    def build(self):
        return Line(self.dropout)

    def example(self, seed, index):
        self.asked.append(index)
        x = torch.from_numpy(np.random.default_rng((seed, index)).normal(size=2).astype(np.float32))
        return {"x": x, "y": torch.tensor([3 * x[0] - x[1] + 1 if index != self.poison else np.nan])}

    def loss(self, model, batch, generator):
        noise = self.noise * torch.randn(batch["y"].shape, generator=generator)
        error = (model(batch["x"]) - batch["y"] - noise.to(batch["y"])).square().mean()
        return {"loss": error, "twice": 2 * error}

    def validate(self, model, pictures):
        x = torch.eye(2)
        error = float((model(x) - torch.tensor([[4.0], [0.0]])).abs().mean())
        shown = {"flat / picture": np.full((4, 6, 3), 0.5, np.float32)} if pictures else {}
        return Validation({"error": error}, error, shown)

    def save(self, model, folder: Path):
        self.saved += 1
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), folder / "line.pt")


def toy_config(**changes) -> TrainConfig:
    values = {
        "steps": 12,
        "batch_size": 4,
        "learning_rate": 0.05,
        "average": 0.9,
        "validate_every": 0,
        "checkpoint_every": 0,
        "log_every": 1,
        "device": "cpu",
    }
    return TrainConfig(**(values | changes))


if __name__ == "__main__":  # one of several processes, started by torchrun
    import os
    import sys

    folder = Path(sys.argv[1])
    objective = ToyObjective(noise=0.0, dropout=0.0)
    kept = []
    objective.build = lambda: kept.append(Line(0.0)) or kept[-1]  # type: ignore[method-assign]
    train(objective, toy_config(accumulation=2, batch_size=8, device=sys.argv[2]), folder / "run")
    rank = os.environ["RANK"]
    assert process_share() == (int(rank), 2)  # of a completion, which shares frames the same way
    torch.save({"weights": kept[0].state_dict(), "asked": objective.asked}, folder / f"rank_{rank}.pt")
