"""Quaternions and matrices against SciPy, at every rotation angle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from scene_depth.rotations import (
    matrices_to_quaternions,
    multiply_quaternions,
    quaternions_to_matrices,
    rotation_about,
    rotation_between,
)

QUATS = hnp.arrays(np.float64, (4,), elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)


def scipy_rotation(quat: np.ndarray) -> Rotation:
    return Rotation.from_quat(quat[[1, 2, 3, 0]])


@given(quat=QUATS)
def test_matrices_are_scipys(quat: np.ndarray) -> None:
    np.testing.assert_allclose(quaternions_to_matrices(torch.from_numpy(quat)), scipy_rotation(quat).as_matrix(), atol=1e-12)


@given(quat=QUATS)
def test_there_and_back(quat: np.ndarray) -> None:
    back = matrices_to_quaternions(quaternions_to_matrices(torch.from_numpy(quat))).numpy()
    unit = quat / np.linalg.norm(quat)
    assert back[0] >= 0
    np.testing.assert_allclose(np.linalg.norm(back), 1, atol=1e-12)
    assert min(np.abs(back - unit).max(), np.abs(back + unit).max()) < 1e-7


def test_half_turns_and_their_neighbours() -> None:
    for axis in np.eye(3):
        for angle in (np.pi, np.pi - 1e-9, np.pi + 1e-9, 1e-9, 0.0):
            matrix = Rotation.from_rotvec(axis * angle).as_matrix()
            back = quaternions_to_matrices(matrices_to_quaternions(torch.from_numpy(matrix)))
            np.testing.assert_allclose(back, matrix, atol=1e-12)


@given(first=QUATS, second=QUATS)
def test_products_turn_by_the_second_and_then_the_first(first: np.ndarray, second: np.ndarray) -> None:
    product = multiply_quaternions(torch.from_numpy(first), torch.from_numpy(second))
    expected = (scipy_rotation(first) * scipy_rotation(second)).as_matrix()
    np.testing.assert_allclose(quaternions_to_matrices(product), expected, atol=1e-10)


def test_batches_and_gradients() -> None:
    quats = torch.randn(5, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert quaternions_to_matrices(quats).shape == (5, 2, 3, 3)
    assert torch.autograd.gradcheck(quaternions_to_matrices, quats)
    assert torch.autograd.gradcheck(lambda q: matrices_to_quaternions(quaternions_to_matrices(q)), quats)


@pytest.mark.parametrize("end", [(0.0, 0.0, 1.0), (0.6, 0.0, -0.8), (0.0, 0.0, -1.0), (0.36, 0.48, 0.8)])
def test_the_smallest_rotation_between_directions_turns_about_what_is_across_both(end: tuple[float, float, float]) -> None:
    start = np.array([0.0, 0.0, 1.0])
    rotation = rotation_between(start, np.array(end)).numpy()
    np.testing.assert_allclose(rotation @ start, end, atol=1e-12)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.trace(rotation) == pytest.approx(1 + 2 * end[2], abs=1e-12)  # by no more than the angle between them


def test_a_rotation_about_an_axis_is_right_handed() -> None:
    turned = rotation_about(np.array([0.0, 0.0, 1.0]), math.pi / 2).numpy() @ np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(turned, [0, 1, 0], atol=1e-12)
