"""COLMAP's text model files: one record a line, two for an image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.colmap_model import ColmapImage, ColmapPoints, camera_parameters
from scene_depth.io.distortion import LensCamera, lens_camera
from scene_depth.io.input_files import path_in_file, read_lines
from scene_depth.io.point_ply import bytes_of_colors


def read_cameras_text(path: Path) -> dict[int, LensCamera]:
    """Cameras by number.

    Raises:
        InputError: If a line is not a camera, or its model is not supported.
    """
    cameras = {}
    for number, line in _records(path):
        words = line.split()
        if len(words) < 5:
            raise InputError(f"line {number}", _shown(line), "CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]", file=path)
        camera_id, width, height = _integers([words[0], *words[2:4]], path, number)
        parameters = _numbers(words[4:], path, number)
        cameras[camera_id] = lens_camera(words[1], parameters, width, height, file=path, field=f"line {number}")
    return cameras


def read_images_text(path: Path) -> tuple[ColmapImage, ...]:
    """Posed images; their key points, the second line of each, are only counted. The line may be missing.

    Raises:
        InputError: If a line is not what it should be.
    """
    images, lines, index = [], _lines(path), 0
    while index < len(lines):
        number, line = index + 1, lines[index]
        index += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split(maxsplit=9)
        if len(words) != 10:
            accepted = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of key points, which may be empty"
            raise InputError(f"line {number}", _shown(line), accepted, file=path)
        values = _numbers(words[1:8], path, number)
        image_id, camera_id = _integers([words[0], words[8]], path, number)
        keypoints = lines[index] if index < len(lines) else ""
        if not _is_image(keypoints):
            index += 1
            if len(keypoints.split()) % 3:
                accepted = "key points, X Y POINT3D_ID each, or an empty line"
                raise InputError(f"line {number + 1}", _shown(keypoints), accepted, file=path)
        name = path_in_file(words[9].strip(), file=path, field=f"line {number}: NAME")
        images.append(ColmapImage(image_id, name, np.array(values[:4]), np.array(values[4:]), camera_id))
    return tuple(images)


def _is_image(line: str) -> bool:
    """Whether a line is that of an image: its first nine words are numbers with a unit quaternion, the name is none."""
    words = line.split(maxsplit=9)
    if len(words) != 10 or all(map(_is_number, words[9].split())):
        return False
    return all(map(_is_number, words[:9])) and abs(math.hypot(*map(float, words[1:5])) - 1) < 0.01


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def read_points_text(path: Path) -> ColmapPoints:
    """3D points with their tracks.

    Raises:
        InputError: If a line is not a point.
    """
    ids: list[int] = []
    rows, tracks, ends = [], [], []
    for number, line in _records(path):
        words = line.split()
        if len(words) < 8 or len(words) % 2:
            raise InputError(
                f"line {number}", _shown(line), "POINT3D_ID X Y Z R G B ERROR, then pairs IMAGE_ID KEYPOINT", file=path
            )
        values = _numbers(words[1:8], path, number)
        if not all(0 <= value <= 255 for value in values[3:6]):
            raise InputError(f"line {number}: colour", values[3:6], "three integers from 0 to 255", file=path)
        ids += _integers(words[:1], path, number)
        rows.append(values)
        tracks += _integers(words[8:], path, number)
        ends.append(len(tracks) // 2)
    table = np.array(rows, np.float64).reshape(-1, 7)
    track = np.array(tracks, np.int64).reshape(-1, 2)
    return ColmapPoints(
        np.array(ids, np.int64),
        table[:, :3].copy(),
        bytes_of_colors(table[:, 3:6], path),
        table[:, 6].copy(),
        np.array(ends, np.int64),
        track[:, 0].copy(),
        track[:, 1].copy(),
    )


def write_cameras_text(path: Path, cameras: dict[int, LensCamera]) -> None:
    """Writes cameras.txt."""
    lines = ["# Camera list with one line of data per camera:", "#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"]
    for number, camera in cameras.items():
        lines.append(f"{number} {camera.model.name} {camera.width} {camera.height} {_text(camera_parameters(camera))}")
    _write(path, lines)


def write_images_text(path: Path, images: tuple[ColmapImage, ...]) -> None:
    """Writes images.txt.

    Raises:
        InputError: If a name has white space, which COLMAP cuts off when it reads text.
    """
    lines = [
        "# Image list with two lines of data per image:",
        "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME",
        "#   POINTS2D[] as (X, Y, POINT3D_ID)",
    ]
    for image in images:
        if image.name.split() != [image.name]:
            raise InputError("view name", repr(image.name), "names without spaces; or write the binary files", file=path)
        lines.append(f"{image.id} {_text(image.quat)} {_text(image.translation)} {image.camera_id} {image.name}")
        points = zip(image.keypoints.tolist(), image.keypoint_points.tolist(), strict=True)
        lines.append(" ".join(f"{x!r} {y!r} {point}" for (x, y), point in points))
    _write(path, lines)


def write_points_text(path: Path, points: ColmapPoints) -> None:
    """Writes points3D.txt."""
    lines = [
        "# 3D point list with one line of data per point:",
        "#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)",
    ]
    track = np.stack([points.track_images, points.track_keypoints], axis=-1)
    begin = 0
    for index, end in enumerate(points.track_ends.tolist()):
        words = [
            str(points.ids[index]),
            _text(points.xyz[index]),
            *map(str, points.rgb[index]),
            repr(float(points.errors[index])),
        ]
        lines.append(" ".join([*words, *map(str, track[begin:end].reshape(-1))]))
        begin = end
    _write(path, lines)


def _lines(path: Path) -> list[str]:
    return read_lines(path, "a COLMAP model file; binary ones end in .bin")


def _records(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _numbers(words: list[str], path: Path, line: int) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        raise InputError(f"line {line}", _shown(" ".join(words)), "numbers", file=path) from None


def _integers(words: list[str], path: Path, line: int) -> list[int]:
    try:
        values = [int(word) for word in words]
    except ValueError:
        values = [-1 << 63]
    if not all(-(1 << 63) < value < 1 << 63 for value in values):
        raise InputError(f"line {line}", _shown(" ".join(words)), "integers", file=path)
    return values


def _shown(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:57] + "...")


def _text(values: object) -> str:
    return " ".join(repr(float(value)) for value in np.asarray(values).reshape(-1))


def _write(path: Path, lines: list[str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
