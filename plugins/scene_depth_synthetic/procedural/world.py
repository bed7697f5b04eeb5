"""A world: things with identities, lights and a sky. A value; things can be left out with all else unchanged."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth_synthetic.procedural.bvh import build_bvh
from scene_depth_synthetic.procedural.lighting import LIGHT_ROW, Light, Sky
from scene_depth_synthetic.procedural.materials import Material, material_table
from scene_depth_synthetic.procedural.renderer import PackedScene
from scene_depth_synthetic.procedural.shapes import Part, Piece, moved, profile_rows, triangles
from scene_depth_synthetic.procedural.tracing import LATHE, QUAD, SPHERE, TORUS, TRIANGLE, Geometry
from scene_depth_synthetic.procedural.transforms import Matrix, invert

CLASSES = (
    "none", "floor", "wall", "ceiling", "door", "window", "curtain", "picture", "table", "chair", "sofa", "bed", "shelf",
    "cabinet", "lamp", "rug", "plant", "book", "tableware", "container", "toy", "food", "electronics", "cloth", "box",
    "road", "pavement", "grass", "building", "car", "tree", "pole", "sign", "fence", "person", "other",
)  # fmt: skip
TEXTURES_A_THING = 256

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Thing:
    """One object of the world."""

    number: int  # its instance id, 1 or more
    category: str  # one of CLASSES
    parts: tuple[Part, ...]  # in the frame of the world


@dataclass(frozen=True, eq=False)
class World:
    """Things, lights and a sky, metres, z up.

    Attributes:
        things: With unique numbers.
        lights: May be empty.
        sky: What is behind everything.
        ambient: Light of the second and later bounces, irradiance over pi.
    """

    things: tuple[Thing, ...]
    lights: tuple[Light, ...] = ()
    sky: Sky = Sky()  # noqa: RUF009 - Sky is a frozen value
    ambient: tuple[float, float, float] = (0.2, 0.2, 0.2)

    def without(self, numbers: Collection[int]) -> World:
        """The world without some things; all that remains keeps its number, texture and light.

        Raises:
            InputError: If there is no thing of that number.
        """
        known = {thing.number for thing in self.things}
        missing = sorted(set(numbers) - known)
        if missing:
            raise InputError("numbers", missing, f"numbers of things, which are {min(known)} to {max(known)}")
        return replace(self, things=tuple(thing for thing in self.things if thing.number not in numbers))

    def pack(self) -> PackedScene:
        """The world as arrays for the kernels."""
        light_rows = [light.row() for light in self.lights]
        lights = np.array(light_rows, dtype=np.float64).reshape(len(light_rows), LIGHT_ROW)
        geometry, materials = _pack_geometry(self.things)
        return PackedScene(geometry, material_table(materials), lights, self.sky.row(), np.array(self.ambient, dtype=np.float64))


class WorldBuilder:
    """Collects things and numbers them in order."""

    def __init__(self) -> None:
        self.things: list[Thing] = []

    def add(self, category: str, parts: Part | Sequence[Part], *place: Matrix) -> int:
        """Adds a thing, moved by the maps of ``place``, the last one first, and returns its number.

        Raises:
            InputError: For an unknown category.
        """
        if category not in CLASSES[1:]:
            raise InputError("category", repr(category), f"one of {', '.join(CLASSES[1:])}")
        found = (parts,) if isinstance(parts, Part) else parts
        self.things.append(Thing(len(self.things) + 1, category, tuple(moved(found, *place) if place else found)))
        return len(self.things)

    def put(self, piece: Piece, *place: Matrix) -> int:
        """Adds a piece at its place and returns its number."""
        return self.add(piece.category, piece.parts, *place)


def _pack_geometry(things: tuple[Thing, ...]) -> tuple[Geometry, list[Material]]:
    rows: list[tuple[float, ...]] = []  # kind, three parameters, frame, material, object, class, shadow
    frame_numbers: list[int] = []
    kept: list[Material] = []
    material_numbers: dict[int, int] = {}
    matrices, frames, profiles, corner_normals = ([np.zeros((0, *shape))] for shape in ((3, 4), (3, 4), (8,), (9,)))
    segments = corners = 0
    for thing in things:
        for index, part in enumerate(thing.parts):
            material = material_numbers.setdefault(id(part.material), len(kept))
            if material == len(kept):
                kept.append(part.material)
            tail = (len(frame_numbers), material, thing.number, CLASSES.index(thing.category), part.material.casts_shadow)
            frames.append(part.frame[None])
            frame_numbers.append(thing.number * TEXTURES_A_THING + index if part.number is None else part.number)
            if part.kind == TRIANGLE:
                maps, normals = triangles(part)
                matrices.append(maps)
                rows += [(TRIANGLE, corners + k if part.smooth else -1, 0, 0, *tail) for k in range(len(maps))]
                if part.smooth:
                    corner_normals.append(normals)
                    corners += len(normals)
                continue
            params = part.params
            if part.profile is not None:
                profiles.append(profile_rows(part.profile))
                params = (segments, len(profiles[-1]), params[2])
                segments += len(profiles[-1])
            matrices.append(part.matrix[None])
            rows.append((part.kind, *params, *tail))
    if not rows:
        raise InputError("things", "none", "a world with at least one thing")
    table, to_world = np.array(rows, dtype=np.float64), np.concatenate(matrices)
    profile_table, normal_table = (
        np.concatenate(found) if len(found) > 1 else np.zeros((1, width)) for found, width in ((profiles, 8), (corner_normals, 9))
    )
    order, node_bounds, node_links = build_bvh(*_bounds(table[:, 0].astype(int), table[:, 1:4], to_world, profile_table))
    primitives = np.column_stack([table[:, :1], invert(to_world).reshape(-1, 12), table[:, 1:]])
    to_texture = invert(np.concatenate(frames)).reshape(-1, 12)
    geometry = Geometry(
        np.ascontiguousarray(primitives[order]),
        np.column_stack([node_bounds, node_links]),
        profile_table,
        np.column_stack([to_texture, frame_numbers]),
        normal_table,
    )
    return geometry, kept


def _bounds(kind: NDArray[np.int64], params: Array, matrices: Array, profiles: Array) -> tuple[Array, Array]:
    """Corners of the boxes around the primitives  # [N, 3] each"""
    low, high = np.full((len(kind), 3), -1.0), np.ones((len(kind), 3))
    low[kind == TRIANGLE], high[kind == TRIANGLE] = 0.0, 1.0
    flat = (kind == TRIANGLE) | (kind == QUAD)
    low[flat, 2] = high[flat, 2] = 0.0
    tube = params[kind == TORUS, 0]
    high[kind == TORUS] = np.stack([1.0 + tube, 1.0 + tube, tube], axis=1)
    low[kind == TORUS] = -high[kind == TORUS]
    for i in np.flatnonzero(kind == LATHE):
        rows = profiles[int(params[i, 0]) : int(params[i, 0]) + int(params[i, 1])]
        radius, heights = rows[:, [0, 2]].max(), rows[:, [1, 3]]
        low[i], high[i] = (-radius, -radius, heights.min()), (radius, radius, heights.max())
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    center = matrices[:, :, 3] + sum(matrices[:, :, k] * middle[:, k : k + 1] for k in range(3))
    reach = sum(np.abs(matrices[:, :, k]) * half[:, k : k + 1] for k in range(3))
    ball = kind == SPHERE
    squares = matrices[ball, :, :3] ** 2
    reach[ball] = np.sqrt(squares[:, :, 0] + squares[:, :, 1] + squares[:, :, 2])
    return center - reach, center + reach
