"""Results of pointmap models (DUSt3R, VGGT, Depth Anything 3 and their kin), read into ``scene_depth.pointmaps``."""

from scene_depth.io.pointmaps.check import PointmapCheck, check_pointmaps
from scene_depth.io.pointmaps.reading import read_pointmaps

__all__ = ["PointmapCheck", "check_pointmaps", "read_pointmaps"]
