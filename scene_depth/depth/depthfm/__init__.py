"""DepthFM (Gui et al. 2024): from a picture to log depth by flow matching, in one to four steps."""

from scene_depth.depth.depthfm.inpainter import DepthFMInpainter, DepthFMModel
from scene_depth.depth.depthfm.network import DepthFM, load_depthfm

__all__ = ["DepthFM", "DepthFMInpainter", "DepthFMModel", "load_depthfm"]
