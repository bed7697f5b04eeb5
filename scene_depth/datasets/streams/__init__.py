"""Endless rows of training frames from procedural worlds and from data sets on disk, each frame by (seed, index)."""

from scene_depth_synthetic.stream import ProceduralFrame, procedural_frames

from scene_depth.datasets.streams.config import SourceConfig, open_stream
from scene_depth.datasets.streams.stream import FrameStream, MixedStream, ShuffledStream, shuffled_position
from scene_depth.datasets.streams.views import ViewConfig, drawn_view, training_view

__all__ = [
    "FrameStream",
    "MixedStream",
    "ProceduralFrame",
    "ShuffledStream",
    "SourceConfig",
    "ViewConfig",
    "drawn_view",
    "open_stream",
    "procedural_frames",
    "shuffled_position",
    "training_view",
]
