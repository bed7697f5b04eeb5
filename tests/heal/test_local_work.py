"""Heal draws and fits only what an edit changes, with the bits that drawing everything gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from room_scene import Room, room
from scene_depth_heal.hole import (
    FAINT,
    SHARE_OF_OBJECT,
    SHARE_SHOWN,
    HealView,
    dilate,
    find_hole,
    opaque_depth,
    open_hole,
    unsupported_splats,
    weight_of,
    widen_hole,
)
from scene_depth_heal.refine import has_settled
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.rendering import blending_weights, render
from scene_depth.splats import GaussianSplats, concatenate_splats


@pytest.fixture(scope="module")
def scene() -> Room:
    return room()


@pytest.fixture(scope="module")
def views(scene: Room) -> list[HealView]:
    return [HealView(f"{index}.png", camera, scene.picture(index)) for index, camera in enumerate(scene.cameras)]


def with_strays(scene: Room) -> tuple[GaussianSplats, Tensor]:
    """The scene with splats inside the ball that no photo supports, and which splats are the ball."""
    strays = scene.splats.select(scene.ball).select(slice(0, 40))
    strays = replace(strays, means=strays.means * 0.3 + torch.tensor([0.0, 0.0, 2.6]) * 0.7, log_scales=strays.log_scales * 0 - 3)
    return concatenate_splats([scene.splats, strays]), torch.cat([scene.ball, torch.zeros(40, dtype=torch.bool)])


def weight_in_whole_picture(splats: GaussianSplats, chosen: Tensor, camera: Cameras) -> Tensor:
    sh = torch.where(chosen[:, None, None], 1.0, -1.0).expand(-1, 1, 3) * 0.5 / 0.28209479177387814
    return render(replace(splats, sh=sh.contiguous()), camera).rgb[0, ..., 0]


def test_a_hole_has_the_bits_of_whole_renders(scene: Room, views: list[HealView]) -> None:
    splats, removed = with_strays(scene)
    hole = find_hole(splats, removed, views)
    assert int(hole.removed.sum()) > int(removed.sum())
    for state in hole.states:
        before, after = render(splats, state.camera), render(hole.kept, state.camera)
        assert torch.equal(state.depth_before, opaque_depth(before))
        assert torch.equal(state.depth_after, opaque_depth(after))
        assert torch.equal(state.rgb_after, after.rgb[0].clamp(0, 1))
        weight = weight_in_whole_picture(splats, hole.removed, state.camera)
        assert torch.allclose(weight_of(splats, hole.removed, state.camera), weight, atol=1e-6)
        assert torch.equal(state.object_pixels, dilate(weight > SHARE_OF_OBJECT, 2))


def test_unsupported_splats_are_those_that_all_photos_together_tell(scene: Room, views: list[HealView]) -> None:
    splats, removed = with_strays(scene)
    blocked = [state.object_pixels for state in open_hole(splats, removed, views).states]
    kept = splats.select(~removed)
    in_hole = torch.stack([blending_weights(kept, c, m[None])[0] for c, m in zip(scene.cameras, blocked, strict=True)]).amax(0)
    beside = torch.stack([blending_weights(kept, c, ~m[None])[0] for c, m in zip(scene.cameras, blocked, strict=True)])
    expected = (in_hole > FAINT) & (beside.topk(2, dim=0).values[1] < SHARE_SHOWN * in_hole)
    found = unsupported_splats(splats, removed, scene.cameras, blocked)
    assert expected.any()
    assert torch.equal(found[~removed], expected)
    assert not found[removed].any()


def test_a_wider_hole_is_that_of_one_deletion(scene: Room, views: list[HealView]) -> None:
    means = scene.splats.means
    more = ~scene.ball & (means[:, 0] > 0.8) & (means[:, 0] < 1.3) & (means[:, 1].abs() < 0.4)
    assert 0 < int(more.sum()) < len(means) // 4
    wider = widen_hole(open_hole(scene.splats, scene.ball, views), more)
    at_once = open_hole(scene.splats, scene.ball | more, views)
    assert torch.equal(wider.removed, at_once.removed)
    assert wider.kept.sha256() == at_once.kept.sha256()
    for one, other in zip(wider.states, at_once.states, strict=True):
        for name in ("depth_before", "rgb_after", "depth_after", "object_pixels", "unseen"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_a_fit_has_settled_when_a_round_wins_hardly_anything() -> None:
    falling = [0.9**step for step in range(72)]
    assert not any(has_settled(falling[:count], 24) for count in range(1, 73))
    settled = falling + [falling[-1]] * 48
    assert [count for count in range(1, len(settled) + 1) if has_settled(settled[:count], 24)] == [120]
    assert not has_settled([1.0] * 40, 3)  # rounds of 21 steps, and three of them at least
    assert has_settled([1.0] * 63, 3)
