"""Parts that things are built of: boxes, balls, rods, turned shapes, cushions, cloth. Metres, z up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from scene_depth_synthetic.procedural.materials import Material

from scene_depth_synthetic.procedural.tracing import (  # isort: skip
    BOX, FRUSTUM, LATHE, QUAD, SPHERE, SUPERELLIPSOID, TORUS, TRIANGLE,
)  # fmt: skip
from scene_depth_synthetic.procedural.unit_shapes import CLOSED  # isort: skip
from scene_depth_synthetic.procedural.transforms import (  # isort: skip
    Matrix, Vector, apply, compose, cross, shift, stretch, turn_x, upright_along,
)  # fmt: skip


ORIGIN = (0.0, 0.0, 0.0)
SMOOTH_EDGE = 0.8  # cosine: corners of a turned profile sharper than this stay sharp


@dataclass(frozen=True, eq=False)
class Part:
    """One primitive, or one mesh."""

    kind: int  # unit shape (``unit_shapes``), by its number in ``tracing``
    matrix: Matrix  # unit shape to the thing's frame; for a mesh its frame to the thing's, [3, 4]
    frame: Matrix  # metric frame of the texture to the thing's frame, [3, 4]
    material: Material  # what it is made of
    params: tuple[float, float, float] = (0.0, 0.0, 0.0)  # as in ``tracing.Geometry``
    profile: NDArray[np.float64] | None = None  # of a lathe shape: corners (r, z), [P, 2]
    vertices: NDArray[np.float64] | None = None  # of a mesh, [V, 3], [F, 3]
    faces: NDArray[np.int64] | None = None
    smooth: bool = True  # whether a mesh is shaded as a curved surface
    number: int | None = None  # of the texture, None for one of its own; the same number and frame continue each other


def moved(parts: Part | Sequence[Part], *matrices: Matrix) -> list[Part]:
    """The part or parts after the maps, the last one applied first."""
    by, parts = compose(*matrices), (parts,) if isinstance(parts, Part) else parts
    return [replace(part, matrix=compose(by, part.matrix), frame=compose(by, part.frame)) for part in parts]


def box(size: Vector, center: Vector, material: Material) -> Part:
    """A box with sides along the axes."""
    place = shift(*center)
    return Part(BOX, compose(place, stretch(*(0.5 * s for s in size))), place, material)


def block(size: Vector, base: Vector, material: Material) -> Part:
    """A box that stands on the centre of its lower face."""
    return box(size, (base[0], base[1], base[2] + 0.5 * size[2]), material)


def panel(width: float, height: float, center: Vector, material: Material, facing: str = "z") -> Part:
    """A flat rectangle with its width, the texture's u, along x, and its height along y ("z" facing) or z ("y" facing)."""
    place = shift(*center)
    if facing == "y":
        place = compose(place, turn_x(0.5 * math.pi))
    return Part(QUAD, compose(place, stretch(0.5 * width, 0.5 * height, 1.0)), place, material)


def ellipsoid(radii: Vector, center: Vector, material: Material) -> Part:
    """An ellipsoid with axes along x, y, z."""
    place = shift(*center)
    mean = (radii[0] + radii[1] + radii[2]) / 3.0
    return Part(SPHERE, compose(place, stretch(*radii)), place, material, (0.0, 0.0, mean))


def sphere(radius: float, center: Vector, material: Material) -> Part:
    """A ball."""
    return ellipsoid((radius, radius, radius), center, material)


def cushion(size: Vector, center: Vector, material: Material) -> Part:
    """A box with very round edges: a superellipsoid of exponent 4."""
    place = shift(*center)
    return Part(SUPERELLIPSOID, compose(place, stretch(*(0.5 * s for s in size))), place, material)


def frustum(bottom: float, top: float, height: float, base: Vector, material: Material, caps: int = CLOSED) -> Part:
    """A cone cut off at ``top``, standing on the centre of its lower circle; a cylinder if the radii agree."""
    place = shift(base[0], base[1], base[2] + 0.5 * height)
    if bottom <= 0.0:  # the unit shape has its radius of 1 below
        place, bottom, top = compose(place, turn_x(math.pi)), top, bottom
        caps = (caps >> 1) | ((caps & 1) << 1)
    params = (top / bottom, float(caps), 0.5 * (bottom + top))
    return Part(FRUSTUM, compose(place, stretch(bottom, bottom, 0.5 * height)), place, material, params)


def cylinder(radius: float, height: float, base: Vector, material: Material, caps: int = CLOSED) -> Part:
    """An upright cylinder that stands on the centre of its lower circle."""
    return frustum(radius, radius, height, base, material, caps)


def rod(start: Vector, end: Vector, radius: float, material: Material, end_radius: float | None = None) -> Part:
    """A round bar between two points."""
    place, length = upright_along(start, end)
    part = frustum(radius, radius if end_radius is None else end_radius, length, (0.0, 0.0, 0.0), material)
    return moved([part], place)[0]


def torus(major: float, minor: float, center: Vector, material: Material) -> Part:
    """A ring around the z axis; ``minor`` is the radius of the tube."""
    place = shift(*center)
    return Part(TORUS, compose(place, stretch(major, major, major)), place, material, (minor / major, 0.0, major))


def turned(profile: Sequence[Vector], material: Material) -> Part:
    """A surface of revolution about z: vases, bowls, bottles.

    Args:
        profile: Corners (radius, z) in order; walls with a thickness go up outside and down inside.
    """
    corners = np.array(profile, dtype=np.float64)
    for i in range(1, len(corners)):  # a cone as flat as rounding makes it would be hit everywhere: level it
        if abs(corners[i, 1] - corners[i - 1, 1]) < 1e-4 * abs(corners[i, 0] - corners[i - 1, 0]):
            corners[i, 1] = corners[i - 1, 1]
    place = shift()
    return Part(LATHE, place, place, material, (0.0, 0.0, float(corners[:, 0].max())), profile=corners)


def curve(points: Sequence[Vector], steps: int = 4) -> list[tuple[float, float]]:
    """A smooth line through points in the plane (Catmull-Rom), for profiles."""
    result = [(float(points[0][0]), float(points[0][1]))]
    for i in range(len(points) - 1):
        p0, p1, p2, p3 = (points[min(max(i + k, 0), len(points) - 1)] for k in (-1, 0, 1, 2))
        for step in range(1, steps + 1):
            t = step / steps
            x, y = (
                0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t)
                for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
            )
            result.append((max(x, 0.0), y))
    return result


def mesh(vertices: NDArray[np.float64], faces: NDArray[np.int64], material: Material, smooth: bool = True) -> Part:
    """A triangle mesh in the thing's frame."""
    unit = shift()
    return Part(TRIANGLE, unit, unit, material, vertices=vertices, faces=faces, smooth=smooth)


def height_field(x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64], material: Material) -> Part:
    """A surface over a grid: cloth, ground, quilts.

    Args:
        x, y, z: Positions of the grid's corners  # [R, C] each
    """
    rows, columns = z.shape
    corner = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = corner[:-1, :-1].ravel(), corner[:-1, 1:].ravel(), corner[1:, :-1].ravel(), corner[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, d], axis=1), np.stack([a, d, c], axis=1)])
    return mesh(np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1), faces, material)


def profile_rows(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Segments of a profile with the normals at both ends, smoothed over flat corners  # [P - 1, 8]"""
    start, end = profile[:-1], profile[1:]
    normals = np.stack([end[:, 1] - start[:, 1], start[:, 0] - end[:, 0]], axis=1)
    normals = normals / np.sqrt(normals[:, :1] ** 2 + normals[:, 1:] ** 2)
    first, last = normals.copy(), normals.copy()
    for i in range(1, len(normals)):
        if float(normals[i, 0] * normals[i - 1, 0] + normals[i, 1] * normals[i - 1, 1]) > SMOOTH_EDGE:
            mean = normals[i] + normals[i - 1]
            first[i] = last[i - 1] = mean / math.sqrt(float(mean[0] ** 2 + mean[1] ** 2))
    return np.concatenate([start, end, first, last], axis=1)


def triangles(part: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Triangles of a mesh part in the thing's frame.

    Returns:
        Maps from the unit triangle  # [F, 3, 4]
        Unit normals at the corners, one after the other  # [F, 9]
    """
    assert part.vertices is not None
    assert part.faces is not None
    corners = apply(part.matrix, part.vertices)[part.faces]  # [F, 3, 3]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = cross(b - a, c - a)
    length = np.sqrt(normal[:, 0] ** 2 + normal[:, 1] ** 2 + normal[:, 2] ** 2)[:, None]
    matrices = np.stack([b - a, c - a, normal / length, a], axis=2)
    at_vertices = np.zeros_like(part.vertices)
    for corner in range(3):
        np.add.at(at_vertices, part.faces[:, corner], normal)
    at_vertices /= np.sqrt(at_vertices[:, 0] ** 2 + at_vertices[:, 1] ** 2 + at_vertices[:, 2] ** 2)[:, None]
    return matrices, at_vertices[part.faces].reshape(-1, 9)


@dataclass(frozen=True)
class Shelf:
    """A level rectangle that things can stand on, in the piece's frame, metres."""

    x: float  # its centre
    y: float
    z: float
    width: float  # along x and y
    depth: float
    clearance: float = 0.6  # free height above


@dataclass(frozen=True)
class Piece:
    """Something that stands on the origin of its frame (z = 0) with its front towards -y, metres."""

    category: str  # one of ``world.CLASSES``
    parts: list[Part]  # its primitives
    width: float  # extents along x, y, z; the origin is the centre of the footprint
    depth: float
    height: float
    shelves: list[Shelf] = field(default_factory=list)  # where other things can stand


def round_piece(category: str, parts: list[Part], radius: float, height: float, *shelves: Shelf) -> Piece:
    """A piece with a round footprint."""
    return Piece(category, parts, 2.0 * radius, 2.0 * radius, height, list(shelves))
