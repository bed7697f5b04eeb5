"""Training of the network that corrects the solver."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scene_depth.depth.refined.network import KNOWN, SLOPE_X, VALUE
from scene_depth.errors import InputError
from scene_depth.training.refined import PRESETS, LossConfig, RefinedConfig, RefinedObjective, mirrored, refining_loss


@pytest.fixture(scope="module")
def objective(tmp_path_factory: pytest.TempPathFactory) -> RefinedObjective:
    folder = str(tmp_path_factory.mktemp("cache"))
    tiny = PRESETS["tiny"]
    data, held_out = (replace(one, options={**one.options, "cache": folder}) for one in (tiny.data, tiny.held_out))
    return RefinedObjective(replace(tiny, data=data, held_out=held_out, cache=folder))


def test_an_example_is_the_same_again_and_from_the_cache(objective: RefinedObjective) -> None:
    first = objective.example(0, 3)
    again = objective.example(0, 3)
    assert torch.equal(first["planes"], again["planes"])
    assert np.array_equal(first["truth"].numpy(), again["truth"].numpy(), equal_nan=True)


def test_mirroring_keeps_slopes_true_to_values(objective: RefinedObjective) -> None:
    planes, truth = objective.solved_view(objective.frames[0].load(), "rect", 1, 0.0)
    flipped, flipped_truth = mirrored(planes, truth)
    expected = np.clip(10 * np.diff(flipped[VALUE], axis=1), -3, 3)
    np.testing.assert_allclose(flipped[SLOPE_X, :, :-1], expected, atol=1e-5)
    assert np.array_equal(flipped_truth[:, ::-1], truth, equal_nan=True)


def test_the_loss_vanishes_at_the_truth_and_ignores_known_and_missing_pixels(objective: RefinedObjective) -> None:
    planes, truth = objective.solved_view(objective.frames[0].load(), "rect", 1, 0.0)
    batch_planes, batch_truth = torch.from_numpy(planes)[None], torch.from_numpy(truth)[None]
    change = torch.nan_to_num(batch_truth) - batch_planes[:, VALUE]
    noise = torch.where((batch_planes[:, KNOWN] > 0.5) | ~torch.isfinite(batch_truth), 9.0, 0.0)
    expected = torch.full_like(change, 0.1)
    perfect = refining_loss(batch_planes, batch_truth, change + noise, expected, LossConfig(error=0.0))
    assert float(perfect["loss"]) == pytest.approx(0.0, abs=1e-5)
    worse = refining_loss(batch_planes, batch_truth, change + 0.1, expected, LossConfig(error=0.0))
    assert float(worse["log"]) == pytest.approx(0.1, rel=1e-3)


def test_the_expected_error_is_learnt_without_moving_the_correction(objective: RefinedObjective) -> None:
    model = objective.build()
    batch = {name: value[None] for name, value in objective.example(0, 0).items()}
    change, expected = model(batch["planes"])
    terms = refining_loss(batch["planes"], batch["truth"], change.detach(), expected, LossConfig())
    (gradient,) = torch.autograd.grad(terms["likelihood"], model.leave.bias)
    assert gradient[32:].abs().sum() > 0
    assert gradient[:32].abs().sum() == 0


def test_a_few_steps_beat_the_solver_on_what_was_trained(objective: RefinedObjective) -> None:
    torch.manual_seed(0)
    model = objective.build()
    examples = [objective.example(0, index) for index in range(8)]
    batch = {name: torch.stack([example[name] for example in examples]) for name in examples[0]}
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    ratios = []
    for _ in range(60):
        losses = objective.loss(model, batch, torch.Generator())
        losses["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        ratios.append(float(losses["ratio"].detach()))
    assert ratios[-1] < 0.75 * ratios[0]


def test_validation_names_every_mask_and_starts_near_the_solver(objective: RefinedObjective) -> None:
    model = objective.build().eval()
    with torch.no_grad():
        found = objective.validate(model, 1)
    assert set(found.measures) == {"ratio", "ratio_rect", "ratio_outpaint"}
    assert found.score == pytest.approx(1.0, abs=0.1)
    assert len(found.pictures) == 1


def test_bad_configurations() -> None:
    with pytest.raises(InputError, match="masks"):
        RefinedConfig(masks=("rect", "star"))
    with pytest.raises(InputError, match="masks_a_frame"):
        RefinedConfig(masks_a_frame=0)
    with pytest.raises(InputError, match="noise"):
        RefinedConfig(noise=-0.1)


def test_weights_are_written_where_inference_reads_them(objective: RefinedObjective, tmp_path: Path) -> None:
    from scene_depth.depth.refined.network import load_network

    model = objective.build()
    objective.save(model, tmp_path)
    assert load_network(tmp_path).config == model.config
