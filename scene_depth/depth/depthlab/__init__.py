"""DepthLab (Liu et al. 2024, "DepthLab: From Partial to Complete"): depth inpainting by latent diffusion."""

from scene_depth.depth.depthlab.inpainter import DepthLabInpainter
from scene_depth.depth.depthlab.networks import DepthLabModel

__all__ = ["DepthLabInpainter", "DepthLabModel"]
