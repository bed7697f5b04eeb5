"""Endless rows of training frames from procedural worlds and from data sets on disk, each frame by (seed, index)."""

from scene_depth.datasets.streams.config import FRAME_STREAMS, SourceConfig, open_stream, procedural_source
from scene_depth.datasets.streams.stream import FrameStream, MixedStream, ShuffledStream, shuffled_position
from scene_depth.datasets.streams.views import ViewConfig, drawn_view, training_view

__all__ = [
    "FRAME_STREAMS",
    "FrameStream",
    "MixedStream",
    "ShuffledStream",
    "SourceConfig",
    "ViewConfig",
    "drawn_view",
    "open_stream",
    "procedural_source",
    "shuffled_position",
    "training_view",
]
