"""What a training did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scene_depth.io.json_reports import JsonReport, versions

REPORT = "report.json"


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
