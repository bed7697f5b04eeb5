"""Two depth inpainters frame by frame: how much smaller the errors of the second are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmarks.results import table
from scene_depth.evaluation.depth_protocols import HOLES, STANDARD
from scene_depth.evaluation.depth_report import FLOOR
from scene_depth.evaluation.depth_rows import DepthRow


def ratio_table(rows: Sequence[DepthRow], pair: tuple[str, str], titles: tuple[str, str]) -> tuple[list[str], dict[str, float]]:
    """AbsRel over hidden pixels of two inpainters.

    Args:
        rows: Of both, on the same frames and masks of the standard protocol.
        pair: Their names in the rows.
        titles: Their names in the table.

    Returns:
        A Markdown table, and for every mask the geometric mean over frames of the second error over the first.
    """
    errors = {(row.frame, row.mask, row.inpainter): row for row in rows if row.failure is None and row.hidden.abs_rel is not None}
    head = ("mask", f"{titles[1]} / {titles[0]}", "worst frame", *(f"{title} %" for title in titles), "s more")
    ratios: dict[str, float] = {}
    lines = []
    for mask in STANDARD:
        pairs = [
            (row, errors[frame, mask, pair[1]])
            for (frame, name, who), row in errors.items()
            if name == mask and who == pair[0] and (frame, mask, pair[1]) in errors
        ]
        if not pairs:
            continue
        before, after = (np.array([row.hidden.abs_rel for row in side], dtype=np.float64) for side in zip(*pairs, strict=True))
        logs = np.log(np.maximum(after, FLOOR) / np.maximum(before, FLOOR))
        more = float(np.median([(b.seconds or 0.0) - (a.seconds or 0.0) for a, b in pairs]))
        ratios[mask] = float(np.exp(logs.mean()))
        means = [f"{100 * side.mean():.2f}" for side in (before, after)]
        lines.append([mask, f"{ratios[mask]:.3f}", f"{np.exp(logs.max()):.2f}", *means, f"{more:.2f}"])
    for what, masks in (("holes", HOLES), ("all masks", STANDARD)):
        lines.append([what, f"**{mean_ratio(ratios, masks):.3f}**", "", "", "", ""])
    return table(head, lines), ratios


def mean_ratio(ratios: Mapping[str, float], masks: Iterable[str]) -> float:
    """Geometric mean over those of the masks that were run."""
    return float(np.exp(np.mean([np.log(ratios[mask]) for mask in masks if mask in ratios])))
