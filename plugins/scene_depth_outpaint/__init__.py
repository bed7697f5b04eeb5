"""Outpainting: from a picture or a text to a scene one can walk in. What is not named here is private."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene_depth.lazy_names import lazy_names

if TYPE_CHECKING:
    from scene_depth_outpaint.result import OutpaintConfig, OutpaintReport, OutpaintResult
    from scene_depth_outpaint.review import Proposal, Verdict
    from scene_depth_outpaint.state import OutpaintedView, StepReport, undo_step
    from scene_depth_outpaint.step import Acceptance
    from scene_depth_outpaint.trajectory import PRESETS, Trajectory, load_trajectory
    from scene_depth_outpaint.workflow import outpaint

__all__ = [
    "PRESETS",
    "Acceptance",
    "OutpaintConfig",
    "OutpaintReport",
    "OutpaintResult",
    "OutpaintedView",
    "Proposal",
    "StepReport",
    "Trajectory",
    "Verdict",
    "load_trajectory",
    "outpaint",
    "undo_step",
]

_MODULES = {
    "result": ("OutpaintConfig", "OutpaintReport", "OutpaintResult"),
    "review": ("Proposal", "Verdict"),
    "state": ("OutpaintedView", "StepReport", "undo_step"),
    "step": ("Acceptance",),
    "trajectory": ("PRESETS", "Trajectory", "load_trajectory"),
    "workflow": ("outpaint",),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
