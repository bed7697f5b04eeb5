"""An inpainter of one's own: any function of picture, depth and mask. The wrapper keeps known depth exact."""

import numpy as np

import scene_depth as sd


def farthest(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fills with the farthest known depth of the row."""
    rows = np.where(known, depth, 0).max(axis=1, keepdims=True)
    return np.where(known, depth, np.where(rows > 0, rows, depth[known].max()))


view = sd.read_scene("scenes/table").views[0]
prediction = sd.inpaint_depth(farthest, view.image(), view.depth(), ~view.mask())
print(prediction)
