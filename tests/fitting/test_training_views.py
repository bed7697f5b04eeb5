"""Pictures at the size of fitting: area averages, masks, depth that moves, and a cache that stays within its limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fit_scenes import ring_cameras

from scene_depth.errors import InputError
from scene_depth.fitting.training_views import TrainingViews
from scene_depth.scene import View

CAMERA = ring_cameras(1, 40, 20)[0]
IMAGE = np.random.default_rng(0).integers(0, 256, (20, 40, 3)).astype(np.float32) / 255
MASK = np.zeros((20, 40), bool)
MASK[:, 21:] = True


def counted_view(name: str = "a", loads: list[str] | None = None) -> View:
    def load() -> np.ndarray:
        if loads is not None:
            loads.append(name)
        return IMAGE

    return View(name, CAMERA, load, lambda: MASK, lambda: np.full((20, 40), 3.0, np.float32))


def test_pictures_are_area_averages_and_cameras_follow() -> None:
    target = TrainingViews([counted_view()], max_size=20).target(0)
    expected = IMAGE.reshape(10, 2, 20, 2, 3).mean((1, 3))
    np.testing.assert_allclose(target.image.numpy(), expected, atol=1.01 / 255)
    assert (target.camera.width, target.camera.height) == (20, 10)
    torch.testing.assert_close(target.camera.K[0, :2], CAMERA.K[0, :2] / 2)
    small = TrainingViews([counted_view()], max_size=20).target(0, reduction=2)
    np.testing.assert_allclose(small.image.numpy(), IMAGE.reshape(5, 4, 10, 4, 3).mean((1, 3)), atol=2.01 / 255)
    assert small.camera.width == 10


def test_small_pictures_are_not_enlarged() -> None:
    target = TrainingViews([counted_view()], max_size=500).target(0)
    np.testing.assert_array_equal(target.image.numpy(), IMAGE)


@pytest.mark.parametrize("use", ["none", "keep", "ignore"])
def test_masks_count_only_whole_pixels(use: str) -> None:
    target = TrainingViews([counted_view()], max_size=20, mask_use=use).target(0)  # type: ignore[arg-type]
    if use == "none":
        assert target.counts is None
        return
    assert target.counts is not None
    columns = target.counts.numpy().all(axis=0)
    expected = np.arange(20) >= 11 if use == "keep" else np.arange(20) < 10  # column 10 covers both
    np.testing.assert_array_equal(columns, expected)


def test_depth_comes_only_where_wanted_and_unknown_stays_unknown() -> None:
    depth = np.array(counted_view().depth())
    depth[:, :10], depth[3, 30], depth[4, 30] = 0, np.nan, -1
    view = replace(counted_view(), load_depth=lambda: depth)
    assert TrainingViews([view], 40).target(0).depth is None
    target = TrainingViews([view], 40, with_depth=True).target(0)
    assert target.depth is not None
    np.testing.assert_array_equal(target.depth.numpy(), np.where(np.isfinite(depth) & (depth > 0), depth, 0))
    halved = TrainingViews([view], 20, with_depth=True).target(0).depth
    assert halved is not None
    assert set(np.unique(halved.numpy())) == {0.0, 3.0}


def test_cache_stays_within_its_limit() -> None:
    loads: list[str] = []
    views = [counted_view(name, loads) for name in "abcd"]
    one = 20 * 40 * 3
    training = TrainingViews(views, 40, cache_bytes=2 * one + 1)
    for _ in range(3):
        for index in range(4):
            training.target(index)
    assert loads.count("a") == loads.count("b") == 1
    assert loads.count("c") == loads.count("d") == 3


def test_bad_views() -> None:
    with pytest.raises(InputError, match="views"):
        TrainingViews([], 40)
    with pytest.raises(InputError, match="'a': image"):
        TrainingViews([View("a", CAMERA)], 40)
    with pytest.raises(InputError, match=r"'a': image.*shape"):
        TrainingViews([replace(counted_view(), load_image=lambda: IMAGE[:10])], 40).target(0)
