"""``scene-depth inspect``: what is wrong with a file of splats, and the repair of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from scene_depth.cameras import Cameras, concatenate_cameras
from scene_depth.cli.inputs import SceneOptions, read_found
from scene_depth.cli.progress import print_json
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_lint import SH_COUNT, SplatRepair, SplatReport, check_keep, lint_file, repair_splats
from scene_depth.io.output_folder import check_new_file
from scene_depth.io.splat_files import lost_in, read_splats, splat_format, splat_origin, write_splats
from scene_depth.splats import GaussianSplats


@dataclass(frozen=True)
class Repaired:
    """A repaired copy: its file, number of splats, what was changed, and what its format cannot hold."""

    file: str
    splats: int
    repairs: tuple[SplatRepair, ...]
    lost: list[str]


@dataclass(frozen=True)
class Inspect:
    """Look for what is wrong with a file of splats: NaN, infinities, giants, fog, odd rotations, colours and sizes."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """A .ply, .compressed.ply, .spz, .splat, .sog or .glb file. It is never changed."""
    fix: Path | None = None
    """Write a repaired copy there, in any of these formats."""
    cameras: Path | None = None
    """Scene (COLMAP, transforms.json, ...) that the splats were trained on, to find fog before its cameras."""
    scene_options: SceneOptions = ()
    keep: tuple[str, ...] = ()
    """Names of findings that --fix leaves alone."""
    overwrite: bool = False
    """Let --fix replace a file that is there already; the inspected one never."""
    json: bool = False
    """Print the report as JSON."""
    strict: bool = False
    """End with exit code 1 if anything worse than a note was found."""

    def run(self) -> None:
        """Runs the command."""
        check_keep(self.keep)
        if self.cameras is None and self.scene_options:
            raise InputError("scene_options", "given without --cameras", "--cameras SCENE, which they are for")
        if self.fix is not None:
            splat_format(self.fix)
            check_new_file(self.fix, inputs=(self.file,), overwrite=self.overwrite)
        cameras = None if self.cameras is None else _cameras(self.cameras, self.file, self.scene_options)
        splats, report = lint_file(self.file, cameras=cameras)
        fixed = None if self.fix is None else self._repair(self.fix, splats, report, cameras)
        if self.json:
            print_json(report.as_dict() | {"fixed": None if fixed is None else asdict(fixed)})
        else:
            print("\n".join([*_lines(report), *([] if fixed is None else _repair_lines(fixed))]))
        if self.strict and not report.clean:
            sys.exit(1)

    def _repair(self, path: Path, splats: GaussianSplats, report: SplatReport, cameras: Cameras | None) -> Repaired:
        splats, repairs = repair_splats(splats, cameras=cameras, keep=self.keep)
        if len(splats) == 0:
            raise InputError("splats", f"none left of {report.splats} after the repair", "some that can be kept", file=self.file)
        cut = [SplatRepair(f.name, f.count, f.repair or "") for f in report.findings if f.name == SH_COUNT]
        lost = lost_in(splat_format(path), splats)
        write_splats(path, splats, inputs=(self.file,))
        return Repaired(str(path), len(splats), (*cut, *repairs), lost)


def inspect(arguments: Annotated[Inspect, tyro.conf.arg(name="")]) -> None:
    """Look for what is wrong with a file of splats, and repair it."""
    arguments.run()


def _cameras(path: Path, splats: Path, options: Sequence[str]) -> Cameras:
    """All cameras of a scene about the origin of the splats, with the pictures scaled to one size, which changes no view."""
    scene = read_found(path, options).about_origin(splat_origin(read_splats(splats)))
    width, height = scene.views[0].camera.width, scene.views[0].camera.height
    return concatenate_cameras([view.camera.resized(width, height) for view in scene.views])


def _lines(report: SplatReport) -> list[str]:
    bands = f"SH degree {report.sh_degree}" + (", antialiased" if report.antialiased else "")
    lines = [f"{report.file}: {report.splats:,} splats, {bands}, {report.format}"]
    lines += [f"  further values: {', '.join(report.extra)}"] if report.extra else []
    lines += [f"  comment: {comment}" for comment in report.comments]
    if report.center is not None and report.radius is not None:
        center = ", ".join(f"{value:.4g}" for value in report.center)
        lines.append(f"  centre ({center}), radius of 90 % of what is visible {report.radius:.4g}")
    lines.append(f"  up: {_up_line(report)}")
    for name, quantiles in report.distributions.items():
        values = ", ".join(f"{key} {value:.4g}" for key, value in quantiles.items())
        lines.append(f"  {name.replace('_', ' ')}: {values}")
    for finding in report.findings:
        share = 100 * finding.count / max(report.splats, 1)
        lines.append(f"{finding.severity}: {finding.name}: {finding.count:,} ({share:.3g} %) {finding.message}")
        lines.append(f"    {finding.advice}" + (" (--fix does)" if finding.repair else ""))
    return lines if report.findings else [*lines, "nothing wrong"]


def _up_line(report: SplatReport) -> str:
    if report.up is None:
        return "not clear" + ("" if report.up_from == "cameras" else "; --cameras tells")
    sources = {"comment": "says the file", "cameras": "as the cameras are held", "geometry": "a guess by the floor"}
    turns = {"-y": "180 0 0", "+z": "-90 0 0", "-z": "90 0 0", "+x": "0 0 90", "-x": "0 0 -90"}
    turn = turns.get(report.up)
    advice = f"; for viewers that show +y upward, convert --rotate {turn}" if turn else ""
    return f"{report.up}, {sources[report.up_from]}{advice}"


def _repair_lines(fixed: Repaired) -> list[str]:
    changes = [f"    {repair.name}: {repair.count:,} {repair.action}" for repair in fixed.repairs]
    losses = [f"    lost: {sentence}" for sentence in fixed.lost]
    return [f"written: {fixed.file}, {fixed.splats:,} splats", *(changes or ["    nothing to repair"]), *losses]
