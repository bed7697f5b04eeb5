"""Colours of depth."""

from __future__ import annotations

import numpy as np
import pytest

from scene_depth.depth.preview import LONGEST_SIDE, UNKNOWN, color_depth, preview, turbo


def test_turbo_is_the_published_colormap():
    matplotlib = pytest.importorskip("matplotlib")
    values = np.linspace(0, 1, 256)
    published = matplotlib.colormaps["turbo"](values)[:, :3]
    error = np.abs(turbo(values) - published)  # the polynomial leaves the table most at the dark ends
    assert error[20:236].max() < 0.09
    assert error.mean() < 0.03


def test_colours_take_any_value():
    colors = turbo(np.array([[-3.0, np.nan, np.inf, 0.5]]))
    assert colors.shape == (1, 4, 3)
    assert ((colors >= 0) & (colors <= 1)).all()


def test_near_is_red_far_is_blue_and_unknown_is_grey():
    colors = color_depth(np.array([1.0, 10.0, 0.0]), 1.0, 10.0)
    assert colors[0, 0] > 0.4 > colors[0, 2]
    assert colors[1, 2] > colors[1, 1]
    assert np.array_equal(colors[2], UNKNOWN)


def test_panels():
    depth = np.linspace(1, 5, 12).reshape(3, 4)
    known = np.zeros((3, 4), dtype=bool)
    known[0, 0] = True
    rgb = np.random.default_rng(0).random((3, 4, 3)).astype(np.float32)
    picture = preview(rgb, depth, known, np.zeros((3, 4)))
    assert picture.shape == (6, 8, 3)
    assert np.array_equal(picture[:3, :4], rgb)
    assert np.array_equal(picture[3, 0], picture[0, 4])  # a known pixel has one colour in both panels
    assert (picture[3:, :4][~known] == UNKNOWN).all()
    assert preview(None, depth, known, None).shape == (6, 8, 3)


def test_large_frames_are_thinned():
    depth = np.ones((10, 2 * LONGEST_SIDE + 1))
    known = np.zeros(depth.shape, dtype=bool)
    known[7, 101] = True  # between the pixels that are shown
    picture = preview(None, depth, known, None)
    assert picture.shape[1] <= 2 * LONGEST_SIDE
    measured = picture[picture.shape[0] // 2 :, : picture.shape[1] // 2]
    assert np.argwhere((measured != UNKNOWN).any(-1)).tolist() == [[7 // 3, 101 // 3]]
