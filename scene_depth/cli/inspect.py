"""``scene-depth inspect``: what is wrong with a file of splats, and the repair of it."""

from __future__ import annotations

import json as json_module
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro

from scene_depth.cameras import Cameras, concatenate_cameras
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_lint import SH_COUNT, SplatRepair, SplatReport, check_keep, lint_file, repair_splats
from scene_depth.io.atomic import check_output
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import lost_in, splat_format, write_splats


def inspect(
    file: Annotated[Path, tyro.conf.Positional],
    fix: Path | None = None,
    cameras: Path | None = None,
    keep: tuple[str, ...] = (),
    json: bool = False,
    strict: bool = False,
) -> None:
    """Look for what is wrong with a file of splats: NaN, infinities, giants, fog, odd rotations, colours and sizes.

    Args:
        file: A .ply, .compressed.ply, .spz or .splat file. It is never changed.
        fix: Write a repaired copy there, in any of these formats.
        cameras: Scene (COLMAP, transforms.json, ...) that the splats were trained on, to find fog before its cameras.
        keep: Names of findings that --fix leaves alone.
        json: Print the report as JSON.
        strict: End with exit code 1 if anything worse than a note was found.
    """
    check_keep(keep)
    if fix is not None:
        splat_format(fix)
        check_output(fix, inputs=(file,))
    batch = _cameras(cameras) if cameras is not None else None
    splats, report = lint_file(file, cameras=batch)
    repairs: tuple[SplatRepair, ...] = ()
    lost: list[str] = []
    if fix is not None:
        splats, repairs = repair_splats(splats, cameras=batch, keep=keep)
        if len(splats) == 0:
            raise InputError("splats", f"none left of {report.splats} after the repair", "some that can be kept", file=file)
        repairs = (*(SplatRepair(f.name, f.count, f.repair or "") for f in report.findings if f.name == SH_COUNT), *repairs)
        lost = lost_in(splat_format(fix), splats)
        write_splats(fix, splats, inputs=(file,))
    if json:
        fixed = {"file": str(fix), "splats": len(splats), "repairs": [asdict(repair) for repair in repairs], "lost": lost}
        print(json_module.dumps({**report.to_json(), "fixed": None if fix is None else fixed}, allow_nan=False))
    else:
        print("\n".join([*_lines(report), *(_repair_lines(fix, len(splats), repairs, lost) if fix is not None else [])]))
    if strict and not report.clean:
        sys.exit(1)


def _cameras(path: Path) -> Cameras:
    """All cameras of a scene, with the pictures scaled to one size, which changes no view."""
    scene = read_scene(path)
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


def _repair_lines(path: Path, count: int, repairs: tuple[SplatRepair, ...], lost: list[str]) -> list[str]:
    changes = [f"    {repair.name}: {repair.count:,} {repair.action}" for repair in repairs]
    losses = [f"    lost: {sentence}" for sentence in lost]
    return [f"written: {path}, {count:,} splats", *(changes or ["    nothing to repair"]), *losses]
