"""Small trainings that are kept on disk: data, weights and measures of ``benchmarks.training_trends``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.streams import ViewConfig, procedural_source, training_view
from scene_depth.training.checkpoints import CHECKPOINT, load_checkpoint
from scene_depth.training.config import TrainConfig
from scene_depth.training.latent import UNetShape, VaeShape
from scene_depth.training.log import REPORT, read_log
from scene_depth.training.loop import WEIGHTS, train
from scene_depth.training.registry import Training
from scene_depth.work import Progress

SIDE = 64
"""Width and height of the views in pixels, the least that the latent models take."""
SMALL_UNET = UNetShape(channels=(32, 64), layers=1, head_channels=16, context=16, groups=8)
SMALL_VAE = VaeShape(channels=(8, 16, 16), layers=1, groups=4)


@dataclass(frozen=True)
class Setting:
    """What all trainings of a run share.

    Attributes:
        output: Folder of the trainings and of ``measures.jsonl``.
        steps: Optimiser steps of each training.
        vae_steps: Of the autoencoder.
        seeds: Seeds of the trainings that are repeated.
        batch: Examples a step.
        frames: Training frames.
        held_out: Frames that are measured, of other worlds.
        size: Width and height at which frames are rendered.
        cache: Folder of rendered frames; "" for the user's.
        shape: Of the latent models' U-Nets.
        vae: Shape of their autoencoder.
        width: Channels of the auxiliary network.
        variants: How many of DepthFM's variants are trained, in their order.
        steps_measured: Most steps of a sampler that are measured.
    """

    output: Path
    steps: int = 400
    vae_steps: int = 800
    seeds: int = 3
    batch: int = 4
    frames: int = 1880
    held_out: int = 24
    size: tuple[int, int] = (160, 120)
    cache: str = ""
    shape: UNetShape = SMALL_UNET
    vae: VaeShape = SMALL_VAE
    width: int = 4
    variants: int = 5
    steps_measured: int = 50

    @property
    def data(self) -> dict[str, Any]:
        """Fields of every configuration: sources of frames and the view."""
        width, height = self.size
        samples = 4 if width > SIDE else 1
        options = {"width": width, "height": height, "samples": samples, "cache": self.cache}
        return {
            "data": (procedural_source(count=self.frames, **options),),
            "held_out": (procedural_source(seed=2, count=max(39, self.held_out), **options),),
            "held_out_count": self.held_out,
            "view": ViewConfig(width=SIDE, height=SIDE),
        }

    def train(self, rate: float, seed: int = 0, validations: int = 0, **changes: Any) -> TrainConfig:
        """Parameters of the loop: Adam with a cosine schedule and an average that forgets the start.

        Args:
            rate: Learning rate.
            seed: Of weights, data and noise.
            validations: How many, evenly over the steps, beside that of the start; 0 for one at the end alone.
            changes: Further fields.
        """
        given: dict[str, Any] = {
            "steps": self.steps,
            "batch_size": self.batch,
            "learning_rate": rate,
            "schedule": "cosine",
            "warmup": min(20, self.steps),
            "average": 0.98,
            "seed": seed,
            "validate_every": max(1, -(-self.steps // validations)) if validations else 0,
            "checkpoint_every": 100,
            "log_every": max(1, self.steps // 20),
            "pictures": 0,
            "device": "cpu",
        }
        return TrainConfig(**(given | changes))

    @property
    def budget(self) -> str:
        """In words."""
        return f"batch {self.batch}, {self.frames} procedural frames, views of {SIDE}x{SIDE}, {self.held_out} held-out frames"


def trained(setting: Setting, name: str, training: Training, config: Any) -> Path:
    """The folder of a training, which is begun, gone on with, or found finished.

    Args:
        setting: Where.
        name: Of the folder.
        training: What is trained.
        config: Its configuration.
    """
    folder = setting.output / f"{name}_{config.train.steps}"
    report = folder / REPORT
    if report.is_file() and json.loads(report.read_text(encoding="utf-8"))["finished"]:
        return folder

    def tell(now: Progress) -> None:
        if now.measures:
            print(f"{name} {now.done}/{now.total} loss {now.measures['loss']:.4f}", file=sys.stderr, flush=True)

    resume = (folder / CHECKPOINT).is_file()
    train(training.make(config), config.train, folder, whole_config=config, resume=resume, on_progress=tell)
    return folder


def averaged(objective: Any, folder: Path) -> nn.Module:
    """The averaged weights of a training, to be measured."""
    model: nn.Module = objective.build()
    checkpoint = load_checkpoint(folder)
    model.load_state_dict(checkpoint.average or checkpoint.model)
    return model.eval().requires_grad_(False)


def seconds_of(folder: Path) -> float:
    """Wall time of a training, its validations included."""
    return float(json.loads((folder / REPORT).read_text(encoding="utf-8"))["seconds"])


def weights_of(folder: Path) -> Path:
    """What inference loads."""
    return folder / WEIGHTS


def curve(folder: Path) -> list[tuple[int, Mapping[str, float]]]:
    """The validations of a training by step."""
    return [(int(line["step"]), line["validation"]) for line in read_log(folder) if "validation" in line]


def measured(setting: Setting, key: str, measure: Callable[[], Mapping[str, float]]) -> Mapping[str, float]:
    """Numbers that are computed once and then read from ``measures.jsonl``.

    Args:
        setting: Where.
        key: Of the numbers.
        measure: Computes them.
    """
    path = setting.output / "measures.jsonl"
    key = f"{key}, {setting.steps} steps, {setting.held_out} frames"
    known = _journal(path)
    if key not in known:
        with torch.no_grad():
            known[key] = dict(measure())
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "values": known[key]}) + "\n")
        print(f"{key}: {known[key]}", file=sys.stderr, flush=True)
    return known[key]


def _journal(path: Path) -> dict[str, dict[str, float]]:
    """What was measured before; a last line cut short is left out."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[entry["key"]] = entry["values"]
    return found


def views(objective: Any) -> Iterator[tuple[int, DepthFrame]]:
    """The held-out views of an objective, as it validates on them."""
    for number, source in enumerate(objective.held_out):
        yield number, training_view(source.load(), objective.config.view, None)


def percent(value: float) -> str:
    """A ratio in percent."""
    return f"{100 * value:.2f}"


def spread(values: Iterable[float], digits: int = 2, factor: float = 100.0) -> str:
    """Mean and, of several, sample standard deviation, in percent."""
    listed = factor * np.asarray(list(values), dtype=np.float64)
    mean = f"{listed.mean():.{digits}f}"
    return f"{mean} ± {listed.std(ddof=1):.{digits}f}" if len(listed) > 1 else mean
