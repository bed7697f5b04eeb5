"""``scene-depth eval scene``: an edited splat scene against truth."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from scene_depth.errors import InputError
from scene_depth.evaluation.scene_scores import SceneScore, mean_scores, score_scene
from scene_depth.io.atomic import atomic_path, check_output
from scene_depth.io.images import images_named_like, read_mask
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats
from scene_depth.scene import Scene

HEALED = "healed.ply"
COLUMNS = (
    ("psnr_hole", "PSNR hole", "{:.2f}"),
    ("ssim_hole", "SSIM hole", "{:.3f}"),
    ("psnr_outside", "PSNR outside", "{:.2f}"),
    ("depth_abs_rel", "AbsRel hole", "{:.4f}"),
    ("depth_delta1", "δ1 hole", "{:.3f}"),
    ("seam_jump", "seam", "{:.4f}"),
    ("consistency", "consistent", "{:.3f}"),
    ("floating", "floating", "{:.3f}"),
    ("preservation", "preserved dB", "{:.1f}"),
)


@dataclass(frozen=True)
class SceneEvaluation:
    """Measure an edited splat scene on views whose truth is known: inside the hole, outside it, at the seam, between views."""

    result: Annotated[Path, tyro.conf.Positional]
    """Splat file, or a folder with healed.ply."""
    reference: Path
    """Scene with the views as they should look, with depth where it is known."""
    masks: Path | None = None
    """Folder of masks named like the views, white where the object was; by default the reference's own masks."""
    before: Path | None = None
    """Splats before the edit, to measure what changed elsewhere."""
    max_size: int = 640
    """Longer side of the pictures that are compared, in pixels."""
    output: Path | None = None
    """JSON file for the measures."""
    json: bool = False
    """Print the measures as JSON to standard output."""

    def run(self) -> None:
        """Measures and prints."""
        path = self.result / HEALED if self.result.is_dir() else self.result
        if self.output is not None:
            check_output(self.output, inputs=(path,))
        truth = read_scene(self.reference)
        before = None if self.before is None else read_splats(self.before)
        scores = score_scene(read_splats(path), truth, holes_of(truth, self.masks), max_size=self.max_size, before=before)
        content = {"splats": str(path), "mean": mean_scores(scores), "views": [asdict(score) for score in scores]}
        if self.output is not None:
            with atomic_path(self.output) as temporary:
                temporary.write_text(json_module.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        if self.json:
            print(json_module.dumps(content, allow_nan=False))
        else:
            Console().print(scene_table(scores))


def holes_of(truth: Scene, masks: Path | None) -> dict[str, NDArray[np.bool_]]:
    """Where the object was, by view name.

    Raises:
        InputError: If there are no masks.
    """
    if masks is None:
        holes = {view.name: view.mask() for view in truth.views if view.load_mask is not None}
        if not holes:
            raise InputError("masks", "a reference without masks", "--masks DIR", file=truth.source)
        return holes
    files = images_named_like(masks, [view.name for view in truth.views], what="masks")
    return {name: read_mask(file) for name, file in files.items()}


def scene_table(scores: list[SceneScore]) -> Table:
    """One row a view, and the means."""
    table = Table("view", *(title for _, title, _ in COLUMNS))
    means: dict[str, Any] = mean_scores(scores)
    for name, values in [(score.name, asdict(score)) for score in scores] + [("mean", means)]:
        cells = [(values.get(field), form) for field, _, form in COLUMNS]
        table.add_row(name, *("" if value is None else form.format(value) for value, form in cells))
    return table
