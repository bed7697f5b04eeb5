"""Pointmap results (DUSt3R, VGGT, Depth Anything 3 and their kin): aligned, flagged, refined, handed over to a trainer.

What is not named here is private.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene_depth_sparse.flags import FLAG_NAMES
    from scene_depth_sparse.known import KnownDistance, known_cameras
    from scene_depth_sparse.output import fit_splats, refined_points, refined_scene, write_outputs
    from scene_depth_sparse.refine import refine_pointmaps
    from scene_depth_sparse.result import RefinedPointmaps, RefinedView, SparseReport

__all__ = [
    "FLAG_NAMES",
    "KnownDistance",
    "RefinedPointmaps",
    "RefinedView",
    "SparseReport",
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
    "output": ("fit_splats", "refined_points", "refined_scene", "write_outputs"),
    "refine": ("refine_pointmaps",),
    "result": ("RefinedPointmaps", "RefinedView", "SparseReport"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
