"""What later references leave is mostly slivers: they are continued smoothly, and the image inpainter is asked for the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scene_depth_heal.fill import fill_color, without_slivers
from scene_depth_heal.hole import HealView, ViewState
from scipy.ndimage import binary_dilation

from scene_depth.cameras import camera_from_fov
from scene_depth.depth.protocol import DepthPrediction

HEIGHT, WIDTH = 120, 160


def holes() -> tuple[np.ndarray, np.ndarray]:
    """A block, and lines of which one touches it."""
    block, lines = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    block[40:70, 60:100] = True
    lines[20:22, 10:150], lines[90, 20:60] = True, True
    return block, lines


def dilated(mask: np.ndarray) -> np.ndarray:
    return binary_dilation(mask, np.ones((3, 3)))


def state(hole: np.ndarray) -> ViewState:
    camera = camera_from_fov(torch.eye(4, dtype=torch.float64), 0.7, WIDTH, HEIGHT)  # a sliver is up to two pixels deep
    rgb = torch.from_numpy(np.linspace(0.2, 0.8, WIDTH, dtype=np.float32)[None, :, None] * np.ones((HEIGHT, 1, 3), np.float32))
    depth = torch.full((HEIGHT, WIDTH), 2.0)
    unseen = torch.from_numpy(hole)
    return ViewState(HealView("a.png", camera, rgb), depth, rgb, depth, unseen, unseen)


def test_parts_that_are_deep_somewhere_are_no_slivers() -> None:
    block, lines = holes()
    assert (without_slivers(block | lines, 2) == block).all()
    assert not without_slivers(lines, 2).any()
    assert not without_slivers(np.zeros_like(block), 2).any()
    tail = block.copy()
    tail[55, 100:150] = True  # a line of the block belongs to it
    assert (without_slivers(tail, 2) == tail).all()


@pytest.mark.parametrize("is_first", [True, False])
def test_the_inpainter_is_asked_for_what_is_wide_alone(is_first: bool) -> None:
    block, lines = holes()
    asked: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def inpainter(rgb, hole, *, source=None):
        asked.append((rgb.copy(), hole, source))
        return np.where(hole[..., None], np.float32(0.9), rgb)

    reference = state(block | lines)
    prediction = DepthPrediction(np.full((HEIGHT, WIDTH), 2.0, np.float32))
    rgb = fill_color(reference, prediction, inpainter, is_first=is_first)
    (shown, hole, source), truth, whole = asked[0], reference.picture.numpy(), reference.hole.numpy()
    wide = whole if is_first else whole & ~dilated(lines)
    assert len(asked) == 1
    assert (hole == wide).all()
    assert not (source & whole).any()  # what is a guess is no example
    assert (rgb[wide] == np.float32(0.9)).all()
    assert (rgb[~whole] == truth[~whole]).all()
    if not is_first:
        slivers = whole & ~wide
        np.testing.assert_allclose(rgb[slivers], truth[slivers], atol=0.02)  # the ramp goes on
        np.testing.assert_array_equal(rgb[slivers], shown[slivers])


def test_nobody_is_asked_where_all_is_slivers() -> None:
    _, lines = holes()

    def inpainter(rgb, hole):
        raise AssertionError("was asked")

    rgb = fill_color(state(lines), DepthPrediction(np.full((HEIGHT, WIDTH), 2.0, np.float32)), inpainter, is_first=False)
    np.testing.assert_allclose(rgb, state(lines).picture.numpy(), atol=0.02)
