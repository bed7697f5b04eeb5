"""``scene-depth eval``: depth inpainters and edited splat scenes, measured against truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Annotated

import tyro
from rich.table import Table

from scene_depth.cli.inputs import SceneOptions, open_scene, open_splats
from scene_depth.cli.progress import end_if_stopped, print_json, report_console, say_first, watch_progress
from scene_depth.datasets.frames import FrameSource, find_frames
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_plot import check_plot, plot_report
from scene_depth.evaluation.depth_report import DepthReport, report_of
from scene_depth.evaluation.depth_runs import DepthSettings, describe_plan, run_depth
from scene_depth.evaluation.depth_tables import describe_report, report_tables, text_table
from scene_depth.evaluation.scene_scores import SceneScore, evaluate_scene, mean_scores
from scene_depth.io.json_files import read_json_object
from scene_depth.io.json_reports import JsonReport
from scene_depth.io.output_folder import check_new_file, claim_folder
from scene_depth.options import with_options

JOURNAL, REPORT, HEALED = "rows.jsonl", "report.json", "healed.ply"
COLUMNS = (
    ("psnr_hole", "PSNR hole", "{:.2f}"),
    ("ssim_hole", "SSIM hole", "{:.3f}"),
    ("psnr_outside", "PSNR outside", "{:.2f}"),
    ("depth_abs_rel", "AbsRel hole", "{:.4f}"),
    ("depth_delta1", "δ1 hole", "{:.3f}"),
    ("seam_jump", "seam", "{:.4f}"),
    ("consistency", "views agree", "{:.3f}"),
    ("floating", "floating", "{:.3f}"),
    ("preservation", "kept dB", "{:.1f}"),
)
"""Measures of ``SceneScore`` in a table: field, heading, form."""
LEFT = {
    "object_left": "{:.1%} of the hole still has the object's colour.",
    "object_left_depth": "{:.1%} of its surface stands before what other views saw past the object.",
    "psnr_behind": "Where they saw the same surface, it looks like that to {:.1f} dB.",
    "shadow_left": "{:.0%} of the object's shadow beside it is left.",
}
"""What is left of a removed object, a sentence each."""


@dataclass(frozen=True)
class ChosenFrames:
    """Frames of a data set."""

    frames: tuple[str, ...] = ()
    """Names of frames to take, with * and ? as wildcards; all by default."""
    roles: tuple[str, ...] = ("eval",)
    """Roles of frames to take where the data set has them and no --frames are named."""
    limit: int | None = None
    """Take only the first frames."""
    layout: str = "auto"
    """Layout of the data, if it is not to be found out."""

    def find(self, data: Path) -> list[FrameSource]:
        """The frames that are asked for.

        Raises:
            InputError: If a name fits no frame, or nothing is left.
        """
        sources = find_frames(data, self.layout)
        if self.limit is not None and self.limit < 1:
            raise InputError("limit", self.limit, "at least 1")
        for name in self.frames:
            if not any(fnmatchcase(source.name, name) for source in sources):
                known = [source.name for source in sources]
                shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
                raise InputError("frames", repr(name), f"one of {shown}")
        if self.frames:
            chosen = [source for source in sources if any(fnmatchcase(source.name, name) for name in self.frames)]
        else:
            chosen = [source for source in sources if source.role in self.roles]
        if not chosen:
            found = ", ".join(sorted({source.role for source in sources}))
            raise InputError("roles", ", ".join(self.roles), f"a role that frames of this data set have: {found}")
        return chosen[: self.limit]


@dataclass(frozen=True)
class Depth:
    """Measure depth inpainters on RGB-D frames with truth: parts of the depth are hidden and predicted.

    - AbsRel: mean of |depth - truth| / truth over the hidden pixels; less is better, 0.05 is 5 % off.
    - δ1: share of hidden pixels off by a factor below 1.25; more is better.
    - RMSE, MAE: root mean square and mean of the error, metres; less is better.
    - GM: geometric mean over frames, which one hard frame does not decide.
    - seam: the same error as AbsRel in the hidden pixels beside known ones; less is better.
    - edge F1: how well the places are found where one surface hides another, missed and false ones counted; more is better.
    - s, MB: seconds and memory that the middle one of the frames took.

    Ctrl-C keeps what is done and prints it; with --output the same command goes on from there.
    """

    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """Folder of frames (frames.json, NYUv2, KITTI, DIODE, ETH3D, ScanNet, iBims-1, ARKitScenes, rgb/ and depth/), one frame, or
    NYUv2's .mat file."""
    settings: Annotated[DepthSettings, tyro.conf.arg(name="what is measured")] = DepthSettings()  # noqa: RUF009
    """Inpainters, and what is hidden from them."""
    inpainter_options: tuple[str, ...] = ()
    """Parameters of all inpainters as KEY=VALUE, such as weights=FOLDER."""
    chosen: Annotated[ChosenFrames, tyro.conf.arg(name="which frames")] = ChosenFrames()
    """Frames of the data set."""
    processes: int | None = None
    """Number of processes of one thread each; one for each core by default. 0: in this process, with its threads."""
    output: Path | None = None
    """Folder for report.json, and for the rows from which an interrupted or repeated run goes on."""
    plot: Path | None = None
    """Picture for the errors by known share and by distance from known depth: .png, .pdf or .svg; needs matplotlib."""
    fresh: bool = False
    """Compute everything anew, also what --output already holds."""
    overwrite: bool = False
    """Replace files in the output folder that something else wrote, or a plot; never those that are read."""
    json: bool = False
    """Print the report as JSON instead of tables."""

    def run(self) -> None:
        """Runs the command."""
        names = [with_options(name, self.inpainter_options) for name in self.settings.inpainters]
        masks = tuple(dict.fromkeys(self.settings.masks))
        settings = replace(self.settings, inpainters=tuple(dict.fromkeys(names)), masks=masks)
        settings.check()
        if self.plot is not None:
            check_plot(self.plot)
            check_new_file(self.plot, inputs=(self.data,), overwrite=self.overwrite)
        sources = self.chosen.find(self.data)
        journal = None
        if self.output is not None:
            written = (REPORT, JOURNAL)
            journal = (
                claim_folder(self.output, "eval depth", written, scenes=(self.data,), overwrite=self.overwrite).path / JOURNAL
            )
        if journal is not None and self.fresh:
            journal.unlink(missing_ok=True)
        say_first(describe_plan(sources, settings, self.processes, journal))
        with watch_progress("depth") as on_progress:
            run = run_depth(sources, settings, processes=self.processes, journal=journal, on_progress=on_progress)
        report = report_of(run)
        if self.output is not None:
            report.save(self.output / REPORT)
        if self.plot is not None:
            plot_report(report, self.plot)
        if self.json:
            print_json(report)
        else:
            _show(report)
        end_if_stopped(run)


def _show(report: DepthReport) -> None:
    console = report_console()
    console.print(report_tables(report))
    for mask, names in report.skipped.items():
        console.print(f"{mask}: not for {', '.join(names)} (the frame lacks what the mask needs)")
    for row in report.rows:
        if row.failure is not None:
            console.print(f"failed: {row.frame}, {row.mask}, {row.inpainter}: {row.failure}", style="red")
    console.print(describe_report(report))
    if not report.complete:
        console.print(f"incomplete: {len(report.rows)} of {report.planned} rows", style="yellow")


@dataclass(frozen=True)
class SceneReport(JsonReport):
    """Measures of an edited scene.

    Attributes:
        splats: File of the scene.
        mean: Mean of every measure over the views that have it.
        views: Of each view that has a hole.
    """

    splats: str
    mean: dict[str, float]
    views: list[SceneScore]


@dataclass(frozen=True)
class SceneEvaluation:
    """Measure an edited splat scene on views whose truth is known: inside the hole, outside it, at the seam, between views.

    - PSNR, SSIM: how alike render and truth are, in dB and from 0 to 1, in the hole and outside; more is better.
    - AbsRel: mean of |depth - truth| / truth of the rendered depth in the hole; less is better, 0.05 is 5 % off.
    - δ1: share of the hole's pixels whose depth is off by a factor below 1.25; more is better.
    - seam: relative step of the depth at the border of the hole; less is better.
    - views agree: share of the hole's surface that the nearest other views show at the same place; more is better.
    - floating: share of it that stands before what they show; less is better.
    - kept dB: PSNR between before and after outside the hole, with --before; more is better.

    With --before also what is left of the object: the share of the hole that still has its colour, that which stands before
    what other views saw past it, the likeness to what they saw there, and how much of its shadow is left beside the hole.
    """

    result: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RESULT")]
    """Splat file, or a folder with healed.ply."""
    reference: Path
    """Scene with the views as they should look, with depth where it is known."""
    scene_options: SceneOptions = ()
    masks: Path | None = None
    """Folder of masks named like the views, white where the object was; by default the reference's own masks."""
    before: Path | None = None
    """Splats before the edit, to measure what changed elsewhere and what is left of the object."""
    max_size: int = 640
    """Longer side of the pictures that are compared, in pixels."""
    output: Path | None = None
    """JSON file for the measures."""
    overwrite: bool = False
    """Replace a file of measures that is there already."""
    json: bool = False
    """Print the measures as JSON to standard output."""

    def run(self) -> None:
        """Measures and prints."""
        path = self.result / HEALED if self.result.is_dir() else self.result
        if self.output is not None:
            check_new_file(self.output, inputs=(path,), overwrite=self.overwrite)
        truth = open_scene(self.reference, self.scene_options)
        before = None if self.before is None else open_splats(self.before, scene=truth)
        scores = evaluate_scene(open_splats(path, scene=truth), truth, self.masks, max_size=self.max_size, before=before)
        report = SceneReport(str(path), mean_scores(scores), scores)
        if self.output is not None:
            report.save(self.output)
        if self.json:
            print_json(report)
            return
        rows = [(score.name, asdict(score)) for score in scores]
        console = report_console()
        console.print(scene_table("", "view", [*rows, ("mean", report.mean)]))
        console.print(_describe(report))
        if (self.result / REPORT).is_file():
            heal = read_json_object(self.result / REPORT)
            if heal.get("floating_splats") is not None:
                console.print(f"The heal cut {heal['floating_splats']} new splats that floated before known surfaces.")


def scene_table(title: str, heading: str, rows: Sequence[tuple[str, Mapping[str, float | None]]]) -> Table:
    """Measures of views or scenes, one row each; an ending that all files share is left out."""
    endings = {PurePath(name).suffix for name, _ in rows if PurePath(name).suffix}
    cells = []
    for name, values in rows:
        shown = ("" if (value := values.get(field)) is None else form.format(value) for field, _, form in COLUMNS)
        cells.append([name.removesuffix(*endings) if len(endings) == 1 else name, *shown])
    return text_table(title, [heading, *(title for _, title, _ in COLUMNS)], cells)


def _describe(report: SceneReport) -> str:
    mean, views = report.mean, f"over {len(report.views)} views"
    words = []
    if "psnr_hole" in mean:
        words.append(f"the pictures agree with the truth to {mean['psnr_hole']:.1f} dB (more is better)")
    if "depth_abs_rel" in mean:
        words.append(f"depth is off by {100 * mean['depth_abs_rel']:.2g} %")
    said = f"In the hole {' and '.join(words)}, {views}." if words else f"Nothing of the hole could be measured {views}."
    left = [sentence.format(mean[name]) for name, sentence in LEFT.items() if name in mean]
    return " ".join([said, *left])


_Depth = Annotated[Depth, tyro.conf.subcommand("depth", prefix_name=False)]
_Scene = Annotated[SceneEvaluation, tyro.conf.subcommand("scene", prefix_name=False)]


def eval(measure: Annotated[_Depth | _Scene, tyro.conf.arg(name="")]) -> None:
    """Measure depth inpainters, or an edited scene, against truth."""
    measure.run()
