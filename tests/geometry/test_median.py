"""The median of 5 x 5 pixels against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import median_filter

from scene_depth.geometry.median import median_of_25


@pytest.mark.parametrize("shape", [(1, 3), (7, 5), (40, 150)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_has_the_bits_of_scipys_median(shape: tuple[int, int], kind: type[np.float32]) -> None:
    values = np.random.default_rng(0).integers(0, 30, shape).astype(kind) / 7
    found = median_of_25(values)
    assert found.dtype == kind
    assert np.array_equal(found, median_filter(values, 5))
