"""Videos of rendered frames: H.264 in .mp4 where PyAV is installed, animated .webp and .gif and folders of .png by Pillow."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder, atomic_path, check_output

Frame = NDArray[np.uint8]
ANIMATIONS = (".webp", ".gif")


def video_suffixes() -> tuple[str, ...]:
    """Extensions that can be written here, the best first; "" is a folder of .png."""
    has_av = importlib.util.find_spec("av") is not None
    return ((".mp4",) if has_av else ()) + (*ANIMATIONS, "")


def check_video(path: str | PathLike[str]) -> Path:
    """Checks before long work that a video of this name can be written.

    Raises:
        InputError: If the extension is unknown, its encoder is not installed, or the file cannot be written.
    """
    path = Path(path)
    suffixes = video_suffixes()
    if path.suffix.lower() not in suffixes:
        names = ", ".join(suffix or "a folder for .png" for suffix in suffixes)
        found = "an .mp4 without PyAV (pip install av)" if path.suffix.lower() == ".mp4" else repr(path.suffix)
        raise InputError("video", found, names, file=path)
    return check_output(path) if path.suffix else path


def write_video(path: str | PathLike[str], frames: Iterable[Frame], fps: float) -> None:
    """Writes frames, one at a time as they come; nothing remains if a frame fails.

    Args:
        path: File, or folder for .png (new or empty).
        frames: sRGB pictures of one size  # [H, W, 3] uint8 each
        fps: Frames a second.

    Raises:
        InputError: As ``check_video``, and if there is no frame.
    """
    path = check_video(path)
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise InputError("video", "no frame", "one or more frames", file=path)
    every = chain([first], coming)
    if not path.suffix:
        with atomic_folder(path) as folder:
            for number, frame in enumerate(every):
                Image.fromarray(frame).save(folder / f"{number:05d}.png")
        return
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".mp4":
            _write_mp4(temporary, every, fps)
        else:
            _write_animation(temporary, every, fps)


def _write_mp4(path: Path, frames: Iterator[Frame], fps: float) -> None:
    import av

    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w") as container:
        stream = None
        for frame in frames:
            even = _even(frame)
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
                stream.width, stream.height, stream.pix_fmt = even.shape[1], even.shape[0], "yuv420p"
                stream.bit_rate = 8_000_000
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        assert stream is not None
        container.mux(stream.encode())


def _write_animation(path: Path, frames: Iterator[Frame], fps: float) -> None:
    options: dict[str, Any] = {"quality": 85, "method": 2} if path.suffix.lower() == ".webp" else {}
    first = Image.fromarray(next(frames))
    rest = (Image.fromarray(frame) for frame in frames)
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, **options)


def _even(frame: Frame) -> Frame:
    """With even sides, as 4:2:0 chroma needs; an odd last row or column is repeated."""
    height, width = frame.shape[:2]
    return np.ascontiguousarray(np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))
