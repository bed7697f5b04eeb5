"""A generator of worlds with exact depth: sample scenes, objects composited into scenes of your own, endless training frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene_depth.lazy_names import lazy_names

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
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
