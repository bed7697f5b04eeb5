"""``scene-depth demo``: heals a sample scene on this machine, in three ways that are measured against the known truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from scene_depth.cli.eval import scene_table
from scene_depth.cli.progress import end_if_stopped, print_json, report_console, say_first, watch_progress
from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.scene_scores import evaluate_scene, find_holes, mean_scores
from scene_depth.extras import needs_viewer
from scene_depth.fitting.config import FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.io.images import write_image
from scene_depth.io.json_reports import JsonReport
from scene_depth.io.output_folder import claim_folder
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats, splats_beside, write_splats
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress, Progress
from scene_depth_heal.hole import HealView, picture_of
from scene_depth_heal.inputs import load_views
from scene_depth_heal.masks import fit_masks
from scene_depth_heal.selection import SelectionSource, select
from scene_depth_heal.shipped import find_sample
from scene_depth_heal.workflow import HealConfig, HealReport, HealResult, heal_views

SPLATS, HEALED, MEASURES, PICTURE = "splats.ply", "healed.ply", "measures.json", "demo.png"
FIT_STEPS, MAX_SIZE = 3000, 480
SHOWN = ("psnr_hole", "ssim_hole", "psnr_outside", "depth_abs_rel", "seam_jump", "consistency")
DELETE_ONLY, NEAREST, HEAL = "delete only", "nearest depth", "heal"
WAYS: dict[str, tuple[str, bool]] = {DELETE_ONLY: ("nearest", True), NEAREST: ("nearest", False), HEAL: ("solver", False)}
"""For each way the depth inpainter, and whether nothing is repaired."""


@dataclass(frozen=True)
class DemoReport(JsonReport):
    """What the demo measured.

    Attributes:
        scene: Name of the sample scene.
        seconds: Wall time of everything.
        measures: Of each way to heal, the means over the held-out views.
        report: Of the heal.
    """

    scene: str
    seconds: float
    measures: dict[str, dict[str, float]]
    report: HealReport


def demo(
    output: Path = Path("out/demo"),
    scene: str = "table",
    headless: bool = False,
    port: int = 8080,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Heal a sample scene: remove its object, repair the hole, measure against the truth, look at it.

    Args:
        output: Folder for healed.ply, measures.json and demo.png.
        scene: Sample scene: table, room or street.
        headless: End after the pictures; do not open the viewer.
        port: Port of the viewer.
        overwrite: Replace files in the output folder that something else wrote.
        json: Print the measures as JSON to standard output.
    """
    if not headless:
        _check_viewer()
    started = time.perf_counter()
    folder = claim_folder(output, "demo", (SPLATS, HEALED, MEASURES, PICTURE), overwrite=overwrite)
    say_first(f"three heals of the sample scene {scene}, a minute or more each on a CPU, and their measures")
    with folder.stage() as stage:
        with watch_progress("demo") as on_progress:
            samples = _sample(scene, folder.path, on_progress)
            train, truth = read_scene(samples, split="train"), read_scene(samples / "removed", split="test")
            before = _splats(train, splats_beside(samples), stage.path / SPLATS, on_progress)
            results = _heals(before, train, on_progress)
        healed = results[HEAL]
        write_splats(stage.path / HEALED, healed.splats)
        holes = find_holes(truth, samples / "masks")
        measures = {name: mean_scores(evaluate_scene(result.splats, truth, holes)) for name, result in results.items()}
        report = DemoReport(scene, time.perf_counter() - started, measures, healed.report)
        state = healed.most_unseen
        pictures = [picture_of(before, state.camera), state.marked(), picture_of(healed.splats, state.camera)]
        write_image(stage.path / PICTURE, np.concatenate(pictures, axis=1))
        report.save(stage.path / MEASURES)
    if json:
        print_json(report)
    else:
        _print(report, folder.path)
    if not headless:
        from scene_depth_viewer.cli import view

        view(samples, folder.path / SPLATS, folder.path / HEALED, port=port)


def _check_viewer() -> None:
    """Says what the viewer lacks before the long work, not after it."""
    with needs_viewer(", or --headless"):
        import scene_depth_viewer.viewer  # noqa: F401


def _sample(name: str, folder: Path, on_progress: OnProgress) -> Path:
    """The sample scene of the checkout or of the wheel (which holds the table), or the same one drawn here."""
    with suppress(InputError):
        return find_sample(name)
    try:
        from scene_depth_synthetic import sample_scene, write_sample_scene
    except ImportError as error:
        accepted = "a checkout with its folder scenes, or the package scene_depth_synthetic, which draws them"
        raise InputError("sample scene", f"no {name}", accepted) from error
    end_if_stopped(write_sample_scene(folder / name, sample_scene(name), on_progress=on_progress))
    return folder / name


def _splats(scene: Scene, given: Path | None, kept: Path, on_progress: OnProgress) -> GaussianSplats:
    """The sample's own splats if it has some, else a fit; either way they lie in the output folder for the viewer."""
    if given is not None:
        splats = read_splats(given)
    else:
        config = FitConfig(steps=FIT_STEPS, max_size=MAX_SIZE)
        result = fit(scene, config=config, on_progress=on_progress)
        end_if_stopped(result.report)
        splats = result.splats
    write_splats(kept, splats)
    return splats


def _heals(before: GaussianSplats, scene: Scene, on_progress: OnProgress) -> dict[str, HealResult]:
    """The scene with the object deleted only, healed with the nearest known depth, and healed."""
    views, _ = fit_masks(before, load_views(scene, MAX_SIZE, SelectionSource()))
    removed = select(before, views, SelectionSource())
    found = heal_each_way(before, removed, views, on_progress=lambda way, now: on_progress(now))
    if len(found) < len(WAYS):
        raise KeyboardInterrupt
    return found


def heal_each_way(
    splats: GaussianSplats,
    removed: Tensor,
    views: Sequence[HealView],
    config: HealConfig | None = None,
    *,
    color: str = "exemplar",
    on_progress: Callable[[str, Progress], bool | None] | None = None,
) -> dict[str, HealResult]:
    """The scene with the object's splats only deleted, healed with the nearest known depth, and healed with the solver.

    The workflow, planes that depth is put on among it, the colour inpainter, the parameters and the seed are the same, so that
    differences are those of depth.

    Args:
        splats: The scene with the object.
        removed: The splats to delete  # [N] bool
        views: Posed photos.
        config: Parameters of all three.
        color: Image inpainter by name.
        on_progress: Called with the way and how far it is; False stops that way and the rest, which are then left out.

    Returns:
        Results by way, in the order of WAYS.

    Raises:
        InputError: As ``heal``.
    """
    config = config or HealConfig()
    image_inpainter = load_image_inpainter(color)
    found: dict[str, HealResult] = {}
    stopped: list[bool] = []
    for way, (inpainter, dry_run) in WAYS.items():

        def watch(now: Progress, way: str = way) -> bool:
            if on_progress is not None and on_progress(way, now) is False:
                stopped.append(True)
            return not stopped

        depth_inpainter = load_depth_inpainter(inpainter)
        result = heal_views(splats, removed, views, depth_inpainter, image_inpainter, config, on_progress=watch, dry_run=dry_run)
        if stopped:
            break
        found[way] = replace(result, splats=splats.detach().select(~removed)) if dry_run else result
    return found


def _print(report: DemoReport, folder: Path) -> None:
    console = report_console()
    shown = {name: {field: measures.get(field) for field in SHOWN} for name, measures in report.measures.items()}
    console.print(scene_table("Held-out views against the truth", "", list(shown.items())))
    console.print("PSNR (dB), SSIM and views agree: more is better; AbsRel (error of depth) and seam: less is better.")
    hole = {name: f"{measures['psnr_hole']:.1f} dB" for name, measures in report.measures.items() if "psnr_hole" in measures}
    if HEAL in hole:
        others = ", ".join(f"{name} {value}" for name, value in hole.items() if name != HEAL)
        console.print(f"Healed, the hole agrees with the truth to {hole[HEAL]} ({others}), after {report.seconds:.0f} s.")
    console.print(f"Written: {folder / HEALED}")
    console.print(f"Picture: {folder / PICTURE}")
