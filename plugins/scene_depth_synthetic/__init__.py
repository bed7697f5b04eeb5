"""A generator of worlds with exact depth: sample scenes, objects composited into scenes of your own, endless training frames."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene_depth_synthetic.composited import Composited, composite_object, write_composited
    from scene_depth_synthetic.procedural import ProceduralDataset, RGBDFrame, generate_frame, generate_world
    from scene_depth_synthetic.samples import SAMPLE_SCENES, SampleScene
    from scene_depth_synthetic.samples.writer import SampleReport, sample_scene, write_sample_scene
    from scene_depth_synthetic.stream import procedural_frames

__all__ = [
    "SAMPLE_SCENES", "Composited", "ProceduralDataset", "RGBDFrame", "SampleReport", "SampleScene", "composite_object",
    "generate_frame", "generate_world", "procedural_frames", "sample_scene", "write_composited", "write_sample_scene",
]  # fmt: skip
_MODULES = {
    "composited": ("Composited", "composite_object", "write_composited"),
    "procedural": ("ProceduralDataset", "RGBDFrame", "generate_frame", "generate_world"),
    "samples": ("SAMPLE_SCENES", "SampleScene"),
    "samples.writer": ("SampleReport", "sample_scene", "write_sample_scene"),
    "stream": ("procedural_frames",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
