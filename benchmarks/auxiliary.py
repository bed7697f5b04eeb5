"""The auxiliary network on real sparse depth: LiDAR scans of KITTI and 500 points indoors, beside methods without weights.

    python -m benchmarks.auxiliary WEIGHTS [--output out/auxiliary] [--record]

WEIGHTS is a folder that ``scene-depth train auxiliary`` wrote (``OUT/weights``; its configuration lies beside it). Frames come
from ``data`` in the folder named by SCENE_DEPTH_SHARED, or ``../shared/data``. A run goes on where it was interrupted, as long as
WEIGHTS are the same.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.depth_runs import digest_of, rows_of
from benchmarks.results import machine, table, write_section
from benchmarks.shared_data import shared
from benchmarks.training_command import training_command
from scene_depth.datasets.frames import DepthFrame, FrameSource, find_frames
from scene_depth.depth.auxiliary.network import FILE
from scene_depth.evaluation.depth_metrics import DepthErrors
from scene_depth.evaluation.depth_protocols import NATIVE, NYU500
from scene_depth.evaluation.depth_rows import DepthRow
from scene_depth.evaluation.depth_runs import DepthSettings
from scene_depth.io.atomic import check_writable
from scene_depth.training.auxiliary import PRESETS

AUXILIARY, BLIND = "auxiliary (no picture)", "solver without picture"
OTHERS = ("solver", "nearest", "ip_basic")
SCANS = ("lidar64", "lidar16", "rand50")
"""What is left of a raw scan or of accumulated truth; errors are counted at the points that were withheld."""
MEASURES = (
    ("rmse", 1000, 0),
    ("mae", 1000, 0),
    ("irmse", 1, 2),
    ("imae", 1, 2),
    *((name, 100, 2) for name in ("abs_rel", "delta1", "delta2", "delta3")),
)
"""Field, factor to the unit of the table, digits."""
HEAD = ("method", "frames", "RMSE mm", "MAE mm", "iRMSE 1/km", "iMAE 1/km", "REL %", "δ1 %", "δ2 %", "δ3 %", "s")


@dataclass(frozen=True)
class WithoutPicture:
    """A frame whose picture nobody sees.

    Attributes:
        source: The frame.
    """

    source: FrameSource

    @property
    def name(self) -> str:
        """Name of the frame: masks depend on it."""
        return self.source.name

    @property
    def role(self) -> str:
        """Its role."""
        return self.source.role

    def load(self) -> DepthFrame:
        """The frame with depth alone."""
        return replace(self.source.load(), rgb=None)


def main() -> int:
    """Runs all methods and prints the tables."""
    arguments = _arguments()
    check_writable(arguments.output)
    sources = list(find_frames(shared("data")))
    lines = [*_heading(arguments.weights), *tables(sources, arguments.weights, arguments.output)]
    print("\n".join(lines))
    if arguments.record:
        write_section("auxiliary on real frames", lines)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The auxiliary network on real sparse depth.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--output", type=Path, default=Path("out/auxiliary"))
    parser.add_argument("--record", action="store_true")
    return parser.parse_args()


def _heading(weights: Path) -> list[str]:
    report = json.loads((weights.parent / "report.json").read_text(encoding="utf-8"))
    network, train, view = (report["config"][part] for part in ("network", "train", "view"))
    size, points = f"{view['width']}x{view['height']}", ", ".join(report["config"]["sampling"])
    return [
        f"`python -m benchmarks.auxiliary WEIGHTS --record`, {machine()}, one thread. Weights by "
        f"{training_command('auxiliary', PRESETS['default'], weights.parent)}: {network['variant']} of width "
        f"{network['width']}, {report['parameters']:,} parameters with the image decoder that is dropped at test time, trained "
        f"on procedural frames alone: {report['steps']:,} steps of {train['batch_size']} views of {size}, points by {points}, "
        f"{report['seconds']:.0f} s. No real frame was seen.",
        "The network gets points and no picture; the solver is measured with and without it, the others look at depth alone.",
        "",
    ]


def tables(sources: Sequence[FrameSource], weights: Path, folder: Path, *, processes: int = 1) -> Iterator[str]:
    """Runs every method on the frames and says how it did, table by table; the rows are kept in the folder."""
    kitti = [source for source in sources if source.name.startswith("kitti")]
    nyu = [source for source in sources if source.name.startswith("nyu")]
    every = [source for source in sources if source.role == "eval" and source not in kitti]
    rows = _rows(kitti, DepthSettings(protocol="kitti", masks=(NATIVE, *SCANS)), weights, folder, processes)
    yield from _table("KITTI, one scan against accumulated truth (all pixels with truth)", rows, NATIVE, "all")
    for mask in SCANS:
        yield from _table(f"KITTI, {mask} of the points given, errors at the withheld ones", rows, mask, "hidden")
    for what, chosen in (("NYUv2 frames", nyu), ("all other frames with the role eval", every)):
        rows = _rows(chosen, DepthSettings(protocol="nyu500"), weights, folder, processes)
        yield from _table(f"500 points at 304x228, {what} (all pixels with truth)", rows, NYU500, "all")


def _rows(
    sources: Sequence[FrameSource], settings: DepthSettings, weights: Path, folder: Path, processes: int
) -> dict[str, list[DepthRow]]:
    """Rows of every method by its name in the tables."""
    blind = [WithoutPicture(source) for source in sources]
    runs = (
        (sources, (f"auxiliary[weights={weights.resolve()}]",), (AUXILIARY,), digest_of(weights / FILE)),
        (blind, ("solver",), (BLIND,), "blind"),
        (sources, OTHERS, OTHERS, "others"),
    )
    found: dict[str, list[DepthRow]] = {}
    for frames, inpainters, titles, part in runs:
        journal = folder / f"{settings.protocol}_{part}.jsonl"
        wanted = replace(settings, inpainters=inpainters)
        rows = rows_of(frames, wanted, journal, processes=processes)
        for name, title in zip(inpainters, titles, strict=True):
            found[title] = [row for row in rows if row.inpainter == name]
    return found


def _table(title: str, found: dict[str, list[DepthRow]], mask: str, region: str) -> list[str]:
    """Means over the frames that have the mask."""
    lines = []
    for method, rows in found.items():
        chosen = [row for row in rows if row.mask == mask and row.failure is None]
        errors = [getattr(row, region) for row in chosen]
        if errors:
            seconds = float(np.median([row.seconds or 0.0 for row in chosen]))
            lines.append([method, str(len(errors)), *_means(errors), f"{seconds:.2f}"])
    return [f"### {title}", "", *table(HEAD, lines)]


def _means(errors: Sequence[DepthErrors]) -> list[str]:
    return [f"{factor * np.mean([getattr(one, name) for one in errors]):.{digits}f}" for name, factor, digits in MEASURES]


if __name__ == "__main__":
    raise SystemExit(main())
