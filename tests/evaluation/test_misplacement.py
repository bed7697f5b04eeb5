"""Splats at another scale, turned, seen with other axes or of another scene are told, and good ones are not stopped."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scene_depth.errors import InputError
from scene_depth.evaluation.placement import Photo, check_likeness, photos_of
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats
from scene_depth.splats import GaussianSplats

TABLE = Path(__file__).parents[2] / "scenes/table"
FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))


@pytest.fixture(scope="module")
def splats() -> GaussianSplats:
    return read_splats(TABLE / "splats.spz")


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    return photos_of(read_scene(TABLE))


def moved(splats: GaussianSplats, *, turn: tuple[float, float, float] = (0, 0, 0), by: tuple[float, float, float] = (0, 0, 0)):
    return transform_splats(splats, similarity_matrix(euler_rotation(*turn), by, 1.0))


def test_splats_of_the_scene_pass_whatever_the_exposure(splats: GaussianSplats, photos: list[Photo]) -> None:
    likeness = check_likeness(splats, photos)
    assert likeness is not None
    assert likeness > 0.8
    dark = check_likeness(splats, [replace(photo, rgb=0.4 * photo.rgb) for photo in photos])
    assert dark == pytest.approx(likeness, abs=0.02)


def test_a_cut_out_passes_and_photos_without_texture_say_nothing(splats: GaussianSplats, photos: list[Photo]) -> None:
    likeness = check_likeness(splats.select(splats.means.norm(dim=1) < 1.5), photos)
    assert likeness is not None
    assert likeness > 0.75
    assert check_likeness(splats, [replace(photo, rgb=torch.full_like(photo.rgb, 0.5)) for photo in photos]) is None


@pytest.mark.parametrize("scale", [0.5, 3.7])
def test_another_scale_is_named(splats: GaussianSplats, photos: list[Photo], scale: float) -> None:
    other = transform_splats(splats, similarity_matrix(euler_rotation(0, 0, 0), (0, 0, 0), scale))
    with pytest.raises(InputError, match=r"times as large as they should be; .* --scale [0-9.]+; --no-check-placement") as error:
        check_likeness(other, photos)
    words = str(error.value)
    assert float(words.split("they are ")[1].split()[0]) == pytest.approx(scale, rel=0.02)
    assert float(words.split("--scale ")[1].split(";")[0]) == pytest.approx(1 / scale, rel=0.02)


def test_a_turn_is_named_with_the_command_that_undoes_it(splats: GaussianSplats, photos: list[Photo]) -> None:
    other = moved(splats, turn=(90, 0, 0))
    with pytest.raises(InputError, match="they fit when turned by -90 degrees about x") as error:
        check_likeness(other, photos)
    angles = str(error.value).split("--rotate ")[1].split(";")[0].split()
    back = moved(other, turn=(float(angles[0]), float(angles[1]), float(angles[2])))
    np.testing.assert_allclose(back.means.numpy(), splats.means.numpy(), atol=1e-5)


def test_axes_of_opengl_are_named(splats: GaussianSplats, photos: list[Photo]) -> None:
    flipped = [replace(p, camera=replace(p.camera, camera_to_world=p.camera.camera_to_world.double() @ FLIP)) for p in photos]
    with pytest.raises(InputError, match="have the axes of OpenGL"):
        check_likeness(splats, flipped)


def test_another_frame_stops_unless_one_goes_on(splats: GaussianSplats, photos: list[Photo], caplog) -> None:
    other = moved(splats, turn=(35, 0, 20), by=(1.0, 0.3, 0.2))
    with pytest.raises(InputError, match="they may be of another scene, or moved"):
        check_likeness(other, photos)
    with caplog.at_level(logging.WARNING):
        likeness = check_likeness(other, photos, stop=False)
    assert likeness is not None
    assert likeness < 0.4
    assert "do not look like the photos" in caplog.text
