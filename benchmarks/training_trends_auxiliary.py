"""The auxiliary network at small size: the ablation B, B+I, B+I+S over seeds, dropped points, distance ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import table
from benchmarks.training_trends_runs import (
    Setting,
    averaged,
    curve,
    measured,
    percent,
    seconds_of,
    spread,
    trained,
    views,
)
from scene_depth.depth.auxiliary import AuxiliaryInpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.evaluation.depth_metrics import depth_errors, errors_by_distance
from scene_depth.training import auxiliary
from scene_depth.training.objective import derived_seed

VARIANTS = ("B", "B+I", "B+I+S")
SAMPLING = "points150"
RATE = 2e-3
KEPT = (1.0, 0.5, 0.25, 0.1, 0.05)
"""Shares of the points that are left at test time."""
CLASSICAL = ("solver", "nearest", "ip_basic")


def configuration(setting: Setting, variant: Any, seed: int) -> auxiliary.AuxiliaryConfig:
    """Of one training."""
    preset = auxiliary.PRESETS["default"]
    return replace(
        preset,
        network=replace(preset.network, variant=variant, width=setting.width),
        sampling=(SAMPLING,),
        train=setting.train(RATE, seed, optimizer="adam"),
        **setting.data,
    )


def part(setting: Setting) -> list[str]:
    """Trains and measures; gives the lines of the section."""
    measures: dict[str, list[Mapping[str, float]]] = {variant: [] for variant in VARIANTS}
    folders = []
    for seed in range(setting.seeds):  # seed by seed, so that what is there at any time compares the variants
        for variant in VARIANTS:
            config = configuration(setting, variant, seed)
            folders.append(trained(setting, f"auxiliary_{variant}_{seed}", auxiliary.TRAINING, config))
            measures[variant].append(curve(folders[-1])[-1][1])
    last = configuration(setting, VARIANTS[-1], 0)
    objective = auxiliary.AuxiliaryObjective(last)
    network: Any = averaged(objective, folders[VARIANTS.index(last.network.variant)])
    inpainters = {f"auxiliary {VARIANTS[-1]}": load_depth_inpainter(AuxiliaryInpainter(network=network))}
    inpainters |= {name: load_depth_inpainter(name) for name in CLASSICAL}
    loss = last.loss
    return [
        f"Width {setting.width}, {setting.steps} steps each, {setting.budget}; {SAMPLING} in training and test, loss "
        f"{loss.depth} with w_img {loss.image_weight} for white {loss.image_range:g}; {setting.seeds} seeds of weights, data "
        f"order and points, median wall time of a training {np.median([seconds_of(folder) for folder in folders]):.0f} s. "
        "Errors over held-out pixels that were not measured, mean ± standard deviation over the seeds; the last column is the "
        "difference to B with the same seed.",
        "",
        *_ablation_table(measures),
        "The first seed's network as an inpainter, known depth exact and the seam taken out as for every inpainter. Points "
        "dropped at test time, AbsRel % over the same pixels (those without any of the 150 points):",
        "",
        *_dropped_table(setting, objective, inpainters),
        "By range of true depth with all points, AbsRel %:",
        "",
        *_distance_table(setting, objective, inpainters),
    ]


def _ablation_table(measures: Mapping[str, list[Mapping[str, float]]]) -> list[str]:
    rows = []
    for variant, found in measures.items():
        difference = [one["abs_rel"] - base["abs_rel"] for one, base in zip(found, measures["B"], strict=True)]
        rows.append(
            [
                variant,
                spread(one["abs_rel"] for one in found),
                spread((one["rmse"] for one in found), 3, 1.0),
                spread((one["delta1"] for one in found), 1),
                "" if variant == "B" else spread(difference),
            ]
        )
    return table(("variant", "AbsRel %", "RMSE m", "δ1 %", "AbsRel % minus that of B"), rows)


def _dropped_table(setting: Setting, objective: Any, inpainters: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, inpainter in inpainters.items():
        found = [measured(setting, f"{name} {kept}", partial(_dropped, objective, inpainter, kept))["abs_rel"] for kept in KEPT]
        rows.append([name, *map(percent, found)])
    return table(("points left", *(f"{kept:.0%}" for kept in KEPT)), rows)


def _dropped(objective: Any, inpainter: Any, kept: float) -> dict[str, float]:
    found = []
    for number, view in views(objective):
        known, fewer = _points(view, number, kept)
        depth = inpainter(view.rgb, view.truth, fewer, camera=view.camera, seed=number).depth
        found.append(depth_errors(depth, view.truth, view.valid & ~known).abs_rel or 0.0)
    return {"abs_rel": float(np.mean(found))}


def _distance_table(setting: Setting, objective: Any, inpainters: Mapping[str, Any]) -> list[str]:
    found = {
        name: measured(setting, f"{name} by distance", partial(_by_distance, objective, inpainter))
        for name, inpainter in inpainters.items()
    }
    ranges = list(next(iter(found.values())))
    return table(("m", *ranges), ([name, *(percent(values[each]) for each in ranges)] for name, values in found.items()))


def _by_distance(objective: Any, inpainter: Any) -> dict[str, float]:
    predicted, truth = [], []
    for number, view in views(objective):
        known, _ = _points(view, number, 1.0)
        depth = inpainter(view.rgb, view.truth, known, camera=view.camera, seed=number).depth
        hidden = view.valid & ~known
        predicted.append(depth[hidden])
        truth.append(view.truth[hidden])
    rows = errors_by_distance(np.concatenate(predicted), np.concatenate(truth))
    return {f"{row.near:g} to {'∞' if row.far is None else f'{row.far:g}'}": row.errors.abs_rel or 0.0 for row in rows}


def _points(view: Any, number: int, kept: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The measured pixels of a held-out view, as in validation, and a random share of them  # [H, W] each"""
    known = auxiliary.measured_depth(view, SAMPLING, derived_seed(7, number)) > 0
    order = np.random.default_rng((9, number)).permutation(np.flatnonzero(known))
    fewer = np.zeros_like(known)
    fewer.flat[order[: max(1, round(kept * len(order)))]] = True
    return known, fewer
