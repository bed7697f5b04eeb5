"""Short names of the arrays that a view is made of, and what turns their robust spreads into standard deviations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]  # depth and other real values
Mask = NDArray[np.bool_]
Picture = NDArray[np.float32]  # sRGB in [0, 1], or other channels
Places = NDArray[np.int64]  # rows and columns

MAD_TO_SIGMA = 1.4826
"""Standard deviation of normal errors over their median absolute deviation."""
