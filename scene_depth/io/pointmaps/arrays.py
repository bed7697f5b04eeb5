"""Layouts of pointmap results in one ``.npz`` file, told apart by their keys and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.numpy_files import list_arrays, read_array
from scene_depth.io.pointmaps.conventions import Conventions, StoredRun, StoredView

Headers = Mapping[str, tuple[tuple[int, ...], "np.dtype[Any]"]]


@dataclass(frozen=True)
class Layout:
    """Keys of one model's file, whose arrays have the views as first dimension.

    Attributes:
        model: Key of ``MODELS``.
        poses: Key of the poses, and the number of their rows.
        depth: Key of the depth, "" where only points are stored.
        intrinsics: Key of the intrinsics, "" where none are stored.
        declared: Conventions.
        open: Conventions on which versions of the model differ.
        points: Keys of world points; the first that is there is kept.
        confidence, images, mask: Keys of what else may be there; pixels outside the mask have no depth.
        marks: Keys of which one must be there.
        never: Keys that must not be there.
        metric: Whether the unit is the metre.
    """

    model: str
    poses: tuple[str, int]
    depth: str
    intrinsics: str
    declared: Conventions
    open: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    confidence: str = ""
    images: str = ""
    mask: str = ""
    marks: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    metric: bool = False

    def needed(self) -> str:
        """The keys and shapes that tell this layout, in words."""
        maps = f"{self.depth} (N,H,W)" if self.depth else f"{self.points[0]} (N,H,W,3)"
        intrinsics = [f"{self.intrinsics} (N,3,3)"] if self.intrinsics else []
        return ", ".join([f"{self.poses[0]} (N,{self.poses[1]},4)", maps, *intrinsics])

    def fits(self, headers: Headers) -> bool:
        """Whether a file of these arrays can be of this layout."""
        key, rows = self.poses
        if any(name in headers for name in self.never) or (self.marks and not any(name in headers for name in self.marks)):
            return False
        map_key = self.depth or self.points[0]
        if key not in headers or map_key not in headers or (self.intrinsics and self.intrinsics not in headers):
            return False
        shape = headers[map_key][0]
        views = shape[0] if shape else 0
        size = shape[1:3]
        whole = shape in ((views, *size), (views, *size, 1)) if self.depth else shape == (views, *size, 3)
        fits = len(size) == 2 and whole and headers[key][0] == (views, rows, 4)
        return fits and (not self.intrinsics or headers[self.intrinsics][0] == (views, 3, 3))


VGGT = Conventions(poses="world-to-camera")
LAYOUTS = (
    Layout(
        "vggt",
        ("extrinsic", 3),
        "depth",
        "intrinsic",
        VGGT,
        open=("centers",),
        points=("world_points_from_depth", "world_points"),
        confidence="depth_conf",
        images="images",
        marks=("world_points", "pose_enc", "pose_enc_list", "world_points_conf", "depth_conf"),
        never=("camera_and_register_tokens", "final_mask", "extrinsics"),
    ),
    Layout(
        "vggt_omega",
        ("extrinsic", 3),
        "depth",
        "intrinsic",
        VGGT,
        points=("world_points_from_depth",),
        confidence="depth_conf",
        images="images",
        marks=("camera_and_register_tokens", "depth_conf"),
        never=("world_points", "world_points_conf", "final_mask", "extrinsics"),
    ),
    Layout("depth_anything_3", ("extrinsics", 3), "depth", "intrinsics", VGGT, confidence="conf", images="image"),
    Layout(
        "mapanything",
        ("extrinsic", 4),
        "depth",
        "intrinsic",
        Conventions(),
        points=("world_points",),
        confidence="conf",
        images="images",
        mask="final_mask",
        metric=True,
    ),
    Layout(
        "mapanything",
        ("camera_poses", 4),
        "depth_z",
        "intrinsics",
        Conventions(),
        confidence="conf",
        images="img_no_norm",
        mask="mask",
        metric=True,
    ),
    Layout(
        "pi3",
        ("camera_poses", 4),
        "",
        "",
        Conventions(),
        points=("points",),
        confidence="conf",
        images="images",
        never=("depth", "depth_z"),
    ),
)


def read_array_file(path: Path, model: str | None) -> StoredRun:
    """Reads a run in one ``.npz`` file.

    Args:
        path: The file.
        model: Model that wrote it, None to see it from the keys.

    Raises:
        InputError: If the file is no such run, or of another model than said, or could be of several.
    """
    headers = list_arrays(path)
    skipped = [name for name, (_, dtype) in headers.items() if dtype.hasobject]
    headers = {name: header for name, header in headers.items() if not header[1].hasobject}
    notes = [f"{name} passed over: an array of Python objects, which is never unpacked" for name in skipped]
    if "poses" in headers and "depth_0" in headers:
        found = _read_view_by_view(path, headers, model)
    else:
        layout = _layout(path, headers, model)
        found = _read_stacked(path, headers, layout)
        found.model = model if model == "pi3x" and layout.model == "pi3" else layout.model
    found.notes[:0] = notes
    return found


def _layout(path: Path, headers: Headers, model: str | None) -> Layout:
    shown = ", ".join(f"{name} {shape}".replace(" ", "") for name, (shape, _) in headers.items()) or "no arrays"
    fitting = [layout for layout in LAYOUTS if layout.fits(headers)]
    chosen = [layout for layout in fitting if layout.model == {"pi3x": "pi3"}.get(model or "", model)]
    if model is not None and not chosen:
        asked = [layout for layout in LAYOUTS if layout.model == model]
        wanted = " or ".join(layout.needed() for layout in asked) or f"a run of {model}, which is no .npz"
        others = " or ".join(dict.fromkeys(layout.model for layout in fitting))
        hint = f"model={others} (--model)" if others else None
        raise InputError("arrays", shown, f"{wanted}, as {model} saves them", file=path, hint=hint)
    fitting = chosen or fitting
    if len(fitting) == 2 and {layout.model for layout in fitting} == {"vggt", "vggt_omega"}:
        height, width = headers[fitting[0].depth][0][1:3]
        patch = 14 if height % 14 == width % 14 == 0 else 16 if height % 16 == width % 16 == 0 else 0
        fitting = [layout for layout in fitting if patch == {"vggt": 14, "vggt_omega": 16}[layout.model]] or fitting
    if len(fitting) > 1:
        models = " or ".join(layout.model for layout in fitting)
        raise InputError(
            "arrays", f"could be of {models}", "a named model", file=path, hint=f"model={fitting[0].model} (--model)"
        )
    if not fitting:
        known = "; ".join(f"{layout.model}: {layout.needed()}" for layout in LAYOUTS)
        raise InputError("arrays", shown[:300], f"a pointmap run ({known}; dust3r: poses, depth_0, ...)", file=path)
    return fitting[0]


def _read_stacked(path: Path, headers: Headers, layout: Layout) -> StoredRun:
    def read(key: str, *tail: int) -> NDArray[Any] | None:
        """An array of the views' maps, whose last dimension of 1 is dropped."""
        if not key or key not in headers:
            return None
        shape = headers[key][0]
        if shape[: 1 + len(tail)] != (count, *tail) and shape != (count, 3, *tail):
            accepted = f"({', '.join(map(str, (count, *tail)))}, ...), as the other arrays"
            raise InputError(key, f"shape {shape}", accepted, file=path)
        array = numbers(path, key)
        return array[..., 0] if array.ndim == 4 and array.shape[-1] == 1 else array

    def read_plane(key: str) -> NDArray[Any] | None:
        """An array with one number a pixel."""
        array = read(key, *size)
        if array is not None and array.ndim != 3:
            raise InputError(key, f"shape {array.shape}", f"({count}, {height}, {width}), a number a pixel", file=path)
        return array

    points_key = next((key for key in layout.points if key in headers), "")
    count, height, width = headers[layout.depth or points_key][0][:3]
    size = height, width
    poses = read(layout.poses[0])
    assert poses is not None
    depth, points, Ks = read_plane(layout.depth), read(points_key, *size), read(layout.intrinsics)
    confidence, mask, images = read_plane(layout.confidence), read_plane(layout.mask), read(layout.images, *size)
    names = read_names(path, headers, count)
    views = []
    for index in range(count):
        view = StoredView(None if depth is None else np.array(depth[index]), four_rows(poses[index]), name=names[index])
        view.K = None if Ks is None else Ks[index]
        view.confidence = None if confidence is None else confidence[index]
        view.image = None if images is None else picture(images[index])
        view.points = None if points is None else points[index]
        if mask is not None and view.depth is not None:
            view.depth[~mask[index].astype(bool)] = 0
        views.append(view)
    return StoredRun(layout.model, views, layout.declared, layout.open, layout.metric)


def _read_view_by_view(path: Path, headers: Headers, model: str | None) -> StoredRun:
    """What the converter of DUSt3R and MASt3R writes: arrays whose names end in the view's number, of one size each."""
    stored = str(read_array(path, "model")) if "model" in headers else ""
    if stored not in ("", "dust3r", "mast3r"):
        raise InputError("model", stored, "dust3r or mast3r", file=path)
    if model is not None and (model not in ("dust3r", "mast3r") or (stored and stored != model)):
        raise InputError("arrays", "those of the converter of DUSt3R and MASt3R", f"a run of {model}", file=path)
    poses, Ks = numbers(path, "poses"), numbers(path, "intrinsics") if "intrinsics" in headers else None
    count = len(poses) if poses.ndim == 3 else 0
    indices = {int(key[6:]) for key in headers if key.startswith("depth_") and key[6:].isdecimal()}
    if poses.shape != (count, 4, 4) or indices != set(range(count)) or Ks is None or Ks.shape != (count, 3, 3):
        found = f"poses {poses.shape}, intrinsics {'none' if Ks is None else Ks.shape}, {len(indices)} depth maps"
        raise InputError("arrays", found, "poses (N,4,4), intrinsics (N,3,3), depth_0 to depth_N-1", file=path)
    names = read_names(path, headers, count)
    views = []
    for index in range(count):
        maps = {key: numbers(path, f"{key}_{index}") for key in PER_VIEW if f"{key}_{index}" in headers}
        size = maps["depth"].shape
        if maps["depth"].ndim != 2 or any(array.shape[:2] != size for array in maps.values()):
            shapes = ", ".join(f"{key}_{index} {array.shape}" for key, array in maps.items())
            raise InputError(f"view {index}", shapes, "maps of one size (H, W)", file=path)
        view = StoredView(maps["depth"], poses[index], Ks[index], maps.get("im_conf"), name=names[index])
        view.points = maps.get("pts3d")
        view.image = picture(maps["img"]) if "img" in maps else None
        views.append(view)
    return StoredRun(model or stored or "dust3r", views)


PER_VIEW = ("depth", "pts3d", "im_conf", "img")


def numbers(path: Path, key: str) -> NDArray[Any]:
    """An array of plain numbers."""
    array = read_array(path, key)
    if array.dtype.kind not in "fiub":
        raise InputError(key, str(array.dtype), "numbers", file=path)
    return array


def read_names(path: Path, headers: Headers, count: int) -> list[str]:
    """Names of the photos, where the file has them."""
    if "names" not in headers:
        return [""] * count
    names = [str(name) for name in read_array(path, "names").reshape(-1)]
    if len(names) != count:
        raise InputError("names", f"{len(names)} names", f"{count}, one a view", file=path)
    return names


def four_rows(pose: NDArray[Any]) -> NDArray[np.float64]:
    """A pose of three or four rows with four  # [4, 4]"""
    result = np.eye(4)
    result[: len(pose)] = pose
    return result


def picture(image: NDArray[Any]) -> NDArray[np.float32]:
    """A picture as networks keep it, (3,H,W) or (H,W,3), bytes or floats in [0, 1]  # [H, W, 3]"""
    if image.ndim == 3 and image.shape[0] == 3 and image.shape[-1] != 3:
        image = image.transpose(1, 2, 0)
    scaled = image / np.float32(255) if image.dtype == np.uint8 else np.clip(np.nan_to_num(image), 0, 1)
    result: NDArray[np.float32] = scaled.astype(np.float32)
    return result
