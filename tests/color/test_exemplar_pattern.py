"""Continuing a pattern by a few translations, against patterns whose hidden part is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scene_depth.color.exemplar.labelling import label_offsets
from scene_depth.color.exemplar.offsets import dominant_offsets, refined_offsets, shifted
from scene_depth.color.exemplar.pattern import continue_pattern

HEIGHT, WIDTH = 90, 130


def grid_hole(top: int = 25, left: int = 40, height: int = 40, width: int = 48) -> NDArray[np.bool_]:
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[top : top + height, left : left + width] = True
    return hole


def grey(values: NDArray) -> NDArray[np.float32]:
    return np.repeat(values[..., None], 3, axis=-1).astype(np.float32)


def tiles(period: int = 12) -> NDArray[np.float32]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return grey(np.where((y // (period // 2) + x // (period // 2)) % 2, 0.8, 0.2))


def half_rug() -> NDArray[np.float32]:
    """Stripes of period 10 above, a bare floor with a little noise below; the edge runs through the hole."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = 0.02 * np.random.default_rng(0).normal(size=(HEIGHT, WIDTH))
    return grey(np.where(y < 45, np.where(x % 10 < 5, 0.9, 0.1), 0.45) + noise)


def test_offsets_of_tiles_are_multiples_of_their_period() -> None:
    hole = grid_hole()
    offsets = dominant_offsets(tiles(12), ~hole, hole, 40)
    strong = offsets[:20] if len(offsets) > 20 else offsets
    on_lattice = [(dy % 6 == 0) and (dx % 6 == 0) and ((dy + dx) // 6) % 2 == 0 for dy, dx in strong]
    assert np.mean(on_lattice) > 0.8


def test_every_cell_of_the_hole_can_be_copied_from_somewhere() -> None:
    hole = grid_hole()
    offsets = dominant_offsets(tiles(12), ~hole, hole, 40)
    served = np.zeros_like(hole)
    for offset in offsets:
        served |= shifted(~hole, offset, False)
    assert served[hole].all()


@pytest.mark.parametrize("picture", [tiles(), half_rug()], ids=["tiles", "half a rug"])
def test_a_pattern_goes_on_in_step(picture: NDArray[np.float32]) -> None:
    hole = grid_hole()
    guess = np.where(hole[..., None], picture[~hole].mean(axis=0), picture).astype(np.float32)
    filled = continue_pattern(guess, ~hole, hole)
    assert np.array_equal(filled[~hole], picture[~hole])
    assert np.abs(filled - picture)[hole].mean() < 0.04
    assert np.abs(guess - picture)[hole].mean() > 0.15


def test_a_large_hole_is_labelled_at_half_size_and_still_in_step() -> None:
    picture = np.kron(tiles(12), np.ones((2, 2, 1), np.float32))
    hole = np.kron(grid_hole(), np.ones((2, 2), dtype=bool))
    guess = np.where(hole[..., None], np.float32(0.5), picture)
    assert np.abs(continue_pattern(guess, ~hole, hole) - picture)[hole].mean() < 0.05


def test_an_offset_is_moved_to_where_the_pattern_repeats() -> None:
    hole = grid_hole()
    found = refined_offsets(tiles(12), ~hole, hole, np.array([[1, 23], [-11, -1]]), 2)
    assert found.tolist() == [[0, 24], [-12, 0]]


def test_the_labels_avoid_what_is_not_known() -> None:
    hole = grid_hole()
    known = ~hole
    known[:, :20] = False
    offsets = np.array([[0, -45], [0, 48], [-40, 0]])
    labels = label_offsets(tiles(12), known, hole, offsets)
    assert (labels[~hole] == -1).all()
    for index, offset in enumerate(offsets):
        assert shifted(known, offset, False)[labels == index].all()
    impossible = label_offsets(tiles(12), known, hole, np.array([[0, 1]]))
    assert (impossible[30:60, 45:80] == -1).all()


@settings(max_examples=15, derandomize=True)
@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 30))
def test_only_the_hole_changes_and_stays_among_known_values(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((40, 50, 3)).astype(np.float32)
    hole = np.zeros((40, 50), dtype=bool)
    hole[5 : 5 + height, 5 : 5 + width] = True
    filled = continue_pattern(values, ~hole, hole, seed=seed)
    assert np.array_equal(filled[~hole], values[~hole])
    assert filled.min() >= values.min() - 1e-5
    assert filled.max() <= values.max() + 1e-5
