"""One picture with its truth from a seed; a world from a seed, for as many pictures of it as one likes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from scene_depth.cameras import Cameras, look_at
from scene_depth.errors import InputError
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.exposure import develop, fitting_exposure, smoothed_radiance
from scene_depth_synthetic.procedural.renderer import PackedScene, Rendering, render
from scene_depth_synthetic.procedural.rooms import random_room, random_table_top
from scene_depth_synthetic.procedural.streets import random_street
from scene_depth_synthetic.procedural.transforms import sine_cosine
from scene_depth_synthetic.procedural.world import World

Vector = tuple[float, float, float]
DIGITS = 9  # of poses, so that files hold exactly what is drawn: torch may differ in the last bits from machine to machine


def _room_viewpoint(dice: Dice, world: World) -> tuple[Vector, Vector]:
    """Somewhere in the room at the height of a hand or an eye, looking across it and mostly a little down."""
    matrix = world.things[0].parts[0].matrix  # the floor is its first thing
    half_x, half_y = float(matrix[0, 0]) - 0.2, float(matrix[1, 1]) - 0.2
    eye = dice.uniform(-0.85, 0.85) * half_x, dice.uniform(-0.85, 0.85) * half_y, dice.uniform(0.7, 1.9)
    return eye, (dice.uniform(-0.6, 0.6) * half_x, dice.uniform(-0.6, 0.6) * half_y, dice.uniform(0.2, 1.4))


def _table_viewpoint(dice: Dice, world: World) -> tuple[Vector, Vector]:
    """In front of the table, near, looking down at what stands on it."""
    sine, cosine = sine_cosine(dice.around(0.0, 0.45))
    distance, rise = dice.uniform(0.45, 1.5), dice.uniform(0.15, 0.95)
    flat = distance * math.sqrt(1.0 - rise * rise)
    target = (dice.uniform(-0.25, 0.25), dice.uniform(-0.15, 0.2), 0.75 + dice.uniform(0.0, 0.15))
    return (target[0] + flat * sine, target[1] - flat * cosine, target[2] + distance * rise), target


def _street_viewpoint(dice: Dice, world: World) -> tuple[Vector, Vector]:
    """On the road or the pavement, looking along it or across it."""
    x, y, z = dice.uniform(-5.0, 5.0), dice.uniform(-1.0, 12.0), dice.uniform(1.2, 2.2)
    sine, cosine = sine_cosine(dice.around(0.0, 0.25) if dice.chance(0.7) else dice.uniform(-1.3, 1.3))
    return (x, y, z), (x + 10.0 * sine, y + 10.0 * cosine, z + dice.uniform(-2.2, 1.0))


@dataclass(frozen=True)
class _Kind:
    """A kind of world: how it is made, where one looks from, and how near things may be for 98 % of the pixels, metres."""

    world: Callable[[Dice], World]
    viewpoint: Callable[[Dice, World], tuple[Vector, Vector]]
    nearest: float


_KINDS = {
    "room": _Kind(random_room, _room_viewpoint, 0.35),
    "table_top": _Kind(random_table_top, _table_viewpoint, 0.2),
    "street": _Kind(random_street, _street_viewpoint, 1.0),
}
KINDS = tuple(_KINDS)
ATTEMPTS = 24
PREVIEW = 32


def hand_held_pose(eye: Vector, target: Vector, roll: float) -> Tensor:
    """A camera's pose that looks at a target, turned about its axis by ``roll`` radians  # [4, 4]"""
    sine, cosine = sine_cosine(roll)
    x, y = target[0] - eye[0], target[1] - eye[1]
    flat = math.sqrt(x**2 + y**2)
    up = (sine * y / flat, -sine * x / flat, cosine)
    pose = look_at(*(torch.tensor(v, dtype=torch.float64) for v in (eye, target, up)))
    return torch.from_numpy(np.round(pose.numpy(), DIGITS))


def _random_camera(dice: Dice, eye: Vector, target: Vector, width: int, height: int) -> Cameras:
    """A camera with a random lens, a little roll and an optical axis near the middle, for any image size.

    The field of view is chosen for the longer side, so the same seed shows the same view at every size of that shape.
    """
    focal, stretch = dice.uniform(0.6, 1.2) * max(width, height), 1.0 + dice.around(0.0, 0.004)
    cx, cy = (0.5 + dice.around(0.0, 0.012)) * width, (0.5 + dice.around(0.0, 0.012)) * height
    pose = hand_held_pose(eye, target, dice.around(0.0, 0.035))
    K = torch.tensor([[focal, 0.0, cx], [0.0, focal * stretch, cy], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Cameras(pose[None], K[None], width, height)


@dataclass(frozen=True)
class RGBDFrame:
    """A picture with its exact geometry.

    Attributes:
        rgb: sRGB in [0, 1], float32  # [H, W, 3]
        depth: z-depth in metres, 0 = unknown (sky), float32  # [H, W]
        normals: Unit normals in the camera's frame (OpenCV axes), towards the camera, 0 = unknown, float32  # [H, W, 3]
        instances: Number of the thing, 0 = none, int32  # [H, W]
        classes: Index into ``world.CLASSES``, 0 = none, int32  # [H, W]
        camera: The one camera; camera to world in metres, z up.
    """

    rgb: NDArray[np.float32]
    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    instances: NDArray[np.int32]
    classes: NDArray[np.int32]
    camera: Cameras

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where there is a surface  # [H, W]"""
        return self.depth > 0


def generate_world(kind: str, seed: int) -> World:
    """A random world, the one that ``generate_frame`` shows for the same seed.

    Args:
        kind: "room", "table_top" or "street".
        seed: 0 or more.

    Raises:
        InputError: For an unknown kind or a negative seed.
    """
    if kind not in KINDS:
        raise InputError("kind", repr(kind), f"one of {', '.join(KINDS)}")
    if seed < 0:
        raise InputError("seed", seed, "0 or more")
    return _KINDS[kind].world(Dice(KINDS.index(kind), seed))


def generate_frame(
    kind: str,
    seed: int,
    width: int,
    height: int,
    *,
    samples: int = 4,
    lit_samples: int = 1,
    camera: Cameras | None = None,
    threads: int = 1,
) -> RGBDFrame:
    """A random picture of a random world.

    Args:
        kind: "room", "table_top" or "street".
        seed: 0 or more; the same seed gives the same picture on every machine.
        width, height: Size in pixels. Another size of the same shape shows the same view.
        samples: Rays a pixel, a power of two.
        lit_samples: How many of them look for light (``renderer.render``).
        camera: Where to look from instead of a random place; its size replaces width and height.
        threads: Worker threads; the result does not depend on them.

    Raises:
        InputError: For an unknown kind, a negative seed, a size below 8 pixels, or numbers of samples out of range.
    """
    world, dice = generate_world(kind, seed), Dice(KINDS.index(kind), seed, 1)
    if width < 8 or height < 8:
        raise InputError("width, height", f"{width} x {height}", "at least 8 pixels each")
    scene = world.pack()
    if camera is None:
        camera = _good_camera(kind, dice, world, scene, width, height)
    rendering = render(scene, camera, samples=samples, lit_samples=min(lit_samples, samples), seed=seed, threads=threads)
    radiance = smoothed_radiance(rendering)
    exposure = fitting_exposure(radiance, rendering.depth) * dice.factor(0.35)  # exposure and white balance err a little
    rgb = develop(radiance, exposure, (dice.factor(0.06), 1.0, dice.factor(0.06)))
    return RGBDFrame(rgb, rendering.depth, rendering.normals, rendering.objects, rendering.classes, camera)


def _good_camera(kind: str, dice: Dice, world: World, scene: PackedScene, width: int, height: int) -> Cameras:
    """The first of some random cameras with nothing in front of its lens and enough to see, or else the best of them."""
    best, best_score = None, -1.0
    for _ in range(ATTEMPTS):
        camera = _random_camera(dice, *_KINDS[kind].viewpoint(dice, world), width, height)
        small = camera.resized(PREVIEW, max(round(PREVIEW * height / width), 4))
        preview = render(scene, small, samples=1, threads=1)
        score = _interest(preview, _KINDS[kind].nearest)
        if score >= 1.0:
            return camera
        if score > best_score:
            best, best_score = camera, score
    assert best is not None
    return best


def _interest(preview: Rendering, nearest: float) -> float:
    """At least 1 for a view with free sight, several things and a range of depths."""
    depth = np.sort(preview.depth[preview.depth > 0])
    if len(depth) < 0.45 * preview.depth.size:
        return 0.0
    free = min(float(depth[int(0.02 * len(depth))]) / nearest, 1.0)
    variety = min(len(np.unique(preview.objects)) / 6.0, 1.0)
    spread = min(float(depth[int(0.9 * len(depth))] / depth[int(0.1 * len(depth))]) / 1.4, 1.0)
    return free * min(variety, spread)


SensorModel = Callable[[RGBDFrame, int], NDArray[np.float32]]
LARGEST_SEED = 2**30


class ProceduralDataset(Dataset[dict[str, Tensor]]):
    """Endless random rooms, tables and streets, as many of them as one asks for.

    An item depends on its index and the seed alone, so workers, restarts and shuffling change nothing, and the object
    can be sent to other processes. Numbers of one data set are never those of another seed.

    Args:
        kind: "room", "table_top", "street", or several of them, which then take turns.
        count: Number of frames.
        size: Width and height in pixels.
        seed: Of the data set.
        samples: Rays a pixel for colour (``frames.generate_frame``).
        sensor: Model that turns a frame and a seed into sensor depth; None leaves it out.

    Raises:
        InputError: For an unknown kind, a count below 1, a size below 8 pixels or a seed out of range.
    """

    def __init__(
        self,
        kind: str | Sequence[str] = KINDS,
        count: int = 1000,
        size: tuple[int, int] = (320, 240),
        seed: int = 0,
        *,
        samples: int = 4,
        sensor: SensorModel | None = None,
    ):
        self.kinds = (kind,) if isinstance(kind, str) else tuple(kind)
        unknown = [k for k in self.kinds if k not in KINDS]
        if unknown or not self.kinds:
            raise InputError("kind", repr(unknown[0]) if unknown else "none", f"one or more of {', '.join(KINDS)}")
        if not 1 <= count < 2**32:
            raise InputError("count", count, "1 or more")
        if min(size) < 8:
            raise InputError("size", f"{size[0]} x {size[1]}", "at least 8 pixels each")
        if not 0 <= seed < LARGEST_SEED:
            raise InputError("seed", seed, f"0 to {LARGEST_SEED - 1}")
        self.count, self.size, self.seed, self.samples, self.sensor = count, size, seed, samples, sensor

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self[i] for i in range(self.count))

    def frame_seed(self, index: int) -> int:
        """Seed of a frame, for ``frames.generate_frame`` and ``generate_world``."""
        return (self.seed << 32) + index

    def frame(self, index: int) -> RGBDFrame:
        """A frame as arrays with its camera.

        Raises:
            IndexError: If the index is out of range.
        """
        if not -self.count <= index < self.count:
            raise IndexError(f"index {index} of a data set of {self.count} frames")
        index %= self.count
        kind = self.kinds[index % len(self.kinds)]
        return generate_frame(kind, self.frame_seed(index), *self.size, samples=self.samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """A frame as tensors that can be batched.

        Returns:
            rgb: sRGB in [0, 1], float32  # [3, H, W]
            depth: z-depth in metres, 0 = unknown, float32  # [1, H, W]
            known: Where there is a depth, bool  # [1, H, W]
            normals: Unit normals in the camera's frame (OpenCV axes), 0 = unknown, float32  # [3, H, W]
            instances, classes: int32  # [H, W]
            K: Intrinsics in pixels, float32  # [3, 3]
            sensor_depth: With a sensor model only, metres, 0 = unknown, float32  # [1, H, W]
        """
        frame = self.frame(index)
        item = {
            "rgb": torch.from_numpy(frame.rgb).permute(2, 0, 1).contiguous(),
            "depth": torch.from_numpy(frame.depth)[None],
            "known": torch.from_numpy(frame.known)[None],
            "normals": torch.from_numpy(frame.normals).permute(2, 0, 1).contiguous(),
            "instances": torch.from_numpy(frame.instances),
            "classes": torch.from_numpy(frame.classes),
            "K": frame.camera.K[0].float(),
        }
        if self.sensor is not None:
            item["sensor_depth"] = torch.from_numpy(self.sensor(frame, self.frame_seed(index % self.count)))[None]
        return item
