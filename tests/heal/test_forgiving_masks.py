"""Masks that are too small, too large, wrong or missing still remove the object, and little else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_depth_heal.hole import HealView
from scene_depth_heal.inputs import load_views
from scene_depth_heal.masks import fit_masks
from scene_depth_heal.selection import SelectionSource, select
from scipy import ndimage
from torch import Tensor

from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats
from scene_depth.rendering import blending_weights, render
from scene_depth.splats import GaussianSplats

TABLE = Path(__file__).parents[2] / "scenes/table"
SIZE = 256


@dataclass(frozen=True)
class Table:
    """The sample scene with its true masks, and each splat's weight on the vase and beside it."""

    splats: GaussianSplats
    views: list[HealView]
    on: Tensor
    beside: Tensor


@pytest.fixture(scope="module")
def table() -> Table:
    splats = read_splats(TABLE / "splats.spz")
    splats = splats.select((splats.means[:, :2].norm(dim=1) < 0.8) & (splats.means[:, 2] > 0.5))
    views = load_views(read_scene(TABLE, split="train"), SIZE, SelectionSource())[::2]
    on, beside = torch.zeros(len(splats)), torch.zeros(len(splats))
    for view in views:
        on += blending_weights(splats, view.camera, view.mask[None])[0]
        beside += blending_weights(splats, view.camera, ~view.mask[None])[0]
    return Table(splats, views, on, beside)


def altered(views: list[HealView], alter: Callable[[int, np.ndarray], np.ndarray]) -> list[HealView]:
    return [replace(view, mask=torch.from_numpy(alter(index, view.mask.numpy()))) for index, view in enumerate(views)]


def moved(mask: np.ndarray, pixels: float) -> np.ndarray:
    """The mask larger by so many pixels, or smaller if negative."""
    return ndimage.distance_transform_edt(~mask) <= pixels if pixels > 0 else ndimage.distance_transform_edt(mask) > -pixels


def background_share(table: Table, removed: Tensor) -> float:
    """Share of what was removed that is not the vase's."""
    wrong = removed & (table.beside >= table.on)
    return float((table.on + table.beside)[wrong].sum() / (table.on + table.beside)[removed].sum())


def vase_left(table: Table, removed: Tensor) -> float:
    """Share of the vase's pixels that still show something where it stood, before what is behind it."""
    left = shown = 0
    for view in table.views:
        before, after = render(table.splats, view.camera), render(table.splats.select(~removed), view.camera)
        inside = view.mask & (before.alpha[0] > 0.9)
        same = (after.depth[0] - before.depth[0]).abs() < 0.01 * before.depth[0]
        left += int((inside & same & (after.alpha[0] > 0.5)).sum())
        shown += int(inside.sum())
    return left / shown


def test_masks_that_fit_stay_bit_for_bit(table: Table) -> None:
    fitted, notes = fit_masks(table.splats, table.views)
    assert notes == []
    assert all(after is before for after, before in zip(fitted, table.views, strict=True))


def test_masks_three_per_cent_too_large_take_no_background(table: Table) -> None:
    views = altered(table.views, lambda _, mask: moved(mask, 0.03 * SIZE))
    assert background_share(table, select(table.splats, views, SelectionSource())) > 0.15
    fitted, notes = fit_masks(table.splats, views)
    removed = select(table.splats, fitted, SelectionSource())
    assert background_share(table, removed) < 0.05
    assert vase_left(table, removed) < 0.02
    assert notes[0].startswith("fitted to the object, as they were ")
    assert notes[0].endswith("larger: 12 of 12 masks")


def test_masks_one_per_cent_too_small_leave_no_streaks(table: Table) -> None:
    views = altered(table.views, lambda _, mask: moved(mask, -0.01 * SIZE))
    right = select(table.splats, table.views, SelectionSource())
    small = select(table.splats, views, SelectionSource())
    fitted, notes = fit_masks(table.splats, views)
    removed = select(table.splats, fitted, SelectionSource())
    assert vase_left(table, removed) < vase_left(table, right) + 0.001 < 0.2 * vase_left(table, small)
    assert background_share(table, removed) < 0.05
    assert notes[0].endswith("smaller: 12 of 12 masks")


def test_empty_and_wrong_masks_are_said_and_not_used(table: Table) -> None:
    def alter(index: int, mask: np.ndarray) -> np.ndarray:
        corner = np.zeros_like(mask)
        corner[:40, :40] = index == 4
        return corner if index in (0, 3, 4) else mask

    fitted, notes = fit_masks(table.splats, altered(table.views, alter))
    assert notes[0].startswith("not used, as they show something else than the others: 1 of 10 masks")
    assert notes[1].startswith("not used, as they are empty though their views show the object: 2 of 12 masks")
    for after, true in zip(fitted, table.views, strict=True):
        assert (after.mask & true.mask).sum() > 0.85 * (after.mask | true.mask).sum()
