"""The report of a completion, and how several processes share its frames."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError
from scene_depth.io.json_files import read_json_object
from scene_depth.io.json_reports import JsonReport

REPORT = "report.json"


@dataclass(frozen=True)
class CompletionReport(JsonReport):
    """What was done, saved as ``report.json``.

    Attributes:
        settings: The settings in plain values.
        version: Version of this package.
        frames: For each frame done its files, sizes, intrinsics, measures and what the inpainter says.
        failed: Names and reasons of frames that could not be completed.
        planned: Number of frames asked for.
        resumed: Number of frames that were done before.
        seconds: Wall time of this run.
    """

    settings: dict[str, Any]
    version: str
    frames: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    planned: int = 0
    resumed: int = 0
    seconds: float = 0.0


def process_share() -> tuple[int, int]:
    """Number of this process and of all under ``torchrun`` or ``accelerate launch``; (0, 1) otherwise.

    Each process gets a device of its own; models that are loaded later land there.

    Raises:
        InputError: If there are several processes and accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return 0, 1
    state = _state()
    return state.process_index, state.num_processes


def part_path(output: Path, rank: int, processes: int) -> Path:
    """Where a process writes its report."""
    return output / (REPORT if processes == 1 else f"report_{rank}_of_{processes}.json")


def joined(report: CompletionReport, output: Path, rank: int, processes: int) -> CompletionReport:
    """Waits for all processes; the first one gives and writes the report of all, the others give their own.

    Args:
        report: Of this process, already written.
        output: Folder of the reports.
        rank, processes: From ``process_share``.
    """
    if processes == 1:
        return report
    state = _state()
    state.wait_for_everyone()
    if rank:
        return report
    paths = [part_path(output, other, processes) for other in range(processes)]
    parts = [read_json_object(path) for path in paths if path.is_file()]
    whole = CompletionReport(
        report.settings,
        report.version,
        sorted((row for part in parts for row in part["frames"]), key=lambda row: row["name"]),
        {name: reason for part in parts for name, reason in part["failed"].items()},
        report.planned,
        sum(part["resumed"] for part in parts),
        max(part["seconds"] for part in parts),
    )
    whole.save(output / REPORT)
    for path in paths:
        path.unlink(missing_ok=True)
    return whole


def _state() -> Any:
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise InputError(
            "processes", "the package accelerate is not installed", "one process, or scene-depth[diffusion]"
        ) from error
    import torch

    # Without being told so, accelerate takes several processes on a machine without a GPU for single ones.
    return PartialState(cpu=not torch.cuda.is_available())
