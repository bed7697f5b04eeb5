"""A generator of worlds with exact depth: sample scenes, objects composited into scenes of your own, endless training frames."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene_depth_synthetic.composited import Composited as Composited
    from scene_depth_synthetic.composited import composite_object as composite_object
    from scene_depth_synthetic.composited import write_composited as write_composited
    from scene_depth_synthetic.procedural import ProceduralDataset as ProceduralDataset
    from scene_depth_synthetic.procedural import RGBDFrame as RGBDFrame
    from scene_depth_synthetic.procedural import generate_frame as generate_frame
    from scene_depth_synthetic.procedural import generate_world as generate_world
    from scene_depth_synthetic.samples import SAMPLE_SCENES as SAMPLE_SCENES
    from scene_depth_synthetic.samples import SampleScene as SampleScene
    from scene_depth_synthetic.samples.writer import sample_scene as sample_scene
    from scene_depth_synthetic.samples.writer import write_sample_scene as write_sample_scene
    from scene_depth_synthetic.stream import procedural_frames as procedural_frames

_PUBLIC = {
    "Composited": "composited",
    "composite_object": "composited",
    "write_composited": "composited",
    "ProceduralDataset": "procedural",
    "RGBDFrame": "procedural",
    "generate_frame": "procedural",
    "generate_world": "procedural",
    "SAMPLE_SCENES": "samples",
    "SampleScene": "samples",
    "sample_scene": "samples.writer",
    "write_sample_scene": "samples.writer",
    "procedural_frames": "stream",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
