"""What a training says: its log as JSON lines, pictures, TensorBoard where it is wanted, and its report."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.images import write_image
from scene_depth.io.json_reports import JsonReport, versions
from scene_depth.training.objective import Validation

LOG, PICTURES, EVENTS, REPORT = "log.jsonl", "validation", "tensorboard", "report.json"


@dataclass(frozen=True)
class TrainingReport(JsonReport):
    """What a training did, saved as ``report.json``.

    Attributes:
        model: Name of what was trained.
        config: The whole configuration.
        steps: Optimiser steps done, those before resuming included.
        finished: Whether all steps were done.
        losses: Means of the last line of the log.
        measures: Of the last validation.
        best: Lowest validation score.
        parameters: Number of parameters.
        processes: Number of processes.
        device: Kind of device.
        seconds: Wall time, that before resuming included.
        versions: Of the packages.
    """

    model: str
    config: dict[str, Any]
    steps: int
    finished: bool
    losses: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    parameters: int = 0
    processes: int = 1
    device: str = "cpu"
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=versions)


class TrainingLog:
    """Writes lines as they come; a training that goes on drops the lines after its checkpoint first.

    Args:
        folder: Output folder.
        start: Steps done before.
        tensorboard: Whether to write TensorBoard events.

    Raises:
        InputError: If TensorBoard is wanted and not installed.
    """

    def __init__(self, folder: Path, start: int, tensorboard: bool):
        self.folder = folder
        self.events = _events(folder / EVENTS, start) if tensorboard else None
        _keep_until(folder / LOG, start)

    def losses(self, step: int, values: dict[str, float]) -> None:
        """One line of training."""
        self._line({"step": step, **values})
        if self.events is not None:
            for name, value in values.items():
                self.events.add_scalar(f"training/{name}", value, step)

    def validation(self, step: int, found: Validation) -> None:
        """One line of validation, and its pictures in ``validation/``."""
        for name, picture in found.pictures.items():
            file = re.sub(r"[^\w.-]+", "_", name)
            write_image(self.folder / PICTURES / f"step_{step:07d}_{file}.png", picture)
        self._line({"step": step, "validation": found.measures})  # last: a training that goes on looks for it
        if self.events is not None:
            for name, value in found.measures.items():
                self.events.add_scalar(f"validation/{name}", value, step)
            for name, picture in found.pictures.items():
                self.events.add_image(f"validation/{name}", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Ends the TensorBoard file."""
        if self.events is not None:
            self.events.close()

    def _line(self, values: dict[str, Any]) -> None:
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last line cut short by a crash is left out."""
    path = folder / LOG
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def last_values(folder: Path, step: int) -> tuple[dict[str, float], dict[str, float]]:
    """Losses and measures that stood last in the log by a step."""
    losses, measures = dict[str, float](), dict[str, float]()
    for line in read_log(folder):
        if line.get("step", 0) <= step:
            measures = line.get("validation", measures)
            if "loss" in line:
                losses = {name: value for name, value in line.items() if name not in ("step", "learning_rate", "seconds")}
    return losses, measures


def _keep_until(path: Path, step: int) -> None:
    lines = [line for line in read_log(path.parent) if step and line.get("step", 0) <= step]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _events(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        hint = "pip install tensorboard, or train.tensorboard=false"
        raise InputError("package tensorboard", "not installed", "", hint=hint) from error
    return SummaryWriter(str(folder), purge_step=start + 1 if start else None)
