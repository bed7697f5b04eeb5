"""Training of the solver's gate: examples, the loss, a whole small training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scene_depth.depth.masks import known_mask
from scene_depth.depth.solver import SolverInpainter
from scene_depth.depth.solver.candidates import CANDIDATES, FEATURES
from scene_depth.depth.solver.gate import load_gate
from scene_depth.errors import InputError
from scene_depth.training.loop import train
from scene_depth.training.solver import PRESETS, GateConfig, GateNetwork, GateObjective, gate_loss


@pytest.fixture(scope="module")
def objective(tmp_path_factory: pytest.TempPathFactory) -> GateObjective:
    folder = str(tmp_path_factory.mktemp("cache"))
    tiny = PRESETS["tiny"]
    data, held_out = (
        tuple(replace(one, options={**one.options, "cache": folder}) for one in sources) for sources in (tiny.data, tiny.held_out)
    )
    return GateObjective(replace(tiny, data=data, held_out=held_out, cache=folder))


def test_an_example_is_the_same_again_and_from_the_cache(objective: GateObjective) -> None:
    first, again = objective.example(0, 1), objective.example(0, 1)
    fresh = GateObjective(replace(objective.config, cache="none")).example(0, 1)
    assert first["features"].shape == (objective.config.pixels, len(FEATURES))
    assert first["candidates"].shape == (objective.config.pixels, len(CANDIDATES))
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert torch.equal(value, fresh[name])
        assert torch.isfinite(value).all()


def test_the_loss_counts_relative_depth_against_the_energy() -> None:
    truth = torch.full((1, 4), np.log(1.1), dtype=torch.float32)  # inverse depth 10 % above the energy's
    candidates = torch.zeros(1, 4, 2)
    candidates[..., 1] = np.log(1.1)
    expected = torch.full((1, 4), -2.0)
    energy, right = (torch.tensor(shares).expand(1, 4, 2) for shares in ([1.0, 0.0], [0.0, 1.0]))
    assert float(gate_loss(energy, expected, candidates, truth, 0.0)["relative"]) == pytest.approx(0.1, rel=1e-5)
    assert float(gate_loss(energy, expected, candidates, truth, 0.0)["ratio"]) == pytest.approx(1, rel=1e-5)
    assert float(gate_loss(right, expected, candidates, truth, 0.0)["ratio"]) == pytest.approx(0, abs=1e-5)


def test_the_expected_error_learns_the_quantiles_of_a_laplace_distribution() -> None:
    errors = torch.from_numpy(np.random.default_rng(0).laplace(scale=0.03, size=(1, 20000)).astype(np.float32))
    candidates, shares = torch.zeros(1, 20000, 2), torch.tensor([1.0, 0.0]).expand(1, 20000, 2)
    losses = {
        scale: float(gate_loss(shares, torch.full((1, 20000), np.log(scale)), candidates, errors, 1.0)["quantiles"])
        for scale in (0.02, 0.025, 0.03, 0.036, 0.045)
    }
    assert min(losses, key=lambda scale: losses[scale]) == 0.03


def test_a_gate_whose_shares_are_kept_learns_the_expected_error_alone(objective: GateObjective, tmp_path: Path) -> None:
    started = GateObjective(replace(objective.config, start="embedded"))
    report = train(started, started.config.train, tmp_path, whole_config=started.config)
    old, new = load_gate(), load_gate(tmp_path / "weights")
    count = len(CANDIDATES)
    for name in ("first", "first_bias", "second", "second_bias"):
        assert np.array_equal(getattr(old, name), getattr(new, name))
    assert np.array_equal(old.last[:, :count], new.last[:, :count])
    assert not np.array_equal(old.last[:, count:], new.last[:, count:])
    assert report.measures["quantiles"] > 0


def test_it_begins_near_the_energy(objective: GateObjective) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        shares, _ = GateNetwork(8)(objective.example(0, 0)["features"])
    assert float(shares[:, 0].mean()) > 1.5 / len(CANDIDATES)
    assert torch.allclose(shares.sum(dim=-1), torch.ones(len(shares)))


def test_a_training_writes_a_gate_that_the_solver_takes(objective: GateObjective, tmp_path: Path) -> None:
    report = train(objective, objective.config.train, tmp_path, whole_config=objective.config)
    assert report.measures["ratio"] > 0
    frame = objective.held_out[0].load()
    known = known_mask("rect", frame.truth, 3) & (frame.truth > 0)
    mixed = SolverInpainter(gate=tmp_path / "weights")(frame.rgb, frame.truth, known)
    alone = SolverInpainter(gate="none")(frame.rgb, frame.truth, known)
    assert np.array_equal(mixed.depth[known], frame.truth[known])
    assert not np.array_equal(mixed.depth, alone.depth)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"masks": ("dots",)}, "masks"), ({"masks": ()}, "masks"), ({"pixels": 0}, "pixels"), ({"faults": 2.0}, "faults")],
)
def test_bad_configurations_are_refused(changes, field) -> None:
    with pytest.raises(InputError) as caught:
        GateConfig(**changes)
    assert caught.value.field == field
