"""What a step of stored depth is, by the fields that programs write beside it, and what stored values tell against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.json_files import is_number

STEPS_IN_A_METRE = ("png_depth_scale", "depth_factor", "depthmapfactor", "depth_map_factor", "factor", "scale")
"""NICE-SLAM; TUM and ORB-SLAM; Replica's ``cam_params.json``."""
METRES_OF_A_STEP = ("depth_unit_scale_factor", "integer_depth_scale", "depth_unit")
"""nerfstudio; instant-ngp, in units of the scene; plain speech."""
EITHER = "depth_scale"
"""Open3D and TUM: steps in a metre; RealSense: metres of a step; BOP: millimetres of a step."""
UNIT_KEYS = (*METRES_OF_A_STEP, EITHER, *STEPS_IN_A_METRE)
NAMED_UNITS = {"m": 1.0, "meter": 1.0, "metre": 1.0, "meters": 1.0, "metres": 1.0, "cm": 0.01, "mm": 0.001}
NAMED_UNITS |= dict.fromkeys(("millimeter", "millimetre", "millimeters", "millimetres"), 0.001)
FEWEST_STEPS, LARGEST_STEP = 50.0, 0.02  # numbers that can only be steps in a metre, or metres of a step
PLATEAU_SHARE, ENOUGH_VALUES = 0.01, 16


@dataclass(frozen=True)
class DepthUnit:
    """Metres (or scene units) of a stored 1, and where that comes from, such as "scale 6553.5 in cam_params.json"."""

    unit: float
    source: str


def stated_unit(fields: Mapping[str, Any], file: Path, keys: Sequence[str] = UNIT_KEYS) -> DepthUnit | None:
    """The unit that a file states; None if it states none.

    Args:
        fields: Of the file.
        file: The file, for notes and errors.
        keys: Fields to look at.

    Raises:
        InputError: If the field is no positive number.
    """
    for key in keys:
        value = fields.get(key)
        if value is None:
            continue
        if key == "depth_unit" and isinstance(value, str) and value.lower() in NAMED_UNITS:
            return DepthUnit(NAMED_UNITS[value.lower()], f"{key} {value} in {file.name}")
        if not is_number(value) or not 0 < value < float("inf"):
            raise InputError(key, repr(value), "a positive number", file=file)
        unit = _unit(key, float(value))
        if unit is not None:
            return DepthUnit(unit, f"{key} {value:g} in {file.name}")
    return None


def _unit(key: str, value: float) -> float | None:
    if key in METRES_OF_A_STEP and not (key == "depth_unit" and value >= FEWEST_STEPS):
        return value
    if key == EITHER and LARGEST_STEP < value < FEWEST_STEPS:
        return 0.001 * value
    if value >= FEWEST_STEPS:
        return 1 / value
    return value if value <= LARGEST_STEP and key != "scale" else None  # a scale near 1 is one of the picture


def checked_unit(unit: float) -> float:
    """The unit itself.

    Raises:
        InputError: If it is no positive number.
    """
    if not 0 < unit < float("inf"):
        raise InputError("depth_unit", unit, "a positive number")
    return unit


def describe_unit(unit: float) -> str:
    """A unit in words: "0.001 (1/1000)"."""
    steps = 1 / unit
    return f"{unit:.6g}" + (f" (1/{steps:g})" if steps > 1 and abs(steps - round(steps, 2)) < 1e-6 * steps else "")


def unit_sentence(unit: DepthUnit, of: str) -> str:
    """What a stored 1 is, in units ``of`` the scene, as readers of scenes note it; where it is assumed, how to say another."""
    hint = "; depth_unit=NUMBER (--scene-options) says another" if unit.source.startswith("assumed") else ""
    return f"a stored 1 of depth is {describe_unit(unit.unit)} {of}, {unit.source}{hint}"


def stored_depth_notes(stored: NDArray[Any]) -> list[str]:
    """What looks odd in stored depth: a plateau at the largest value, and integers whose low bits are all empty.

    Args:
        stored: Values as they stand in the file, 0 = unknown  # [H, W]
    """
    values = stored[np.isfinite(stored) & (stored > 0)]
    present = np.unique(values)
    if len(present) < ENOUGH_VALUES:
        return []
    notes = []
    largest = present[-1]
    share = float((values == largest).mean())
    if share >= PLATEAU_SHARE:
        notes.append(
            f"{100 * share:.1f} % of the depth has exactly the largest value, {largest:g} as stored: where the sensor saw no "
            "farther, a mask must say that it is unknown"
        )
    if values.dtype.kind in "iu" and not (present % 8).any():
        notes.append(
            "all stored values are multiples of 8: perhaps the rotated bits of SUN RGB-D, which are an eighth of this depth; "
            "the format sunrgbd reads them"
        )
    return notes
