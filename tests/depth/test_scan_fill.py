"""Raw LiDAR scans: what shines through is told by the picture, left out of the fill, and given back as it was."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.depth.scan_fill import cover_scan, scan_shines_through
from scene_depth.depth.solver import SolverInpainter
from scene_depth.depth.solver.problem import color_guide

HEIGHT, WIDTH = 180, 300
NEAR, FAR = 8.0, 20.0
Floats = NDArray[np.float32]


def made_scan() -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """A box before a wall: picture, true depth, a scan in lines with points of the wall on the left of the box, and these."""
    rng = np.random.default_rng(0)
    truth = np.full((HEIGHT, WIDTH), FAR, np.float32)
    box = np.zeros(truth.shape, bool)
    box[40:140, 100:200] = True
    truth[box] = NEAR
    colors = np.where(box[..., None], (0.8, 0.2, 0.2), (0.2, 0.3, 0.6)) + rng.normal(0, 0.03, (HEIGHT, WIDTH, 3))
    scan = np.zeros_like(truth)
    scan[2::6, 1::3] = truth[2::6, 1::3]
    through = np.zeros(truth.shape, bool)
    through[47:136:6, 104:130:3] = True  # midway between the lines of the box
    scan[through] = FAR
    return colors.clip(0, 1).astype(np.float32), truth, scan, through


def test_points_that_shine_through_are_found_by_their_colour() -> None:
    rgb, _, scan, through = made_scan()
    hidden = scan_shines_through(color_guide(rgb, scan.shape), scan, scan > 0)
    assert hidden[through].mean() > 0.9
    assert not (hidden & ~through).any()
    gaps = ndimage.binary_dilation(through, np.ones((3, 3)))[..., None]  # the picture shows the wall there: a lattice
    lattice = np.where(gaps, rgb[0, 0], rgb).astype(np.float32)
    assert not scan_shines_through(color_guide(lattice, scan.shape), scan, scan > 0).any()
    assert not scan_shines_through(color_guide(None, scan.shape), scan, scan > 0).any()


@pytest.mark.parametrize("known", ["random", "dense", "one line"])
def test_other_depth_is_no_scan(known: str) -> None:
    rgb, truth, scan, through = made_scan()
    rng = np.random.default_rng(1)
    depth = np.where(through, FAR, truth)
    chosen = {
        "random": rng.random(scan.shape) < 0.06,
        "dense": rng.random(scan.shape) < 0.3,
        "one line": (np.arange(HEIGHT) == 90)[:, None] & np.ones(scan.shape, bool),
    }[known]
    guide = color_guide(rgb, scan.shape)
    assert not scan_shines_through(guide, np.where(chosen, depth, 0).astype(np.float32), chosen).any()


def test_the_solver_covers_the_box_and_keeps_every_point() -> None:
    rgb, truth, scan, _ = made_scan()
    known = scan > 0
    prediction = inpaint_depth("solver", rgb, scan, known)
    np.testing.assert_array_equal(prediction.depth[known], scan[known])
    hidden = scan_shines_through(color_guide(rgb, scan.shape), scan, known)
    assert prediction.details["model"]["points_shining_through"] == hidden.sum()
    region = np.zeros(known.shape, bool)
    region[46:134, 106:128] = True
    region &= ~known
    error = np.abs(prediction.depth / truth - 1)[region]
    blind = np.abs(inpaint_depth("solver", None, scan, known).depth / truth - 1)[region]
    fill = np.abs(load_depth_inpainter("ip_basic")(rgb, scan, known).depth / truth - 1)[region]
    assert error.mean() < 0.02
    assert error.mean() < 0.2 * blind.mean()
    assert error.mean() <= fill.mean() + 0.005
    assert prediction.uncertainty is not None
    assert (prediction.uncertainty[known] == 0).all()


def test_a_prior_is_fitted_without_those_points() -> None:
    rgb, truth, scan, _ = made_scan()
    prediction = SolverInpainter(prior=(1 / truth).astype(np.float32))(rgb, scan, scan > 0)
    np.testing.assert_allclose(prediction.depth[scan == 0], truth[scan == 0], rtol=0.02)


def test_near_points_win_over_a_farther_fill() -> None:
    depth = np.zeros((20, 20), np.float32)
    depth[10, 10], depth[0, 0] = 2.0, 10.0
    known = depth > 0
    covered = cover_scan(np.full((20, 20), 10.0), depth, known, np.zeros_like(known))
    assert covered[10, 11] < 3.2  # the mean of 2 with a blurred 2
    assert covered[2, 2] == pytest.approx(10.0, rel=0.01)
