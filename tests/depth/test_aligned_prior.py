"""Priors by one scale, by name or by value, and the inpainters that align a prior in other ways, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.depth.aligned_prior import LucidDreamer, ScaleAndShift, Text2Room, adam_scale
from scene_depth.depth.alignment import fit_globally
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.monocular import MonocularInpainter, with_prior
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.depth.solver.prior_error import estimate_prior_error
from scene_depth.errors import InputError

SHAPE = (32, 48)


def a_scene():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = 2.0 + 0.4 * np.sin(x / 7) + 0.03 * y
    return depth, x < 30  # the right part is new


def a_camera() -> Cameras:
    return camera_from_fov(torch.eye(4, dtype=torch.float64), 0.8, SHAPE[1], SHAPE[0])


@pytest.mark.parametrize(("space", "values"), [("depth", lambda d: d / 1.3), ("inverse", lambda d: 1.3 / d)])
def test_one_scale_is_the_median_ratio(space, values):
    depth, known = a_scene()
    noisy = np.where(np.arange(SHAPE[1]) % 5 == 0, 3.0, 1.0) * depth  # a fifth is wrong by 3
    fit = fit_globally(values(depth), noisy, known, space, "scale")
    assert (fit.shift, fit.two_parameters) == (0.0, False)
    assert fit.scale == pytest.approx(1.3 if space == "depth" else 1 / 1.3)
    assert fit_globally(np.log(depth), 2 * depth, known, "log", "scale").shift == pytest.approx(np.log(2))


def test_auto_takes_what_carries_over_the_view():
    depth, known = a_scene()
    wave = 1 + 0.1 * np.sin(np.arange(SHAPE[1]) / 9)  # what affine fits of half a view chase
    assert not fit_globally(depth * wave / 1.3, depth, known, "depth", "auto").two_parameters
    assert fit_globally(depth / 1.3 + 1.0, depth, known, "depth", "auto").two_parameters
    assert fit_globally(depth - 2.5, depth, known, "depth", "auto").two_parameters  # not positive


def test_a_map_says_what_is_free_of_it():
    depth, known = a_scene()
    shifted = (depth + 1.0).astype(np.float32)
    found = {
        metric: inpaint_depth("solver", None, depth, known, prior=MonocularMap(shifted, "depth", metric=metric)).details
        for metric in (True, False)
    }
    assert [found[metric]["model"]["prior_fit"]["two_parameters"] for metric in (True, False)] == [False, True]
    asked = inpaint_depth("solver", None, depth, known, prior=MonocularMap(shifted, "depth", metric=True), fit="affine")
    np.testing.assert_allclose(asked.depth, depth, rtol=1e-3)


def test_the_fit_of_a_prior_by_every_way_in(tmp_path):
    depth, known = a_scene()
    rgb = np.repeat((depth[..., None] / 4), 3, axis=2).astype(np.float32)
    (tmp_path / "mine.py").write_text("def model(rgb):\n    return rgb[..., 0] * 2 + 1\n")
    name = f"{tmp_path / 'mine.py'}:model"
    ways = [
        inpaint_depth("solver", rgb, depth, known, prior=f"{name}[fit=scale]"),
        inpaint_depth("solver", rgb, depth, known, prior=name, fit="scale"),
        inpaint_depth("solver[fit=scale]", rgb, depth, known, prior=name),
        inpaint_depth(MonocularInpainter(lambda rgb: rgb[..., 0] * 2 + 1, fit="scale"), rgb, depth, known),
    ]
    assert not any(way.details["model"]["prior_fit"]["two_parameters"] for way in ways)
    for way in ways[1:]:
        assert np.array_equal(way.depth, ways[0].depth)
    assert inpaint_depth("solver", rgb, depth, known, prior=name).details["model"]["prior_fit"]["two_parameters"]


def test_a_metric_prior_is_continued_by_its_scale():
    depth, known = a_scene()
    found = inpaint_depth("solver", None, depth, known, prior=depth / 1.3, fit="scale")
    np.testing.assert_allclose(found.depth, depth, rtol=1e-3)


def test_the_error_of_a_prior_goes_on_smoothly_and_returns_to_its_scale():
    y, x = np.mgrid[:96, :128]
    known = x < 80
    wave = 0.05 * np.sin(x / 9) * np.cos(y / 9)
    found = estimate_prior_error(np.log(1.3) + wave, known)
    assert found.log_scale == pytest.approx(np.log(1.3), abs=0.02)
    np.testing.assert_allclose(found.log_ratio[known], np.log(1.3) + wave[known], atol=0.03)
    np.testing.assert_allclose(found.log_ratio[:, 82], np.log(1.3) + wave[:, 82], atol=0.03)
    np.testing.assert_allclose(found.log_ratio[:, -1], found.log_scale, atol=0.03)
    assert estimate_prior_error(0.01 + wave, known).log_scale == 0  # the known part does not contradict a scale of 1
    alike = estimate_prior_error(np.full(known.shape, 0.4), known)
    np.testing.assert_allclose(alike.log_ratio, 0.4, atol=1e-9)


def test_a_scale_that_is_held_is_bent_beside_known_depth_and_stays_far_from_it():
    y, x = np.mgrid[:96, :128]
    known, wave = x < 80, 0.05 * np.sin(x / 9) * np.cos(y / 9)
    free, held = (estimate_prior_error(0.1 + wave, known, hold_scale=hold) for hold in (False, True))
    assert free.log_scale == pytest.approx(0.1, abs=0.01)  # which contradicts a scale of 1
    assert held.log_scale == 0
    for found in (free, held):
        np.testing.assert_allclose(found.log_ratio[:, 78], 0.1 + wave[:, 78], atol=0.03)
    assert np.abs(held.log_ratio[:, -1]).mean() < 0.4 * np.abs(free.log_ratio[:, -1]).mean()


def test_of_a_few_known_pixels_the_scale_alone_is_told():
    known = np.zeros(SHAPE, dtype=bool)
    known[3, 4:7] = True
    found = estimate_prior_error(np.where(known, 0.2, np.nan), known)
    assert (found.log_ratio == 0.2).all()
    assert found.reach == 0


def test_new_depth_may_be_far_beyond_the_known_range_where_the_scale_alone_is_free():
    depth, known = a_scene()
    depth = np.where(known, depth, 8 * depth)
    found = inpaint_depth("solver", None, depth, known, prior=depth / 1.3, fit="scale")
    np.testing.assert_allclose(found.depth, depth, rtol=2e-2)
    assert found.details["model"]["prior_error"]["scale"] == pytest.approx(1.3, rel=1e-3)


@pytest.mark.parametrize(("error", "scale"), [(0.8, 1.09), (1.0, 1.00), (1.3, 0.91)])
def test_the_scale_of_lucid_dreamer_moves_by_a_tenth_at_most(error, scale):
    depth, known = a_scene()
    points = a_camera().unproject(torch.from_numpy(depth)[None])[0].numpy()[known]
    assert adam_scale(error * points, points) == pytest.approx(scale, abs=5e-3)
    prior = MonocularMap(error * depth, "depth")
    found = inpaint_depth("lucid_dreamer", None, depth, known, camera=a_camera(), prior=prior)
    assert found.details["model"]["scale"] == pytest.approx(scale, abs=5e-3)


def test_lucid_dreamer_adds_the_step_at_the_border_and_nothing_in_the_corners():
    depth, known = np.full(SHAPE, 2.0), a_scene()[1]
    off = inpaint_depth(LucidDreamer(np.full(SHAPE, 3.0)), None, depth, known, camera=a_camera())
    scale = off.details["model"]["scale"]
    beside = scale * (3.0 + (2.0 - scale * 3.0))  # along every ray the known point lies nearer by that much
    assert off.depth[16, 30] == pytest.approx(beside, abs=0.08)
    assert off.depth[0, -1] == pytest.approx(scale * 3.0, abs=0.02)
    exact = inpaint_depth(LucidDreamer(depth), None, depth, known, camera=a_camera())
    np.testing.assert_allclose(exact.depth, depth, rtol=1e-9)


def test_text2room_is_least_squares_of_disparity():
    depth, known = a_scene()
    prior = 1.0 / (0.7 / depth + 0.1)
    found = inpaint_depth(Text2Room(prior), None, depth, known)
    np.testing.assert_allclose(found.depth, depth, rtol=1e-9)
    assert found.details["model"] == pytest.approx({"scale": 1 / 0.7, "shift": -0.1 / 0.7})
    noisy = prior * np.random.default_rng(0).uniform(0.9, 1.1, SHAPE)
    line = np.polyfit(1 / noisy[known], 1 / depth[known], 1)
    found = inpaint_depth(Text2Room(noisy), None, depth, known)
    np.testing.assert_allclose(found.depth[~known], 1 / np.polyval(line, 1 / noisy[~known]), rtol=1e-9)


def test_scale_and_shift_leaves_the_seam_as_it_is():
    depth, known = a_scene()
    wave = depth * (1 + 0.1 * np.sin(np.arange(SHAPE[1]) / 9))
    found = inpaint_depth(ScaleAndShift(wave, "depth"), None, depth, known)
    line = found.details["model"]
    np.testing.assert_allclose(found.depth[~known], line["scale"] * wave[~known] + line["shift"], rtol=1e-9)
    assert np.array_equal(found.depth[known], depth[known])


@pytest.mark.parametrize("name", ["scale_and_shift", "text2room", "lucid_dreamer"])
def test_they_say_what_they_need(name):
    depth, known = a_scene()
    with pytest.raises(InputError, match=r"prior: none; expected a monocular prior"):
        inpaint_depth(name, None, depth, known, camera=a_camera())
    led = with_prior(load_depth_inpainter(name), MonocularMap(depth.astype(np.float32), "depth"))
    assert np.abs(led(None, depth, known, camera=a_camera()).depth / depth - 1).max() < 1e-3


def test_errors():
    depth, known = a_scene()
    with pytest.raises(InputError, match=r"fit.*'both'; expected one of scale, affine, auto"):
        inpaint_depth("solver[fit=both]", None, depth, known)
    with pytest.raises(InputError, match="camera"):
        inpaint_depth("lucid_dreamer", None, depth, known, prior=depth)
    with pytest.raises(InputError, match="not positive at most known pixels"):
        inpaint_depth("solver", None, depth, known, prior=MonocularMap(-depth, "depth"), fit="scale")
    with pytest.raises(InputError, match=r"prior: with the inpainter 'linear'.*one that takes a prior"):
        inpaint_depth("linear", None, depth, known, prior=depth)
    with pytest.raises(InputError, match="positive depth or inverse depth"):
        inpaint_depth("text2room", None, depth, known, prior=depth - 2.2)
