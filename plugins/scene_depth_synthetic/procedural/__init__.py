"""Ray-traced random worlds with exact truth: rooms, tables, streets, as many as one likes."""

from scene_depth_synthetic.procedural.frames import KINDS, ProceduralDataset, RGBDFrame, generate_frame, generate_world
from scene_depth_synthetic.procedural.renderer import Rendering, render
from scene_depth_synthetic.procedural.world import CLASSES, World

__all__ = [
    "CLASSES",
    "KINDS",
    "ProceduralDataset",
    "RGBDFrame",
    "Rendering",
    "World",
    "generate_frame",
    "generate_world",
    "render",
]
