"""What a training did."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scene_depth.io.atomic import atomic_path

REPORT = "report.json"


@dataclass(frozen=True)
class TrainingReport:
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
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self), indent=1)

    def save(self, folder: Path) -> None:
        """Writes ``report.json``."""
        with atomic_path(folder / REPORT) as path:
            path.write_text(self.to_json() + "\n", encoding="utf-8")


def package_version(name: str) -> str:
    """Version of an installed package, or "unknown"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
