"""Heals of splats alone beside heals with photos; and heals of files whose truth is the file before a ball was put in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scene_depth_heal.inputs import load_views
from scene_depth_heal.masks import fit_masks
from scene_depth_heal.placement import surface_below
from scene_depth_heal.selection import select
from scene_depth_heal.workflow import HealConfig, HealResult, heal_alone, heal_views

from benchmarks.heal_cases import Case
from benchmarks.results import table
from benchmarks.shared_data import shared
from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.evaluation.images import psnr
from scene_depth.evaluation.scene_scores import evaluate_scene, find_holes, mean_scores
from scene_depth.evaluation.splat_measures import SplatMeasures
from scene_depth.fitting.training_views import fitted_camera
from scene_depth.io.splat_files import read_splats
from scene_depth.rendering import render
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats, concatenate_splats

WITH, ALONE, DELETED = "heal with photos", "heal of the splats alone", "delete only"
FILES = {"tile_14k.ply": (0.0, 0.0, 1.0)}  # of ../shared/data/splats, and their up
BALL = 0.12  # radius, of the scene's
Row = tuple[str, ...]


def compare_with_photos(case: Case, splats: GaussianSplats, config: HealConfig) -> list[Row]:
    """One row a way of healing, measured on held-out views of the truth."""
    views, _ = fit_masks(splats, load_views(case.train, case.max_size, case.selection))
    removed = select(splats, views, case.selection)
    inpainters = load_depth_inpainter("solver"), load_image_inpainter("exemplar")
    results = {
        WITH: heal_views(splats, removed, views, *inpainters, config),
        ALONE: heal_alone(splats, removed, *inpainters, config, max_size=case.max_size),
    }
    holes = case.holes if case.holes is not None else find_holes(case.test, None)
    rows = []
    for way, edited in {DELETED: splats.select(~removed), **{way: each.splats for way, each in results.items()}}.items():
        means = mean_scores(evaluate_scene(edited, case.test, holes, max_size=case.max_size, before=splats))
        measured = [f"{means['psnr_hole']:.2f}", f"{means['ssim_hole']:.3f}", f"{100 * means['depth_abs_rel']:.2f}"]
        rows.append((case.name, way, *measured, f"{means['psnr_outside']:.2f}", *_of(results.get(way))))
    return rows


def _of(result: HealResult | None) -> Row:
    if result is None:
        return "", "", "", ""
    report = result.report
    seconds = f"{sum(report.seconds.values()):.0f}"
    return str(len(result.states)), f"{100 * report.unseen_share_of_hole:.0f}", f"{report.new_splats}", seconds


def heal_files(names: Sequence[str], config: HealConfig, size: int) -> list[Row]:
    """Files of splats: a ball is put on a surface, what is in and close to it goes, and the truth is the file as it was."""
    rows = []
    for name in names:
        vertical = FILES[name]
        truth, up = read_splats(shared(f"data/splats/{name}")), np.array(vertical)
        measures = SplatMeasures(truth, np.zeros(len(truth), dtype=bool))
        radius = BALL * measures.radius
        foot = surface_below(truth, measures.center, up, 2 * measures.radius, radius)
        assert foot is not None
        middle = torch.from_numpy(foot.point + radius * foot.normal)
        ball, covered = _ball(truth, middle, radius), (truth.means - middle).norm(dim=1) < 1.3 * radius
        splats = concatenate_splats([truth.select(~covered), ball])
        removed = torch.arange(len(splats)) >= len(splats) - len(ball)
        result = heal_alone(
            splats, removed, load_depth_inpainter("solver"), load_image_inpainter("exemplar"), config, max_size=size
        )
        for way, edited in {DELETED: splats.select(~removed), ALONE: result.splats}.items():
            found = []
            for state in result.states:
                camera = fitted_camera(state.camera, size)
                wanted, shown = (render(each, camera).rgb[0].clamp(0, 1).numpy() for each in (truth, edited))
                if state.unseen.sum() > 20:
                    found.append(psnr(shown, wanted, state.unseen.numpy()))
            rest = _of(result) if way == ALONE else _of(None)
            rows.append((name, way, f"{np.mean(found):.2f}", "", "", "", *rest))
    return rows


def _ball(like: GaussianSplats, center: torch.Tensor, radius: float, count: int = 1500) -> GaussianSplats:
    """A red ball of splats, of the kind of the others."""
    step = torch.arange(count) + 0.5
    height, turn = 1 - 2 * step / count, math.pi * (1 + math.sqrt(5)) * step
    across = (1 - height**2).sqrt()
    points = center + radius * torch.stack([across * turn.cos(), across * turn.sin(), height], dim=1)
    chosen = replace(like, extra={}).select(torch.zeros(count, dtype=torch.long))
    sh = torch.zeros_like(chosen.sh)
    sh[:, 0] = (torch.tensor([0.8, 0.1, 0.1]) - 0.5) / SH_C0
    return replace(
        chosen,
        means=points.float(),
        log_scales=torch.full((count, 3), math.log(2 * radius / math.sqrt(count))),
        logit_opacities=torch.full((count,), 4.0),
        sh=sh,
    )


def rows_table(rows: list[Row]) -> list[str]:
    """What was measured, in words and numbers."""
    text = (
        "Sample scenes: held-out views of the truth after the deletion, the same splats removed, once with the photos and once "
        "from the splats alone. Files: a ball is put on a surface and what is in and close to it taken out; the truth is the "
        "file as it was, measured in the unseen pixels of the virtual views. "
        "Unseen: what no view shows of the hole, and is invented."
    )
    heads = ["case", "way", "PSNR hole", "SSIM hole", "AbsRel hole %", "PSNR outside", "views", "unseen of hole %", "new", "s"]
    return [text, "", *table(heads, rows)]
