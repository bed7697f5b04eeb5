"""Rendering of Gaussian splats: one call, on the CPU by our own rasteriser and on CUDA by gsplat."""

from scene_depth.rendering.rasterization import Region, Render, render
from scene_depth.rendering.weights import blending_weights, blending_weights_by_mask

__all__ = ["Region", "Render", "blending_weights", "blending_weights_by_mask", "render"]
