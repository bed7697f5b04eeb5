"""A piece of furniture or an object before it has a place: parts, and where other things can stand on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from scene_depth_synthetic.procedural.shapes import Part


@dataclass(frozen=True)
class Shelf:
    """A level rectangle that things can stand on, in the piece's frame, metres.

    Attributes:
        x, y, z: Its centre.
        width, depth: Along x and y.
        clearance: Free height above.
    """

    x: float
    y: float
    z: float
    width: float
    depth: float
    clearance: float = 0.6


@dataclass(frozen=True)
class Piece:
    """Something that stands on the origin of its frame (z = 0) with its front towards -y, metres.

    Attributes:
        category: One of ``world.CLASSES``.
        parts: Its primitives.
        width, depth, height: Extents along x, y, z; the origin is the centre of the footprint.
        shelves: Where other things can stand.
    """

    category: str
    parts: list[Part]
    width: float
    depth: float
    height: float
    shelves: list[Shelf] = field(default_factory=list)
