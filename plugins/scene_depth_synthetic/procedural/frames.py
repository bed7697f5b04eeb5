"""One picture with its truth from a seed; a world from a seed, for as many pictures of it as one likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.exposure import develop, fitting_exposure, smoothed_radiance
from scene_depth_synthetic.procedural.renderer import PackedScene, Rendering, render
from scene_depth_synthetic.procedural.rooms import random_room
from scene_depth_synthetic.procedural.streets import random_street
from scene_depth_synthetic.procedural.table_tops import random_table_top
from scene_depth_synthetic.procedural.viewpoints import (
    Vector,
    photographer_camera,
    room_viewpoint,
    street_viewpoint,
    table_viewpoint,
)
from scene_depth_synthetic.procedural.world import World

KINDS = ("room", "table_top", "street")
WORLDS: dict[str, Callable[[Dice], World]] = {"room": random_room, "table_top": random_table_top, "street": random_street}
VIEWPOINTS: dict[str, Callable[[Dice, World], tuple[Vector, Vector]]] = {
    "room": room_viewpoint,
    "table_top": table_viewpoint,
    "street": street_viewpoint,
}
NEAREST_ALLOWED = {"room": 0.35, "table_top": 0.2, "street": 1.0}  # metres, for 98 % of the pixels
ATTEMPTS = 24
PREVIEW = 32


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
    _check(kind, seed)
    return WORLDS[kind](Dice(KINDS.index(kind), seed))


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
    return frame_from_rendering(rendering, camera, dice)


def frame_from_rendering(rendering: Rendering, camera: Cameras, dice: Dice | None = None) -> RGBDFrame:
    """Develops a rendering with a fitting exposure; with dice the exposure and white balance err a little."""
    radiance = smoothed_radiance(rendering)
    exposure, white = fitting_exposure(radiance, rendering.depth), (1.0, 1.0, 1.0)
    if dice is not None:
        exposure *= dice.factor(0.35)
        white = (dice.factor(0.06), 1.0, dice.factor(0.06))
    rgb = develop(radiance, exposure, white)
    return RGBDFrame(rgb, rendering.depth, rendering.normals, rendering.objects, rendering.classes, camera)


def _good_camera(kind: str, dice: Dice, world: World, scene: PackedScene, width: int, height: int) -> Cameras:
    """The first of some random cameras with nothing in front of its lens and enough to see, or else the best of them."""
    best, best_score = None, -1.0
    for _ in range(ATTEMPTS):
        eye, target = VIEWPOINTS[kind](dice, world)
        camera = photographer_camera(dice, eye, target, width, height)
        small = camera.resized(PREVIEW, max(round(PREVIEW * height / width), 4))
        preview = render(scene, small, samples=1, threads=1)
        score = _interest(preview, NEAREST_ALLOWED[kind])
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


def _check(kind: str, seed: int) -> None:
    if kind not in KINDS:
        raise InputError("kind", repr(kind), f"one of {', '.join(KINDS)}")
    if seed < 0:
        raise InputError("seed", seed, "0 or more")
