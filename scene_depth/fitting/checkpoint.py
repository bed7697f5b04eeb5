"""Where a fit stands, kept in a file from which it goes on as if it had never stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.fitting.config import SettledConfig
from scene_depth.io.torch_files import read_torch, write_torch

FORMAT = 2


@dataclass(frozen=True)
class FitState:
    """Everything that the next step depends on, besides the scene. Randomness needs nothing here: every draw is decided
    by the seed and the step.

    Attributes:
        step: Steps done.
        seed: Seed of the fit.
        config: Parameters of the fit.
        views: Names of the views, in order.
        trainable: Parameters and optimizer memory, as ``save_parameters`` gives them.
        density: What density control remembers.
        cameras: Refinement of cameras and its optimizers' memory, likewise; empty without.
        losses: Losses of the last steps, for the report.
        seconds: Wall time so far.
        cpu_seconds: Process time so far.
        frozen_sha256: Hash of the frozen splats, if there are any.
    """

    step: int
    seed: int
    config: SettledConfig
    views: tuple[str, ...]
    trainable: dict[str, dict[str, Tensor]]
    density: dict[str, Any]
    cameras: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    frozen_sha256: str | None = None


def save_state(path: str | os.PathLike[str], state: FitState) -> None:
    """Writes a state, whole or not at all."""
    content = {**state.__dict__, "config": state.config.as_dict(), "views": list(state.views), "losses": list(state.losses)}
    write_torch(path, {"format": FORMAT, **content})


def load_state(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> FitState:
    """Reads a state; only tensors and plain values are accepted, so that a file cannot run code.

    Raises:
        InputError: If the file is missing, is not a state or comes from another format.
    """
    content = read_torch(path, "checkpoint that a fit wrote", device=device)
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != FORMAT:
        accepted = f"format {FORMAT}; a fit of another version cannot go on, start it anew without --resume"
        raise InputError("checkpoint", f"another format ({found})", accepted, file=path)
    try:
        config = SettledConfig.from_dict(content["config"])
        return FitState(**{**content, "config": config, "views": tuple(content["views"]), "losses": tuple(content["losses"])})
    except (TypeError, KeyError) as error:
        raise InputError("checkpoint", f"other fields ({error})", "a checkpoint of this version", file=path) from error


def check_same_fit(state: FitState, config: SettledConfig, seed: int, views: tuple[str, ...], frozen_sha256: str | None) -> None:
    """Refuses to go on with a fit of something else.

    Raises:
        InputError: Naming the first difference.
    """
    for entry in fields(config):
        name, stored, asked = entry.name, getattr(state.config, entry.name), getattr(config, entry.name)
        if stored != asked:
            raise InputError(f"resume: {name}", asked, f"{stored!r}, as the stopped fit had")
    pairs = (("seed", seed, state.seed), ("views", views, state.views), ("frozen splats", frozen_sha256, state.frozen_sha256))
    for name, found, expected in pairs:
        if found != expected:
            raise InputError(
                f"resume: {name}", "not those of the stopped fit", "the scene, split, seed and frozen splats that it had"
            )
