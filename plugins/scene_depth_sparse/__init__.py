"""Pointmap results (DUSt3R, VGGT, Depth Anything 3 and their kin): aligned, flagged, refined, handed over to a trainer.

What is not named here is private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene_depth.lazy_names import lazy_names

if TYPE_CHECKING:
    from scene_depth_sparse.flags import FLAG_NAMES
    from scene_depth_sparse.known import KnownDistance, known_cameras
    from scene_depth_sparse.output import camera_refinement, fit_splats, refined_scene, write_outputs
    from scene_depth_sparse.points import refined_points
    from scene_depth_sparse.refine import refine_pointmaps
    from scene_depth_sparse.result import RefinedPointmaps, RefinedView, SparseReport

__all__ = [
    "FLAG_NAMES",
    "KnownDistance",
    "RefinedPointmaps",
    "RefinedView",
    "SparseReport",
    "camera_refinement",
    "fit_splats",
    "known_cameras",
    "refine_pointmaps",
    "refined_points",
    "refined_scene",
    "write_outputs",
]

_MODULES = {
    "flags": ("FLAG_NAMES",),
    "known": ("KnownDistance", "known_cameras"),
    "output": ("camera_refinement", "fit_splats", "refined_scene", "write_outputs"),
    "points": ("refined_points",),
    "refine": ("refine_pointmaps",),
    "result": ("RefinedPointmaps", "RefinedView", "SparseReport"),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
