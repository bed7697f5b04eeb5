"""Where the cameras of an outpainting go: presets by name, files, and poses between two cameras."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.camera_paths import read_camera_path
from scene_depth.io.json_files import read_json_object
from scene_depth.io.scenes import read_scene
from scene_depth.io.transforms_json import read_transforms_cameras
from scene_depth.options import split_options

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """Cameras to look from, in order.

    Attributes:
        cameras: One camera each, all of one size.
        name: Preset or file, for reports.
        keep_all: Whether each of them is a view of its own, however little of it is new; else those with little news are
            passed over, as of a video path.
        prompts: What should be seen from each, "" for what is asked of all; none for no own prompts at all.
    """

    cameras: tuple[Cameras, ...]
    name: str
    keep_all: bool = False
    prompts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Trajectory({self.name!r}, {len(self.cameras)} cameras)"


def turned(start: Cameras, yaw: float = 0.0, pitch: float = 0.0, move: Sequence[float] = (0.0, 0.0, 0.0)) -> Cameras:
    """The start camera turned about its own centre, and moved.

    Args:
        start: One camera.
        yaw: Degrees about its upright axis, to the right.
        pitch: Degrees about the axis to the right after that, upward.
        move: Right, down, forward, along the axes of the start camera, in scene units.
    """
    return _placed(start, Rotation.from_euler("YX", [yaw, pitch], degrees=True).as_matrix(), np.array(move, np.float64))


def _placed(start: Cameras, rotation: Doubles, move: Doubles) -> Cameras:
    """The start camera under a rigid motion that is given in its own frame."""
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation, move
    return replace(start, camera_to_world=start.camera_to_world.double() @ torch.from_numpy(motion)[None], K=start.K.double())


def _around(start: Cameras, center: float, yaw: float, pitch: float = 0.0) -> Cameras:
    """The start camera carried about the point at depth ``center`` before it, which it goes on looking at."""
    rotation = Rotation.from_euler("YX", [yaw, pitch], degrees=True).as_matrix()
    target = np.array([0.0, 0.0, center])
    return _placed(start, rotation, target - rotation @ target)


# Presets of LucidDreamer, with its numbers: degrees, and units of its metric depth.


def lookaround(start: Cameras, center: float) -> list[Cameras]:
    """21 views: yaw to 60 degrees on both sides, level, 22.5 degrees down, 22.5 degrees up."""
    return [turned(start, yaw, pitch) for pitch in (0.0, -22.5, 22.5) for yaw in (0, 20, 40, 60, -20, -40, -60)]


def lookdown(start: Cameras, center: float) -> list[Cameras]:
    """14 views: yaw to 60 degrees on both sides, level and 22.5 degrees down."""
    return [turned(start, yaw, pitch) for pitch in (0.0, -22.5) for yaw in (0, 20, 40, 60, -20, -40, -60)]


def rotate360(start: Cameras, center: float, *, views: int = 10) -> list[Cameras]:
    """All around on the spot, by 36 degrees."""
    return [turned(start, 360.0 * i / views) for i in range(1, views)]


def moveright(start: Cameras, center: float, *, distance: float = 5.0, views: int = 11) -> list[Cameras]:
    """11 views to 5 units sideways."""
    return [turned(start, move=(distance * i / (views - 1), 0, 0)) for i in range(1, views)]


def moveback(start: Cameras, center: float, *, distance: float = 5.0, views: int = 11) -> list[Cameras]:
    """11 views to 5 units backward."""
    return [turned(start, move=(0, 0, -distance * i / (views - 1))) for i in range(1, views)]


def hemisphere(start: Cameras, center: float, *, angle: float = 5.0) -> list[Cameras]:
    """Four views by 5 degrees about the point in the middle of the picture."""
    return [_around(start, center, yaw, pitch) for yaw, pitch in ((angle, 0.0), (-angle, 0.0), (0.0, angle), (0.0, -angle))]


# Presets of this package; distances are shares of the depth in the middle of the start where they have no unit.


def orbit(start: Cameras, center: float, *, angle: float = 40.0, views: int = 9) -> list[Cameras]:
    """To ``angle`` degrees on both sides about the point in the middle of the picture."""
    steps = [angle * i / (views // 2) for i in range(1, views // 2 + 1)]
    return [_around(start, center, way * yaw) for way in (1, -1) for yaw in steps]


def dolly(start: Cameras, center: float, *, distance: float = 0.5, views: int = 8) -> list[Cameras]:
    """Backward by a share of the depth in the middle of the picture; forward if negative."""
    return [turned(start, move=(0, 0, -distance * center * i / views)) for i in range(1, views + 1)]


def fly_through(start: Cameras, center: float, *, distance: float = 0.6, angle: float = 60.0, views: int = 12) -> list[Cameras]:
    """Forward by a share of the depth in the middle of the picture, looking to the right, and on to the left."""
    shares = [i / views for i in range(1, views + 1)]
    return [turned(start, angle * math.sin(2 * math.pi * share), 0.0, (0, 0, distance * center * share)) for share in shares]


def panorama(start: Cameras, center: float, *, pitch: float = 22.5, views: int | None = None) -> list[Cameras]:
    """All around on the spot in two rows, one looking down and one up, as far apart as half of what a view shows."""
    seen = 2 * math.degrees(math.atan(0.5 * start.width / float(start.K[0, 0, 0])))
    count = views or max(4, math.ceil(360 / (0.5 * seen)))
    return [turned(start, 360.0 * i / count, tilt) for tilt in (-pitch, pitch) for i in range(count)]


def circle(start: Cameras, center: float, *, views: int = 18) -> list[Cameras]:
    """All around on the spot until the first view comes back; the last camera is the start's own."""
    return [turned(start, 360.0 * i / views) for i in range(1, views + 1)]


PRESETS: dict[str, Callable[..., list[Cameras]]] = {
    function.__name__: function
    for function in (
        lookaround,
        lookdown,
        rotate360,
        moveright,
        moveback,
        hemisphere,
        orbit,
        dolly,
        fly_through,
        panorama,
        circle,
    )
}


def load_trajectory(
    trajectory: str | PathLike[str] | Cameras | Sequence[Cameras] | Trajectory, start: Sequence[Cameras], center: float
) -> Trajectory:
    """Gives the cameras of a trajectory.

    Args:
        trajectory: A preset, also with options as in ``orbit[angle=20]``; a transforms.json or any other scene, whose cameras are
            taken; a camera path of nerfstudio's or this package's viewer, which is seen at the start's size; or cameras.
        start: Cameras of the start; presets begin at the first.
        center: Depth in the middle of the first one, in scene units.

    Raises:
        InputError: If there is no such preset or file, or its cameras are of another size than the start's.
    """
    if isinstance(trajectory, Trajectory):
        found = trajectory
    elif isinstance(trajectory, Cameras):
        found = Trajectory(tuple(trajectory[i] for i in range(len(trajectory))), "cameras", keep_all=True)
    elif not isinstance(trajectory, str | PathLike):
        found = Trajectory(tuple(trajectory), "cameras", keep_all=True)
    else:
        found = _named(trajectory, start[0], center)
    if not found.cameras:
        raise InputError("trajectory", f"{found.name}: no camera", "one or more cameras")
    size = start[0].width, start[0].height
    for camera in found.cameras:
        if (camera.width, camera.height) != size:
            accepted = f"cameras of {size[0]} x {size[1]}, the size of the start"
            raise InputError("trajectory", f"a camera of {camera.width} x {camera.height}", accepted, file=found.name)
    first = 0
    while first < len(found.cameras) - 1 and any(same_view(found.cameras[first], camera) for camera in start):
        first += 1  # which is there already
    return replace(found, cameras=found.cameras[first:], prompts=found.prompts[first:])


def _named(trajectory: str | PathLike[str], start: Cameras, center: float) -> Trajectory:
    name, options = split_options(str(trajectory))
    if name in PRESETS:
        try:
            return Trajectory(tuple(PRESETS[name](start, center, **_numbers(options))), str(trajectory))
        except (TypeError, ZeroDivisionError) as error:
            raise InputError(f"options of {name}", str(error), "numbers for the options that the preset has") from error
    path = Path(trajectory)
    if not path.exists():
        accepted = f"a preset ({', '.join(PRESETS)}), a transforms.json or a camera path"
        raise InputError("trajectory", repr(str(trajectory)), accepted)
    if path.suffix == ".json" and "camera_path" in read_json_object(path):
        cameras = read_camera_path(path)[0]
        return Trajectory(tuple(_at_size_of(cameras[i], start) for i in range(len(cameras))), str(path))
    if path.suffix == ".json" and "frames" in read_json_object(path):
        frames = read_transforms_cameras(path, start.width, start.height)
        cameras_of, prompts = zip(*frames, strict=True)
        return Trajectory(cameras_of, str(path), keep_all=True, prompts=prompts if any(prompts) else ())
    scene = read_scene(path)
    return Trajectory(tuple(view.camera for view in scene.views), str(path), keep_all=True)


def _numbers(options: dict[str, Any]) -> dict[str, float]:
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(name, repr(value), "a number")
    return options


def _at_size_of(camera: Cameras, start: Cameras) -> Cameras:
    """A camera of a path, which has a pose and an upright field of view, at another size."""
    focal = camera.K[:, 1, 1] * start.height / camera.height
    K = torch.eye(3, dtype=torch.float64)[None].clone()
    K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2] = focal, focal, 0.5 * start.width, 0.5 * start.height
    return Cameras(camera.camera_to_world, K, start.width, start.height)


def same_view(first: Cameras, second: Cameras) -> bool:
    """Whether two cameras of one size show the same."""
    poses = first.camera_to_world.double(), second.camera_to_world.double()
    return torch.allclose(*poses, atol=1e-6) and torch.allclose(first.K.double(), second.K.double(), atol=1e-3)


def between(first: Cameras, second: Cameras, share: float) -> Cameras:
    """A camera on the straight way from one to another, turned evenly.

    Args:
        first, second: One camera each, of one size.
        share: 0 is the first, 1 the second.
    """
    poses = [camera.camera_to_world[0].double().numpy() for camera in (first, second)]
    pose = np.eye(4)
    pose[:3, :3] = Slerp([0, 1], Rotation.from_matrix([each[:3, :3] for each in poses]))([share]).as_matrix()[0]
    pose[:3, 3] = (1 - share) * poses[0][:3, 3] + share * poses[1][:3, 3]
    K = (1 - share) * first.K.double() + share * second.K.double()
    return Cameras(torch.from_numpy(pose)[None], K, first.width, first.height)


def apart(first: Cameras, second: Cameras, depth: float) -> float:
    """How far two cameras are from each other: the angle in radians and the distance in depths of the scene, added."""
    a, b = (camera.camera_to_world[0].double() for camera in (first, second))
    cosine = (torch.trace(a[:3, :3].T @ b[:3, :3]).item() - 1) / 2
    return math.acos(min(1.0, max(-1.0, cosine))) + float((a[:3, 3] - b[:3, 3]).norm()) / depth
