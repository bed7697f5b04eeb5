"""One of several processes that train DepthLab together: started by torchrun, keeps the weights it ends with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from scene_depth.training.config import read_config
from scene_depth.training.depthlab import DepthLabConfig, DepthLabObjective
from scene_depth.training.loop import train


class Kept(DepthLabObjective):
    """The objective, with its model at hand."""

    def build(self):
        self.model = super().build()
        return self.model


if __name__ == "__main__":
    file, output = map(Path, sys.argv[1:])
    config = read_config(file, DepthLabConfig)
    objective = Kept(config)
    train(objective, config.train, output, whole_config=config)
    torch.save(objective.model.state_dict(), output / f"rank_{os.environ['RANK']}.pt")
