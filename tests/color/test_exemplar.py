"""The embedded image inpainter on pictures whose hidden part is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.inpainter import ExemplarInpainter
from scene_depth.color.protocol import inpaint_image
from scene_depth.errors import InputError

HEIGHT, WIDTH = 96, 128


def disk(row: int, column: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


def stripes() -> np.ndarray:
    wave = 0.5 + 0.3 * np.sin(np.arange(WIDTH) * 2 * np.pi / 16)
    return np.repeat(np.repeat(wave[None, :, None], HEIGHT, 0), 3, 2).astype(np.float32)


def two_walls() -> tuple[np.ndarray, np.ndarray, Cameras]:
    """A red wall on the left at depth 4 and a blue one on the right at depth 2."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    depth = np.full((HEIGHT, WIDTH), 4.0)
    rgb[:, : WIDTH // 2, 0] = 0.8
    rgb[:, WIDTH // 2 :, 2] = 0.8
    depth[:, WIDTH // 2 :] = 2.0
    K = torch.tensor([[100.0, 0, 60], [0, 100.0, 50], [0, 0, 1]], dtype=torch.float64)
    return rgb, depth, Cameras(torch.eye(4, dtype=torch.float64)[None], K[None], WIDTH, HEIGHT)


def test_a_periodic_pattern_is_continued() -> None:
    rgb, hole = stripes(), disk(48, 64, 20)
    filled = inpaint_image(ExemplarInpainter(), np.where(hole[..., None], np.float32(0), rgb), hole)
    flat = np.where(hole[..., None], rgb[~hole].mean(), rgb)
    assert psnr(filled[hole], rgb[hole]) > psnr(flat[hole], rgb[hole]) + 10


def test_geometry_keeps_the_edge_between_two_walls_sharp() -> None:
    rgb, depth, camera = two_walls()
    hole = disk(48, 64, 20)
    guided = inpaint_image(ExemplarInpainter(), np.where(hole[..., None], np.float32(0), rgb), hole, depth=depth, camera=camera)
    assert np.abs(guided - rgb).max() < 0.02


def test_sources_can_be_restricted() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32)
    rgb[:, 100:] = 0.9
    hole, source = disk(48, 50, 15), np.zeros((HEIGHT, WIDTH), bool)
    source[:, :90] = True
    filled = inpaint_image(ExemplarInpainter(), rgb, hole, source=source)
    np.testing.assert_allclose(filled[hole], 0.2, atol=0.02)


def test_the_same_seed_gives_the_same_picture() -> None:
    rgb, hole = np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32), disk(40, 60, 12)
    first, again, other = (inpaint_image(ExemplarInpainter(), rgb, hole, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=8)
@given(st.integers(0, 1000), st.integers(1, 40))
def test_known_pixels_come_back_bit_for_bit(seed: int, radius: int) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.random((HEIGHT, WIDTH, 3)).astype(np.float32)
    hole = disk(int(rng.integers(HEIGHT)), int(rng.integers(WIDTH)), radius)
    filled = inpaint_image(ExemplarInpainter(iterations=2), rgb, hole, seed=seed)
    assert filled[~hole].tobytes() == rgb[~hole].tobytes()
    assert np.isfinite(filled).all()
    assert filled.min() >= 0
    assert filled.max() <= 1


def test_a_plain_function_is_an_inpainter() -> None:
    rgb, hole = stripes(), disk(48, 64, 20)
    filled = inpaint_image(lambda picture, mask: np.full_like(picture, 0.25), rgb, hole)
    assert (filled[hole] == 0.25).all()
    assert np.array_equal(filled[~hole], rgb[~hole])


def test_bad_input_is_named() -> None:
    rgb, hole = stripes(), disk(48, 64, 20)
    with pytest.raises(InputError, match="hole: the whole picture"):
        inpaint_image(ExemplarInpainter(), rgb, np.ones_like(hole))
    with pytest.raises(InputError, match=r"hole: bool \(3, 3\)"):
        inpaint_image(ExemplarInpainter(), rgb, np.zeros((3, 3), bool))
    with pytest.raises(InputError, match="rgb: values outside"):
        inpaint_image(ExemplarInpainter(), rgb * 255, hole)
    with pytest.raises(InputError, match="image inpainter: result of shape"):
        inpaint_image(lambda picture, mask: picture[:5], rgb, hole)
