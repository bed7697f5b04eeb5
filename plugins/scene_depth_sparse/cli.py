"""``scene-depth sparse``: from the result of a pointmap model to depth and cameras that a splat trainer can use."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from scene_depth.cli.inputs import read_found
from scene_depth.cli.progress import end_if_stopped, print_json, report_console, say_first, watch_progress
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_tables import text_table
from scene_depth.extras import needs_viewer
from scene_depth.io.output_folder import claim_folder
from scene_depth.io.pointmaps import check_pointmaps, read_pointmaps
from scene_depth.options import with_options
from scene_depth.pointmaps import PointmapRun
from scene_depth_sparse.flags import COLORS, FLAG_NAMES, MISSING
from scene_depth_sparse.known import KnownDistance, known_cameras, processed_pictures
from scene_depth_sparse.output import COLMAP, OUTPUTS, TRANSFORMS, HandOver, hand_over
from scene_depth_sparse.refine import refine_pointmaps
from scene_depth_sparse.result import NAMES, REPORT, RefinedPointmaps

if TYPE_CHECKING:
    from scene_depth_viewer.pointmap_page import PointmapPage

NO_OVERLAP = ("overlaps with no other view", "none confirms the depth of any other")


@dataclass(frozen=True)
class Known:
    """What is known of the photos beside the run."""

    photos: Path | None = None
    """Folder of the photos that the model saw."""
    model: str | None = None
    """Model that made the run, where its files do not tell: vggt, da3, dust3r, mast3r, mapanything, pi3, cut3r, ..."""
    trust_file: bool = False
    """Go by the numbers in the file where they contradict the model's rules, and on in spite of what the check finds."""
    cameras: Path | None = None
    """Scene with known cameras of the photos (transforms.json, COLMAP), from SLAM or a phone; they are kept as they are."""
    known_distance: tuple[str, float, float, float, float, float] | None = None
    """PHOTO X1 Y1 X2 Y2 METRES: two places in a photo, in its pixels, and how far apart they are; gives the scale."""
    metric: bool = False
    """The unit of the run, or of --cameras, is the metre."""


@dataclass(frozen=True)
class Refinement:
    """How depth is refined."""

    inpainter: str = "solver"
    """Depth inpainter by name (solver, depthlab, ...), or module:attribute."""
    inpainter_options: tuple[str, ...] = ()
    """Parameters of the inpainter as KEY=VALUE, such as weights=FOLDER strength=0.5 for depthlab."""
    prior: str | None = None
    """Monocular model that the solver follows: marigold, transformers (also NAME:CHECKPOINT), module:attribute."""
    align: bool = True
    """Align cameras and the scale of each view by what views see together."""
    seed: int = 0
    """Seed of all random choices."""


@dataclass(frozen=True)
class Output:
    """What comes out."""

    output: Path
    """Folder for the results; made if missing."""
    overwrite: bool = False
    """Replace files in the output folder that something else wrote; never those that are read."""
    json: bool = False
    """Print the report as JSON to standard output."""
    view: bool = False
    """Show the points of each view before and after in the browser, by photo, flag or uncertainty, until Ctrl-C."""
    port: int = 8080
    """Port of that page; the next free one if it is taken."""


def sparse(
    run: tyro.conf.Positional[Path],
    output: Annotated[Output, tyro.conf.arg(name="output")],
    known: Annotated[Known, tyro.conf.arg(name="what is known")] = Known(),
    refinement: Annotated[Refinement, tyro.conf.arg(name="refinement")] = Refinement(),
    trainers: Annotated[HandOver, tyro.conf.arg(name="for splat trainers")] = HandOver(),  # noqa: B008
) -> None:
    """Check, align and refine what DUSt3R, VGGT, Depth Anything 3 and their kin made of a few photos.

    Writes refined.npz (depth, sigma, flags, cameras at the processed size; matched depth bit for bit), report.json, and of each
    view a picture of its flags (flags/) and of its depth before and after (depth/). For splat trainers: colmap/ and nerfstudio/
    at the size of the photos and under their names, points.ply, and with --fit splats.ply.

    Args:
        run: What the model saved: predictions.npz, results.npz, a folder.
        output: What comes out.
        known: What is known beside the run.
        refinement: How depth is refined.
        trainers: What splat trainers get.
    """
    page_class = _page_class() if output.view else None
    inputs = (known.photos, known.cameras)
    folder = claim_folder(output.output, "sparse", (*NAMES, *OUTPUTS), inputs=(run, *inputs), overwrite=output.overwrite)
    read = read_pointmaps(
        run, known.photos, known.model, trust_file=known.trust_file, metric=True if known.metric and not known.cameras else None
    )
    say_first(f"{read}: checked, aligned and flagged, then refined by {refinement.prior or refinement.inpainter}")
    check = check_pointmaps(read)
    _require(check.faults, read, known.trust_file)
    cameras, scene = None, None
    if known.cameras is not None:
        scene = read_found(known.cameras)
        cameras = known_cameras(read, scene)
    distance = None
    if known.known_distance is not None:
        name, x1, y1, x2, y2, metres = known.known_distance
        distance = KnownDistance(name, (x1, y1), (x2, y2), metres)
    with folder.stage() as stage:
        with watch_progress() as on_progress:
            result = refine_pointmaps(
                read,
                inpainter=with_options(refinement.inpainter, refinement.inpainter_options),
                prior=refinement.prior,
                cameras=cameras,
                metric=known.metric or (scene is not None and scene.metric),
                known_distance=distance,
                align=refinement.align,
                seed=refinement.seed,
                on_progress=on_progress,
            )
        result.report.self_check = check.as_dict()
        result.report.notes += [fault for fault in check.faults if fault not in result.report.notes]
        result.save(stage.path)
        fitted = None
        if result.report.finished:
            with watch_progress("fit") as on_progress:
                fitted = hand_over(result, stage.path, trainers, seed=refinement.seed, on_progress=on_progress)
            result.report.save(stage.path / REPORT)
        stage.finished = result.report.finished and (fitted is None or fitted.finished)
        place = folder.place(stage.finished)
    if output.json:
        print_json(result.report)
    else:
        print(check.table())
        _print(result, place)
    end_if_stopped(result.report)
    if fitted is not None:
        end_if_stopped(fitted)
    if page_class is not None:
        _show(page_class(result, processed_pictures(read), FLAG_NAMES[:MISSING], COLORS, output.port, place))


def _page_class() -> type[PointmapPage]:
    with needs_viewer():
        from scene_depth_viewer.pointmap_page import PointmapPage
    return PointmapPage


def _show(page: PointmapPage) -> None:
    say_first(f"{page.address} shows the points of all views; Ctrl-C ends it")
    try:
        threading.Event().wait()
    finally:
        page.stop()


def _require(faults: tuple[str, ...], run: PointmapRun, trusted: bool) -> None:
    """Stops at the first fault that makes the run useless; views without overlap are named and stay as they are.

    Raises:
        InputError: With that fault.
    """
    grave = [fault for fault in faults if not any(words in fault for words in NO_OVERLAP)]
    if grave and not trusted:
        what, _, found = grave[0].partition(": ")
        raise InputError(what, found, "", file=run.path, hint="--trust-file to go on all the same")


def _print(result: RefinedPointmaps, folder: Path) -> None:
    report, console = result.report, report_console()
    names = FLAG_NAMES[:5]
    rows = [(str(row["name"]), *(f"{100 * row['shares'][name]:.1f}" for name in names)) for row in report.views]
    console.print(text_table("Pixels of each view by flag, %", ["view", *names], rows))
    aligned = report.alignment
    if aligned["used"]:
        console.print(
            f"Cameras were aligned: mutual depth differs by {100 * aligned['spread_after']:.1f} % in place of "
            f"{100 * aligned['spread_before']:.1f} %; turned by up to {aligned['rotation']:.2f} degrees, focal length by up to "
            f"{100 * aligned['focal']:.1f} %."
        )
    else:
        console.print("Cameras stay as the model gave them: there is nothing to gain by aligning them.")
    unit = f" A unit of the run is {report.scale:.6g} m." if report.metric else ""
    console.print(f"Views agree within {100 * report.tolerance:.1f} %.{unit}")
    for note in report.notes:
        console.print(note)
    if (folder / COLMAP).is_dir():
        console.print(f"For splat trainers: {folder / COLMAP}, {folder / TRANSFORMS}")
    console.print(f"Written: {folder}")
