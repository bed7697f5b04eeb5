"""The splat linter: what is wrong with a file of splats, and the repair of it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_checks import CHECKS, Check, Severity
from scene_depth.evaluation.splat_measures import SplatMeasures, UpSource, up_axis
from scene_depth.io.compressed_ply import is_compressed_ply
from scene_depth.io.json_reports import JsonReport
from scene_depth.io.nerfstudio_run import is_nerfstudio_run
from scene_depth.io.ply import read_ply
from scene_depth.io.ply_header import read_ply_header
from scene_depth.io.splat_files import COMPRESSED, RUN, read_splats, splat_format
from scene_depth.splats import GaussianSplats

QUANTILES = {"min": 0.0, "1%": 0.01, "median": 0.5, "99%": 0.99, "max": 1.0}
SH_COUNT = "sh_count"
REPAIRABLE = tuple(check.name for check in CHECKS if check.edit or check.remove)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with some splats.

    Attributes:
        name: Stable key, such as "giants".
        severity: "error", "warning" or "note".
        count: Number of splats that it concerns.
        message: What is wrong with them.
        advice: What to do about it.
        repair: What a repair does to them; None if it leaves them alone.
    """

    name: str
    severity: Severity
    count: int
    message: str
    advice: str
    repair: str | None


@dataclass(frozen=True)
class SplatReport(JsonReport):
    """What the linter says of splats.

    Attributes:
        file: File they came from, if any.
        format: Its format, ".ply", ".compressed.ply", ".spz", ".splat", ".sog" or ".glb".
        splats: Their number.
        sh_degree: 0 to 3.
        antialiased: Whether they say that they were trained for the antialiased renderer.
        extra: Names of further values that they carry.
        comments: Remarks of the file.
        center: Median centre, scene units; None without a finite splat.
        radius: Distance from it that holds 90 % of the visible splats.
        bounds: Smallest and largest coordinates of finite splats.
        up: Axis that points up, such as "-y"; None if nothing says it clearly.
        up_from: "comment", "cameras", "geometry" (a guess) or "unknown".
        distributions: Quantiles of opacity, of the largest and smallest standard deviation in scene units, and of the
            base colour, over finite splats.
        findings: What is wrong, worst first.
    """

    file: str | None
    format: str | None
    splats: int
    sh_degree: int
    antialiased: bool
    extra: tuple[str, ...]
    comments: tuple[str, ...]
    center: tuple[float, ...] | None
    radius: float | None
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None
    up: str | None
    up_from: UpSource
    distributions: dict[str, dict[str, float]]
    findings: tuple[Finding, ...]

    def count(self, name: str) -> int:
        """Number of splats with that finding."""
        return sum(finding.count for finding in self.findings if finding.name == name)

    @property
    def clean(self) -> bool:
        """Nothing worse than a note."""
        return all(finding.severity == "note" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, with ``clean``."""
        return {**super().as_dict(), "clean": self.clean}


@dataclass(frozen=True)
class SplatRepair:
    """What a repair changed.

    Attributes:
        name: Key of the finding.
        count: Number of splats changed or removed.
        action: What was done to them.
    """

    name: str
    count: int
    action: str


def lint_splats(splats: GaussianSplats, *, cameras: Cameras | None = None) -> SplatReport:
    """Looks for everything in ``splat_checks.CHECKS``.

    Args:
        splats: Any splats.
        cameras: Cameras of the scene in the same frame; with them, fog before cameras is found and the up axis is known.

    Returns:
        The report, without a file name.
    """
    splats = splats.detach().to("cpu")
    _, hits = _walk(splats, cameras, ())
    measures = SplatMeasures(splats, np.zeros(len(splats), bool), cameras)
    up, up_from = up_axis(measures)
    usable = measures.means[measures.usable].astype(np.float64)
    order = ("error", "warning", "note")
    findings = [Finding(c.name, c.severity, n, c.message, c.advice, c.action or None) for c, n in hits]
    if len(splats) == 0:
        findings.append(Finding("empty", "error", 0, "splats are in it: it is empty", "export it again", None))
    return SplatReport(
        file=None,
        format=None,
        splats=len(splats),
        sh_degree=splats.sh_degree,
        antialiased=splats.antialiased,
        extra=tuple(splats.extra),
        comments=splats.comments,
        center=tuple(measures.center.tolist()) if len(usable) else None,
        radius=measures.radius if math.isfinite(measures.radius) else None,
        bounds=(tuple(usable.min(axis=0).tolist()), tuple(usable.max(axis=0).tolist())) if len(usable) else None,
        up=up,
        up_from=up_from,
        distributions=_distributions(measures),
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.severity))),
    )


def find_errors(splats: GaussianSplats) -> list[str]:
    """The errors alone, one sentence each, without the rest of the report."""
    measures = SplatMeasures(splats.detach().to("cpu"), np.zeros(len(splats), bool), None)
    found = [(check, int(check.find(measures).sum())) for check in CHECKS if check.severity == "error" and len(splats)]
    return [f"{count:,} of {len(splats):,} splats {check.message}: {check.advice}" for check, count in found if count]


def without_strays(splats: GaussianSplats) -> GaussianSplats:
    """The splats that lie within 20 scene radii of the scene's centre; those that are not finite stay too."""
    measures = SplatMeasures(splats.detach().to("cpu"), np.zeros(len(splats), bool), None)
    far = next(check for check in CHECKS if check.name == "far_away").find(measures)
    return splats.select(torch.from_numpy(~far)) if far.any() else splats


def repair_splats(
    splats: GaussianSplats, *, cameras: Cameras | None = None, keep: Sequence[str] = ()
) -> tuple[GaussianSplats, tuple[SplatRepair, ...]]:
    """Repairs what the linter finds and can repair. What nothing is wrong with keeps its bits and its order.

    Args:
        splats: Any splats.
        cameras: Cameras of the scene in the same frame.
        keep: Names of findings to leave alone.

    Returns:
        Repaired splats, on the CPU
        What was changed

    Raises:
        InputError: If ``keep`` names something else than a finding that would be repaired.
    """
    check_keep(keep)
    splats, hits = _walk(splats.detach().to("cpu"), cameras, keep)
    return splats, tuple(SplatRepair(c.name, n, c.action) for c, n in hits if c.action and c.name not in keep)


def check_keep(keep: Sequence[str]) -> None:
    """Checks names of findings to leave alone.

    Raises:
        InputError: If one is unknown or is never repaired.
    """
    for name in keep:
        if name not in REPAIRABLE:
            raise InputError("keep", repr(name), f"one of {', '.join(REPAIRABLE)}")


def lint_file(path: str | os.PathLike[str], *, cameras: Cameras | None = None) -> tuple[GaussianSplats, SplatReport]:
    """Reads and lints a file. A wrong number of spherical harmonics is a finding here, and no error of reading.

    Args:
        path: A .ply, .compressed.ply, .spz, .splat, .sog or .glb file.
        cameras: Cameras of the scene in the same frame.

    Returns:
        Its splats, with the largest whole SH degree that it holds
        The report

    Raises:
        InputError: If the file cannot be read otherwise.
    """
    kind = RUN if is_nerfstudio_run(path) else splat_format(path)
    findings: tuple[Finding, ...] = ()
    if kind in (".ply", COMPRESSED):
        kind = COMPRESSED if is_compressed_ply(read_ply_header(path)) else ".ply"
    if kind == ".ply":
        splats = read_ply(path, truncate_sh=True)
        findings = _sh_findings(Path(path), splats)
    else:
        splats = read_splats(path)
    report = lint_splats(splats, cameras=cameras)
    return splats, replace(report, file=os.fspath(path), format=kind, findings=(*findings, *report.findings))


def _walk(splats: GaussianSplats, cameras: Cameras | None, keep: Sequence[str]) -> tuple[GaussianSplats, list[tuple[Check, int]]]:
    """Runs all checks with their repairs; gives the repaired splats and the checks that found something."""
    removed = np.zeros(len(splats), bool)
    measures, hits = SplatMeasures(splats, removed, cameras), []
    for check in CHECKS if len(splats) else ():
        mask: NDArray[np.bool_] = check.find(measures) & ~removed
        if not mask.any():
            continue
        hits.append((check, int(mask.sum())))
        if check.name in keep:
            continue
        if check.edit is not None:
            splats = check.edit(measures, mask)
        elif check.remove:
            removed = removed | mask
        if check.edit is not None or check.remove:
            measures = SplatMeasures(splats, removed, cameras)
    return (splats.select(torch.from_numpy(~removed)) if removed.any() else splats), hits


def _sh_findings(path: Path, splats: GaussianSplats) -> tuple[Finding, ...]:
    names = read_ply_header(path).element("vertex").names
    count = sum(name.startswith("f_rest_") for name in names)
    if count == 3 * (splats.sh.shape[1] - 1):
        return ()
    message = f"carry {count} f_rest values, which is no whole SH degree (0, 9, 24 or 45)"
    action = f"cut to SH degree {splats.sh_degree}"
    advice = "export again, or keep the whole degree that is in it"
    return (Finding(SH_COUNT, "error", len(splats), message, advice, action),)


def _distributions(measures: SplatMeasures) -> dict[str, dict[str, float]]:
    chosen = measures.usable
    if not chosen.any():
        return {}
    smallest = measures.splats.log_scales.amin(dim=1).clamp(max=80).exp().numpy()
    values = {
        "opacity": measures.opacities[chosen],
        "largest_size": measures.sizes[chosen],
        "smallest_size": smallest[chosen],
        "base_color": measures.splats.base_colors.numpy()[chosen].ravel(),
    }
    return {
        name: dict(zip(QUANTILES, np.quantile(column.astype(np.float64), list(QUANTILES.values())).tolist(), strict=True))
        for name, column in values.items()
    }
