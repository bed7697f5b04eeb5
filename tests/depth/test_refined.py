"""The network that corrects the solver: where it may act, how far, and what it needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.refined import RefinedInpainter
from scene_depth.depth.refined.inpainter import LARGEST_CHANGE, reduced, working_size, working_view
from scene_depth.depth.refined.network import (
    FILE,
    SLOPE_X,
    SLOPE_Y,
    VALUE,
    NetworkConfig,
    RefiningNetwork,
    load_network,
    save_network,
)
from scene_depth.depth.solver import SolverInpainter
from scene_depth.errors import InputError

SMALL = NetworkConfig(widths=(8, 16))


def network(bias: float = 0.0, seed: int = 0) -> RefiningNetwork:
    """A network that changes log inverse depth by ``bias`` wherever it may act, and by noise if its weights are random."""
    torch.manual_seed(seed)
    made = RefiningNetwork(SMALL)
    with torch.no_grad():
        made.leave.bias[:16] = bias
        made.leave.bias[16:32] = -30.0
    return made.eval()


def slanted_view(height: int = 60, width: int = 80) -> tuple[NDArray, NDArray, NDArray]:
    """A plane with a rectangular hole."""
    y, x = np.mgrid[:height, :width]
    depth = (1 / (0.2 + 0.1 * x / width + 0.2 * y / height)).astype(np.float32)
    known = np.ones((height, width), dtype=bool)
    known[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = False
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32), depth, known


def test_without_an_offset_the_result_is_the_solvers() -> None:
    rgb, depth, known = slanted_view()
    refined = RefinedInpainter(network=network())(rgb, depth, known)
    solved = SolverInpainter()(rgb, depth, known)
    np.testing.assert_allclose(refined.depth, solved.depth, rtol=1e-6)


@pytest.mark.parametrize("bias", [0.1, -0.1])
def test_a_correction_acts_in_the_hole_fades_towards_known_depth_and_moves_in_its_sense(bias: float) -> None:
    rgb, depth, known = slanted_view()
    refined = RefinedInpainter(network=network(bias), trust=100.0)(rgb, depth, known).depth
    change = np.log(SolverInpainter()(rgb, depth, known).depth / refined)
    assert np.array_equal(refined[known], depth[known])
    assert change[30, 40] == pytest.approx(bias, rel=0.05)  # 15 pixels from known depth, of which 4 are the fade
    assert abs(change[15, 40]) < 0.3 * abs(bias)


def test_a_network_gone_wild_is_limited() -> None:
    rgb, depth, known = slanted_view()
    solved = SolverInpainter()(rgb, depth, known)
    assert solved.uncertainty is not None
    for trust, limit in ((1e6, LARGEST_CHANGE), (0.1, 0.1 * solved.uncertainty)):
        refined = RefinedInpainter(network=network(50.0), trust=trust)(rgb, depth, known).depth
        change = np.log(solved.depth / refined)
        assert (np.abs(change) <= limit + 1e-5).all()
        assert np.abs(change).max() > 0.5 * np.max(limit)


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (7, 9), (150, 333)])
@pytest.mark.parametrize("colored", [True, False])
def test_any_size_with_and_without_a_picture(size: tuple[int, int], colored: bool) -> None:
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 2, size).astype(np.float32)
    known = rng.random(size) < 0.3
    known.flat[0] = True
    rgb = rng.random((*size, 3), dtype=np.float32) if colored else None
    prediction = inpaint_depth(RefinedInpainter(network=network(0.2)), rgb, depth, known)
    assert np.array_equal(prediction.depth[known], depth[known])
    assert np.isfinite(prediction.depth).all()
    assert (prediction.depth > 0).all()
    assert prediction.uncertainty is not None
    assert (prediction.uncertainty[~known] > 0).all()
    assert (prediction.uncertainty[known] == 0).all()


def test_depth_in_another_unit_gives_the_same_result_in_that_unit() -> None:
    rgb, depth, known = slanted_view()
    inpainter = RefinedInpainter(network=network(0.1))
    a, b = inpainter(rgb, depth, known).depth, inpainter(rgb, depth * np.float32(4), known).depth
    np.testing.assert_allclose(4 * a, b, rtol=1e-6)


def test_all_known_is_given_back() -> None:
    rgb, depth, _ = slanted_view()
    prediction = RefinedInpainter(network=network(0.1))(rgb, depth, np.ones_like(depth, dtype=bool))
    assert np.array_equal(prediction.depth, depth)


def test_the_reduced_view_keeps_its_proportions_and_means() -> None:
    assert working_size(480, 640) == (120, 160)
    assert working_size(90, 120) == (90, 120)
    assert working_size(1, 4000) == (1, 160)
    planes = np.random.default_rng(0).random((2, 480, 640))
    small = reduced(planes, (120, 160))
    np.testing.assert_allclose(small, planes.reshape(2, 120, 4, 160, 4).mean(axis=(2, 4)))


def test_the_description_of_a_plane_has_its_value_and_slopes() -> None:
    y, x = np.mgrid[:48, :64]
    inverse = np.exp(0.004 * x + 0.002 * y)
    view = working_view(SolverInpainter(), None, inverse, np.ones((48, 64), dtype=bool))
    np.testing.assert_allclose(view.planes[VALUE], np.log(inverse / view.unit), atol=1e-5)
    np.testing.assert_allclose(view.planes[SLOPE_X, :, :-1], 0.04, atol=1e-4)
    np.testing.assert_allclose(view.planes[SLOPE_Y, :-1], 0.02, atol=1e-4)


def test_weights_survive_the_file_in_half_precision(tmp_path: Path) -> None:
    made = network(0.125, seed=3)
    save_network(tmp_path / FILE, made)
    read = load_network(tmp_path)
    assert read.config == made.config
    for name, value in made.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], value.half().float(), rtol=0, atol=0)


def test_bad_weights_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        RefinedInpainter(weights=tmp_path / "none.npz")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InputError, match=r"cut\.npz"):
        load_network(tmp_path / "cut.npz")
    save_network(tmp_path / FILE, network())
    content = dict(np.load(tmp_path / FILE))
    content["enter.weight"] = content["enter.weight"][:4]
    np.savez(tmp_path / "shape.npz", **content)
    with pytest.raises(InputError, match=r"shape\.npz"):
        load_network(tmp_path / "shape.npz")
    del content["enter.weight"]
    np.savez(tmp_path / "lacking.npz", **content)
    with pytest.raises(InputError, match=r"enter\.weight|Missing|state_dict"):
        load_network(tmp_path / "lacking.npz")


def test_trust_is_positive() -> None:
    with pytest.raises(InputError, match="trust"):
        RefinedInpainter(network=network(), trust=0.0)


def test_a_prior_belongs_to_the_solver_alone() -> None:
    with pytest.raises(InputError, match="prior"):
        RefinedInpainter(solver=SolverInpainter(prior=np.ones((4, 4))), network=network())
