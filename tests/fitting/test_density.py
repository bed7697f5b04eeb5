"""Density control: the share of opacity against rendered look, moves and copies, gsplat's strategies, seeds."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fit_scenes import blobs
from nerfstudio_parser import nerfstudio_folder

from scene_depth.fitting.config import FitConfig, SettledConfig
from scene_depth.fitting.density import DensityControl, Seen, growth, seeded
from scene_depth.fitting.parameters import Trainable, trainable_splats
from scene_depth.fitting.relocation import add_copies, relocate_dead, shake_faint, share_opacity_and_scale


def trained(count: int = 40, density: str = "guided", **options: object) -> tuple[Trainable, SettledConfig]:
    """Trainable splats whose optimizers remember something."""
    config = FitConfig(density=density, steps=1000, sh_degree=1, refine_every=10, refine_start=0, **options).settled("cpu")  # type: ignore[arg-type]
    trainable = trainable_splats(blobs(count).with_sh_degree(1), config)
    for parameter in trainable.parameters.values():
        parameter.grad = torch.ones_like(parameter)
    trainable.step()
    return trainable, config


def seen_evenly(trainable: Trainable, strength: float = 1.0) -> Seen:
    return Seen(strength * torch.ones(1, len(trainable), 2), torch.full((1, len(trainable)), 0.1))


def test_shares_against_the_formula_of_the_paper() -> None:
    """Equation 9 as the paper writes it, a double sum with exact binomials."""
    opacities, counts = torch.tensor([0.9, 0.5, 0.3, 0.99, 0.7]), torch.tensor([1, 2, 5, 20, 51])
    new, scales = share_opacity_and_scale(opacities, torch.ones(5, 3), counts)
    for o, n, got, scale in zip(opacities.double().tolist(), counts.tolist(), new.tolist(), scales[:, 0].tolist(), strict=True):
        share = 1 - (1 - o) ** (1 / n)
        total = sum(
            math.comb(i - 1, k) * (-1) ** k * share ** (k + 1) / math.sqrt(k + 1) for i in range(1, n + 1) for k in range(i)
        )
        assert got == pytest.approx(share, rel=1e-5)
        assert scale == pytest.approx(o / total, rel=1e-4)


def test_shares_look_like_one() -> None:
    """Along a line through the centre, n shares blended over each other cover as much as the one splat did."""
    x = np.linspace(-8, 8, 20001)
    opacity, n = 0.8, 4
    share, scale = share_opacity_and_scale(torch.tensor([opacity]), torch.ones(1, 3), torch.tensor([n]))
    one = opacity * np.exp(-(x**2) / 2)
    many = 1 - (1 - share.item() * np.exp(-(x**2) / (2 * scale[0, 0].item() ** 2))) ** n
    assert many.max() == pytest.approx(opacity, rel=1e-5)
    assert many.sum() == pytest.approx(one.sum(), rel=1e-3)


def test_dead_move_onto_drawn_splats_with_their_memory_reset() -> None:
    trainable, _ = trained()
    p = trainable.parameters
    with torch.no_grad():
        p["opacities"][:5] = -10
    weights = torch.zeros(40)
    weights[7] = 1
    before, opacity = p["means"].detach().clone(), p["opacities"][7].detach().sigmoid()
    assert relocate_dead(trainable.parameters, trainable.optimizers, weights, min_opacity=0.005) == 5
    p = trainable.parameters
    assert torch.equal(p["means"][:5], before[7].expand(5, 3))
    assert torch.equal(p["means"][5:], before[5:])
    expected = 1 - (1 - opacity) ** (1 / 6)
    torch.testing.assert_close(p["opacities"][[0, 4, 7]].detach().sigmoid(), expected.expand(3), rtol=1e-5, atol=0)
    moment = trainable.optimizers["means"].state[p["means"]]["exp_avg"]
    assert bool((moment[7] == 0).all())
    assert bool((moment[8] != 0).all())


def test_copies_are_added_with_rows_of_memory() -> None:
    trainable, _ = trained()
    add_copies(trainable.parameters, trainable.optimizers, torch.ones(40), number=13, min_opacity=0.005)
    for name, parameter in trainable.parameters.items():
        assert len(parameter) == 53
        remembered = trainable.optimizers[name].state[parameter]
        assert remembered["exp_avg"].shape == remembered["exp_avg_sq"].shape == parameter.shape
        assert trainable.optimizers[name].param_groups[0]["params"] == [parameter]
    for parameter in trainable.parameters.values():
        parameter.grad = torch.ones_like(parameter)
    trainable.step()  # the optimizers go on with the new rows


def test_nothing_to_draw_from_changes_nothing() -> None:
    trainable, _ = trained()
    add_copies(trainable.parameters, trainable.optimizers, torch.zeros(40), number=5, min_opacity=0.005)
    assert relocate_dead(trainable.parameters, trainable.optimizers, torch.zeros(40), min_opacity=0.999) == 0
    assert len(trainable) == 40


def test_only_faint_splats_shake_and_along_their_long_axis() -> None:
    trainable, _ = trained(400)
    p = trainable.parameters
    with torch.no_grad():
        p["opacities"][:200] = -8
        p["quats"][:] = torch.tensor([math.cos(math.pi / 4), 0, 0, math.sin(math.pi / 4)])  # x turns into y
        p["scales"][:] = torch.log(torch.tensor([0.3, 0.01, 0.01]))
    before = p["means"].detach().clone()
    with seeded(0, 1, torch.device("cpu")):
        shake_faint(p, amount=1.0)
    moved = p["means"].detach() - before
    assert bool((moved[200:] == 0).all())
    spread = moved[:200].std(dim=0)
    faintness = 1 / (1 + math.exp(-100 * (1 - 1 / (1 + math.exp(8)) - 0.995)))
    assert spread[1].item() == pytest.approx(0.3**2 * faintness, rel=0.2)
    assert spread[0] < 0.02 * spread[1]
    assert spread[2] < 0.02 * spread[1]


@pytest.mark.parametrize("density", ["guided", "mcmc"])
def test_grows_by_five_percent_up_to_the_limit(density: str) -> None:
    trainable, config = trained(density=density, max_splats=50)
    control = DensityControl(config, 1.0, 0)
    counts = []
    for step in range(1, 101):
        control.after_step(trainable, step, 1e-4, seen_evenly(trainable))
        counts.append(len(trainable))
    assert counts[8] == 40
    assert counts[9] == 42
    assert counts[-1] == 50
    assert growth(40, 50) == 2
    assert growth(60, 50) == 0


def test_guided_copies_splats_that_the_pictures_pull_at() -> None:
    trainable, config = trained(200, max_splats=1000)
    gradients = torch.zeros(1, 200, 2)
    gradients[:, 20:30] = 1
    means = trainable.parameters["means"].detach().clone()
    control = DensityControl(config, 1.0, 0)
    for step in range(1, 11):
        control.after_step(trainable, step, 0.0, Seen(gradients, torch.ones(1, 200)))
    new = trainable.parameters["means"].detach()[200:]
    assert len(new) == 10
    assert bool((torch.cdist(new, means[20:30]).amin(1) == 0).all())


def test_default_strategy_grows_and_prunes_on_the_cpu() -> None:
    trainable, config = trained(density="default", max_splats=1000)
    with torch.no_grad():
        trainable.parameters["opacities"][:4] = -8
    control = DensityControl(config, 1.0, 0)
    for step in range(1, 11):
        control.after_step(trainable, step, 1e-4, seen_evenly(trainable))
    assert len(trainable) == 2 * 40 - 8  # all are copied or split, then the faint four and their copies go
    for parameter in trainable.parameters.values():
        parameter.grad = torch.ones_like(parameter)
    trainable.step()


@pytest.mark.parametrize("limit", [40, 45])
def test_default_strategy_stops_growing_at_the_limit_and_goes_on_pruning(limit: int) -> None:
    trainable, config = trained(density="default", max_splats=limit)
    control = DensityControl(config, 1.0, 0)
    gradients = torch.arange(1.0, 41.0)[None, :, None].expand(1, 40, 2)
    for step in range(1, 11):
        control.after_step(trainable, step, 1e-4, Seen(gradients, torch.full((1, 40), 0.1)))
    assert len(trainable) == limit
    with torch.no_grad():
        trainable.parameters["opacities"][:4] = -8
    for step in range(11, 21):
        control.after_step(trainable, step, 1e-4, seen_evenly(trainable))
    assert len(trainable) == limit - 4


def test_default_strategy_resets_opacities() -> None:
    trainable, config = trained(density="default", reset_every=25, refine_stop=0.9)
    control = DensityControl(config, 1.0, 0)
    for step in range(1, 26):
        before = trainable.parameters["opacities"].detach().sigmoid().max()
        control.after_step(trainable, step, 1e-4, seen_evenly(trainable, 0.0))
    assert before > 0.5
    assert trainable.parameters["opacities"].detach().sigmoid().max().item() == pytest.approx(0.01, rel=1e-4)


def test_none_changes_nothing() -> None:
    trainable, config = trained(density="none")
    before = trainable.splats().sha256()
    DensityControl(config, 1.0, 0).after_step(trainable, 10, 1e-4, None)
    assert trainable.splats().sha256() == before


def test_randomness_is_decided_by_seed_and_step_and_leaves_no_trace() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    results = []
    for seed in (1, 1, 2):
        trainable, config = trained(density="mcmc", max_splats=1000)
        torch.rand(seed)  # what was drawn before does not matter
        control = DensityControl(config, 1.0, seed)
        control.after_step(trainable, 10, 1e-3, None)
        results.append(trainable.splats().sha256())
    assert results[0] == results[1] != results[2]
    torch.manual_seed(5)
    with seeded(9, 9, torch.device("cpu")):
        torch.rand(10)
    assert torch.equal(torch.get_rng_state(), state)


def test_other_gsplat_version_gives_the_same(tmp_path: Path) -> None:
    """The strategies of gsplat 1.4 and 1.5 behave alike here, although 1.5 never resets and wants radii of two axes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(nerfstudio_folder()), *sys.path])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "default or mcmc", "-rN", __file__]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
