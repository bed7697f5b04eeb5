"""Real RGB-D scenes with a ray-traced object put into every view: what is behind the object is known exactly."""

from scene_depth_synthetic.composited.compositing import Composited, composite_object, write_composited
from scene_depth_synthetic.composited.placement import Placement

__all__ = ["Composited", "Placement", "composite_object", "write_composited"]
