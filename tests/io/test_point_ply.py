"""Point clouds as .ply, against plyfile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.lib.recfunctions import repack_fields
from plyfile import PlyData, PlyElement

from scene_depth.errors import InputError
from scene_depth.io.point_ply import read_point_ply, write_point_ply
from scene_depth.scene import PointCloud


def rows(color: str | None = "u1", names: tuple[str, ...] = ("red", "green", "blue"), position: str = "f4") -> np.ndarray:
    generator = np.random.default_rng(0)
    fields = [(axis, position) for axis in "xyz"] + [("quality", "i2")] + [(name, color) for name in names if color]
    result = np.zeros(50, fields)
    for axis in "xyz":
        result[axis] = generator.normal(size=50)
    for name in names if color else ():
        top = {"u1": 255, "u2": 65535}.get(color, 1)
        result[name] = generator.uniform(0, 1, 50) if color.startswith("f") else generator.integers(0, top + 1, 50)
    return result


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    faces = np.empty(1, [("vertex_indices", "O")])
    faces[0] = ([0, 1, 2],)
    PlyData([PlyElement.describe(array, "vertex"), PlyElement.describe(faces, "face")], **options).write(path)
    return path


@pytest.mark.parametrize("options", [{"text": True}, {"byte_order": "<"}, {"byte_order": ">"}], ids=["ascii", "little", "big"])
@pytest.mark.parametrize("position", ["f4", "f8"])
def test_points_of_a_mesh_in_every_encoding(tmp_path: Path, options: dict, position: str) -> None:
    array = rows(position=position)
    points = read_point_ply(save(tmp_path / "ä.ply", array, **options))
    expected = np.stack([array[axis] for axis in "xyz"], axis=1)
    np.testing.assert_allclose(points.xyz, expected, rtol=1e-6 if "text" in options else 0)
    np.testing.assert_array_equal(points.rgb, np.stack([array[name] for name in ("red", "green", "blue")], axis=1))


@pytest.mark.parametrize(
    ("color", "names", "scale"),
    [
        ("u2", ("red", "green", "blue"), 256),
        ("f4", ("r", "g", "b"), 1 / 255),
        ("u1", ("diffuse_red", "diffuse_green", "diffuse_blue"), 1),
    ],
)
def test_colours_of_other_types_and_names(tmp_path: Path, color: str, names: tuple[str, ...], scale: float) -> None:
    array = rows(color, names)
    points = read_point_ply(save(tmp_path / "a.ply", array, byte_order="<"))
    assert np.abs(points.rgb - np.stack([array[name] for name in names], axis=1) / scale).max() <= 1


def test_points_without_colours_are_grey(tmp_path: Path) -> None:
    assert np.unique(read_point_ply(save(tmp_path / "a.ply", rows(None), byte_order="<")).rgb).tolist() == [128]


def test_ours_is_read_by_plyfile(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    points = PointCloud(generator.normal(size=(30, 3)), generator.integers(0, 256, (30, 3)).astype(np.uint8))
    write_point_ply(tmp_path / "a.ply", points)
    found = PlyData.read(tmp_path / "a.ply")["vertex"].data
    np.testing.assert_array_equal(np.stack([found[axis] for axis in "xyz"], axis=1), points.xyz.astype(np.float32))
    np.testing.assert_array_equal(read_point_ply(tmp_path / "a.ply").rgb, points.rgb)


@pytest.mark.parametrize("options", [{"text": True}, {"byte_order": "<"}], ids=["ascii", "binary"])
def test_a_cut_file(tmp_path: Path, options: dict) -> None:
    path = save(tmp_path / "a.ply", rows(), **options)
    content = path.read_bytes()
    body = content.index(b"end_header\n") + 11
    for size in [body, body + 30, body + (len(content) - body) // 2]:
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"a\.ply: (size|rows of vertex)"):
            read_point_ply(path)


def test_what_is_no_point_cloud(tmp_path: Path) -> None:
    array = rows()
    with pytest.raises(InputError, match="properties of vertex: no z"):
        read_point_ply(save(tmp_path / "a.ply", repack_fields(array[["x", "y", "quality"]]), byte_order="<"))
    with pytest.raises(InputError, match="0 points"):
        read_point_ply(save(tmp_path / "b.ply", array[:0], byte_order="<"))
    array["y"] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in all 50 points"):
        read_point_ply(save(tmp_path / "c.ply", array, byte_order="<"))
    bright = rows("f4")
    bright["red"] *= 600
    with pytest.raises(InputError, match="red, green, blue: float32 from"):
        read_point_ply(save(tmp_path / "d.ply", bright, byte_order="<"))
