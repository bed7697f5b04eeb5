"""Depth of a sensor beside rendered depth: used where it is right, named where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from room_scene import WIDTH, cameras_on_an_arc, room
from scene_depth_heal.hole import HealView, Hole, ViewState
from scene_depth_heal.measured_depth import check_measured, describe_measured, with_measured

SPLATS = room(48, 100).splats


def truth(height: int, width: int) -> torch.Tensor:
    """A wall with steps, so that it fits nowhere but in place  # [H, W]"""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (3 + (x // 16 % 2) * 0.5 + (y // 12 % 2) * 0.3).float()


def hole(change=lambda measured: measured) -> Hole:
    """Four views; what is rendered is 8 % off in one corner, and nothing is known of a square in the middle."""
    states = []
    for index, camera in enumerate(cameras_on_an_arc(4)):
        exact = truth(camera.height, camera.width)
        rendered, hidden = exact.clone(), torch.zeros(exact.shape, dtype=torch.bool)
        rendered[:16, :20] *= 1.08
        hidden[26:46, 38:58] = True
        noise = torch.from_numpy(np.random.default_rng(index).normal(scale=0.003, size=exact.shape)).float()
        rgb = torch.full((*exact.shape, 3), 0.5)
        view = HealView(f"{index}.png", camera, rgb, measured=change(exact * (1 + noise)))
        states.append(ViewState(view, rendered, rgb, torch.where(hidden, 0.0, rendered), hidden, hidden))
    return Hole(SPLATS, torch.zeros(len(SPLATS), dtype=torch.bool), SPLATS, tuple(states))


def test_where_the_render_is_wrong_measured_depth_counts_and_elsewhere_the_render_keeps_its_bits() -> None:
    found = check_measured(hole())
    assert found is not None
    assert found.used
    assert found.views == 4
    state = hole().states[1]
    depth, exact = with_measured(state, found).depth_after.numpy(), truth(state.camera.height, WIDTH).numpy()
    assert np.abs(depth[:16, :20] / exact[:16, :20] - 1).max() < 0.02
    inside = state.object_pixels.numpy()
    assert (depth[inside] == 0).all()
    rest = ~inside
    rest[:16, :20] = False
    assert (depth[rest] == state.depth_after.numpy()[rest]).all()


def test_gaps_of_the_sensor_stay_rendered() -> None:
    found = check_measured(hole(lambda measured: torch.where(measured > 3.4, 0.0, measured)))
    assert found is not None
    assert found.used
    state = hole(torch.zeros_like).states[0]
    assert torch.equal(with_measured(state, found).depth_after, state.depth_after)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda measured: 1000 * measured, "it is 1e+03 times the depth that the splats show"),
        (lambda measured: measured.roll(8, 1), "give or take|moved by some pixels"),
        (lambda measured: measured.flip(1).roll(5, 0), "give or take|moved by some pixels"),
        (torch.zeros_like, "too little of it lies beside the object"),
    ],
)  # fmt: skip
def test_depth_out_of_register_is_said_and_not_used(change, words: str) -> None:
    found = check_measured(hole(change))
    assert found is not None
    assert not found.used
    said = describe_measured(found)
    assert said is not None
    assert any(word in said for word in words.split("|"))
    state = hole(change).states[0]
    assert torch.equal(with_measured(state, found).depth_after, state.depth_after)


def test_a_scene_without_depth_says_nothing() -> None:
    bare = hole()
    states = tuple(replace(state, view=replace(state.view, measured=None)) for state in bare.states)
    assert check_measured(replace(bare, states=states)) is None
    assert describe_measured(None) is None
