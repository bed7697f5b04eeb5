"""Saved scenes come back bit for bit, by copies or by reference, and say what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scene_samples import assert_same_cameras, sample_scene

from scene_depth.errors import InputError
from scene_depth.io.images import ImageFile
from scene_depth.io.saved_scene import read_saved_scene, write_saved_scene


@pytest.mark.parametrize("reference", [None, "relative", "absolute"])
def test_everything_comes_back(reference: str | None, tmp_path: Path) -> None:
    scene = sample_scene(tmp_path / "photos é")
    write_saved_scene(tmp_path / "a" / "saved scene", scene, reference_images=reference)
    back = read_saved_scene(tmp_path / "a" / "saved scene")
    assert_same_cameras(scene, back)
    assert [view.name for view in back.views] == [view.name for view in scene.views]
    assert back.metric == scene.metric
    for view, other in zip(scene.views, back.views, strict=True):
        np.testing.assert_array_equal(view.image(), other.image())
        np.testing.assert_array_equal(view.mask(), other.mask())
        assert view.depth().tobytes() == other.depth().tobytes()
    for field in ("xyz", "rgb", "errors"):
        ours, theirs = getattr(scene.points, field), getattr(back.points, field)
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
    assert list(scene.points.observations) == list(back.points.observations)
    for name, seen in scene.points.observations.items():
        np.testing.assert_array_equal(seen, back.points.observations[name])


def test_saving_twice_gives_the_same_files(tmp_path: Path) -> None:
    write_saved_scene(tmp_path / "a", sample_scene(tmp_path))
    write_saved_scene(tmp_path / "b", read_saved_scene(tmp_path / "a"))
    for file in sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")):
        if file.suffix != ".npz":  # zip files carry the time
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_references_stay_where_they_are(tmp_path: Path) -> None:
    scene = sample_scene(tmp_path / "photos", masks=False)
    write_saved_scene(tmp_path / "out", scene, reference_images="relative")
    assert not (tmp_path / "out" / "images").exists()
    record = json.loads((tmp_path / "out" / "scene.json").read_text(encoding="utf-8"))["views"][0]
    assert record["image"] == f"../photos/{scene.views[0].name}"
    view = read_saved_scene(tmp_path / "out" / "scene.json").views[0]
    assert isinstance(view.load_image, ImageFile)
    with pytest.raises(InputError, match="reference_images: symlink; expected None, relative, absolute"):
        write_saved_scene(tmp_path / "other", scene, reference_images="symlink")


def test_a_scene_of_nothing_but_cameras(tmp_path: Path) -> None:
    from dataclasses import replace

    scene = sample_scene(tmp_path, masks=False, depth=False, points=0)
    bare = replace(scene, views=tuple(replace(view, load_image=None) for view in scene.views), metric=False)
    write_saved_scene(tmp_path / "out", bare)
    back = read_saved_scene(tmp_path / "out")
    assert_same_cameras(bare, back)
    assert back.points is None
    assert back.views[0].load_image is back.views[0].load_depth is back.views[0].load_mask is None
    assert not back.metric
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["scene.json"]


def damaged(tmp_path: Path, **changes: Any) -> Path:
    write_saved_scene(tmp_path / "out", sample_scene(tmp_path))
    file = tmp_path / "out" / "scene.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for key, value in changes.items():
        target = content["views"][1] if key in content["views"][1] else content
        target[key] = value
    file.write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, r"scene\.json: format is 'other'"),
        ({"version": 2}, "version is 2; expected 1; a newer scene needs a newer program"),
        ({"unit": "inch"}, "unit is 'inch'"),
        ({"views": 3}, "views: int"),
        ({"views": []}, "frames: none"),
        ({"points": "none.npz"}, r"none\.npz: path: No such file"),
        ({"name": ""}, r"views\[1\]: name is ''"),
        ({"name": "photo 0 é.png"}, "'photo 0 é.png' more than once"),
        ({"width": 24.5}, "width, height"),
        ({"width": 25}, r"photo 1 é\.png: image size is 24 x 18; expected 25 x 18"),
        ({"K": [[1, 2], [3, 4]]}, "view 'photo 1 é.png': K: shape"),
        ({"K": [[0, 0, 1], [0, 1, 1], [0, 0, 1]]}, "positive focal lengths"),
        ({"camera_to_world": np.zeros((4, 4)).tolist()}, "photo 1 é.png: camera_to_world is "),
        ({"image": "none.png"}, r"none\.png: path: No such file"),
        ({"image": 5}, "view 'photo 1 é.png': image is 5"),
        ({"depth": "none.npy"}, r"none\.npy: path: No such file"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_saved_scene(damaged(tmp_path, **changes))


def test_a_file_cut_short(tmp_path: Path) -> None:
    folder = damaged(tmp_path)
    for name in ("points.npz", "scene.json"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(InputError, match=name):
            read_saved_scene(folder)
