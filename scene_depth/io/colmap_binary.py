"""COLMAP's binary model files: little-endian records behind a count."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.colmap_model import ColmapImage, ColmapPoints, camera_parameters
from scene_depth.io.distortion import LENS_MODELS, LensCamera, lens_camera
from scene_depth.io.input_files import check_input_file

MODEL_NAMES = {model.colmap_id: model.name for model in LENS_MODELS.values()}
UNREADABLE_MODELS = {17: "EQUIRECTANGULAR"}

COUNT = struct.Struct("<Q")
CAMERA = struct.Struct("<IiQQ")
IMAGE = struct.Struct("<I7dI")
KEYPOINT = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
POINT = np.dtype([("id", "<i8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8")])
TRACK = np.dtype([("image", "<u4"), ("keypoint", "<u4")])


class _Reader:
    """Takes records from the front of a file; its end is an error that says what was being read."""

    def __init__(self, path: Path) -> None:
        self.path = check_input_file(path, "a COLMAP model file")
        self.data = self.path.read_bytes()
        self.offset = 0

    def take(self, record: struct.Struct, what: str) -> tuple[Any, ...]:
        """Unpacks one record."""
        start = self.skip(record.size, what)
        return record.unpack_from(self.data, start)

    def skip(self, size: int, what: str) -> int:
        """Passes over bytes; gives where they start."""
        start = self.offset
        if size > len(self.data) - start:
            found = f"the end of the file, {len(self.data)} bytes"
            raise InputError(what, found, f"{size} bytes at byte {start}; the file is cut short or not COLMAP's", file=self.path)
        self.offset += size
        return start

    def name(self, what: str) -> str:
        """Takes a zero-terminated string."""
        end = self.data.find(b"\0", self.offset)
        start = self.skip((end if end >= 0 else len(self.data)) + 1 - self.offset, what)
        return os.fsdecode(self.data[start:end])

    def count(self, smallest: int, what: str) -> int:
        """Takes the number of records, each of at least ``smallest`` bytes."""
        (count,) = self.take(COUNT, f"number of {what}")
        if count * smallest > len(self.data) - self.offset:
            found = f"{count} in {len(self.data)} bytes"
            raise InputError(f"number of {what}", found, "as many as fit; the file is cut short or not COLMAP's", file=self.path)
        result: int = count
        return result


def read_cameras_binary(path: Path) -> dict[int, LensCamera]:
    """Cameras by number.

    Raises:
        InputError: If the file is cut short, or a camera model is not supported.
    """
    reader = _Reader(path)
    count = reader.count(CAMERA.size, "cameras")
    cameras = {}
    for index in range(count):
        field = f"camera {index + 1} of {count}"
        number, model_id, width, height = reader.take(CAMERA, field)
        if model_id not in MODEL_NAMES:
            found = f"{model_id} {UNREADABLE_MODELS.get(model_id, '')}".strip()
            raise InputError(f"{field}: camera model", found, ", ".join(LENS_MODELS), file=path)
        names = LENS_MODELS[MODEL_NAMES[model_id]].parameter_names
        parameters = reader.take(struct.Struct(f"<{len(names)}d"), field)
        cameras[number] = lens_camera(MODEL_NAMES[model_id], parameters, width, height, file=path, field=field)
    return cameras


def count_images_binary(path: Path) -> int:
    """Number of posed images, from the head of the file.

    Raises:
        InputError: If the file is cut short.
    """
    return _Reader(path).count(IMAGE.size + 1 + COUNT.size, "images")


def read_images_binary(path: Path) -> tuple[ColmapImage, ...]:
    """Posed images; their key points are passed over.

    Raises:
        InputError: If the file is cut short.
    """
    reader = _Reader(path)
    count = reader.count(IMAGE.size + 1 + COUNT.size, "images")
    images = []
    for index in range(count):
        field = f"image {index + 1} of {count}"
        number, *pose, camera_id = reader.take(IMAGE, field)
        name = reader.name(f"{field}: name")
        (keypoints,) = reader.take(COUNT, f"{field}: number of key points")
        reader.skip(keypoints * KEYPOINT.itemsize, f"{field}: key points")
        images.append(ColmapImage(number, name, np.array(pose[:4]), np.array(pose[4:]), camera_id))
    return tuple(images)


def read_points_binary(path: Path) -> ColmapPoints:
    """3D points with their tracks.

    Raises:
        InputError: If the file is cut short.
    """
    reader = _Reader(path)
    count = reader.count(POINT.itemsize + COUNT.size, "points")
    fixed, tracks, lengths = [], [], np.empty(count, np.int64)
    view = memoryview(reader.data)
    for index in range(count):
        field = f"point {index + 1} of {count}"
        start = reader.skip(POINT.itemsize, field)
        (length,) = reader.take(COUNT, field)
        track = reader.skip(length * TRACK.itemsize, f"{field}: track")
        fixed.append(view[start : start + POINT.itemsize])
        tracks.append(view[track : reader.offset])
        lengths[index] = length
    points = np.frombuffer(b"".join(fixed), POINT)
    track_elements = np.frombuffer(b"".join(tracks), TRACK)
    return ColmapPoints(
        points["id"].copy(),
        points["xyz"].copy(),
        points["rgb"].copy(),
        points["error"].copy(),
        np.cumsum(lengths),
        track_elements["image"].astype(np.int64),
        track_elements["keypoint"].astype(np.int64),
    )


def write_cameras_binary(path: Path, cameras: dict[int, LensCamera]) -> None:
    """Writes cameras.bin."""
    records = [COUNT.pack(len(cameras))]
    for number, camera in cameras.items():
        parameters = camera_parameters(camera)
        records.append(CAMERA.pack(number, camera.model.colmap_id, camera.width, camera.height))
        records.append(struct.pack(f"<{len(parameters)}d", *parameters))
    _write(path, records)


def write_images_binary(path: Path, images: tuple[ColmapImage, ...]) -> None:
    """Writes images.bin."""
    records = [COUNT.pack(len(images))]
    for image in images:
        records.append(IMAGE.pack(image.id, *image.quat, *image.translation, image.camera_id))
        records.append(os.fsencode(image.name) + b"\0" + COUNT.pack(len(image.keypoints)))
        records.append(_keypoints(image).tobytes())
    _write(path, records)


def write_points_binary(path: Path, points: ColmapPoints) -> None:
    """Writes points3D.bin."""
    fixed = np.empty(len(points), POINT)
    fixed["id"], fixed["xyz"], fixed["rgb"], fixed["error"] = points.ids, points.xyz, points.rgb, points.errors
    tracks = np.empty(len(points.track_images), TRACK)
    tracks["image"], tracks["keypoint"] = points.track_images, points.track_keypoints
    fixed_bytes, track_bytes = fixed.tobytes(), tracks.tobytes()
    records, begin = [COUNT.pack(len(points))], 0
    for index, end in enumerate(points.track_ends.tolist()):
        records.append(fixed_bytes[index * POINT.itemsize : (index + 1) * POINT.itemsize])
        records.append(COUNT.pack(end - begin))
        records.append(track_bytes[begin * TRACK.itemsize : end * TRACK.itemsize])
        begin = end
    _write(path, records)


def _keypoints(image: ColmapImage) -> NDArray[np.void]:
    keypoints = np.empty(len(image.keypoints), KEYPOINT)
    keypoints["xy"], keypoints["point"] = image.keypoints, image.keypoint_points
    return keypoints


def _write(path: Path, records: Iterable[bytes]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(records))
