"""Training data as a configuration names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scene_depth_synthetic.procedural import KINDS
from scene_depth_synthetic.stream import default_cache, procedural_frames

from scene_depth.datasets.frames import LAYOUTS, FrameSource, find_frames
from scene_depth.datasets.streams.stream import FrameStream, MixedStream, ShuffledStream
from scene_depth.errors import InputError

PROCEDURAL = "procedural"


@dataclass(frozen=True)
class SourceConfig:
    """One source of frames.

    Attributes:
        layout: "procedural", "auto", or a name of ``frames.LAYOUTS``: "hypersim", "vkitti2", "kitti-tree", "nyu-scenes", ...
        path: Folder of the data set; not for procedural frames.
        split: "train", "val" or "test" where the layout has splits; "" for what is for evaluation.
        weight: Share among several sources.
        limit: Take only the first frames; 0 takes all.
        kinds: Of procedural worlds: "room", "table_top", "street".
        count: Number of procedural frames.
        seed: Of the procedural worlds; another seed gives other worlds.
        width, height: Of procedural frames.
        samples: Rays a pixel of procedural frames.
        cache: Folder in which procedural frames are kept; "" for the user's cache folder, "none" for no cache.
    """

    layout: str = PROCEDURAL
    path: str = ""
    split: str = "train"
    weight: float = 1.0
    limit: int = 0
    kinds: tuple[str, ...] = KINDS
    count: int = 2000
    seed: int = 1
    width: int = 320
    height: int = 240
    samples: int = 4
    cache: str = ""

    def __post_init__(self) -> None:
        if self.layout not in (PROCEDURAL, "auto", *LAYOUTS):
            raise InputError("layout", repr(self.layout), f"one of {PROCEDURAL}, auto, {', '.join(LAYOUTS)}")
        if not self.weight > 0:
            raise InputError("weight", self.weight, "a number above 0")
        if self.limit < 0:
            raise InputError("limit", self.limit, "0 or more")

    def frames(self) -> list[FrameSource]:
        """The frames, not loaded.

        Raises:
            InputError: If the folder is missing or holds none.
        """
        if self.layout == PROCEDURAL:
            cache = None if self.cache == "none" else Path(self.cache) if self.cache else default_cache()
            size = (self.width, self.height)
            found: list[FrameSource] = [
                *procedural_frames(self.kinds, self.count, size, self.seed, samples=self.samples, cache=cache)
            ]
        else:
            if not self.path:
                raise InputError("path", "none", f"the folder of the {self.layout} data set")
            found = find_frames(self.path, self.layout, self.split or None)
        return found[: self.limit] if self.limit else found


def open_stream(sources: Sequence[SourceConfig]) -> FrameStream:
    """The stream of one or several sources.

    Raises:
        InputError: If there is none, or one cannot be opened.
    """
    if not sources:
        raise InputError("data", "no source", "at least one")
    streams = tuple(ShuffledStream(source.frames()) for source in sources)
    return streams[0] if len(streams) == 1 else MixedStream(streams, tuple(source.weight for source in sources))
