"""Edits of splat scenes: select, remove and repair, insert, retexture. What is not named here is private."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene_depth.lazy_names import lazy_names

if TYPE_CHECKING:
    from scene_depth_heal.api import heal, insert, retexture, select
    from scene_depth_heal.clicks import Click
    from scene_depth_heal.edit import EditConfig, EditReport, EditResult
    from scene_depth_heal.hole import HealView
    from scene_depth_heal.picking import Stroke
    from scene_depth_heal.place import Placement
    from scene_depth_heal.placement import SurfacePoint
    from scene_depth_heal.sam2 import Sam2
    from scene_depth_heal.selection import Box, Sphere
    from scene_depth_heal.shipped import find_sample
    from scene_depth_heal.stamp import clone
    from scene_depth_heal.workflow import HealConfig, HealReport, HealResult

__all__ = [
    "Box",
    "Click",
    "EditConfig",
    "EditReport",
    "EditResult",
    "HealConfig",
    "HealReport",
    "HealResult",
    "HealView",
    "Placement",
    "Sam2",
    "Sphere",
    "Stroke",
    "SurfacePoint",
    "clone",
    "find_sample",
    "heal",
    "insert",
    "retexture",
    "select",
]

_MODULES = {
    "api": ("heal", "insert", "retexture", "select"),
    "clicks": ("Click",),
    "edit": ("EditConfig", "EditReport", "EditResult"),
    "hole": ("HealView",),
    "picking": ("Stroke",),
    "place": ("Placement",),
    "placement": ("SurfacePoint",),
    "sam2": ("Sam2",),
    "selection": ("Box", "Sphere"),
    "shipped": ("find_sample",),
    "stamp": ("clone",),
    "workflow": ("HealConfig", "HealReport", "HealResult"),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
