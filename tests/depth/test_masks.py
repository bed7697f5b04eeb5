"""Masks: definitions, shares, determinism, and what must never happen."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scene_depth.cameras import Cameras
from scene_depth.depth.masks import (
    MASKS,
    circles,
    half_image,
    instances,
    known_mask,
    lidar_lines,
    mask_seed,
    mixture,
    patches,
    random_points,
    random_share,
    rectangle,
    segment,
    sensor_failures,
    silhouette,
    sparse_points,
    squares,
    strokes,
    training_mask,
)
from scene_depth.errors import InputError

SHAPE = (120, 160)
HOLES = (strokes, circles, squares, mixture, silhouette, rectangle, training_mask, half_image)


def stairs(shape=SHAPE):
    """Three fronto-parallel boxes of different size before a wall."""
    depth = np.full(shape, 4.0, dtype=np.float32)
    depth[20:60, 20:50] = 2.0
    depth[70:110, 30:120] = 1.0
    depth[10:40, 90:140] = 3.0
    return depth


@pytest.mark.parametrize("name", list(MASKS))
def test_masks_are_bool_and_repeat_by_seed(name):
    depth, rgb = stairs(), np.random.default_rng(0).random((*SHAPE, 3)).astype(np.float32)
    first = MASKS[name](rgb, depth, 5, None)
    assert first.dtype == bool
    assert first.shape == SHAPE
    assert np.array_equal(first, MASKS[name](rgb, depth, 5, None))
    others = [MASKS[name](rgb, depth, seed, None) for seed in range(6, 16)]
    assert any(not np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("name", list(MASKS))
def test_masks_do_not_depend_on_numpys_global_state(name):
    rgb = np.random.default_rng(0).random((*SHAPE, 3)).astype(np.float32)
    np.random.seed(1)  # noqa: NPY002 - the legacy state is what must not matter
    first = MASKS[name](rgb, stairs(), 3, None)
    np.random.seed(2)  # noqa: NPY002
    assert np.array_equal(first, MASKS[name](rgb, stairs(), 3, None))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(HOLES))
@settings(max_examples=120)
def test_hole_masks_leave_something_known_and_something_unknown(height, width, seed, mask):
    known = mask((height, width), seed)
    assert known.shape == (height, width)
    assert known.any()
    assert height * width == 1 or not known.all()


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.3, 0.5, 1.0])
def test_random_share_is_exact(share):
    assert random_share(SHAPE, 1, share).sum() == round(share * SHAPE[0] * SHAPE[1])


def test_random_points_stay_on_valid_pixels():
    valid = np.zeros(SHAPE, dtype=bool)
    valid[:, :20] = True
    known = random_points(SHAPE, 2, 500, valid)
    assert known.sum() == 500
    assert not known[~valid].any()
    assert random_points(SHAPE, 2, 10**6, valid).sum() == valid.sum()


def test_sparse_points_have_the_share_of_the_paper():
    shares = [sparse_points((240, 320), seed).mean() for seed in range(40)]
    assert min(shares) >= 0.001 - 1e-4
    assert max(shares) <= 0.02 + 1e-4
    assert max(shares) > 4 * min(shares)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_patches_reach_their_share_with_squares(share):
    known = patches((240, 320), 4, share)
    assert share <= known.mean() < share + 0.01
    neighbours = known[1:-1, 1:-1] & (known[:-2, 1:-1] | known[2:, 1:-1]) & (known[1:-1, :-2] | known[1:-1, 2:])
    assert neighbours.sum() == known[1:-1, 1:-1].sum()  # no lone pixels


def test_lidar_lines_are_cones_of_equal_elevation():
    fx, fy, cx, cy = 300.0, 280.0, 150.0, 130.0
    K = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]], dtype=torch.float64)
    camera = Cameras(torch.eye(4, dtype=torch.float64)[None], K, 320, 240)
    known = lidar_lines((240, 320), 0, beams=8, camera=camera, largest_roll=0.0, dropout=0.0)
    rows, columns = np.nonzero(known)
    x, y = (columns + 0.5 - cx) / fx, (rows + 0.5 - cy) / fy
    elevation = np.degrees(np.arctan2(-y, np.hypot(x, 1)))
    step = math.degrees(math.atan(cy / fy) + math.atan((240 - cy) / fy)) / 8
    phase = (elevation / step) % 1.0
    pixel = math.degrees(0.5 / fy) / step + 0.02
    offset = (phase - np.median(phase) + 0.5) % 1.0 - 0.5
    assert np.abs(offset).max() < 2 * pixel
    assert len({round(value) for value in (elevation / step - np.median(phase)).round()}) >= 8


@pytest.mark.parametrize("beams", [4, 16, 64])
def test_lidar_density_grows_with_beams(beams):
    known = lidar_lines((480, 640), 7, beams)
    assert 0.6 < known.mean() / (0.054 * beams / 64) < 1.4
    for band in np.array_split(known, beams // 2):  # lines everywhere, also in the corners
        assert band[:, :60].any()
        assert band[:, -60:].any()


def test_lidar_dropout_thins():
    full = lidar_lines((240, 320), 3, 32, dropout=0.0)
    half = lidar_lines((240, 320), 3, 32, dropout=0.5)
    assert 0.4 < half.sum() / full.sum() < 0.65
    assert not (half & ~full).any()


@pytest.mark.parametrize("mask", [silhouette, rectangle])
def test_holes_of_10_to_40_percent(mask):
    shares = [1 - mask(SHAPE, seed).mean() for seed in range(60)]
    assert min(shares) >= 0.095
    assert max(shares) <= 0.405
    assert max(shares) - min(shares) > 0.15


def test_silhouettes_are_one_smooth_piece():
    from scipy import ndimage

    for seed in range(20):
        hole = ~silhouette((240, 320), seed)
        assert ndimage.label(hole)[1] == 1
        boundary = hole & ~ndimage.binary_erosion(hole, border_value=1)
        assert boundary.sum() < 6 * math.sqrt(math.pi * hole.sum())  # a circle has about 2 sqrt(pi A)


def test_rectangle_is_a_rectangle():
    hole = ~rectangle(SHAPE, 9)
    rows, columns = np.nonzero(hole)
    assert hole.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_half_image(side):
    known = half_image((10, 20), 0, side)
    window = {"left": np.s_[:, :10], "right": np.s_[:, 10:], "top": np.s_[:5], "bottom": np.s_[5:]}[side]
    expected = np.zeros((10, 20), dtype=bool)
    expected[window] = True
    assert np.array_equal(known, expected)


def test_half_image_draws_every_side():
    assert len({half_image((10, 20), seed).tobytes() for seed in range(40)}) == 4


def test_segment_takes_a_whole_object_and_its_rim():
    depth, found = stairs(), set()
    for seed in range(20):
        hole = ~segment(depth, seed, grow=2)
        inside = [value for value in (1.0, 2.0, 3.0) if hole[depth == value].all()]
        assert len(inside) == 1
        core = depth == inside[0]
        assert not hole[(depth != inside[0]) & (depth != 4.0)].any()
        rim = hole & ~core
        assert rim.any()
        assert 0.015 <= core.mean() <= 0.4
        found.add(inside[0])
    assert found == {1.0, 2.0, 3.0}


def test_segment_of_a_scene_without_objects_is_a_band_of_depth():
    slope = np.linspace(1, 3, SHAPE[0])[:, None] * np.ones(SHAPE)
    hole = ~segment(slope, 0)
    assert 0.1 < hole.mean() < 0.45
    assert not segment(np.ones((20, 30)), 0).all()


def test_instances_hides_one_object():
    labels = np.zeros(SHAPE, dtype=np.int32)
    labels[10:40, 10:40] = 7
    labels[60:100, 50:120] = 3
    hole = ~instances(labels, 1, grow=0)
    assert any(np.array_equal(hole, labels == value) for value in (3, 7))
    with pytest.raises(InputError, match="object that covers"):
        instances(np.zeros(SHAPE, dtype=np.int32), 1)


def test_sensor_failures_lose_edges_shadow_dark_and_bright():
    depth = stairs()
    rgb = np.full((*SHAPE, 3), 0.5, dtype=np.float32)
    rgb[100:, :40] = 0.01
    rgb[:5, 140:] = 0.99
    lost = ~sensor_failures(rgb, depth, 3, blotches=0.0)
    assert lost[60, 20:50].all()  # the lower edge of the middle box
    assert lost[105:115, 5:25].mean() > 0.9
    assert lost[:3, 145:155].all()
    assert not lost[75:95, 50:100].any()  # inside the near box
    left, right = lost[85, 10:29].sum(), lost[85, 121:140].sum()
    assert max(left, right) >= 4 * max(min(left, right), 1)  # the shadow falls to one side
    shadow = 0.04 * SHAPE[1] * np.median(depth) * (1 / 1.0 - 1 / 4.0)
    assert abs(max(left, right) - shadow) <= 3


def test_sensor_failures_lose_a_fifth_of_a_real_frame(shared):
    folder = shared("data/rs_tabletop_mixed")
    depth = np.asarray(Image.open(folder / "depth.png")) / 1000.0
    rgb = np.asarray(Image.open(folder / "rgb.jpg"), dtype=np.float32) / 255
    shares = [1 - sensor_failures(rgb, depth, seed).mean() for seed in range(3)]
    assert 0.15 < np.mean(shares) < 0.35


def test_known_mask_needs_valid_truth_and_keeps_to_it():
    depth = stairs()
    depth[:60] = 0
    known = known_mask("rand50", depth, 1)
    assert known.any()
    assert not known[:60].any()
    with pytest.raises(InputError, match="no valid pixel"):
        known_mask("rand50", np.zeros(SHAPE), 1)
    with pytest.raises(InputError, match="rand10"):
        known_mask("rand7", depth, 1)


def test_known_mask_draws_again_until_something_is_known():
    depth = np.zeros(SHAPE)
    depth[0, 0] = 1.0
    assert known_mask("rect", depth, 1)[0, 0]
    lone = np.zeros((64, 64))
    lone[32, 32] = 1.0
    assert known_mask("outpaint", lone, 0)[32, 32]


def test_mask_seed_is_crc32():
    assert mask_seed("123456789") == 0xCBF43926  # the check value of CRC-32
    assert mask_seed("frame", "rand2") == mask_seed("frame/rand2")


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: random_share(SHAPE, 0, 0.0), "share"),
        (lambda: random_points(SHAPE, 0, 0), "count"),
        (lambda: patches(SHAPE, 0, 1.5), "share"),
        (lambda: lidar_lines(SHAPE, 0, beams=0), "lidar_lines"),
        (lambda: silhouette(SHAPE, 0, 0.5, 0.2), "smallest"),
        (lambda: half_image(SHAPE, 0, "above"), "side"),
        (lambda: segment(np.full(SHAPE, np.nan), 0), "depth"),
    ],
)
def test_wrong_parameters_are_named(call, field):
    with pytest.raises(InputError, match=field):
        call()
