"""Edits of splat scenes: select, remove and repair, insert, retexture. What is not named here is private."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene_depth_heal.api import heal, insert, retexture, select
    from scene_depth_heal.edit import EditConfig, EditReport, EditResult
    from scene_depth_heal.hole import HealView
    from scene_depth_heal.placement import Placement
    from scene_depth_heal.selection import Box, Sphere
    from scene_depth_heal.shipped import find_sample
    from scene_depth_heal.workflow import HealConfig, HealReport, HealResult

__all__ = [
    "Box",
    "EditConfig",
    "EditReport",
    "EditResult",
    "HealConfig",
    "HealReport",
    "HealResult",
    "HealView",
    "Placement",
    "Sphere",
    "find_sample",
    "heal",
    "insert",
    "retexture",
    "select",
]

_MODULES = {
    "api": ("heal", "insert", "retexture", "select"),
    "edit": ("EditConfig", "EditReport", "EditResult"),
    "hole": ("HealView",),
    "placement": ("Placement",),
    "selection": ("Box", "Sphere"),
    "shipped": ("find_sample",),
    "workflow": ("HealConfig", "HealReport", "HealResult"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
