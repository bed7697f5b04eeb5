"""The solver's choice between candidates: neighbours by brute force, the kernel against torch, files, and that it helps."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_depth_synthetic.procedural import generate_frame

from scene_depth.datasets.frames.faults import imperfect_depth
from scene_depth.depth.masks import known_mask
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.depth.solver import SolverInpainter
from scene_depth.depth.solver.candidates import CANDIDATES, FAR, FEATURES, Candidates, find_candidates, find_neighbours, soften
from scene_depth.depth.solver.gate import Gate, load_gate, save_gate
from scene_depth.depth.solver.problem import color_guide, make_problem
from scene_depth.errors import InputError
from scene_depth.training.solver import GateNetwork

DIRECTIONS = ((0, -1), (0, 1), (-1, 0), (1, 0))  # left, right, top, bottom


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6), st.booleans())
@settings(max_examples=60)
def test_neighbours_are_those_of_a_walk(height: int, width: int, seed: int, own: bool) -> None:
    rng = np.random.default_rng(seed)
    known = rng.random((height, width)) < rng.random()
    values = np.where(known, rng.random((height, width)), 0).astype(np.float32)
    found = find_neighbours(values, known, own=own)
    for k, (down, right) in enumerate(DIRECTIONS):
        for y, x in np.ndindex(height, width):
            steps = 0 if own else 1
            while 0 <= y + steps * down < height and 0 <= x + steps * right < width:
                if known[y + steps * down, x + steps * right]:
                    break
                steps += 1
            else:
                assert found.distances[k, y, x] == FAR
                continue
            assert found.distances[k, y, x] == steps
            assert found.values[k, y, x] == values[y + steps * down, x + steps * right]


def test_means_of_neighbours_on_a_line() -> None:
    values = np.array([[1, 0, 0, 4, 0]], dtype=np.float32)
    known = values > 0
    around = find_neighbours(values, known)
    fallback = np.full(values.shape, 9, dtype=np.float32)
    assert around.across(fallback)[0, :4] == pytest.approx(np.array([1, 2, 3, 4]))
    assert around.across(fallback)[0, 4] == 9, "nothing is known to its right"
    weighted = (1 * 1 + 4 / 4) / (1 + 1 / 4)  # one pixel from 1, two from 4
    assert around.mean(fallback)[0, 1] == pytest.approx(weighted)
    assert around.gap[0, 1] == 3
    alone = find_neighbours(values, np.zeros_like(known))
    assert np.array_equal(alone.mean(fallback), fallback)
    assert not alone.found.any()


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 10**6))
@settings(max_examples=40)
def test_softening_is_the_mean_of_a_square(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(height, width)).astype(np.float32)
    radius = rng.uniform(0, 4, (height, width)).astype(np.float32)
    softened = soften(values, radius)
    for y, x in np.ndindex(height, width):
        r = int(radius[y, x])
        square = values[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1]
        assert softened[y, x] == pytest.approx(square.mean(), abs=1e-5)


def test_far_from_known_depth_single_rows_leave_no_streaks() -> None:
    """Half an image is extrapolated from a border whose rows are at different depths."""
    rng = np.random.default_rng(0)
    depth = np.tile(rng.uniform(1, 3, (60, 1)), (1, 160))
    known = np.zeros(depth.shape, dtype=bool)
    known[:, :40] = True
    filled = SolverInpainter()(None, depth, known).depth
    rows = np.abs(np.diff(np.log(filled), axis=0)).mean(axis=0)
    assert rows[120:].max() < 0.1 * rows[:40].mean()


def random_gate(width: int = 16, seed: int = 0) -> tuple[Gate, GateNetwork]:
    torch.manual_seed(seed)
    network = GateNetwork(width)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return Gate(**network.arrays()), network


@pytest.mark.parametrize("pixels", [1, 16, 21, 70_001])  # the last is split between threads
def test_the_kernel_computes_what_torch_computes(pixels: int) -> None:
    gate, network = random_gate()
    rng = np.random.default_rng(0)
    candidates = rng.normal(size=(len(CANDIDATES), pixels)).astype(np.float32)
    features = rng.normal(size=(len(FEATURES), pixels)).astype(np.float32)
    mixed, error = gate.mix(Candidates(candidates, features), threads=2)
    with torch.no_grad():
        shares, expected = network(torch.from_numpy(features.T))
        wanted = (shares * torch.from_numpy(candidates.T)).sum(dim=-1).numpy()
    assert mixed == pytest.approx(wanted, abs=2e-5)
    assert error == pytest.approx(expected.exp().numpy(), rel=1e-4)
    for one, other in zip(gate.mix(Candidates(candidates, features), threads=1), (mixed, error), strict=True):
        assert np.array_equal(one, other)


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_the_result_lies_between_the_candidates_whatever_the_weights(seed: int) -> None:
    gate, _ = random_gate(seed=seed)
    rng = np.random.default_rng(seed)
    candidates = rng.normal(size=(len(CANDIDATES), 30)).astype(np.float32)
    features = (10.0 ** rng.uniform(-3, 3) * rng.normal(size=(len(FEATURES), 30))).astype(np.float32)
    mixed, error = gate.mix(Candidates(candidates, features), threads=1)
    assert (mixed >= candidates.min(axis=0) - 1e-5).all()
    assert (mixed <= candidates.max(axis=0) + 1e-5).all()
    assert np.isfinite(error).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (12, 16)])
@pytest.mark.parametrize("all_known", [True, False])
def test_candidates_are_finite_on_any_size(shape: tuple[int, int], all_known: bool) -> None:
    known = np.ones(shape, dtype=bool)
    known.flat[1:] = all_known
    problem = make_problem(np.full(shape, 0.5), known, color_guide(None, shape))
    candidates = find_candidates(problem, SolverInpainter(gate="none").solve(problem), np.ones(shape, dtype=bool))
    assert candidates.values.shape == (len(CANDIDATES), known.size)
    assert candidates.features.shape == (len(FEATURES), known.size)
    assert np.isfinite(candidates.values).all()
    assert np.isfinite(candidates.features).all()


def test_it_can_be_left_out_by_name_or_by_none() -> None:
    """Options of the command line turn "none" into None."""
    depth = np.linspace(1, 3, 30 * 40).reshape(30, 40)
    known = np.random.default_rng(0).random(depth.shape) < 0.1
    by_name, by_none, mixed = (
        load_depth_inpainter("solver", **options)(None, depth, known).depth for options in ({"gate": "none"}, {"gate": None}, {})
    )
    assert np.array_equal(by_name, by_none)
    assert not np.array_equal(by_name, mixed)


def test_files_come_back_and_bad_ones_are_named(tmp_path) -> None:
    gate, network = random_gate()
    save_gate(tmp_path / "gate.npz", network.arrays())
    read = load_gate(tmp_path)
    assert all(np.array_equal(getattr(read, field.name), getattr(gate, field.name)) for field in fields(gate))
    with pytest.raises(InputError, match="no such file"):
        SolverInpainter(gate=tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no weights")
    with pytest.raises(InputError, match=r"text\.npz: file"):
        load_gate(tmp_path / "text.npz")
    with np.load(tmp_path / "gate.npz") as content:
        changed = dict(content)
    changed["description.json"] = np.frombuffer(b'{"candidates": [], "features": []}', dtype=np.uint8)
    np.savez(tmp_path / "other.npz", **changed)
    with pytest.raises(InputError, match="other candidates and features"):
        load_gate(tmp_path / "other.npz")
    with pytest.raises(InputError, match="last_bias"):
        replace(gate, last_bias=gate.last_bias[1:])


@pytest.mark.parametrize("mask", ["rand10", "lidar64", "patch30", "outpaint", "points500"])
def test_it_lowers_the_error_on_frames_with_the_faults_of_real_depth(mask: str) -> None:
    ratios = []
    for kind, seed in (("room", 901), ("table_top", 902), ("street", 903), ("room", 904)):
        frame = generate_frame(kind, seed, 160, 120, samples=1)
        depth = imperfect_depth(frame.depth, seed)
        known = known_mask(mask, depth, seed)
        hidden = (depth > 0) & ~known
        errors = [
            np.abs(SolverInpainter(gate=gate)(frame.rgb, depth, known).depth / np.where(hidden, depth, 1) - 1)[hidden].mean()
            for gate in ("embedded", "none")
        ]
        ratios.append(errors[0] / errors[1])
    assert np.exp(np.mean(np.log(ratios))) < 0.99


def test_faults_depend_on_the_seed_and_leave_unknown_depth_alone() -> None:
    depth = generate_frame("street", 3, 96, 64, samples=1).depth
    one, again, other = (imperfect_depth(depth, seed) for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    for found in (one, other):
        assert np.array_equal(found > 0, depth > 0)
        assert np.isfinite(found).all()
        assert np.median(np.abs(found[depth > 0] / depth[depth > 0] - 1)) < 0.05
    assert not imperfect_depth(np.zeros((4, 5)), 1).any()
