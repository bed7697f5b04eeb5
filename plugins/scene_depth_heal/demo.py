"""``scene-depth demo``: heals a sample scene on this machine and measures it against the known truth."""

from __future__ import annotations

import json as json_module
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from scene_depth.cli.eval import COLUMNS
from scene_depth.cli.progress import end_if_stopped, watch_progress
from scene_depth.errors import InputError
from scene_depth.evaluation.scene_scores import evaluate_scene, find_holes, mean_scores
from scene_depth.fitting.config import FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.io.atomic import atomic_path, check_writable
from scene_depth.io.images import write_image
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats, splats_beside, write_splats
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress

SPLATS, HEALED, MEASURES, PICTURE = "splats.ply", "healed.ply", "measures.json", "demo.png"
FIT_STEPS, MAX_SIZE = 3000, 480
SHOWN = ("psnr_hole", "ssim_hole", "psnr_outside", "depth_abs_rel", "seam_jump", "consistency")


def demo(
    output: Path = Path("out/demo"), scene: str = "table", headless: bool = False, port: int = 8080, json: bool = False
) -> None:
    """Heal a sample scene: remove its object, repair the hole, measure against the truth, look at it.

    Args:
        output: Folder for healed.ply, measures.json and demo.png.
        scene: Sample scene: table, room or street.
        headless: End after the pictures; do not open the viewer.
        port: Port of the viewer.
        json: Print the measures as JSON to standard output.
    """
    if not headless:
        _check_viewer()
    started = time.perf_counter()
    folder = check_writable(output)
    with watch_progress("demo") as on_progress:
        samples = _sample(scene, folder, on_progress)
        train, truth = read_scene(samples, split="train"), read_scene(samples / "removed", split="test")
        before = _splats(train, splats_beside(samples), folder / SPLATS, on_progress)
        results = _heals(before, train, on_progress)
    write_splats(folder / HEALED, results["heal"].splats)
    holes = find_holes(truth, samples / "masks")
    measures = {name: mean_scores(evaluate_scene(result.splats, truth, holes)) for name, result in results.items()}
    content = {
        "scene": scene,
        "seconds": time.perf_counter() - started,
        "measures": measures,
        "report": results["heal"].report.as_dict(),
    }
    with atomic_path(folder / MEASURES) as temporary:
        temporary.write_text(json_module.dumps(content, indent=2) + "\n", encoding="utf-8")
    write_image(folder / PICTURE, _picture(before, results["heal"]))
    if json:
        print(json_module.dumps(content))
    else:
        _tell(content, folder)
    if not headless:
        from scene_depth_viewer.cli import view

        view(samples, folder / SPLATS, folder / HEALED, port=port)


def _check_viewer() -> None:
    """Says what the viewer lacks before the long work, not after it."""
    try:
        import scene_depth_viewer.viewer  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name not in ("viser", "scene_depth_viewer"):
            raise
        raise InputError(error.name, "not installed", "pip install 'scene-depth[viewer]', or --headless") from error


def _sample(name: str, folder: Path, on_progress: OnProgress) -> Path:
    """The sample scene of the checkout or of the wheel (which holds the table), or the same one drawn here."""
    here = Path(__file__).resolve()
    for shipped in (here.parents[2] / "scenes" / name, here.parent / "scenes" / name):
        if (shipped / "transforms.json").is_file():
            return shipped
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


def _heals(before: GaussianSplats, scene: Scene, on_progress: OnProgress) -> dict[str, Any]:
    """The scene with the object deleted only, healed with the nearest known depth, and healed."""
    from scene_depth_heal.comparison import WAYS, heal_each_way
    from scene_depth_heal.inputs import SelectionSource, load_views, select

    views = load_views(scene, MAX_SIZE, SelectionSource())
    removed = select(before, views, SelectionSource())

    found = heal_each_way(before, removed, views, on_progress=lambda way, now: on_progress(now))
    if len(found) < len(WAYS):
        raise KeyboardInterrupt
    return found


def _picture(before: GaussianSplats, result: Any) -> np.ndarray:
    """The view with the most to repair: before, the hole with its unseen part marked, healed."""
    from scene_depth_heal.comparison import marked_hole, most_unseen, shown

    state = most_unseen(result)
    return np.concatenate([shown(before, state), marked_hole(state), shown(result.splats, state)], axis=1)


def _tell(content: dict[str, Any], folder: Path) -> None:
    console = Console()
    columns = [column for column in COLUMNS if column[0] in SHOWN]
    table = Table("", *(title for _, title, _ in columns), title="held-out views against the truth")
    for name, measures in content["measures"].items():
        table.add_row(name, *("" if field not in measures else form.format(measures[field]) for field, _, form in columns))
    console.print(table)
    console.print(f"{content['seconds']:.0f} s. {folder / PICTURE}  {folder / HEALED}", highlight=False)
