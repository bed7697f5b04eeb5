"""The embedded depth inpainter: no weights, no GPU, about a second a frame."""

from scene_depth.depth.solver.inpainter import SolverInpainter

__all__ = ["SolverInpainter"]
