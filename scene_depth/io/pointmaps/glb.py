"""The ``.glb`` of the demos of DUSt3R and MASt3R: one cloud of all points, and a small pyramid with a picture for each camera."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scene_depth.errors import InputError
from scene_depth.io.images import BROKEN
from scene_depth.io.input_files import check_input_file
from scene_depth.io.pointmaps.conventions import Conventions, StoredRun, StoredView

NUMBERS = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
ON_PIXEL = 0.05
"""Distance to a pixel's place up to which a point is that pixel's."""


def read_glb(path: Path) -> StoredRun:
    """Reads the scene that the demo exports.

    The optical centre and the corners of the image plane of each pyramid give pose and focal length; a point of the cloud
    belongs to the pixel of the view onto whose place it falls. Pixels that the demo left out of the cloud have no depth.

    Raises:
        InputError: If the file is no such scene.
    """
    content, data = _chunks(check_input_file(path, "a .glb file"))
    try:
        return _read(content, data, path)
    except InputError:
        raise
    except (*BROKEN, AttributeError) as error:
        raise InputError("scene", "not as the demo of DUSt3R exports it", _ACCEPTED, file=path) from error


_ACCEPTED = "one cloud of points and a pyramid with a picture for each camera"


def _chunks(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    if len(data) < 20 or data[:4] != b"glTF":
        raise InputError("file", "not a binary glTF", "a .glb file", file=path)
    length = struct.unpack_from("<I", data, 12)[0]
    try:
        content = json.loads(data[20 : 20 + length])
    except (ValueError, RecursionError) as error:
        raise InputError("file", "broken JSON", "a whole .glb file", file=path) from error
    if not isinstance(content, dict):
        raise InputError("file", "no JSON object", "a whole .glb file", file=path)
    return content, data[20 + length + 8 :]


def _read(content: dict[str, Any], data: bytes, path: Path) -> StoredRun:
    clouds, planes, cones = [], [], []
    for mesh in content["meshes"]:
        part = mesh["primitives"][0]
        positions = _array(content, data, part["attributes"]["POSITION"])
        if "material" in part and "TEXCOORD_0" in part["attributes"]:
            texture = content["materials"][part["material"]]["pbrMetallicRoughness"]["baseColorTexture"]["index"]
            coordinates = _array(content, data, part["attributes"]["TEXCOORD_0"])
            planes.append((positions, coordinates, _picture(content, data, content["textures"][texture]["source"], path)))
        elif part.get("mode", 4) == 4 and len(positions) < 100:
            cones.append(positions)
        else:
            clouds.append(positions)
    if len(clouds) != 1 or not planes or len(planes) != len(cones):
        found = f"{len(clouds)} clouds, {len(planes)} pictures and {len(cones)} pyramids"
        raise InputError("scene", found, _ACCEPTED, file=path)
    views = [_camera(*plane, cone) for plane, cone in zip(planes, cones, strict=True)]
    left = clouds[0]
    for view in views:
        left = _take_points(view, left)
    run = StoredRun("dust3r", views, Conventions())
    taken = 1 - len(left) / max(len(clouds[0]), 1)
    if taken < 0.9:
        raise InputError("points", f"{taken:.0%} fall onto pixels of a view", "90 % or more, as unfiltered points do", file=path)
    run.notes.append(f"cameras are those of the pyramids, {taken:.1%} of the points fall onto pixels; no confidence is stored")
    return run


def _array(content: dict[str, Any], data: bytes, index: int) -> NDArray[Any]:
    accessor = content["accessors"][index]
    view = content["bufferViews"][accessor["bufferView"]]
    count, width, kind = int(accessor["count"]), WIDTHS[accessor["type"]], np.dtype(NUMBERS[accessor["componentType"]])
    start = int(view.get("byteOffset", 0)) + int(accessor.get("byteOffset", 0))
    if count < 1 or start < 0 or start + count * width * kind.itemsize > len(data) or "byteStride" in view:
        raise ValueError("an array outside the file")
    return np.frombuffer(data, kind, count * width, start).reshape(count, width)


def _picture(content: dict[str, Any], data: bytes, index: int, path: Path) -> NDArray[np.float32]:
    view = content["bufferViews"][content["images"][index]["bufferView"]]
    start, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
    with Image.open(io.BytesIO(data[start : start + length])) as image:
        if image.width * image.height > 1 << 22:
            raise InputError("picture", f"{image.width} x {image.height}", "the small picture that the model saw", file=path)
        colors = np.asarray(image.convert("RGB"))
    result: NDArray[np.float32] = colors.astype(np.float32) / np.float32(255)
    return result


def _camera(corners: NDArray[Any], coordinates: NDArray[Any], picture: NDArray[np.float32], cone: NDArray[Any]) -> StoredView:
    """Pose and intrinsics from the corners of the image plane, whose texture says which is which, and the tip of the pyramid."""
    height, width = picture.shape[:2]
    pairs = zip(coordinates, corners.astype(np.float64), strict=True)
    at = {(round(float(u)), round(float(v))): corner for (u, v), corner in pairs}
    left_top, right_top, left_bottom, right_bottom = at[0, 0], at[1, 0], at[0, 1], at[1, 1]
    middle = (left_top + right_top + left_bottom + right_bottom) / 4
    right, down = right_top - left_top, left_bottom - left_top
    forward = np.cross(right, down)
    forward /= np.linalg.norm(forward)
    tips = (cone.astype(np.float64) - middle) @ forward
    center = cone[int(np.argmin(tips))].astype(np.float64)
    distance = float((middle - center) @ forward)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1] = right / np.linalg.norm(right), down / np.linalg.norm(down)
    pose[:3, 2], pose[:3, 3] = forward, center
    focal_x, focal_y = distance * width / np.linalg.norm(right), distance * height / np.linalg.norm(down)
    axis = center + distance * forward - left_top
    middle_x, middle_y = width * float(axis @ right) / float(right @ right), height * float(axis @ down) / float(down @ down)
    K = np.array([[focal_x, 0, middle_x], [0, focal_y, middle_y], [0, 0, 1]])
    if not np.isfinite(K).all() or not 0.1 < focal_x / focal_y < 10:
        raise ValueError("a pyramid without a camera")
    return StoredView(np.zeros((height, width), np.float32), pose, K, image=picture)


def _take_points(view: StoredView, points: NDArray[Any]) -> NDArray[Any]:
    """Gives a view the points that are its pixels', which stand row by row at the beginning of those that are left."""
    height, width = view.image.shape[:2] if view.image is not None else (0, 0)
    assert view.K is not None
    head = points[: height * width].astype(np.float64)
    camera = (head - view.pose[:3, 3]) @ view.pose[:3, :3]
    with np.errstate(divide="ignore", invalid="ignore"):
        x = view.K[0, 0] * camera[:, 0] / camera[:, 2] + view.K[0, 2]
        y = view.K[1, 1] * camera[:, 1] / camera[:, 2] + view.K[1, 2]
    off = np.maximum(np.abs(x - np.round(x)), np.abs(y - np.round(y)))
    inside = (camera[:, 2] > 0) & (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    place = [np.round(np.where(inside, values, 0)).astype(int) for values in (x, y)]
    number = place[1] * width + place[0]
    # the views' points follow one another, each row by row: the first that goes back or falls beside a pixel is the next view's
    good = inside & (off < ON_PIXEL) & (np.diff(number, prepend=-1) > 0)
    count = len(good) if good.all() else int(np.argmin(good))
    rows, columns = np.divmod(number[:count], width)
    stored = np.zeros((height, width, 3))
    stored[rows, columns] = head[:count]
    view.points = stored
    assert view.depth is not None
    view.depth[rows, columns] = camera[:count, 2]
    return points[count:]
