"""Shadow told from pattern, on surfaces whose light is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from test_exemplar_planes import HEIGHT as TALL
from test_exemplar_planes import WIDTH as WIDE
from test_exemplar_planes import block, camera, corner

from scene_depth.color.exemplar.inpainter import ExemplarInpainter, MembraneInpainter
from scene_depth.color.exemplar.shadows import picture_gain, shadow_gain

HEIGHT, WIDTH = 110, 150


def hole() -> NDArray[np.bool_]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(y - 55, x - 75) < 15


def shadow() -> NDArray[np.float64]:
    """Half the light at the hole, none lost 17 cells away from it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    away = np.hypot(y - 55, x - 75) - 15
    return 1 - 0.5 * np.clip(1 - away / 17, 0, 1)


def coloured(grey: NDArray) -> NDArray[np.float32]:
    return np.clip(grey[..., None] * [1.0, 0.8, 0.6], 0, 1).astype(np.float32)


def surface(name: str) -> NDArray[np.float32]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = gaussian_filter(np.random.default_rng(1).normal(size=(HEIGHT, WIDTH)), 1.0)
    grey = {
        "plain": 0.6 + 0.02 * noise,
        "grain": 0.55 + 0.25 * noise,
        "stripes": np.where(x % 14 < 7, 0.75, 0.25) + 0.02 * noise,
        "tiles": np.where((y // 9 + x // 9) % 2, 0.75, 0.3) + 0.02 * noise,
        "slanting light": 0.4 + 0.25 * x / WIDTH + 0.02 * noise,
    }[name]
    return coloured(grey)


SURFACES = ("plain", "grain", "stripes", "tiles", "slanting light")


@pytest.mark.parametrize("name", SURFACES)
def test_a_pattern_and_slanting_light_are_no_shadow(name: str) -> None:
    assert shadow_gain(surface(name), ~hole(), hole())[~hole()].mean() > 0.99


@pytest.mark.parametrize("name", SURFACES)
def test_a_shadow_is_measured_on_any_surface(name: str) -> None:
    dark, lit = surface(name) * shadow()[..., None].astype(np.float32), surface(name)
    gain = shadow_gain(dark, ~hole(), hole())
    deep = ~hole() & (shadow() < 0.8)
    assert np.abs(gain - shadow())[deep].mean() < 0.55 * np.abs(1 - shadow())[deep].mean()
    before, after = (np.abs(values - lit)[deep].mean() for values in (dark, dark / gain[..., None]))
    assert after < 0.6 * before
    assert (gain <= 1 + 1e-6).all()


def test_a_dark_mat_of_another_colour_is_no_shadow() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture = surface("grain")
    picture[np.hypot(y - 55, x - 75) < 28] = [0.1, 0.12, 0.3]
    assert shadow_gain(picture, ~hole(), hole())[~hole()].mean() > 0.98


def test_too_little_around_the_hole_tells_nothing() -> None:
    known = np.zeros((HEIGHT, WIDTH), dtype=bool)
    known[40:50, 50:60] = True
    assert (shadow_gain(surface("grain"), known & ~hole(), hole()) == 1).all()


def on_floor(points: NDArray) -> NDArray[np.float64]:
    """Half the light on the floor at (0.1, 2.1) across and ahead, all of it 0.9 units away."""
    away = np.hypot(points[..., 0] - 0.0, points[..., 2] - 2.0)
    return 1 - 0.5 * np.clip(1 - (away - 0.35) / 0.5, 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_the_fill_of_a_floor_does_not_continue_the_shadow(seed: int) -> None:
    depth, points, floor = corner()
    grain = gaussian_filter(np.random.default_rng(seed).normal(size=(TALL, WIDE)), 1.0)
    lit = coloured(np.where(floor, 0.55 + 0.15 * grain, 0.35))
    light = np.where(floor, on_floor(points), 1)
    dark = (lit * light[..., None]).astype(np.float32)
    masked = np.where(block()[..., None], 0, dark).astype(np.float32)
    gain = picture_gain(masked, block(), depth.astype(np.float32), camera())
    shadowed = floor & ~block() & (light < 0.85)
    assert shadowed.sum() > 200
    assert gain[shadowed].mean() < 0.9
    assert gain[~floor].min() > 0.95
    filled = ExemplarInpainter()(masked, block(), depth=depth.astype(np.float32), camera=camera())
    continued = MembraneInpainter()(masked, block())
    inside = block() & floor
    assert abs((filled - lit)[inside].mean()) < 0.25 * abs((continued - lit)[inside].mean())
