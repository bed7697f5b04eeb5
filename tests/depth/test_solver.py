"""The embedded solver: exactness, symmetries, extremes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_depth_synthetic.procedural import generate_frame

from scene_depth.depth.masks import half_image, known_mask, random_points, rectangle
from scene_depth.depth.protocol import DepthInpainter
from scene_depth.depth.solver import SolverInpainter
from scene_depth.depth.solver.problem import color_guide, make_problem
from scene_depth.errors import InputError


def plane(height: int, width: int, slope_x: float = 0.4, slope_y: float = -0.3) -> np.ndarray:
    """Depth of a plane: inverse depth is affine in the pixel coordinates."""
    y, x = np.mgrid[:height, :width]
    return 1.0 / (1.0 + slope_x * x / width + slope_y * y / height)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


def two_boxes(height: int = 72, width: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A near box before a slanted wall, and the picture in which both have their own colour."""
    depth = 3.0 * plane(height, width)
    rgb = np.full((height, width, 3), (0.7, 0.6, 0.5), dtype=np.float32)
    box = np.s_[height // 4 : 3 * height // 4, width // 3 : 2 * width // 3]
    depth[box] = 1.0
    rgb[box] = (0.1, 0.2, 0.5)
    return depth, rgb


def test_is_a_depth_inpainter():
    assert isinstance(SolverInpainter(), DepthInpainter)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("colors", [True, False])
def test_known_depth_comes_back_bit_for_bit(dtype, colors):
    depth, rgb = two_boxes()
    depth = depth.astype(dtype)
    known = np.random.default_rng(1).random(depth.shape) < 0.3
    result = SolverInpainter()(rgb if colors else None, depth, known)
    assert result.depth.dtype == dtype
    assert np.array_equal(result.depth[known], depth[known])
    assert np.isfinite(result.depth).all()
    assert (result.depth > 0).all()


def test_same_bits_on_any_number_of_threads():
    height, width = 240, 400  # large enough to be split
    depth, rgb = plane(height, width), picture(height, width)
    depth[60:150, 100:220] *= 0.5
    known = np.random.default_rng(2).random(depth.shape) < 0.05
    one, two, three = (SolverInpainter(threads=count)(rgb, depth, known) for count in (1, 2, 3))
    assert np.array_equal(one.depth, two.depth)
    assert np.array_equal(one.depth, three.depth)
    assert np.array_equal(one.uncertainty, two.uncertainty)


@given(power=st.integers(-20, 20))
@settings(max_examples=10)
def test_depth_in_another_unit_gives_the_same_picture_in_that_unit(power):
    depth, rgb = two_boxes(36, 48)
    known = np.random.default_rng(3).random(depth.shape) < 0.1
    usual = SolverInpainter()(rgb, depth, known)
    other = SolverInpainter()(rgb, depth * 2.0**power, known)
    assert np.array_equal(other.depth, usual.depth * 2.0**power)
    assert np.array_equal(other.uncertainty, usual.uncertainty)


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (1, 2), (2, 2), (7, 200)])
@pytest.mark.parametrize("share", ["one known", "one missing"])
@pytest.mark.parametrize("colors", [True, False])
def test_small_and_thin_images(shape, share, colors):
    depth = 1.0 + np.random.default_rng(4).random(shape)
    known = np.zeros(shape, dtype=bool)
    known[0, 0] = True
    known = known if share == "one known" else ~known
    result = SolverInpainter()(picture(*shape) if colors else None, depth, known)
    assert np.isfinite(result.depth).all()
    assert (result.depth > 0).all()
    assert np.array_equal(result.depth[known], depth[known])
    if share == "one known":
        assert result.depth == pytest.approx(np.full(shape, depth[0, 0]), rel=2e-3)


def test_constant_depth_stays_constant():
    known = np.random.default_rng(5).random((60, 80)) < 0.02
    result = SolverInpainter()(picture(60, 80), np.full((60, 80), 7.0), known)
    assert result.depth == pytest.approx(np.full((60, 80), 7.0), rel=2e-3)


@pytest.mark.parametrize(
    ("known", "mean", "largest"),
    [(rectangle((120, 160), 1, 0.3, 0.3), 3e-4, 1e-3), (random_points((120, 160), 1, 30), 2e-3, 1e-2)],
    ids=["a hole of 30 %", "30 points"],
)
def test_planes_are_continued_through_holes(known, mean, largest):
    depth = 3.0 * plane(120, 160, 1.2, -0.4)
    problem = make_problem(1 / depth, known, color_guide(None, known.shape))
    alone = np.abs(1 / (SolverInpainter().solve(problem).values * problem.unit * depth) - 1)[~known]
    assert alone.mean() < mean
    assert alone.max() < largest
    error = np.abs(SolverInpainter()(None, depth, known).depth / depth - 1)[~known]  # with what smaller sizes say
    assert error.mean() < mean + 7e-4
    assert error.max() < largest + 2e-3


def test_a_plane_is_continued_beyond_what_is_known_and_flattens_out():
    """Half of the image is to be guessed: the plane goes on for some way, so it beats the nearest value by far."""
    depth = 3.0 * plane(120, 160, 1.2, -0.4)
    known = half_image(depth.shape, 1, "left")
    result = SolverInpainter()(None, depth, known)
    nearest = np.broadcast_to(depth[:, 79:80], depth.shape)
    assert np.abs(result.depth / depth - 1)[~known].mean() < 0.2 * np.abs(nearest / depth - 1)[~known].mean()


def test_nothing_known_is_an_error():
    with pytest.raises(InputError, match="at least one known pixel"):
        SolverInpainter()(None, np.ones((4, 5)), np.zeros((4, 5), dtype=bool))


def test_nothing_to_do_gives_the_input_back():
    depth = plane(6, 8).astype(np.float32)
    result = SolverInpainter()(None, depth, np.ones((6, 8), dtype=bool))
    assert np.array_equal(result.depth, depth)
    assert not result.uncertainty.any()


def test_a_depth_edge_follows_the_colour_edge():
    depth, rgb = two_boxes()
    known = np.random.default_rng(6).random(depth.shape) < 0.02
    result = SolverInpainter()(rgb, depth, known)
    assert np.abs(result.depth / depth - 1)[~known].mean() < 0.02


def test_pixels_that_are_hardly_held_do_not_make_steps_diverge():
    """Patches of a street with much sky: coarse pixels that touch little known depth have nearly singular blocks."""
    frame = generate_frame("street", 4294967841, 160, 120)
    rgb = np.rint(frame.rgb * 255).astype(np.uint8).astype(np.float32) / np.float32(255)
    known = known_mask("patch30", frame.depth, 4961325837203338867)
    result = SolverInpainter()(rgb, frame.depth, known).depth
    assert np.isfinite(result).all()
    limits = frame.depth[known].min() / 1.3001, frame.depth[known].max() / 0.6999
    assert (result >= limits[0]).all()
    assert (result <= limits[1]).all()


@pytest.mark.parametrize("fit", ["affine", "scale"])
def test_with_a_prior_uncertainty_grows_to_what_the_prior_errs_by(fit):
    depth = plane(120, 240, 1.2, -0.4)
    y, x = np.mgrid[:120, :240]
    prior = depth * np.exp(0.08 * np.sin(x / 9) * np.sin(y / 11))  # metric, and wrong in waves
    known = np.zeros(depth.shape, bool)
    known[:, :90] = True
    found = SolverInpainter(prior=prior, prior_space="depth", fit=fit)(None, depth, known)
    sigma, error = found.uncertainty, np.abs(found.depth / depth - 1)
    far = sigma[:, 230:].mean()
    assert 0.05 < far < 0.3  # the prior errs by 3 % on average, and by 8 at most
    assert sigma[:, 92].mean() < 0.4 * far
    assert (np.diff(sigma[:, 90:].mean(axis=0)) > -1e-3).all()
    assert 0.85 < np.mean(error[~known] < np.log(10) / np.sqrt(2) * sigma[~known]) <= 1
    exact = SolverInpainter(prior=depth, prior_space="depth", fit=fit)(None, depth, known)
    assert exact.uncertainty.max() < 0.5 * far
