"""A prediction in the form in which depth ControlNets take it: ``control_image(relative_depth(prediction))``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.depthfm.inference import LogDepth
from scene_depth.errors import InputError

LOG_RANGE = 2.5  # ln(d98 / d2) that a normalised range of 2 is taken for: depths of 1 to 12, as a room or a street


def relative_depth(prediction: LogDepth, log_range: float = LOG_RANGE) -> NDArray[np.float64]:
    """Depth of free scale from a prediction alone, for uses that need its shape, such as ``control_image``.

    Normalised log depth spans 2 over the range of the training data, whose extent was never published; the exponent is
    therefore an assumption. Where depth is known in some pixels, ``metric_depth`` needs none.

    Args:
        prediction: From ``predict_log_depth``  # [H, W]
        log_range: ln(d98 / d2) of the training data.
    """
    if not 0 < log_range < 50:
        raise InputError("log_range", log_range, "a positive number, the logarithm of far over near")
    return np.exp(0.5 * log_range * prediction.values.astype(np.float64))
