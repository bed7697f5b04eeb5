"""Training data as a configuration names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scene_depth.datasets.frames import LAYOUTS, FrameSource, find_frames
from scene_depth.datasets.streams.stream import FrameStream, MixedStream, ShuffledStream
from scene_depth.errors import InputError
from scene_depth.options import split_options
from scene_depth.registry import Registry

FRAME_STREAMS = Registry(
    "frame stream",
    "scene_depth.frame_streams",
    {name: f"{find.__module__}:{find.__name__}" for name, (find, _) in LAYOUTS.items()},
    arguments=0,
)
"""Where frames come from, by name: a function that takes options (``path`` among them, where frames are read from files) and
gives a list of ``FrameSource``. The layouts of data sets on disk are built in; the generator of worlds registers "procedural"."""
PROCEDURAL = "procedural"


@dataclass(frozen=True)
class SourceConfig:
    """One source of frames.

    Attributes:
        layout: "auto" or a name of ``frames.LAYOUTS`` ("hypersim", "vkitti2", "kitti-tree", "nyu-scenes", ...) for a data set on
            disk; or any other name of ``FRAME_STREAMS``, such as "procedural", or ``module:function`` or ``file.py:function``.
        path: Folder of the data set.
        split: "train", "val" or "test" where the layout has splits; "" for what is for evaluation.
        weight: Share among several sources.
        limit: Take only the first frames; 0 takes all.
        options: Parameters of the stream, such as ``count``, ``seed``, ``width`` and ``height`` of "procedural".
    """

    layout: str = PROCEDURAL
    path: str = ""
    split: str = "train"
    weight: float = 1.0
    limit: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name, _ = split_options(self.layout)
        if ":" not in name and name not in (accepted := ("auto", PROCEDURAL, *FRAME_STREAMS.names())):
            raise InputError("layout", repr(name), f"one of {', '.join(dict.fromkeys(accepted))}, or module:function")
        if not self.weight > 0:
            raise InputError("weight", self.weight, "a number above 0")
        if self.limit < 0:
            raise InputError("limit", self.limit, "0 or more")

    def frames(self) -> list[FrameSource]:
        """The frames, not loaded.

        Raises:
            InputError: If the folder is missing or holds none, or the stream is not installed or does not take the options.
        """
        if self.layout == "auto" or self.layout in LAYOUTS:
            if not self.path:
                raise InputError("path", "none", f"the folder of the {self.layout} data set")
            if self.options:
                raise InputError("options", ", ".join(self.options), f"none, the {self.layout} data set takes no options")
            found = find_frames(self.path, self.layout, self.split or None)
        else:
            if split_options(self.layout)[0] == PROCEDURAL and PROCEDURAL not in FRAME_STREAMS.names():
                raise InputError(
                    "layout", "'procedural', which is not installed", "the package scene_depth_synthetic, or a data set"
                )
            options = ({"path": self.path} if self.path else {}) | dict(self.options)
            found = list(FRAME_STREAMS.load(self.layout, **options))
        return found[: self.limit] if self.limit else found


def procedural_source(**options: Any) -> SourceConfig:
    """The source "procedural" with these options (``scene_depth_synthetic.stream.procedural_frames`` lists them)."""
    return SourceConfig(layout=PROCEDURAL, options=options)


def open_stream(sources: Sequence[SourceConfig]) -> FrameStream:
    """The stream of one or several sources.

    Raises:
        InputError: If there is none, or one cannot be opened.
    """
    if not sources:
        raise InputError("data", "no source", "at least one")
    streams = tuple(ShuffledStream(source.frames()) for source in sources)
    return streams[0] if len(streams) == 1 else MixedStream(streams, tuple(source.weight for source in sources))
