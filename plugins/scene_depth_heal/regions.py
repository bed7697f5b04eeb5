"""Boxes and spheres that say what to remove, typed in or read from a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.json_files import read_json_object
from scene_depth.rotations import quaternions_to_matrices


@dataclass(frozen=True)
class Box:
    """An oriented box in the frame and unit of the scene.

    Attributes:
        center: Its middle.
        size: Full lengths of its edges.
        rotation: Quaternion, w first, from the box's axes to the world's.

    Example:
        >>> import torch
        >>> import scene_depth as sd
        >>> sd.Box((0, 0, 1), (2, 2, 0.5)).contains(torch.tensor([[0.9, 0, 1.2], [0, 0, 1.3]]).double()).tolist()
        [True, False]
    """

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    rotation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        _check_numbers("box", asdict(self), {"center": 3, "size": 3, "rotation": 4})
        if min(self.size) <= 0 or not any(self.rotation):
            raise InputError("box", asdict(self), "edges longer than 0 and a rotation that is not all zero")

    def contains(self, points: Tensor) -> Tensor:
        """Which points lie inside.

        Args:
            points: World points  # [N, 3]

        Returns:
            Mask  # [N] bool
        """
        rotation = quaternions_to_matrices(points.new_tensor(self.rotation))
        local = (points - points.new_tensor(self.center)) @ rotation
        return (local.abs() <= 0.5 * points.new_tensor(self.size)).all(dim=1)


@dataclass(frozen=True)
class Sphere:
    """A ball in the frame and unit of the scene.

    Attributes:
        center: Its middle.
        radius: Its radius.

    Example:
        >>> import torch
        >>> import scene_depth as sd
        >>> sd.Sphere((0, 0, 1), 0.5).contains(torch.tensor([[0, 0, 1.4], [0, 0, 0.4]]).double()).tolist()
        [True, False]
    """

    center: tuple[float, float, float]
    radius: float

    def __post_init__(self) -> None:
        _check_numbers("sphere", {"center": self.center}, {"center": 3})
        if not (isinstance(self.radius, int | float) and 0 < self.radius < float("inf")):
            raise InputError("sphere.radius", repr(self.radius), "a positive number")

    def contains(self, points: Tensor) -> Tensor:
        """Which points lie inside; see ``Box.contains``."""
        return (points - points.new_tensor(self.center)).norm(dim=1) <= self.radius


Region = Box | Sphere


def read_region(path: str | PathLike[str]) -> Region:
    """Reads ``{"box": {"center": [..], "size": [..], "rotation": [..]}}`` or ``{"sphere": {"center": [..], "radius": r}}``.

    Raises:
        InputError: If the file cannot be read as such.
    """
    content = read_json_object(path)
    kinds: dict[str, type[Box] | type[Sphere]] = {"box": Box, "sphere": Sphere}
    names = [name for name in kinds if name in content]
    if len(names) != 1 or not isinstance(content[names[0]], dict):
        raise InputError("region", json.dumps(content)[:80], "one object named box or sphere", file=path)
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content[names[0]].items()
    }
    try:
        return kinds[names[0]](**fields)
    except TypeError as error:
        raise InputError(
            names[0], f"fields {sorted(fields)}", "center and size (and rotation), or center and radius", file=path
        ) from error
    except InputError as error:
        raise InputError(error.field, error.found, error.accepted, file=path) from error


def write_region(path: str | PathLike[str], region: Region) -> None:
    """Writes what ``read_region`` reads."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({type(region).__name__.lower(): asdict(region)}, indent=2) + "\n", encoding="utf-8")


def parse_region(kind: type[Box] | type[Sphere], numbers: list[float]) -> Region:
    """A region from typed numbers: box CX CY CZ SX SY SZ [QW QX QY QZ]; sphere CX CY CZ R."""
    if kind is Box and len(numbers) in (6, 10):
        return Box(tuple(numbers[:3]), tuple(numbers[3:6]), tuple(numbers[6:]) or (1.0, 0.0, 0.0, 0.0))  # type: ignore[arg-type]
    if kind is Sphere and len(numbers) == 4:
        return Sphere(tuple(numbers[:3]), numbers[3])  # type: ignore[arg-type]
    raise InputError(kind.__name__.lower(), f"{len(numbers)} numbers", "6 or 10 numbers for a box, 4 for a sphere")


def _check_numbers(name: str, fields: dict, lengths: dict[str, int]) -> None:
    for field, length in lengths.items():
        values = fields[field]
        good = isinstance(values, tuple) and len(values) == length
        good = good and all(isinstance(v, int | float) and abs(v) < float("inf") for v in values)
        if not good:
            raise InputError(f"{name}.{field}", repr(values), f"{length} finite numbers")
