"""``scene-depth eval``: measures."""

from __future__ import annotations

import json as json_module
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from scene_depth.cli.eval_scene import SceneEvaluation
from scene_depth.cli.progress import watch_progress
from scene_depth.datasets.frames import FrameSource, find_frames
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_fit import Freedom
from scene_depth.evaluation.depth_report import DepthReport, report_of
from scene_depth.evaluation.depth_rows import FitOptions
from scene_depth.evaluation.depth_runs import DepthRun, DepthSettings, run_depth
from scene_depth.evaluation.depth_tables import report_tables
from scene_depth.io.atomic import atomic_path, check_writable
from scene_depth.options import with_options

JOURNAL, REPORT = "rows.jsonl", "report.json"


@dataclass(frozen=True)
class Depth:
    """Measure depth inpainters on RGB-D frames with truth.

    Ctrl-C keeps what is done and prints it; with --output the same command goes on from there.
    """

    data: Annotated[Path, tyro.conf.Positional]
    """Folder of frames (frames.json, NYUv2, KITTI, DIODE, ETH3D, ScanNet, rgb/ and depth/), one frame, or NYUv2's .mat file."""
    inpainter: tuple[str, ...] = ("solver",)
    """Names of depth inpainters, to be compared; with parameters as in depthlab[num_inference_steps=10]."""
    inpainter_options: tuple[str, ...] = ()
    """Parameters of all of them as KEY=VALUE, such as weights=FOLDER."""
    protocol: str = "standard"
    """What is hidden and where errors are counted: standard, holes, depthlab-masks, depthlab-known-share, nyu500, kitti."""
    masks: tuple[str, ...] = ()
    """Masks in place of the protocol's: rand10, patch30, points500, nyu500, lidar64, silhouette, segment, rect, outpaint, sensor,
    strokes, circles, squares, mixture, sparse, object, native, input:NAME, ..."""
    frames: tuple[str, ...] = ()
    """Names of frames to take, with * and ? as wildcards; all by default."""
    roles: tuple[str, ...] = ("eval",)
    """Roles of frames to take where the data set has them and no --frames are named."""
    limit: int | None = None
    """Take only the first frames."""
    layout: str = "auto"
    """Layout of the data, if it is not to be found out."""
    max_size: int | None = None
    """Longer side to which larger frames are reduced, in pixels."""
    prior: Literal["none", "simulated", "frame"] = "none"
    """Monocular prior for inpainters that take one: made from the truth with 6 % smooth error, or what came with a frame."""
    fit: Literal["none", "linear", "inverse", "log"] = "none"
    """Fit predictions to the truth in that space before measuring, for methods without scale."""
    fit_freedom: Freedom = "scale-shift"
    """What the fit may change."""
    fit_robust: bool = False
    """Let the fit withstand outliers."""
    processes: int | None = None
    """Number of processes of one thread each; one for each core by default. 0: in this process, with its threads."""
    output: Path | None = None
    """Folder for report.json, and for the rows from which an interrupted or repeated run goes on."""
    fresh: bool = False
    """Compute everything anew, also what --output already holds."""
    json: bool = False
    """Print the report as JSON instead of tables."""

    def run(self) -> None:
        """Runs the command."""
        settings = DepthSettings(
            inpainters=tuple(dict.fromkeys(with_options(name, self.inpainter_options) for name in self.inpainter)),
            protocol=self.protocol,
            masks=tuple(dict.fromkeys(self.masks)),
            prior=self.prior,
            fit=FitOptions(self.fit, self.fit_freedom, self.fit_robust),
            max_size=self.max_size,
        )
        settings.check()
        sources = chosen_frames(find_frames(self.data, self.layout), self.frames, self.roles, self.limit)
        journal = self._journal()
        run = _with_progress(sources, settings, self.processes, journal)
        report = report_of(run)
        if self.output is not None:
            with atomic_path(self.output / REPORT) as path:
                path.write_text(json_module.dumps(report.to_json(), allow_nan=False), encoding="utf-8")
        self._show(report)
        if run.interrupted:
            raise KeyboardInterrupt

    def _journal(self) -> Path | None:
        if self.output is None:
            return None
        check_writable(self.output)
        journal = self.output / JOURNAL
        if self.fresh:
            journal.unlink(missing_ok=True)
        return journal

    def _show(self, report: DepthReport) -> None:
        if self.json:
            print(json_module.dumps(report.to_json(), allow_nan=False))
            return
        console = Console(width=None if sys.stdout.isatty() else 220)
        console.print(report_tables(report))
        for mask, names in report.skipped.items():
            console.print(f"{mask}: not for {', '.join(names)} (the frame lacks what the mask needs)", highlight=False)
        for row in report.rows:
            if row.failure is not None:
                console.print(f"failed: {row.frame}, {row.mask}, {row.inpainter}: {row.failure}", style="red", highlight=False)
        if not report.complete:
            console.print(f"incomplete: {len(report.rows)} of {report.planned} rows", style="yellow")


def chosen_frames(
    sources: list[FrameSource], names: tuple[str, ...], roles: tuple[str, ...], limit: int | None
) -> list[FrameSource]:
    """The frames of those names, or without names those of those roles; at most ``limit``.

    Raises:
        InputError: If a name fits no frame, or nothing is left.
    """
    if limit is not None and limit < 1:
        raise InputError("limit", limit, "at least 1")
    for name in names:
        if not any(fnmatchcase(source.name, name) for source in sources):
            known = [source.name for source in sources]
            shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
            raise InputError("frames", repr(name), f"one of {shown}")
    if names:
        chosen = [source for source in sources if any(fnmatchcase(source.name, name) for name in names)]
    else:
        chosen = [source for source in sources if source.role in roles]
    if not chosen:
        found = ", ".join(sorted({source.role for source in sources}))
        raise InputError("roles", ", ".join(roles), f"a role that frames of this data set have: {found}")
    return chosen[:limit]


def _with_progress(sources: list[FrameSource], settings: DepthSettings, processes: int | None, journal: Path | None) -> DepthRun:
    with watch_progress("depth") as on_progress:
        return run_depth(sources, settings, processes=processes, journal=journal, on_progress=on_progress)


_Depth = Annotated[Depth, tyro.conf.subcommand("depth", prefix_name=False)]
_Scene = Annotated[SceneEvaluation, tyro.conf.subcommand("scene", prefix_name=False)]


def eval(measure: Annotated[_Depth | _Scene, tyro.conf.arg(name="")]) -> None:
    """Measures what this package makes, against truth."""
    measure.run()
