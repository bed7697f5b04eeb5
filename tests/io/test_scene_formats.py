"""What all scene formats have in common: detection, laziness, safe output."""

from __future__ import annotations

import gc
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_samples import assert_same_cameras, sample_scene, smooth_image

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.images import ImageFile, write_image
from scene_depth.io.scenes import FORMATS, detect_format, read_scene, write_scene
from scene_depth.scene import Scene, View


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    scene = sample_scene(tmp_path)
    write_scene(tmp_path / "out", scene, format=name)
    assert detect_format(tmp_path / "out").name == name
    back = read_scene(tmp_path / "out")
    assert_same_cameras(scene, back, tolerance=1e-14)
    for view, other in zip(scene.views, back.views, strict=True):
        np.testing.assert_array_equal(view.image(), other.image())
    assert back.source == tmp_path / "out"


@pytest.mark.parametrize("name", FORMATS)
def test_inputs_are_never_overwritten(name: str, tmp_path: Path) -> None:
    scene = sample_scene(tmp_path / "photos")
    before = {file: file.read_bytes() for file in (tmp_path / "photos").iterdir()}
    with pytest.raises(InputError, match="photos: output folder is a folder with files in it"):
        write_scene(tmp_path / "photos", scene, format=name)
    with pytest.raises(InputError, match="output folder is a file"):
        write_scene(next(iter(before)), scene, format=name)
    assert {file: file.read_bytes() for file in (tmp_path / "photos").iterdir()} == before
    (tmp_path / "empty").mkdir()
    write_scene(tmp_path / "empty", scene, format=name)  # an empty folder is taken
    assert len(read_scene(tmp_path / "empty")) == len(scene)
    assert not [file for file in (tmp_path / "empty").iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_that_cannot_be_made(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="output folder: "):
        write_scene(tmp_path / "file" / "below" / "out", sample_scene(tmp_path), format=name)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "view_name", ["../escaped.png", "/tmp/escaped.png", "a/../../escaped.png", "", "C:/escaped.png", "..\\escaped.png"]
)
def test_view_names_stay_below_the_folder(name: str, view_name: str, tmp_path: Path) -> None:
    scene = sample_scene(tmp_path / "photos", points=0)
    views = (replace(scene.views[0], name=view_name), *scene.views[1:])
    with pytest.raises(InputError, match="view name is "):
        write_scene(tmp_path / "out" / "scene", replace(scene, views=views), format=name)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_half_written(name: str, tmp_path: Path) -> None:
    scene = sample_scene(tmp_path / "photos")

    def fails() -> np.ndarray:
        raise RuntimeError("the disk is gone")

    views = (*scene.views[:2], replace(scene.views[2], load_image=fails))
    with pytest.raises(RuntimeError, match="the disk is gone"):
        write_scene(tmp_path / "out", replace(scene, views=views), format=name)
    assert [file.name for file in tmp_path.iterdir()] == ["photos"]


def test_names_that_become_one_file(tmp_path: Path) -> None:
    scene = sample_scene(tmp_path)
    first, second = scene.views[0], scene.views[1]
    views = (replace(first, name="a.PNG"), replace(second, name="A.png"))
    with pytest.raises(InputError, match="view names: two that become"):
        write_scene(tmp_path / "out", replace(scene, views=views, points=None), format="colmap")


def test_a_picture_that_is_not_a_file_is_written_as_png(tmp_path: Path) -> None:
    scene = sample_scene(tmp_path, points=0)
    image = scene.views[0].image()
    views = tuple(replace(view, name=f"{index}.jpg", load_image=lambda: image) for index, view in enumerate(scene.views))
    write_scene(tmp_path / "out", replace(scene, views=views), format="colmap")
    back = read_scene(tmp_path / "out")
    assert [view.name for view in back.views] == ["0.png", "1.png", "2.png"]
    np.testing.assert_array_equal(back.views[1].image(), image)


def test_a_source_that_vanished(tmp_path: Path) -> None:
    scene = sample_scene(tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos")
    with pytest.raises(InputError, match=r"photo 0 é\.png: image: No such file"):
        write_scene(tmp_path / "out", scene, format="scene")


def test_paths_of_no_scene(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scene: nothing at this path"):
        read_scene(tmp_path / "none")
    with pytest.raises(InputError, match=r"scene is a folder of another kind; expected a saved scene with scene\.json; "):
        read_scene(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match="scene is a file of another kind"):
        read_scene(tmp_path / "a.txt")
    with pytest.raises(InputError, match="scene format: usd; expected scene, transforms, colmap, rgbd"):
        write_scene(tmp_path / "out", sample_scene(tmp_path), format="usd")


def test_a_thousand_photos_do_not_fill_the_memory(tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", smooth_image(300, 400) / 255)
    names = [f"{index}.png" for index in range(1000)]
    for name in names[1:]:
        (tmp_path / name).hardlink_to(tmp_path / "0.png")
    K = torch.tensor([[[300.0, 0, 200], [0, 300, 150], [0, 0, 1]]], dtype=torch.float64)
    camera = Cameras(torch.eye(4, dtype=torch.float64)[None], K, 400, 300)
    scene = Scene(tuple(View(name, camera, ImageFile(tmp_path / name), None, None, tmp_path / name) for name in names))
    write_scene(tmp_path / "out", scene, format="scene", reference_images="relative")
    gc.collect()
    tracemalloc.start()
    read = read_scene(tmp_path / "out")
    for view in read.views[::10]:
        assert view.image().shape == (300, 400, 3)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(read) == 1000
    assert held < 20e6  # all photos together would be 1.4 GB
    assert peak < 40e6


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_give_one_kind_of_error(name: str, tmp_path: Path) -> None:
    """Bytes cut off, changed or put in anywhere: the scene still reads, or the error is ours."""
    scene = sample_scene(tmp_path / "photos")
    write_scene(tmp_path / "whole", scene, format=name)
    files = sorted(file for file in (tmp_path / "whole").rglob("*") if file.is_file())
    random = np.random.default_rng(11)
    faults = 0
    for _ in range(60):
        file = files[random.integers(len(files))]
        whole = file.read_bytes()
        data = bytearray(whole)
        place = int(random.integers(len(data)))
        kind = random.integers(3)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place] = int(random.integers(256))
        else:
            data[place:place] = random.bytes(4)
        file.write_bytes(bytes(data))
        try:
            for view in read_scene(tmp_path / "whole", format=name).views:
                for load in (view.load_image, view.load_mask, view.load_depth):
                    if load is not None:
                        load()
        except InputError:
            faults += 1
        file.write_bytes(whole)
    assert faults > 15
    assert_same_cameras(scene, read_scene(tmp_path / "whole"), tolerance=1e-14)
