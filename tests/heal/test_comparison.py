"""One deletion healed in several ways."""

from __future__ import annotations

import numpy as np
import torch
from room_scene import Room, room
from scene_depth_heal import HealConfig, HealView
from scene_depth_heal.demo import DELETE_ONLY, HEAL, NEAREST, WAYS, heal_each_way
from scene_depth_heal.hole import UNSEEN_COLOR

from scene_depth.work import Progress

CONFIG = HealConfig(steps=5, most_references=1)


def views_of(scene: Room) -> list[HealView]:
    return [HealView(f"{index}.png", camera, scene.picture(index)) for index, camera in enumerate(scene.cameras)]


def test_only_the_depth_inpainter_differs() -> None:
    scene, told = room(), []
    results = heal_each_way(scene.splats, scene.ball, views_of(scene), CONFIG, on_progress=lambda way, now: told.append(way))
    assert list(results) == list(WAYS) == [DELETE_ONLY, NEAREST, HEAL]
    assert set(told) == set(WAYS)
    assert results[DELETE_ONLY].new == 0
    assert results[NEAREST].new > 0
    assert results[HEAL].new > 0
    kept = int((~scene.ball).sum())
    for result in results.values():
        assert torch.equal(result.splats.means[:kept], scene.splats.means[~scene.ball])
        assert result.report.unseen_before == results[HEAL].report.unseen_before
    used = [results[way].fills[0].prediction.details["inpainter"] for way in (NEAREST, HEAL)]
    assert used == ["nearest", "solver"]


def test_a_way_that_is_stopped_is_left_out_with_all_after_it() -> None:
    scene = room()

    def stop(way: str, now: Progress) -> bool:
        return way != NEAREST

    assert list(heal_each_way(scene.splats, scene.ball, views_of(scene), CONFIG, on_progress=stop)) == [DELETE_ONLY]


def test_the_marked_picture_shows_exactly_what_is_unseen() -> None:
    scene = room()
    results = heal_each_way(scene.splats, scene.ball, views_of(scene), CONFIG, on_progress=lambda way, now: way == DELETE_ONLY)
    state = results[DELETE_ONLY].most_unseen
    assert state.unseen_share == max(other.unseen_share for other in results[DELETE_ONLY].states) > 0
    picture = state.marked()
    assert np.array_equal((picture == np.array(UNSEEN_COLOR)).all(axis=-1), state.unseen.numpy())
    assert np.array_equal(picture[~state.unseen.numpy()], state.rgb_after.numpy()[~state.unseen.numpy()])
