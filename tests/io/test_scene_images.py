"""Photos and masks of every kind that files hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from PIL import Image

from scene_depth.errors import InputError
from scene_depth.io.images import ResizedImage, check_image_size, image_size, read_image, read_mask, write_image, write_mask


@settings(max_examples=20)
@given(pixels=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6).map(lambda shape: (*shape, 3))))
def test_png_keeps_eight_bits(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("é") / "a b.png"
    write_image(path, pixels / 255)
    np.testing.assert_array_equal(read_image(path), pixels.astype(np.float32) / np.float32(255))
    assert image_size(path) == pixels.shape[1::-1]


def save(folder: Path, pixels: np.ndarray, mode: str | None = None, name: str = "a.png", **options) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(folder / name, **options)
    return folder / name


def test_modes(tmp_path: Path) -> None:
    grey = np.array([[0, 128, 255]], np.uint8)
    np.testing.assert_allclose(read_image(save(tmp_path, grey))[0, :, 1], grey[0] / 255, rtol=1e-6)
    np.testing.assert_allclose(read_image(save(tmp_path, grey, "P"))[0, :, 2], grey[0] / 255, rtol=1e-6)
    np.testing.assert_allclose(read_image(save(tmp_path, grey[:, ::2].copy(), "1"))[0, :, 0], [0, 1])
    deep = np.array([[0, 1000, 65535]], np.uint16)
    np.testing.assert_allclose(read_image(save(tmp_path, deep))[0, :, 1], deep[0] / 65535, rtol=1e-6)
    cmyk = read_image(save(tmp_path, np.full((4, 4, 3), 200, np.uint8), "CMYK", "a.jpg"))
    np.testing.assert_allclose(cmyk, 200 / 255, atol=0.02)
    clear = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    np.testing.assert_allclose(read_image(save(tmp_path, clear)), [[[1, 0, 0], [1, 1, 1], [0.8, 0.8, 0.8]]], atol=1e-6)


def test_masks_are_true_where_white(tmp_path: Path) -> None:
    expected = np.array([[False, True], [True, False]])
    for pixels in (
        expected.astype(np.uint8) * 255,
        expected.astype(np.uint8),  # 0 and 1
        expected.astype(np.uint16) * 65535,
        np.where(expected, 140, 90).astype(np.uint8),  # as a jpg blurs it
        np.where(expected[..., None], [255, 255, 255], [0, 0, 0]).astype(np.uint8),
        np.where(expected[..., None], [255, 255, 255, 255], [0, 0, 0, 255]).astype(np.uint8),
    ):
        np.testing.assert_array_equal(read_mask(save(tmp_path, pixels)), expected)
    np.testing.assert_array_equal(read_mask(save(tmp_path, expected.astype(np.uint8) * 255, "1")), expected)
    write_mask(tmp_path / "b.png", expected)
    np.testing.assert_array_equal(read_mask(tmp_path / "b.png"), expected)
    assert not read_mask(save(tmp_path, np.zeros((3, 3), np.uint8))).any()


def test_an_exif_rotation_is_named_and_not_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path, np.zeros((30, 40, 3), np.uint8), None, "a.jpg", exif=exif)
    assert read_image(path).shape == (30, 40, 3)
    check_image_size(path, 40, 30, what="camera 1")
    with pytest.raises(
        InputError,
        match=r"image size: 40 x 30 \(stored; its EXIF rotation would show 30 x 40\); expected 30 x 40, which camera 1",
    ):
        check_image_size(path, 30, 40, what="camera 1")


def test_broken_files(tmp_path: Path) -> None:
    whole = save(tmp_path, np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8), None, "é.jpg")
    (tmp_path / "short.jpg").write_bytes(whole.read_bytes()[:1500])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert image_size(tmp_path / "short.jpg") == (50, 40)  # the header is whole
    for name, message in [
        ("short.jpg", "truncated"),
        ("text.jpg", "not an image"),
        ("empty.jpg", "0 bytes"),
        ("none.jpg", "No such file"),
        (".", "a folder"),
    ]:
        with pytest.raises(InputError, match=message):
            read_image(tmp_path / name)
        if name != "short.jpg":
            with pytest.raises(InputError, match=message):
                image_size(tmp_path / name)


def test_wrong_output(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"image: shape \(3, 4\)"):
        write_image(tmp_path / "a.png", np.zeros((3, 4)))
    with pytest.raises(InputError, match=r"image file name: a\.doc"):
        write_image(tmp_path / "a.doc", np.zeros((3, 4, 3)))
    with pytest.raises(InputError, match=r"mask: shape \(3, 4\), float64"):
        write_mask(tmp_path / "a.png", np.zeros((3, 4)))
    assert not list(tmp_path.iterdir())


def test_smaller_photos_are_averages(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 12, 3)).astype(np.uint8)
    path = save(tmp_path, pixels)
    mean = pixels.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(ResizedImage(path, 6, 4)(), mean, atol=1.01 / 255)
