"""Undo and redo: order, what is kept, the bound of memory."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from scene_depth_heal.history import Deleted, History, Step

from scene_depth.splats import GaussianSplats


def splats_of(count: int) -> GaussianSplats:
    return GaussianSplats(
        torch.zeros(count, 3), torch.ones(count, 4), torch.zeros(count, 3), torch.zeros(count), torch.zeros(count, 1, 3)
    )


def step(label: str, splats: GaussianSplats) -> Step:
    return Step(label, splats, torch.zeros(len(splats), dtype=torch.bool))


def test_undo_and_redo_walk_the_same_way() -> None:
    history, scene = History(), splats_of(3)
    for label in "abc":
        history.push(step(label, scene))
    assert history.undo().label == "b"
    assert history.undo().label == "a"
    assert history.undo() is None
    assert history.undone == ["b", "c"]
    assert history.redo().label == "b"
    history.push(step("d", scene))
    assert history.redo() is None
    assert history.labels == ["a", "b", "d"]


def test_before_the_heal_is_before_the_deletions_that_it_repaired() -> None:
    history, scene = History(), splats_of(3)
    hole = Deleted(scene, torch.zeros(3, dtype=torch.bool))
    for label in ("open", "move", "delete", "select", "heal", "move", "delete"):
        history.push(replace(step(label, scene), hole=hole if label in ("delete", "select") else None))
    assert history.before_heal() is history._steps[1]
    while history.present.label != "select":
        history.undo()
    assert history.before_heal() is None


def test_shared_tensors_count_once() -> None:
    history, scene = History(), splats_of(1000)
    history.push(step("open", scene))
    alone = history.bytes
    assert alone == 1000 * (14 * 4 + 1)
    history.push(step("select", scene))
    assert history.bytes == alone + 1000  # one more selection


def test_old_states_go_when_the_bound_is_passed() -> None:
    one = 100 * (14 * 4 + 1)
    history = History(limit_bytes=3 * one)
    for label in "abcde":
        history.push(step(label, splats_of(100)))
    assert history.bytes <= 3 * one
    assert history.labels == ["c", "d", "e"]


def test_the_last_step_can_be_undone_whatever_the_bound() -> None:
    history = History(limit_bytes=1)
    for label in "abc":
        history.push(step(label, splats_of(100)))
    assert history.labels == ["b", "c"]
    assert history.undo().label == "b"


@given(st.lists(st.sampled_from(["push", "undo", "redo"]), max_size=40), st.integers(1, 6))
def test_it_is_a_list_with_a_cursor(acts: list[str], room: int) -> None:
    size = 10 * (14 * 4 + 1)
    history, model, at = History(limit_bytes=room * size), ["0"], 0
    history.push(step("0", splats_of(10)))
    for number, act in enumerate(acts, 1):
        if act == "push":
            history.push(step(str(number), splats_of(10)))
            model = [*model[: at + 1], str(number)][-max(2, room) :]
            at = len(model) - 1
        elif act == "undo":
            at = max(0, at - 1)
            history.undo()
        else:
            at = min(len(model) - 1, at + 1)
            history.redo()
        assert history.labels == model[: at + 1]
        assert history.undone == model[at + 1 :]
