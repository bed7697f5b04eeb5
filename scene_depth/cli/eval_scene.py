"""``scene-depth eval scene``: an edited splat scene against truth."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from scene_depth.evaluation.scene_scores import SceneScore, evaluate_scene, mean_scores
from scene_depth.io.atomic import atomic_path, check_output
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats

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
        scores = evaluate_scene(read_splats(path), truth, self.masks, max_size=self.max_size, before=before)
        content = {"splats": str(path), "mean": mean_scores(scores), "views": [asdict(score) for score in scores]}
        if self.output is not None:
            with atomic_path(self.output) as temporary:
                temporary.write_text(json_module.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        if self.json:
            print(json_module.dumps(content, allow_nan=False))
        else:
            Console().print(scene_table(scores))


def scene_table(scores: list[SceneScore]) -> Table:
    """One row a view, and the means."""
    table = Table("view", *(title for _, title, _ in COLUMNS))
    means: dict[str, Any] = mean_scores(scores)
    for name, values in [(score.name, asdict(score)) for score in scores] + [("mean", means)]:
        cells = [(values.get(field), form) for field, _, form in COLUMNS]
        table.add_row(name, *("" if value is None else form.format(value) for value, form in cells))
    return table
