"""Sparse points with the images that see them in one ``.npz``.

Arrays: ``xyz`` [P, 3], ``rgb`` uint8 [P, 3], and optionally ``error`` [P] with ``track_ptr`` [P + 1], ``track_image`` [T]
and ``image_names``: point p is seen by the images ``image_names[track_image[track_ptr[p]:track_ptr[p + 1]]]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.numpy_files import read_arrays
from scene_depth.scene import PointCloud

TRACKS = ("track_ptr", "track_image", "image_names")


def read_tracked_points(path: str | PathLike[str], names: Mapping[str, str] | None = None) -> PointCloud | None:
    """Reads points; None if there are none.

    Args:
        path: The npz file.
        names: View names of the image names in the file; images that it lacks are left out. None keeps all names.

    Raises:
        InputError: If the file is missing, cut short, lacks an array or has one of a wrong shape or with NaN.
    """
    arrays = _load(path)
    count = len(arrays["xyz"])
    _check(path, "xyz", arrays["xyz"], (count, 3), "f")
    _check(path, "rgb", arrays["rgb"], (count, 3), "u")
    if "error" in arrays:
        _check(path, "error", arrays["error"], (count,), "f")
    if not count:
        return None
    errors = arrays["error"].astype(np.float64) if "error" in arrays else None
    observations = _observations(path, arrays, names) if all(key in arrays for key in TRACKS) else {}
    return PointCloud(arrays["xyz"].astype(np.float64), arrays["rgb"].astype(np.uint8), errors, observations)


def write_tracked_points(path: str | PathLike[str], points: PointCloud) -> None:
    """Writes points with all that is known of them, positions in float64: reading gives the same bits."""
    names = list(points.observations)
    seen = [np.asarray(points.observations[name], np.int64) for name in names]
    owner = np.repeat(np.arange(len(names), dtype=np.int32), [len(indices) for indices in seen])
    index = np.concatenate([*seen, np.zeros(0, np.int64)])
    order = np.argsort(index, kind="stable")
    arrays: dict[str, NDArray[Any]] = {"xyz": points.xyz, "rgb": points.rgb}
    if points.errors is not None:
        arrays["error"] = points.errors
    arrays["track_ptr"] = np.searchsorted(index[order], np.arange(len(points) + 1), side="left")
    arrays["track_image"] = owner[order]
    arrays["image_names"] = np.array(names, dtype=np.str_)
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def _load(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    arrays = read_arrays(path)
    for name in ("xyz", "rgb"):
        if name not in arrays:
            raise InputError("arrays", ", ".join(arrays), "xyz and rgb", file=path)
    return arrays


def _check(path: str | PathLike[str], name: str, values: NDArray[Any], shape: tuple[int, ...], kind: str) -> None:
    if values.shape != shape or values.dtype.kind != kind:
        accepted = f"{shape} of {'floats' if kind == 'f' else 'bytes' if name == 'rgb' else 'integers'}"
        raise InputError(name, f"{values.dtype} {values.shape}", accepted, file=path)
    if kind == "f" and not np.isfinite(values).all():
        index = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InputError(f"{name}[{index}]", values[index].tolist(), "finite numbers", file=path)


def _observations(
    path: str | PathLike[str], arrays: dict[str, NDArray[Any]], names: Mapping[str, str] | None
) -> dict[str, NDArray[Any]]:
    ends, images, image_names = (arrays[key] for key in TRACKS)
    count = len(arrays["xyz"])
    ends = ends.astype(np.int64)
    if ends.shape != (count + 1,) or ends[0] != 0 or (np.diff(ends) < 0).any() or ends[-1] != len(images):
        raise InputError(
            "track_ptr", f"{ends.shape}, last {ends[-1:].tolist()}", f"{count + 1} rising offsets into track_image", file=path
        )
    if len(images) and not 0 <= images.min() <= images.max() < len(image_names):
        raise InputError("track_image", f"up to {images.max()}", f"indices below {len(image_names)}", file=path)
    seen_points = np.repeat(np.arange(count), np.diff(ends))
    observations = {}
    for index, image_name in enumerate(image_names.tolist()):
        name = image_name if names is None else names.get(image_name)
        if name is not None:
            observations[name] = np.unique(seen_points[images == index]).astype(np.int64)
    return observations
