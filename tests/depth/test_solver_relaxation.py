"""The kernels of the minimisation, against the quadratic form differentiated by autograd."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from scene_depth.depth.solver import minimize
from scene_depth.depth.solver.relaxation import block_rows, relax_rows

HEIGHT, WIDTH = 9, 21  # the width takes a vector and a part of one
EDGES = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns from the pixel that an edge is kept at


def random_system(height: int, width: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """A state and the arrays that ``relax_rows`` takes after it; edges into the frame weigh nothing."""
    rng = np.random.default_rng(4)
    jump, bend = (minimize.framed(rng.uniform(0, 1, (4, height, width)).astype(np.float32)) for _ in range(2))
    for number, (down, right) in enumerate(EDGES):
        for weights in (jump, bend):
            weights[number, height + 1 - down :] = 0
            weights[number, :, width + 1 - right if right > 0 else width + 1 :] = 0
            weights[number, :, : 1 - min(right, 0)] = 0
    roots = rng.normal(size=(height, width, 3, 3))
    forms = roots @ roots.swapaxes(-1, -2)
    matrix = minimize.framed(np.stack([forms[..., i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))]))
    linear = minimize.framed(rng.normal(size=(3, height, width)).astype(np.float32))
    matrix, inverse = matrix.astype(np.float32), np.zeros((6, *matrix.shape[1:]), dtype=np.float32)
    block_rows(1, height + 1, jump, bend, matrix, inverse)
    return rng.normal(size=(3, height, width)), (jump, bend, matrix, linear, inverse)


def form(state: torch.Tensor, system: tuple[np.ndarray, ...]) -> torch.Tensor:
    """The sum of the data terms v' M v / 2 - R' v, and over edges of the squared jump and change of slope."""
    height, width = state.shape[1:]
    jump, bend, matrix, linear = (torch.from_numpy(p[:, 1 : height + 1, 1 : width + 1].astype(np.float64)) for p in system[:4])
    u, a, b = state
    m = matrix
    total = (m[0] * u * u + m[3] * a * a + m[5] * b * b).sum() / 2 + (m[1] * u * a + m[2] * u * b + m[4] * a * b).sum()
    total = total - (linear * state).sum()
    for number, (down, right) in enumerate(EDGES):
        for y, x in itertools.product(range(height), range(width)):
            if 0 <= y + down < height and 0 <= x + right < width:
                one, other = state[:, y, x], state[:, y + down, x + right]
                step = other[0] - one[0] - right * (one[1] + other[1]) / 2 - down * (one[2] + other[2]) / 2
                total = total + (jump[number, y, x] * step**2 + bend[number, y, x] * ((other - one)[1:] ** 2).sum()) / 2
    return total


def test_a_step_is_the_gradient_times_the_inverse_of_the_diagonal_blocks() -> None:
    state, system = random_system(HEIGHT, WIDTH)
    point = torch.from_numpy(state).requires_grad_()
    gradient = torch.autograd.grad(form(point, system), point)[0].numpy()
    hessian = torch.autograd.functional.hessian(lambda s: form(s, system), torch.from_numpy(state[:, :3, :4]))
    now = minimize.framed(state.astype(np.float32))
    before = np.zeros_like(now)
    relax_rows(1, HEIGHT + 1, 0, 0, now, before, *system, np.array([[0.25, 0.5]], dtype=np.float32))
    inner = np.s_[:, 1 : HEIGHT + 1, 1 : WIDTH + 1]
    step = (before[inner] - 1.25 * state) / 0.5
    entries = {(0, 0): 0, (0, 1): 1, (0, 2): 2, (1, 1): 3, (1, 2): 4, (2, 2): 5}
    inverse = np.array([[system[4][inner][entries[min(i, j), max(i, j)]] for j in range(3)] for i in range(3)])
    assert step == pytest.approx(-np.einsum("ijyx,jyx->iyx", inverse, gradient), abs=2e-4)
    for y, x in itertools.product(range(2), range(1, 3)):  # whose edges all lie in the part
        block = hessian[:, y, x, :, y, x].numpy()
        assert inverse[:, :, y, x] == pytest.approx(np.linalg.inv(block), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("count", [1, 5, 8])
def test_any_bands_give_the_same_bits_as_step_by_step(count: int) -> None:
    state, system = random_system(40, WIDTH)
    steps = np.random.default_rng(0).uniform(0.1, 0.5, (count, 2)).astype(np.float32)
    wanted, before = minimize.framed(state.astype(np.float32)), minimize.framed((state / 2).astype(np.float32))
    start = wanted.copy(), before.copy()
    for step in steps:
        relax_rows(1, 41, 0, 0, wanted, before, *system, step[None])
        wanted, before = before, wanted
    for edges in ([1, 41], [1, 20, 41], [1, 17, 18, 41], [1, 11, 21, 31, 41]):
        found = minimize._take_steps(start[0].copy(), start[1].copy(), system, steps, edges, 2)
        assert np.array_equal(found[0], wanted)
        assert np.array_equal(found[1], before)
