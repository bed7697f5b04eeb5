"""Camera paths by key frames, smooth between them and saved as nerfstudio saves its paths, and videos along them.

Videos are H.264 in .mp4 where PyAV is installed, animated .webp and .gif and folders of .png by Pillow.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder, atomic_path, check_output
from scene_depth.io.camera_paths import OPENGL_TO_OPENCV, read_camera_path
from scene_depth.io.json_files import is_number, read_json_object

MOST_FRAMES = 20_000
Frame = NDArray[np.uint8]
ANIMATIONS = (".webp", ".gif")


@dataclass(frozen=True)
class Key:
    """A key frame.

    Attributes:
        camera_to_world: Pose, OpenCV axes, in scene units  # [4, 4]
        fov: Vertical field of view in radians.
    """

    camera_to_world: NDArray[np.float64]
    fov: float


@dataclass
class CameraPath:
    """Key frames in order, as far apart in time as ``seconds`` says.

    Attributes:
        keys: The key frames.
        seconds: Between two key frames.
        fps: Frames a second.
        closed: Whether the path returns to its start.
    """

    keys: list[Key] = field(default_factory=list)
    seconds: float = 2.0
    fps: float = 24.0
    closed: bool = False

    def frames(self) -> list[Key]:
        """The poses of all frames: positions on a C2 cubic spline, rotations on one of the same order, fov monotone.

        Raises:
            InputError: If there are no two key frames, or far too many frames.
        """
        if len(self.keys) < 2:
            raise InputError("camera path", f"{len(self.keys)} key frames", "two or more")
        keys = [*self.keys, self.keys[0]] if self.closed else self.keys
        count = round((len(keys) - 1) * self.seconds * self.fps) + 1
        if not 2 <= count <= MOST_FRAMES:
            raise InputError("camera path", f"{count} frames", f"2 to {MOST_FRAMES}: seconds x frames a second")
        times = np.linspace(0, len(keys) - 1, count)
        at = np.arange(len(keys), dtype=float)
        poses = np.stack([key.camera_to_world for key in keys])
        ends = "periodic" if self.closed else "natural"
        positions = CubicSpline(at, poses[:, :3, 3], bc_type=ends)(times)
        rotations = RotationSpline(at, Rotation.from_matrix(poses[:, :3, :3]))(times).as_matrix()
        fovs = PchipInterpolator(at, [key.fov for key in keys])(times)
        matrices = np.tile(np.eye(4), (count, 1, 1))
        matrices[:, :3, :3], matrices[:, :3, 3] = rotations, positions
        return [Key(matrix, float(fov)) for matrix, fov in zip(matrices, fovs, strict=True)]


def key_of(camera: Cameras) -> Key:
    """The key frame that stands where a camera stands."""
    fov = 2 * math.atan(camera.height / (2 * float(camera.K[0, 1, 1])))
    return Key(camera.camera_to_world[0].cpu().double().numpy(), fov)


def camera_of(key: Key, width: int, height: int) -> Cameras:
    """The camera of a frame, of a size in pixels."""
    return camera_from_fov(torch.from_numpy(np.ascontiguousarray(key.camera_to_world)), key.fov, width, height)


def write_path(path: str | PathLike[str], along: CameraPath, width: int, height: int) -> None:
    """Writes a path with its key frames as nerfstudio does; ``scene-depth render --path`` and ``ns-render`` read it.

    Args:
        path: JSON file.
        along: The path.
        width, height: Of the pictures in pixels.

    Raises:
        InputError: If the path has no two key frames, or the file cannot be written.
    """
    frames = along.frames()
    aspect = width / height
    content = {
        "camera_type": "perspective",
        "render_width": width,
        "render_height": height,
        "fps": along.fps,
        "seconds": len(frames) / along.fps,
        "default_transition_sec": along.seconds,
        "is_cycle": along.closed,
        "keyframes": [{"matrix": _opengl(key), "fov": math.degrees(key.fov), "aspect": aspect} for key in along.keys],
        "camera_path": [{"camera_to_world": _opengl(key), "fov": math.degrees(key.fov), "aspect": aspect} for key in frames],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_path(path: str | PathLike[str]) -> CameraPath:
    """Reads a path; where the file names no key frames, every camera of it is one.

    Raises:
        InputError: If the file is no camera path.
    """
    content = read_json_object(path)
    cameras, fps = read_camera_path(path)
    keys = [key_of(cameras[index]) for index in range(len(cameras))]
    found: Any = content.get("keyframes")
    seconds: Any = content.get("default_transition_sec")
    if not found or not is_number(seconds) or seconds <= 0:
        return CameraPath(keys, seconds=1 / fps, fps=fps)
    try:
        keys = [_key(frame["matrix"], frame["fov"]) for frame in found]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        accepted = "keyframes of matrix, 16 numbers, and fov in degrees"
        raise InputError("keyframes", f"unusable ({error})", accepted, file=path) from error
    return CameraPath(keys, seconds=float(seconds), fps=fps, closed=content.get("is_cycle") is True)


def _opengl(key: Key) -> list[float]:
    return [float(value) for value in (key.camera_to_world @ OPENGL_TO_OPENCV.numpy()).ravel()]


def _key(matrix: list[float], degrees: float) -> Key:
    pose = torch.tensor(matrix, dtype=torch.float64).reshape(4, 4) @ OPENGL_TO_OPENCV
    return key_of(camera_from_fov(pose, math.radians(degrees), 16, 9))  # checks the pose


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
        stream: Any = None  # a stream of video, whose codec the types of av do not tell
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
