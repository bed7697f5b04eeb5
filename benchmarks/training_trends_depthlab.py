"""DepthLab's dual branch at small size: learning curve, and steps of the diffusion against steps of the flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.results import table
from benchmarks.training_trends_runs import (
    Setting,
    averaged,
    curve,
    measured,
    percent,
    seconds_of,
    trained,
    views,
    weights_of,
)
from scene_depth.datasets.frames import DepthFrame
from scene_depth.depth.depthlab import DepthLabInpainter
from scene_depth.depth.depthlab.preparation import DepthRange
from scene_depth.depth.latent.vae import decode, encode
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.evaluation.depth_metrics import depth_errors
from scene_depth.training import depthlab, vae
from scene_depth.training.latent import drawn_known
from scene_depth.training.objective import as_map, derived_seed

STEPS = {"diffusion": (1, 2, 4, 10, 50), "flow": (1, 2, 4, 10)}
MASKS = ("strokes", "circles", "squares", "silhouette")
"""Holes of the training and of the measures."""
BETA = 0.6
RATE, VAE_RATE = 2e-3, 3e-3

Fill = Callable[[DepthFrame, NDArray[np.bool_], int], NDArray[np.floating]]


def small_vae(setting: Setting) -> Path:
    """The small autoencoder that both latent models use."""
    train_config = setting.train(VAE_RATE, steps=setting.vae_steps)
    config = vae.VaeConfig(shape=setting.vae, masks=MASKS, train=train_config, **setting.data)
    return trained(setting, "vae", vae.TRAINING, config)


def configuration(setting: Setting, objective: Any, autoencoder: Path) -> depthlab.DepthLabConfig:
    """Of the training with one objective."""
    return depthlab.DepthLabConfig(
        shape=setting.shape,
        vae=str(weights_of(autoencoder)),
        objective=objective,
        masks=MASKS,
        evaluation_steps=10 if objective == "diffusion" else 2,
        evaluation_beta=BETA,
        train=setting.train(RATE, validations=4),
        **setting.data,
    )


def part(setting: Setting) -> list[str]:
    """Trains and measures; gives the lines of the section."""
    autoencoder = small_vae(setting)
    folders, made = {}, {}
    for objective in STEPS:
        config = configuration(setting, objective, autoencoder)
        folders[objective] = trained(setting, f"depthlab_{objective}", depthlab.TRAINING, config)
        made[objective] = depthlab.DepthLabObjective(config)
    rows = {(o, n): _of_steps(setting, made[o], folders[o], n) for o in STEPS for n in STEPS[o] if n <= setting.steps_measured}
    beside = _beside(setting, made["flow"])
    seconds = ", ".join(f"{name} {seconds_of(folder):.0f} s" for name, folder in {"vae": autoencoder, **folders}.items())
    error = curve(autoencoder)[-1][1]
    return [
        f"A dual branch of U-Nets of width {setting.shape.channels} with a small autoencoder, {setting.steps} steps each (the "
        f"autoencoder {setting.vae_steps}), {setting.budget}; one seed. Wall time of the trainings, their validations and other "
        f"work on the cores included: {seconds}. Holes: {', '.join(MASKS)}. The flow starts at the nearest fill with noise of "
        f"level {made['flow'].config.flow.noising_step}. The autoencoder's mean absolute error on maps in [-1, 1] is "
        f"{error['depth']:.3f} for depth, {error['picture']:.3f} for pictures.",
        "",
        "AbsRel % / δ1 % in the holes of held-out scenes while training (averaged weights; diffusion 10 steps, flow 2):",
        "",
        *_curve_table(folders),
        "AbsRel % by the number of steps, at the end:",
        "",
        *_step_table(rows),
        "Beside them, on the same holes: " + ", ".join(f"{name} {percent(value)}" for name, value in beside.items()) + ".",
        "",
    ]


def _curve_table(folders: Mapping[str, Path]) -> list[str]:
    curves = {name: dict(curve(folder)) for name, folder in folders.items()}
    steps = sorted(next(iter(curves.values())))
    constant = next(iter(curves.values()))[steps[-1]]["abs_rel_constant"]
    rows = [[f"{step}", *(_pair(found[step]) for found in curves.values()), percent(constant)] for step in steps]
    return table(("steps", *curves, "constant fill, AbsRel"), rows)


def _pair(measures: Mapping[str, float]) -> str:
    return f"{percent(measures['abs_rel'])} / {100 * measures['delta1']:.1f}"


def _step_table(rows: Mapping[tuple[str, int], float]) -> list[str]:
    steps = sorted({count for _, count in rows})
    cells = [[name, *(percent(rows[name, n]) if (name, n) in rows else "" for n in steps)] for name in STEPS]
    return table(("objective", *(f"{n} step{'s' * (n > 1)}" for n in steps)), cells)


def _of_steps(setting: Setting, objective: Any, folder: Path, steps: int) -> float:
    name = objective.config.objective

    def measure() -> dict[str, float]:
        model = objective._assembled(averaged(objective, folder), torch.device("cpu"))
        inpainter = DepthLabInpainter(
            model=model,
            num_inference_steps=steps,
            spacing="trailing",
            strength=1.0,
            processing_resolution=0,
            normalize_scale=BETA,
            tile=0,
        )
        return {"abs_rel": in_holes(objective, lambda view, known, seed: inpainter(view.rgb, view.truth, known, seed=seed).depth)}

    return measured(setting, f"depthlab {name} {steps}", measure)["abs_rel"]


def _beside(setting: Setting, objective: Any) -> Mapping[str, float]:
    """The same holes by what needs no training, and what the autoencoder itself costs."""

    def by_name(name: str) -> Fill:
        inpainter = load_depth_inpainter(name)
        return lambda view, known, seed: inpainter(view.rgb, view.truth, known, camera=view.camera, seed=seed).depth

    def constant(view: DepthFrame, known: NDArray[np.bool_], seed: int) -> NDArray[np.floating]:
        return np.full_like(view.truth, np.median(view.truth[known]))

    def again(view: DepthFrame, known: NDArray[np.bool_], seed: int) -> NDArray[np.floating]:
        lowest, highest = float(view.truth[known].min()), float(view.truth[known].max())
        scale = DepthRange(lowest, highest, BETA)
        maps = as_map(scale.normalized(np.where(view.valid, view.truth, lowest)))[None]
        values = scale.depth(decode(objective.vae, encode(objective.vae, maps)))[0, 0].numpy()
        depth: NDArray[np.floating] = np.maximum(values, 0.01 * lowest)
        return depth

    fills: dict[str, Fill] = {
        "constant fill": constant,
        "nearest": by_name("nearest"),
        "solver": by_name("solver"),
        "the truth through the autoencoder": again,
    }
    return measured(setting, "depthlab beside", lambda: {name: in_holes(objective, fill) for name, fill in fills.items()})


def in_holes(objective: Any, fill: Fill) -> float:
    """Mean AbsRel in the holes on which the objective validates.

    Args:
        objective: Of ``depthlab``.
        fill: (view, known, seed) -> depth.
    """
    found = []
    for number, view in views(objective):
        known = drawn_known(view, objective.config.masks, np.random.default_rng((7, number)))
        hidden = view.valid & ~known
        if hidden.any():
            depth = fill(view, known, derived_seed(8, number) % 2**31)
            found.append(depth_errors(depth, view.truth, hidden).abs_rel or 0.0)
    return float(np.mean(found))
