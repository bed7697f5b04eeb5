"""The object alone, as every view of the scene would see it: radiance, coverage and exact depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth_synthetic.composited.placement import Placement
from scene_depth_synthetic.procedural import tableware
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.exposure import smoothed_radiance
from scene_depth_synthetic.procedural.finishes import PALETTES, UPRIGHT, Palette, paint
from scene_depth_synthetic.procedural.lighting import RECTANGLE, Light, Sky
from scene_depth_synthetic.procedural.materials import CHECKS, DOTS, PLAIN, STRIPES, Material
from scene_depth_synthetic.procedural.renderer import PackedScene, render
from scene_depth_synthetic.procedural.shapes import ORIGIN, Part, Piece, block, ellipsoid, moved, sphere
from scene_depth_synthetic.procedural.small_things import bear
from scene_depth_synthetic.procedural.transforms import shift, turn_z
from scene_depth_synthetic.procedural.world import Thing, World


def object_for(seed: int) -> tuple[str, Piece]:
    """An object and its name; the same seed from 0 gives the same object, and the kinds take turns."""
    dice, name = Dice(seed, 301), list(KINDS)[seed % len(KINDS)]
    return name, KINDS[name](dice, dice.choice(PALETTES))


def _striped_vase(dice: Dice, palette: Palette) -> Piece:
    a, b, c = dice.shuffled(palette)[:3]
    glaze = Material(STRIPES, a, b, c, 0.05, (UPRIGHT, 0.42, 0.1), dice.seed(), 0.1, 5)
    return tableware.vase(0.1, 0.32, glaze, dice.below(3))


def _stack_of_boxes(dice: Dice, palette: Palette) -> Piece:
    parts: list[Part] = []
    side, height = 0.2, 0.0
    for level in range(3):
        rise = dice.uniform(0.08, 0.12)
        skin = _patterned(dice, palette, (CHECKS, STRIPES, DOTS)[level])
        box = block((side, dice.uniform(0.75, 1.0) * side, rise), ORIGIN, skin)
        parts += moved(box, shift(0.0, 0.0, height), turn_z(dice.uniform(-0.5, 0.5)))
        side, height = 0.8 * side, height + rise
    return Piece("box", parts, 0.28, 0.28, height)


def _ball_on_a_drum(dice: Dice, palette: Palette) -> Piece:
    drum = tableware.vase(0.11, 0.14, _patterned(dice, palette, STRIPES), 2)
    ball = sphere(0.09, (0.0, 0.0, 0.21), _patterned(dice, palette, CHECKS))
    return Piece("toy", [*drum.parts, ball], 0.22, 0.22, 0.3)


def _soft_toy(dice: Dice, palette: Palette) -> Piece:
    toy = bear(dice, 0.34)
    scarf = ellipsoid((0.075, 0.075, 0.022), (0.0, 0.0, 0.17), paint(dice.choice(palette), unevenness=0.2))
    return Piece("toy", [*toy.parts, scarf], toy.width, toy.depth, toy.height)


def _patterned(dice: Dice, palette: Palette, pattern: int) -> Material:
    a, b, c = dice.shuffled(palette)[:3]
    parameters = {STRIPES: (UPRIGHT, 0.45, 0.1), CHECKS: (0.06,), DOTS: (0.28,)}[pattern]
    return Material(pattern, a, b, c, 0.06, parameters, dice.seed(), 0.06, 4)


KINDS: dict[str, Callable[[Dice, Palette], Piece]] = {
    "striped vase": _striped_vase,
    "stack of boxes": _stack_of_boxes,
    "ball on a drum": _ball_on_a_drum,
    "soft toy": _soft_toy,
}


SAMPLES, LIT_SAMPLES = 32, 16
AROUND = 0.8  # radiance that comes to the object from all sides
BRIGHT = Sky((AROUND,) * 3, (AROUND,) * 3, (AROUND,) * 3)
BLACK = Sky((0.0,) * 3, (0.0,) * 3, (0.0,) * 3, lights=False)
GLOW = Material(PLAIN, (0.5, 0.5, 0.5), parameters=(0.0,), emission=2.0)  # radiance 1: what it shows is coverage
REACH = 1.3  # of the object's half width, within which all of it lies


@dataclass(frozen=True)
class Appearance:
    """The object in the window of a view in which it lies."""

    rows: slice  # the window
    columns: slice
    radiance: NDArray[np.float32]  # linear, of the covered part of each pixel, before exposure, [h, w, 3]
    coverage: NDArray[np.float32]  # share of the pixel that the object covers, in 1/32, [h, w]
    depth: NDArray[np.float32]  # z-depth in scene units; of the nearest neighbour where only the pixel's rim is covered, [h, w]
    centered: NDArray[np.bool_]  # whether the object lies at the pixel's centre, [h, w] bool


@dataclass(frozen=True)
class StandingObject:
    """An object at its place, ready to be drawn: in two soft lights, and as the same shape with radiance 1 all over."""

    to_scene: NDArray[np.float64]  # [4, 4], rotation and foot: rigid map from the object's frame, in scene units
    unit: float  # scene units a metre of the object
    radius: float  # of a cylinder around it, in scene units
    height: float
    lit: PackedScene
    glowing: PackedScene

    def appearance(self, camera: Cameras, *, seed: int = 0, threads: int | None = None) -> Appearance | None:
        """How a camera of the scene sees the object; None if it is not in the picture. ``seed`` is that of the light's noise."""
        window = self._window(camera)
        if window is None:
            return None
        rows, columns = window
        size = (columns.stop - columns.start, rows.stop - rows.start)
        pose = np.linalg.inv(self.to_scene) @ camera.camera_to_world[0].double().cpu().numpy()
        pose[:3, 3] /= self.unit
        own = replace(camera, camera_to_world=torch.from_numpy(pose)[None], K=camera.K.double())  # in metres
        own = own.cropped(columns.start, rows.start, *size)
        drawn = render(self.lit, own, samples=SAMPLES, lit_samples=LIT_SAMPLES, seed=seed, threads=threads)
        shape = render(self.glowing, own, samples=SAMPLES, lit_samples=1, seed=seed, threads=threads)
        coverage = (np.rint(shape.radiance[..., 0] * SAMPLES) / SAMPLES).astype(np.float32)
        depth = (drawn.depth * self.unit).astype(np.float32)
        own_part = smoothed_radiance(drawn) - AROUND * (1 - coverage[..., None])  # less the sky beside the object
        radiance = own_part / np.maximum(coverage, 1 / SAMPLES)[..., None]
        nearby = _nearest_neighbour(depth)
        coverage = np.where(nearby > 0, coverage, 0).astype(np.float32)
        return Appearance(rows, columns, np.maximum(radiance, 0).astype(np.float32), coverage, nearby, depth > 0)

    def _window(self, camera: Cameras) -> tuple[slice, slice] | None:
        """Rows and columns of the picture around the object's cylinder."""
        x, y, z = np.meshgrid((-self.radius, self.radius), (-self.radius, self.radius), (-0.02 * self.height, self.height))
        corners = np.stack([x, y, z], axis=-1).reshape(-1, 3) @ self.to_scene[:3, :3].T + self.to_scene[:3, 3]
        pixels, depth = camera.project(torch.from_numpy(corners))
        if not bool((depth > 0).any()):
            return None
        if not bool((depth > 0).all()):
            return slice(0, camera.height), slice(0, camera.width)
        low = np.floor(pixels[0].min(dim=0).values.numpy()).astype(int) - 2
        high = np.ceil(pixels[0].max(dim=0).values.numpy()).astype(int) + 2
        left, top = max(0, int(low[0])), max(0, int(low[1]))
        right, bottom = min(camera.width, int(high[0])), min(camera.height, int(high[1]))
        return None if right <= left or bottom <= top else (slice(top, bottom), slice(left, right))


def standing_object(piece: Piece, placement: Placement, turn: float) -> StandingObject:
    """The object at its place, its z axis along the placement's up, turned about it by an angle in radians."""
    unit = placement.height / piece.height
    parts = tuple(piece.parts)
    key = Light(RECTANGLE, (-0.9, -0.7, 1.5), (5.0, 4.8, 4.5), (0.0, 0.45, 0.0), (0.35, 0.0, 0.35))
    fill = Light(RECTANGLE, (1.0, -0.4, 1.2), (2.0, 2.1, 2.2), (0.0, 0.45, 0.0), (0.35, 0.0, -0.35))
    lit = World((Thing(1, piece.category, parts),), (key, fill), BRIGHT, (0.0, 0.0, 0.0))
    bare = tuple(replace(part, material=GLOW) for part in parts)
    glowing = World((Thing(1, piece.category, bare),), (), BLACK, (0.0, 0.0, 0.0))
    to_scene = np.eye(4)
    to_scene[:3, :3] = _frame(np.array(placement.up), turn)
    to_scene[:3, 3] = placement.foot
    radius = 0.5 * REACH * unit * max(piece.width, piece.depth)
    return StandingObject(to_scene, unit, radius, 1.02 * placement.height, lit.pack(), glowing.pack())


def _frame(axis: NDArray[np.float64], turn: float) -> NDArray[np.float64]:
    """Rotation with ``axis`` as its third column  # [3, 3]"""
    axis = axis / np.linalg.norm(axis)
    start = np.eye(3)[int(np.argmin(np.abs(axis)))]
    x = start - (start @ axis) * axis
    x /= np.linalg.norm(x)
    y = np.cross(axis, x)
    return np.stack([math.cos(turn) * x + math.sin(turn) * y, math.cos(turn) * y - math.sin(turn) * x, axis], axis=1)


def _nearest_neighbour(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth with the nearest of the eight neighbours where it is 0  # [h, w]"""
    padded = np.pad(np.where(depth > 0, depth, np.inf), 1, constant_values=np.inf)
    height, width = depth.shape
    windows = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    least = np.minimum.reduce(windows)
    return np.where(depth > 0, depth, np.where(np.isfinite(least), least, 0)).astype(np.float32)
