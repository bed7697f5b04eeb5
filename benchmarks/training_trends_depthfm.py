"""DepthFM at small size: the ablations of the paper (Gui et al. 2024, sections 4.3 and 4.4) as trends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.monocular_sweep import sweep
from benchmarks.results import table
from benchmarks.training_trends_depthlab import small_vae
from benchmarks.training_trends_runs import (
    Setting,
    averaged,
    measured,
    percent,
    seconds_of,
    trained,
    views,
    weights_of,
)
from scene_depth.depth.depthfm.encoding import depth_range
from scene_depth.depth.depthfm.inference import predict_log_depth
from scene_depth.depth.depthfm.network import load_depthfm
from scene_depth.depth.masks import known_mask
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.evaluation.depth_metrics import depth_errors
from scene_depth.training import depthfm
from scene_depth.training.objective import derived_seed

RATE = 2e-3
STEPS = (1, 2, 4, 10)
MEMBERS = (1, 2, 5, 10)
BASE = "image start, log depth, level 400"
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    BASE: {},
    "noise start": {"coupling": "noise"},
    "linear depth": {"normalization": "linear"},
    "level 100": {"noising_step": 100},
    "level 800": {"noising_step": 800},
}
"""What differs from the base, by name."""
SHARES = ("rand2", "rand5", "rand10", "rand30", "rand50")
BESIDE = ("nearest", "solver")


def configuration(setting: Setting, autoencoder: Path, changes: Mapping[str, Any]) -> depthfm.DepthFMConfig:
    """Of one training."""
    base = depthfm.DepthFMConfig(
        shape=setting.shape, vae=str(weights_of(autoencoder)), masks=SHARES, train=setting.train(RATE), **setting.data
    )
    return replace(base, **changes)


def part(setting: Setting) -> list[str]:
    """Trains and measures; gives the lines of the section."""
    autoencoder = small_vae(setting)
    folders, rows = {}, []
    for name, changes in list(VARIANTS.items())[: setting.variants]:
        config = configuration(setting, autoencoder, changes)
        folders[name] = trained(setting, f"depthfm_{name.replace(',', '').replace(' ', '_')}", depthfm.TRAINING, config)
        found = [_of_steps(setting, name, config, folders[name], steps) for steps in STEPS]
        rows.append([name, *(f"{percent(one['abs_rel'])} / {100 * one['delta1']:.1f}" for one in found)])
    completion = configuration(setting, autoencoder, {"completion": True})
    completing = trained(setting, "depthfm_completion", depthfm.TRAINING, completion)
    seconds = np.median([seconds_of(folder) for folder in folders.values()])
    return [
        f"A U-Net of width {setting.shape.channels} from scratch with the small autoencoder above, {setting.steps} steps each, "
        f"{setting.budget}; one seed, median wall time of a training {seconds:.0f} s on shared cores.",
        "",
        "AbsRel % / δ1 % on held-out scenes after a robust fit of scale and shift in the space of training, by Euler steps; each "
        "row is one training that differs from the first in what it names:",
        "",
        *table(("trained with", *(f"{n} step{'s' * (n > 1)}" for n in STEPS)), rows),
        "Members of the first row's model, 1 step, after a least-squares fit in log space:",
        "",
        *_member_table(setting, configuration(setting, autoencoder, {}), folders[BASE]),
        "Completion model (trained on all these shares), AbsRel % of hidden pixels by the share of known pixels, 2 steps, 4 "
        "members. As the inpainter it is fitted to the known pixels, and the seam at them is taken out:",
        "",
        *_share_table(setting, completion, completing),
    ]


def _of_steps(setting: Setting, name: str, config: Any, folder: Path, steps: int) -> Mapping[str, float]:
    def measure() -> Mapping[str, float]:
        objective = depthfm.DepthFMObjective(replace(config, evaluation_steps=steps))
        return objective.validate(averaged(objective, folder), 0).measures

    return measured(setting, f"depthfm {name} {steps}", measure)


def _member_table(setting: Setting, config: Any, folder: Path) -> list[str]:
    model, objective = load_depthfm(weights_of(folder), device="cpu"), depthfm.DepthFMObjective(config)

    def predict(rgb: Any, steps: int, members: int) -> MonocularMap:
        found = predict_log_depth(model, rgb, num_inference_steps=steps, ensemble_size=members)
        return MonocularMap(found.values, "log", found.uncertainty if members > 1 else None)

    def measure(members: int) -> Mapping[str, float]:
        frames = [(view.rgb, view.truth, view.valid) for _, view in views(objective) if view.rgb is not None]
        (row,) = sweep(predict, frames, (1,), (members,))
        numbers = {"abs_rel": row.abs_rel, "delta1": row.delta1, "ratio": row.ratio_of_thirds, "ause": row.ause}
        return {key: value for key, value in numbers.items() if value is not None}

    rows = []
    for members in MEMBERS:
        found = measured(setting, f"depthfm members {members}", partial(measure, members))
        certain = [f"{found[key]:.2f}" if key in found else "" for key in ("ratio", "ause")]
        rows.append([f"{members}", percent(found["abs_rel"]), f"{100 * found['delta1']:.1f}", *certain])
    return table(("members", "AbsRel %", "δ1 %", "error, uncertain / certain third", "AUSE"), rows)


def _share_table(setting: Setting, config: Any, folder: Path) -> list[str]:
    objective = depthfm.DepthFMObjective(config)
    bare = load_depthfm(weights_of(folder), device="cpu")
    named = {"depthfm": load_depth_inpainter("depthfm", weights=weights_of(folder), processing_resolution=0, device="cpu")}
    named |= {name: load_depth_inpainter(name) for name in BESIDE}

    def network(mask: str) -> dict[str, float]:
        """The network's own depth, by the range of the known pixels, with nothing fitted afterwards."""
        found = []
        for number, view, known in _known(objective, mask):
            assert bare.encoding is not None
            low, high = depth_range(view.truth[known], bare.encoding)
            predicted = predict_log_depth(bare, view.rgb, depth=view.truth, known=known, seed=number)
            depth = np.exp((np.clip(predicted.values, -depthfm.BEYOND, depthfm.BEYOND) + 1) / 2 * np.log(high / low)) * low
            found.append(depth_errors(depth, view.truth, view.valid & ~known).abs_rel or 0.0)
        return {"abs_rel": float(np.mean(found))}

    def by_name(inpainter: Any, mask: str) -> dict[str, float]:
        found = []
        for number, view, known in _known(objective, mask):
            depth = inpainter(view.rgb, view.truth, known, camera=view.camera, seed=number).depth
            found.append(depth_errors(depth, view.truth, view.valid & ~known).abs_rel or 0.0)
        return {"abs_rel": float(np.mean(found))}

    cells = [[measured(setting, f"completion network {mask}", partial(network, mask))["abs_rel"] for mask in SHARES]]
    for name, inpainter in named.items():
        key = f"completion {name}"
        found = [measured(setting, f"{key} {mask}", partial(by_name, inpainter, mask))["abs_rel"] for mask in SHARES]
        cells.append(found)
    titles = ("the network alone", "as the inpainter depthfm", *BESIDE)
    rows = [[title, *map(percent, found)] for title, found in zip(titles, cells, strict=True)]
    return table(("known", *(f"{mask.removeprefix('rand')} %" for mask in SHARES)), rows)


def _known(objective: Any, mask: str) -> Any:
    for number, view in views(objective):
        seed = derived_seed(10, number) % 2**31
        yield number, view, known_mask(mask, view.truth, seed, rgb=view.rgb, camera=view.camera) & view.valid
