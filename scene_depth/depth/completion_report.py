"""What completing depth files reports, and how several processes share the frames and join their reports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from scene_depth.depth.protocol import SeamReport
from scene_depth.errors import InputError
from scene_depth.io.json_files import read_json_object
from scene_depth.io.json_reports import JsonReport

REPORT = "report.json"


@dataclass(frozen=True)
class CompletedFrame(JsonReport):
    """What was done with one frame, saved as ``frames/NAME.json`` and in the report.

    Attributes:
        name: Name of the frame.
        inputs: Files that were read.
        files: Files that were written, below the output folder, by what they hold.
        width, height: Size in pixels.
        known_share: Share of the pixels that were known.
        depth_range: Smallest and largest completed depth.
        mean_uncertainty: Mean relative standard deviation of the filled pixels; None if the inpainter does not tell.
        beyond_format: Number of filled pixels cut off at the largest depth that the file format holds.
        intrinsics: Where the camera comes from.
        seam: The step at the border of the hole; None where nothing is known beside something filled.
        details: What the inpainter says.
        fingerprint: Changes with the settings, the version and the input files.
        scan_points: Number of returns in the scan; None for depth images.
        hidden_pixels: Number of pixels of the scan left out behind what the camera sees; None for depth images.
        unit: Metres of a stored 1.
        unit_source: Where that comes from: an option, a file, or an assumption.
    """

    name: str
    inputs: list[str]
    files: dict[str, str]
    width: int
    height: int
    known_share: float
    depth_range: tuple[float, float]
    mean_uncertainty: float | None
    beyond_format: int
    intrinsics: str
    seam: SeamReport | None
    details: dict[str, Any]
    fingerprint: str
    scan_points: int | None = None
    hidden_pixels: int | None = None
    unit: float = 1.0
    unit_source: str = ""

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> CompletedFrame:
        """The frame of plain values.

        Raises:
            TypeError, KeyError: If they are those of something else.
        """
        seam = content["seam"]
        low, high = content["depth_range"]
        return CompletedFrame(**{**content, "seam": None if seam is None else SeamReport(**seam), "depth_range": (low, high)})


@dataclass(frozen=True)
class CompletionReport(JsonReport):
    """What was done, saved as ``report.json``.

    Attributes:
        settings: The settings in plain values.
        version: Version of this package.
        frames: The frames that are done.
        failed: Names and reasons of frames that could not be completed.
        planned: Number of frames asked for.
        resumed: Number of frames that were done before.
        seconds: Wall time of this run.
        finished: False if the run was stopped before its end.
    """

    settings: dict[str, Any]
    version: str
    frames: list[CompletedFrame] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    planned: int = 0
    resumed: int = 0
    seconds: float = 0.0
    finished: bool = True


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


def join_reports(report: CompletionReport, output: Path, rank: int, processes: int) -> CompletionReport:
    """Waits for all processes; the first one gives and writes the report of all, the others give their own.

    Args:
        report: Report of this process, already written.
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
        sorted((CompletedFrame.from_dict(row) for part in parts for row in part["frames"]), key=lambda frame: frame.name),
        {name: reason for part in parts for name, reason in part["failed"].items()},
        report.planned,
        sum(part["resumed"] for part in parts),
        max(part["seconds"] for part in parts),
        all(part["finished"] for part in parts),
    )
    whole.save(output / REPORT)
    for path in paths:
        path.unlink(missing_ok=True)
    return whole


def _state() -> Any:
    try:
        from accelerate import PartialState
    except ImportError as error:
        hint = "one process, or pip install 'scene-depth[diffusion]'"
        raise InputError("package accelerate", "not installed", "", hint=hint) from error
    # Without being told so, accelerate takes several processes on a machine without a GPU for single ones.
    return PartialState(cpu=not torch.cuda.is_available())
