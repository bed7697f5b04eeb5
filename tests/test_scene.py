"""Scenes as values: unique names, splits, lazy loading that is checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scene_samples import sample_scene

from scene_depth.cameras import concatenate_cameras
from scene_depth.errors import InputError
from scene_depth.scene import PointCloud, Scene


def test_views_load_when_asked(tmp_path: Path) -> None:
    calls = []
    view = sample_scene(tmp_path).views[0]
    lazy = replace(view, load_depth=lambda: calls.append(1) or np.zeros((18, 24), np.float32))
    assert not calls
    assert lazy.depth().shape == (18, 24)
    assert calls == [1]


def test_loaded_arrays_must_have_the_size_of_the_camera(tmp_path: Path) -> None:
    view = sample_scene(tmp_path).views[0]
    for what, load in [("image", "load_image"), ("mask", "load_mask"), ("depth", "load_depth")]:
        wrong = replace(view, **{load: lambda: np.zeros((18, 25), np.float32)})
        with pytest.raises(InputError, match=rf"view 'photo 0 é\.png': {what}: shape \(18, 25\)"):
            getattr(wrong, what)()
        with pytest.raises(InputError, match=f"{what}: none; expected a view with {what}"):
            getattr(replace(view, **{load: None}), what)()


def test_a_view_has_one_camera(tmp_path: Path) -> None:
    view = sample_scene(tmp_path).views[0]
    with pytest.raises(InputError, match="camera: 2 cameras"):
        replace(view, camera=concatenate_cameras([view.camera, view.camera]))


def test_names_are_unique_and_there_are_some(tmp_path: Path) -> None:
    scene = sample_scene(tmp_path)
    with pytest.raises(InputError, match=r"'photo 0 é\.png' more than once"):
        replace(scene, views=(scene.views[0], scene.views[0]))
    with pytest.raises(InputError, match="views: none"):
        Scene(())


def test_every_eighth_view_by_name_is_held_out(tmp_path: Path) -> None:
    view = sample_scene(tmp_path, points=0).views[0]
    names = [f"{index:02d}.png" for index in range(20)]
    shuffled = np.random.default_rng(0).permutation(names).tolist()
    train, test = Scene(tuple(replace(view, name=name) for name in shuffled)).split()
    assert [view.name for view in test.views] == ["00.png", "08.png", "16.png"]
    assert sorted(view.name for view in train.views) == sorted(set(names) - {"00.png", "08.png", "16.png"})
    for every in (0, 1):
        with pytest.raises(InputError, match=f"every: {every} with 2 views"):
            Scene((replace(view, name="a"), replace(view, name="b"))).split(every)


def test_points_need_colours() -> None:
    assert len(PointCloud(np.zeros((4, 3)), np.zeros((4, 3), np.uint8))) == 4
    with pytest.raises(InputError, match=r"points: xyz \(4, 3\), rgb \(3, 3\)"):
        PointCloud(np.zeros((4, 3)), np.zeros((3, 3), np.uint8))
