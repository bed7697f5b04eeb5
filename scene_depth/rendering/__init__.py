"""Rendering of Gaussian splats: one call, on the CPU by our own rasteriser and on CUDA by gsplat."""

from scene_depth.rendering.rasterization import Render, render
from scene_depth.rendering.weights import blending_weights

__all__ = ["Render", "blending_weights", "render"]
