"""Where a file of splats goes in a scene, as a person says it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scene_depth.errors import InputError

Axis = Literal["auto", "+x", "-x", "+y", "-y", "+z", "-z"]
Up = Literal["auto", "scene", "normal", "+x", "-x", "+y", "-y", "+z", "-z"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a file of splats goes, but for a transform, and how it stands there."""

    at: tuple[float, float, float] | None = None
    """Point in the coordinates of the scene's files; the splats stand on the surface below it."""
    pixel: tuple[str, float, float] | None = None
    """View, column and row of its photo; the splats stand on the surface that shows there."""
    scale: float = 1.0
    """Factor of the size."""
    height: float | None = None
    """Height that the splats are to have, in scene units, in place of a factor."""
    yaw: float = 0.0
    """Turn about the vertical in degrees, counter-clockwise seen from above."""
    rotation: tuple[float, float, float, float] | None = None
    """Quaternion, w first, from the file's axes to the scene's, in place of turning up to up; yaw comes after."""
    up: Up = "auto"
    """Direction in which it stands: auto, the scene's vertical, the surface's normal, or an axis of the scene."""
    file_up: Axis = "auto"
    """Axis of the file that is to point up; by default what a comment in it says, else the axis that is up in the scene."""
    stand: Literal["auto", "yes", "no"] = "auto"
    """Put the lowest point on the surface (auto: not for a transform), or else the file's origin at the point."""


@dataclass(frozen=True, kw_only=True)
class Placement(Place):
    """Where a file of splats goes: exactly one of ``at``, ``pixel`` and ``transform``."""

    transform: tuple[tuple[float, ...], ...] | None = None
    """4x4 similarity from the file's coordinates to those of the scene's files."""

    def __post_init__(self) -> None:
        given = [name for name in ("at", "pixel", "transform") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError("placement", " and ".join(given) or "none", "one of --at, --pixel, --transform")
        if self.transform is not None:
            extra = [name for name in ("height", "rotation") if getattr(self, name) is not None]
            extra += [name for name, usual in (("scale", 1.0), ("yaw", 0.0)) if getattr(self, name) != usual]
            if extra:
                raise InputError("transform", f"also {', '.join(extra)}", "the transform alone, which has its own")
        numbers = [self.scale, self.yaw, *(self.at or ()), *(self.pixel[1:] if self.pixel else ()), *(self.rotation or ())]
        if not all(math.isfinite(value) for value in numbers) or self.scale <= 0:
            raise InputError("placement", numbers, "finite numbers and a scale above 0")
        if self.height is not None and not (0 < self.height < math.inf):
            raise InputError("height", self.height, "a finite number above 0")
        if self.height is not None and self.scale != 1.0:
            raise InputError("height, scale", f"{self.height}, {self.scale}", "one of them")
        if self.rotation is not None and not any(self.rotation):
            raise InputError("rotation", self.rotation, "a quaternion that is not all zero")

    @property
    def stands(self) -> bool:
        """Whether the lowest point is put on the surface."""
        return self.stand == "yes" or (self.stand == "auto" and self.transform is None)
