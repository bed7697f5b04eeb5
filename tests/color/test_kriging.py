"""What varies together over a plane goes on through a hole; what does not is told, and is filled smoothly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.inpainter import ExemplarInpainter
from scene_depth.color.exemplar.kriging import krige, kriging_error
from scene_depth.color.exemplar.straight_view import places_elsewhere

HEIGHT, WIDTH = 120, 160
Cells = NDArray[np.float32]


def hole() -> NDArray[np.bool_]:
    inside = np.zeros((HEIGHT, WIDTH), dtype=bool)
    inside[45:75, 60:100] = True
    return inside


def boards(seed: int, slope: float) -> Cells:
    """Boards of any width and tone, along a slope, with zero mean: no step repeats them  # [H, W, 3]"""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    profile = gaussian_filter1d(np.random.default_rng(seed).normal(size=(600, 3)), 3.0, axis=0)
    tone = profile / profile.std()
    place = np.clip(np.round(y - slope * x + 250), 0, 599).astype(int)
    return (0.1 * (tone[place] - tone[place].mean(axis=(0, 1)))).astype(np.float32)


def smooth_error(values: Cells) -> float:
    """Squared error of the mean of what is around the hole."""
    return float(((values - values[40:80, 55:105][~hole()[40:80, 55:105]].mean(axis=0))[hole()] ** 2).mean())


@pytest.mark.parametrize("slope", [0.0, 0.4, -0.7])
@pytest.mark.parametrize("seed", range(3))
def test_boards_that_never_repeat_go_on(seed: int, slope: float) -> None:
    values = boards(seed, slope)
    shown = np.where(hole()[..., None], np.float32(0), values)
    filled = krige(shown, ~hole(), hole())
    assert filled is not None
    assert (filled[~hole()] == shown[~hole()]).all()
    assert ((filled - values)[hole()] ** 2).mean() < 0.1 * smooth_error(values)
    assert kriging_error(shown, ~hole(), hole(), places_elsewhere(~hole(), hole())) < 0.2


def test_it_is_the_best_linear_prediction_of_its_covariance() -> None:
    """Against the textbook's formula in full: weights C(hole, known) C(known, known)^-1, with all cells of a small plane."""
    rng = np.random.default_rng(4)
    values = gaussian_filter(rng.normal(size=(16, 17, 3)), (1.5, 1.5, 0)).astype(np.float32)
    inside = np.zeros((16, 17), dtype=bool)
    inside[6:9, 7:10] = True
    known, cells, targets = ~inside, np.argwhere(~inside), np.argwhere(inside)
    near = np.array([np.hypot(*(targets - cell).T).min() <= 10 for cell in cells])
    cells = cells[near]
    padded = np.where(known[..., None], values.astype(np.float64), 0)

    def covariance(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
        step = b - a
        moved = np.zeros_like(padded)
        for row, column in np.argwhere(known):
            other = row + step[0], column + step[1]
            if 0 <= other[0] < 16 and 0 <= other[1] < 17:
                moved[row, column] = padded[other]
        return float((padded * moved).sum())

    whole = covariance(cells[0], cells[0])
    variance = whole / (3 * known.sum())
    between = np.array([[covariance(a, b) for b in cells] for a in cells]) / whole
    across = np.array([[covariance(a, b) for b in cells] for a in targets]) / whole
    between += (0.01 + 0.005**2 / variance) * np.eye(len(cells))
    wanted = across @ np.linalg.solve(between, values[tuple(cells.T)].astype(np.float64))
    low, high = np.percentile(values[known], [1, 99], axis=0)
    filled = krige(np.where(inside[..., None], np.float32(0), values), known, inside)
    assert filled is not None
    np.testing.assert_allclose(filled[inside], np.clip(wanted, low, high), atol=1e-6)


def test_a_plane_of_two_kinds_is_told() -> None:
    """Boards on one side, blots on the other where the hole is: what the boards say of the blots is wrong."""
    rng = np.random.default_rng(5)
    blots = gaussian_filter(rng.normal(size=(HEIGHT, WIDTH, 3)), (3, 3, 0))
    values = boards(1, 0.0)
    values[:, 50:] = (0.1 * blots / blots.std())[:, 50:]
    shown = np.where(hole()[..., None], np.float32(0), values)
    of_boards = kriging_error(np.where(hole()[..., None], 0, boards(1, 0.0)), ~hole(), hole(), [np.array([0, 45])])
    assert kriging_error(shown, ~hole(), hole(), [np.array([0, 45])]) > 3 * of_boards


def test_what_cannot_be_told_is_not_used() -> None:
    values, known = boards(2, 0.0), ~hole()
    assert kriging_error(values, known, hole(), []) == np.inf  # nowhere else
    known[:, :62] = known[:, 98:] = known[:46] = False
    assert kriging_error(values, known, hole(), [np.array([30, 0])]) == np.inf  # hardly surrounded
    assert krige(np.zeros_like(values), ~hole(), hole()) is None  # nothing varies
    assert krige(values, np.zeros_like(known), hole()) is None  # nothing known


def camera() -> Cameras:
    K = torch.tensor([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]], dtype=torch.float64)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K[None], WIDTH, HEIGHT)


@pytest.mark.parametrize("seed", range(3))
def test_the_exemplar_continues_boards_that_no_translation_copies(seed: int) -> None:
    rgb = np.clip(0.5 + boards(seed, 0.4), 0, 1)
    shown, depth = np.where(hole()[..., None], np.float32(0), rgb), np.full((HEIGHT, WIDTH), 2.0, np.float32)
    filled, again, without = (
        ExemplarInpainter(pattern_error=0, kriging_error=most)(shown, hole(), depth=depth, camera=camera()) for most in (1, 1, 0)
    )
    assert (filled == again).all()
    assert (filled[~hole()] == rgb[~hole()]).all()
    assert ((filled - rgb)[hole()] ** 2).mean() < 0.3 * ((without - rgb)[hole()] ** 2).mean()
