"""The measured step at a hole's border, and taking it out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from scene_depth.cameras import camera_from_fov
from scene_depth.depth.harmonize import border_offsets, harmonize, is_scattered
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.masks import random_share, silhouette
from scene_depth.depth.seam import measure_seam, shifted

SHAPE = (60, 80)


def slanted_plane(shape=SHAPE, a=0.004, b=-0.002):
    """A plane seen by a pinhole camera: inverse depth is affine in the pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 1.0 / (0.3 + a * x / 2 + b * y)


def square_hole(shape=SHAPE):
    known = np.ones(shape, dtype=bool)
    known[20:40, 25:55] = False
    return known


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_shifted():
    values = np.array([[1, 2, 3], [4, 5, 6]])
    assert np.array_equal(shifted(values, 1, 1), [[0, 1, 2], [0, 4, 5]])
    assert np.array_equal(shifted(values, 1, -2), [[3, 0, 0], [6, 0, 0]])
    assert np.array_equal(shifted(values, 0, 1), [[0, 0, 0], [1, 2, 3]])
    assert np.array_equal(shifted(values, 0, 2), np.zeros((2, 3)))
    assert np.array_equal(shifted(values, 0, 0), values)


def test_a_continued_plane_has_no_seam():
    report = measure_seam(slanted_plane(), square_hole())
    assert report.depth_jump < 1e-12
    assert report.depth_jump_beside < 1e-12
    assert report.pairs == 2 * (20 + 30)
    assert report.normal_jump is None


@pytest.mark.parametrize("factor", [0.9, 1.02, 1.3])
def test_a_step_is_measured_as_it_is(factor):
    known, depth = square_hole(), slanted_plane()
    report = measure_seam(np.where(known, depth, depth * factor), known)
    assert report.depth_jump == pytest.approx(abs(factor - 1), abs=1e-9)
    assert report.depth_jump_beside < 1e-12


def test_roughness_is_that_of_the_surface():
    depth = slanted_plane() * np.exp(np.random.default_rng(0).normal(0, 0.01, SHAPE))
    report = measure_seam(depth, square_hole())
    assert 0.5 < report.depth_jump / report.depth_jump_beside < 2
    assert 0.01 < report.depth_jump_beside < 0.04


def test_no_seam_without_both_sides():
    assert measure_seam(np.ones((4, 5)), np.ones((4, 5), dtype=bool)) is None
    assert measure_seam(np.ones((4, 5)), np.zeros((4, 5), dtype=bool)) is None


def test_the_angle_between_both_sides_is_measured():
    camera = camera_from_fov(torch.eye(4, dtype=torch.float64), 1.0, 80, 60)
    direction = camera.ray_directions()[0].numpy()
    tilt = 0.5
    wall, tilted = 3.0 / direction[..., 2], 3.0 / (direction @ [np.sin(tilt), 0, np.cos(tilt)])
    known = np.zeros(SHAPE, dtype=bool)
    known[:, :40] = True  # the two planes meet near the border, in the middle
    report = measure_seam(np.where(known, wall, tilted), known, camera)
    assert report.normal_jump == pytest.approx(tilt, abs=1e-3)
    assert measure_seam(wall, known, camera).normal_jump < 1e-3


@pytest.mark.parametrize("pasted", [False, True])
@pytest.mark.parametrize("factor", [0.8, 1.05])
def test_a_constant_error_of_scale_is_taken_out(pasted, factor):
    known, depth = square_hole(), slanted_plane()
    prediction = np.where(known & pasted, depth, depth * factor)
    offsets = border_offsets(prediction, depth, known)
    assert offsets.moved is not pasted
    fixed = harmonize(prediction, depth, known, offsets)
    np.testing.assert_allclose(fixed[~known], depth[~known], rtol=1e-3)


@pytest.mark.parametrize("pasted", [False, True])
def test_a_smooth_error_shrinks_and_the_seam_goes(pasted):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    known, depth = square_hole(), slanted_plane()
    error = np.exp(0.1 * np.sin(x / 18) + 0.08 * np.cos(y / 15))
    prediction = np.where(known & pasted, depth, depth * error)
    result = inpaint_depth(lambda *_: prediction, None, depth, known, harmonize=True if pasted else None)
    assert rms(np.log(result.depth / depth)[~known]) < 0.25 * rms(np.log(prediction / depth)[~known])
    assert result.seam.depth_jump < 0.004
    assert result.details["harmonized"]["seam_before"]["depth_jump"] > 0.03
    off = inpaint_depth(lambda *_: prediction, None, depth, known, harmonize=False)
    assert np.array_equal(off.depth, np.where(known, depth, prediction))


def test_a_fill_that_kept_known_depth_is_left_alone_unless_asked():
    known, depth = square_hole(), slanted_plane()
    result = inpaint_depth(lambda *_: np.where(known, depth, 7.0), None, depth, known)
    assert "harmonized" not in result.details
    assert (result.depth[~known] == 7.0).all()


def test_the_offset_of_one_surface_does_not_reach_another():
    """A near box inside the hole is predicted right, the wall around it 10 % off: only the wall is to move."""
    depth, known = np.full(SHAPE, 4.0), square_hole()
    box = np.zeros(SHAPE, dtype=bool)
    box[24:60, 34:46] = True  # touches the hole's lower border, so its offset is known there
    depth[box] = 2.0
    prediction = np.where(box, 2.0, 4.4)
    fixed = harmonize(prediction, depth, known, border_offsets(prediction, depth, known))
    np.testing.assert_allclose(fixed[~known & ~box], 4.0, rtol=0.02)
    np.testing.assert_allclose(fixed[~known & box], 2.0, rtol=0.02)


def test_an_occlusion_at_the_border_is_no_seam():
    """A near object that ends at the hole's left border: the wall that the hole shows must not be drawn towards it."""
    depth, known = np.full(SHAPE, 4.0), square_hole()
    depth[15:45, 10:25] = 2.0
    truth = depth.copy()
    filled = np.where(known, depth, 4.0)
    offsets = border_offsets(filled, depth, known)
    fixed = harmonize(filled, depth, known, offsets)
    np.testing.assert_allclose(fixed[~known], truth[~known], rtol=0.02)
    moved = np.where(depth == 2.0, 2.0, 4.0 * 1.1)  # the prediction has the object right and the wall 10 % too far
    fixed = harmonize(moved, depth, known, border_offsets(moved, depth, known))
    np.testing.assert_allclose(fixed[~known], truth[~known], rtol=0.03)


def test_known_pixels_of_the_prediction_are_not_touched():
    known, depth = silhouette(SHAPE, 3), slanted_plane()
    prediction = depth * 1.2
    fixed = harmonize(prediction, depth, known, border_offsets(prediction, depth, known))
    assert np.array_equal(fixed[known], prediction[known])


def test_scattered_points_get_no_spikes():
    known, depth = random_share(SHAPE, 5, 0.03), slanted_plane()
    assert is_scattered(known)
    assert not is_scattered(square_hole())
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    prediction = depth * np.exp(0.1 * np.sin(x / 12) + 0.002 * y)
    result = inpaint_depth(lambda *_: prediction, None, depth, known)
    error = np.log(result.depth / depth)
    assert rms(error[~known]) < 0.25 * rms(np.log(prediction / depth)[~known])
    hull = ndimage.binary_erosion(ndimage.binary_dilation(known, iterations=8), iterations=10)
    assert np.abs(error[hull]).max() < 0.04


def test_a_wild_known_pixel_does_not_pull_the_hole():
    known, depth = square_hole(), slanted_plane()
    depth_with_stray = depth.copy()
    depth_with_stray[19, 40] *= 3.0
    prediction = depth * 1.05
    fixed = harmonize(prediction, depth_with_stray, known, border_offsets(prediction, depth_with_stray, known))
    np.testing.assert_allclose(fixed[~known], depth[~known], rtol=5e-3)
