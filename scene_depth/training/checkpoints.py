"""What a training keeps: its state in one file, folders of weights; written so that they are never half there."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.input_files import check_input_file
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
    """

    step: int
    config: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    average: dict[str, Any] | None
    updates: int
    best: float | None
    seconds: float


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes ``checkpoint.pt``; the one before stays until the new one is whole."""
    with atomic_path(folder / CHECKPOINT) as path:
        torch.save({"version": VERSION, **vars(checkpoint)}, path)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Reads ``checkpoint.pt`` of a folder, tensors on the CPU.

    Raises:
        InputError: If there is none, or it is cut short or something else.
    """
    path = check_input_file(folder / CHECKPOINT, "the checkpoint of a training that was begun here")
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        if values.pop("version") != VERSION:
            raise InputError("version", "another one", f"{VERSION}", file=path)
        return Checkpoint(**values)
    except InputError:
        raise
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, EOFError, OSError, pickle.UnpicklingError) as error:
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

    The path does not exist yet. If the program is killed between the two renames, the new weights lie in ``.NAME-new``.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = folder.with_name(f".{folder.name}-new"), folder.with_name(f".{folder.name}-old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
