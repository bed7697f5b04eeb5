"""Real RGB-D scenes with a ray-traced object put into every view: what is behind the object is known exactly."""

from scene_depth_synthetic.composited.compositing import Composited, composite_object
from scene_depth_synthetic.composited.placement import Placement
from scene_depth_synthetic.composited.writer import write_composited

__all__ = ["Composited", "Placement", "composite_object", "write_composited"]
