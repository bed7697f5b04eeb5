"""The embedded depth inpainter: no weights, no GPU, about a second a frame."""

from scene_depth.depth.solver.inpainter import SolverInpainter, solve_with_prior

__all__ = ["SolverInpainter", "solve_with_prior"]
