"""The embedded solver followed by a small network that corrects it in large holes."""

from scene_depth.depth.refined.inpainter import RefinedInpainter

__all__ = ["RefinedInpainter"]
