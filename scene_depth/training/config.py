"""What every training can be asked for, whatever it trains; configurations in files and on the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.json_files import read_json_object
from scene_depth.io.json_reports import plain
from scene_depth.io.plain_values import from_plain

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")
OPTIONS = "options"
"""Name of fields that are mappings with keys of any name."""

Schedule = Literal["constant", "cosine", "step"]


@dataclass(frozen=True)
class TrainConfig:
    """Parameters of the training loop.

    Attributes:
        steps: Optimiser steps.
        batch_size: Examples of one optimiser step, over all processes and accumulated parts.
        accumulation: Parts into which each process cuts its share of a batch, run one after the other to save memory.
        optimizer: "adam" or "adamw".
        learning_rate: Before the schedule, for groups of factor 1.
        betas: Of Adam.
        weight_decay: Of Adam or AdamW.
        schedule: "constant", "cosine" (to 0 at the last step) or "step" (times ``decay_factor`` every ``decay_every``).
        decay_every: Steps between the drops of the schedule "step".
        decay_factor: Factor of each drop.
        warmup: Steps over which the learning rate rises linearly from 0.
        max_gradient_norm: Gradients are scaled down to this norm; 0 leaves them as they are.
        average: Decay of the exponential moving average of the weights; 0 keeps none.
        precision: "fp32", or "bf16" for autocast to bfloat16 (weights and optimiser stay in fp32).
        gradient_checkpointing: Compute activations again in the backward pass instead of keeping them.
        seed: Of weights, data, noise and masks.
        workers: Processes that prepare examples; 0 prepares them in this one.
        validate_every: Steps between validations; 0 validates at the end alone.
        checkpoint_every: Steps between checkpoints; 0 writes one at the end alone.
        log_every: Steps between lines of the log, each the mean since the last.
        pictures: Most validation pictures to keep of one validation.
        tensorboard: Write TensorBoard events beside the log.
        device: "auto" (CUDA or MPS where there is one) or "cpu".
    """

    steps: int = 1000
    batch_size: int = 8
    accumulation: int = 1
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    decay_every: int = 1000
    decay_factor: float = 0.5
    warmup: int = 0
    max_gradient_norm: float = 1.0
    average: float = 0.999
    precision: Literal["fp32", "bf16"] = "fp32"
    gradient_checkpointing: bool = False
    seed: int = 0
    workers: int = 0
    validate_every: int = 500
    checkpoint_every: int = 500
    log_every: int = 10
    pictures: int = 4
    tensorboard: bool = False
    device: Literal["auto", "cpu"] = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation", "decay_every", "log_every"):
            self._require(name, getattr(self, name) >= 1, "1 or more")
        for name in ("warmup", "workers", "validate_every", "checkpoint_every", "pictures", "seed"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("weight_decay", "max_gradient_norm"):
            value = getattr(self, name)
            self._require(name, math.isfinite(value) and value >= 0, "a finite number, 0 or more")
        positive = math.isfinite(self.learning_rate) and self.learning_rate > 0
        self._require("learning_rate", positive, "a finite number above 0")
        self._require("decay_factor", 0 < self.decay_factor <= 1, "above 0 and at most 1")
        self._require("average", 0 <= self.average < 1, "0 to below 1")
        self._require("betas", all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to below 1")

    def rate_factor(self, step: int) -> float:
        """Factor of the learning rates at a step, counted from 0."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.schedule == "cosine":
            return rise * 0.5 * (1.0 + math.cos(math.pi * min(step / self.steps, 1.0)))
        if self.schedule == "step":
            return rise * self.decay_factor ** (step // self.decay_every)
        return rise

    def part_size(self, processes: int) -> int:
        """Examples of one forward pass of one process.

        Raises:
            InputError: If the batch cannot be cut evenly.
        """
        parts = processes * self.accumulation
        if self.batch_size % parts:
            found = f"{self.batch_size}, for {processes} processes with {self.accumulation} parts each"
            raise InputError("batch_size", found, f"a multiple of {parts}")
        return self.batch_size // parts

    def _require(self, name: str, good: bool, accepted: str) -> None:
        if not good:
            raise InputError(name, getattr(self, name), accepted)


MAY_CHANGE = frozenset(
    {"steps", "workers", "validate_every", "checkpoint_every", "log_every", "pictures", "tensorboard", "device"}
)
"""Fields of ``TrainConfig`` that may differ when a training goes on from a checkpoint."""


def read_config(path: str | PathLike[str], kind: type[Config]) -> Config:
    """Reads a configuration from JSON; fields that the file leaves out keep their defaults.

    Raises:
        InputError: If the file is no JSON object, or has an unknown key or a value of the wrong type.
    """
    return from_plain(kind, read_json_object(path), file=path)


def write_config(path: str | PathLike[str], config: DataclassInstance) -> None:
    """Writes a dataclass as JSON that ``read_config`` reads again."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(plain(asdict(config)), indent=1) + "\n", encoding="utf-8")


def changed(config: Config, settings: Sequence[str]) -> Config:
    """The configuration with some values replaced.

    Args:
        config: A dataclass.
        settings: ``KEY=VALUE`` with dotted keys ("train.steps=100", "data.0.path=/data"); values are JSON or else text.

    Raises:
        InputError: If a setting has no "=", or its key or value does not fit.
    """
    values = plain(asdict(config))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError("set", repr(setting), "KEY=VALUE, such as train.steps=1000")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        _put(values, key, value)
    return from_plain(type(config), values)


def _put(values: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    inner = values
    for part in path:
        inner = inner[_key_of(inner, part, key)]
    if path[-1:] == [OPTIONS] and isinstance(inner, dict):  # whoever takes the options knows which there are
        inner[last] = value
    else:
        inner[_key_of(inner, last, key)] = value


def _key_of(inner: Any, part: str, key: str) -> Any:
    if isinstance(inner, dict) and part in inner:
        return part
    if isinstance(inner, list) and part.isdigit() and int(part) < len(inner):
        return int(part)
    accepted = ", ".join(inner) if isinstance(inner, dict) else f"a number below {len(inner)}" if isinstance(inner, list) else ""
    raise InputError(f"setting {key}", repr(part), f"one of {accepted}" if accepted else "nothing, this is a plain value")
