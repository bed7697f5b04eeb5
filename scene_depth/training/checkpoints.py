"""What a training keeps: its state in one file, folders of weights; written so that they are never half there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.io.torch_files import BROKEN, read_torch, write_torch
from scene_depth.training.config import MAY_CHANGE

CHECKPOINT = "checkpoint.pt"
VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a training needs to go on; everything random follows from the seed and the step.

    Attributes:
        step: Optimiser steps done.
        config: The whole configuration in plain values.
        model: Weights and buffers.
        optimizer: State of the optimiser.
        average: Weights and buffers of the moving average, or None.
        updates: Updates of the average.
        best: Best score so far, or None.
        seconds: Wall time of all runs so far.
        summed: Losses since the last line of the log, summed over steps, of the first process.
        counted: Number of those steps.
    """

    step: int
    config: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    average: dict[str, Any] | None
    updates: int
    best: float | None
    seconds: float
    summed: dict[str, Tensor] = field(default_factory=dict)
    counted: int = 0


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes ``checkpoint.pt``; the one before stays until the new one is whole."""
    write_torch(folder / CHECKPOINT, {"version": VERSION, **vars(checkpoint)})


def load_checkpoint(folder: Path) -> Checkpoint:
    """Reads ``checkpoint.pt`` of a folder, tensors on the CPU.

    Raises:
        InputError: If there is none, or it is cut short or something else.
    """
    path = folder / CHECKPOINT
    values = read_torch(path, "checkpoint of a training that was begun here")
    try:
        if values.pop("version") != VERSION:
            raise InputError("version", "another one", f"{VERSION}", file=path)
        return Checkpoint(**values)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(
            "checkpoint", f"{type(error).__name__}: {error}", "a whole checkpoint of this program", file=path
        ) from error


def check_same(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Compares the configuration of a checkpoint with the one to go on with.

    Raises:
        InputError: If a value differs that changes what is learnt.
    """
    old, new = _flat(before), _flat(now)
    for key in sorted(old.keys() | new.keys()):
        parent, _, last = key.rpartition(".")
        if parent == "train" and last in MAY_CHANGE:
            continue
        if old.get(key) != new.get(key):
            accepted = f"{old.get(key)!r} as when it was begun, or a new output folder"
            raise InputError(key, repr(new.get(key)), accepted, file=folder / CHECKPOINT)


def _flat(values: Any, place: str = "") -> dict[str, Any]:
    if isinstance(values, dict):
        pairs: Any = values.items()
    elif isinstance(values, (list, tuple)):
        pairs = enumerate(values)
    else:
        return {place: values}
    found: dict[str, Any] = {}
    for key, value in pairs:
        found |= _flat(value, f"{place}.{key}" if place else str(key))
    return found


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Gives a path beside a folder of weights that takes its place when the block ends without an error.

    The path does not exist yet. What a program left that was killed between the two renames is brought to its place first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = folder.with_name(f".{folder.name}-new"), folder.with_name(f".{folder.name}-old")
    _settle(folder, new, old)
    try:
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        _settle(folder, new, old)


def _settle(folder: Path, new: Path, old: Path) -> None:
    if old.exists() and not folder.exists():  # which had made room for the new one
        (new if new.exists() else old).rename(folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
