"""A pattern stays where it predicts what lies beside the hole, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from scene_depth.cameras import Cameras
from scene_depth.color.exemplar import straight_view
from scene_depth.color.exemplar.inpainter import ExemplarInpainter, MembraneInpainter
from scene_depth.color.protocol import inpaint_image

HEIGHT, WIDTH = 120, 160
WHITE = np.float32([0.9, 0.9, 0.88])


def camera() -> Cameras:
    K = torch.tensor([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]], dtype=torch.float64)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K[None], WIDTH, HEIGHT)


def two_boards() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A white board and a brown striped one in one plane, a gap and a farther wall between: colours and z-depth."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    grain = np.random.default_rng(2).normal(scale=0.01, size=(HEIGHT, WIDTH, 1)).astype(np.float32)
    brown = np.where((y // 6 % 2)[..., None], np.float32([0.45, 0.28, 0.15]), np.float32([0.3, 0.18, 0.1]))
    rgb = np.where((x < 66)[..., None], WHITE, brown)
    gap = (x >= 66) & (x < 80)
    rgb = np.where(gap[..., None], np.float32([0.3, 0.4, 0.55]), rgb)
    return np.clip(rgb + grain, 0, 1).astype(np.float32), np.where(gap, 3.0, 2.0).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_the_white_board_stays_white_beside_a_brown_one_in_its_plane(seed: int) -> None:
    rgb, depth = two_boards()
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[30:90, 8:58] = True  # most of the white board: nearly all that the plane shows is brown
    shown = np.where(hole[..., None], np.float32(0), rgb)
    filled = ExemplarInpainter()(shown, hole, depth=depth, camera=camera(), seed=seed)
    assert np.abs(filled[hole] - WHITE).max() < 0.12
    assert np.abs(filled[hole].mean(0) - WHITE).max() < 0.02


def test_stripes_that_predict_what_lies_beside_the_hole_go_on() -> None:
    """The same test must not reject what is right: the stripes of the brown board, which no membrane continues."""
    rgb, depth = two_boards()
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[45:75, 100:135] = True
    shown = np.where(hole[..., None], np.float32(0), rgb)
    errors = [
        float(((inpainter(shown, hole, depth=depth, camera=camera()) - rgb)[hole] ** 2).mean())
        for inpainter in (ExemplarInpainter(), MembraneInpainter())
    ]
    assert errors[0] < 0.2 * errors[1]


@pytest.mark.parametrize("seed", range(3))
def test_waves_that_noise_hides_beside_the_hole_are_seen_as_deep_as_the_hole(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within four pixels of what is known a smooth continuation of slow waves errs less than their copy, whose noise adds."""
    _, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.repeat(0.5 + 0.2 * np.sin(2 * np.pi * x / 24)[..., None], 3, axis=-1)
    noise = np.random.default_rng(seed).normal(scale=0.06, size=waves.shape)
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[40:80, 60:110] = True
    shown = np.where(hole[..., None], np.float32(0), np.clip(waves + noise, 0, 1).astype(np.float32))
    errors = []
    for places in (2, 0):
        monkeypatch.setattr(straight_view, "ELSEWHERE", places)
        filled = ExemplarInpainter()(shown, hole, depth=np.full((HEIGHT, WIDTH), 2.0, np.float32), camera=camera())
        errors.append(float(((gaussian_filter(filled, (2, 2, 0)) - waves)[hole] ** 2).mean()))
    assert errors[0] < 0.1 * errors[1]


def test_the_hole_is_moved_to_where_its_plane_is_known() -> None:
    known, hole = np.ones((30, 60), dtype=bool), np.zeros((30, 60), dtype=bool)
    hole[10:20, 10:20], known[:, 35:] = True, False
    known &= ~hole
    first, *others = straight_view.places_elsewhere(known, hole)
    assert known[10 + first[0] : 20 + first[0], 10 + first[1] : 20 + first[1]].all()
    assert all(
        abs(a - b) >= 5 for other in others for a, b in [max(zip(other, first, strict=True), key=lambda ab: abs(ab[0] - ab[1]))]
    )
    assert straight_view.places_elsewhere(np.zeros_like(known), hole) == []


def test_what_repeats_nowhere_is_not_copied() -> None:
    """Blots say nothing of each other: a plane of them is known in full, and no copy of it is better than a smooth fill."""
    rng = np.random.default_rng(7)
    blots = gaussian_filter(rng.normal(size=(HEIGHT, WIDTH, 3)), (5, 5, 0))
    rgb = np.clip(0.5 + 0.15 * blots / blots.std(), 0, 1).astype(np.float32)
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[45:75, 60:100] = True
    shown, depth = np.where(hole[..., None], np.float32(0), rgb), np.full((HEIGHT, WIDTH), 2.0, np.float32)
    filled, never, always = (
        ExemplarInpainter(pattern_error=most)(shown, hole, depth=depth, camera=camera()) for most in (0.6, 0, np.inf)
    )
    assert (filled == never).all()
    assert ((filled - rgb)[hole] ** 2).mean() < ((always - rgb)[hole] ** 2).mean()


@pytest.mark.parametrize("soft_rim", [False, True])
def test_tiles_go_on_in_step_and_known_pixels_come_back(soft_rim: bool) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rgb = np.where(((y // 9 + x // 9) % 2)[..., None], np.float32([0.8, 0.7, 0.6]), np.float32([0.2, 0.3, 0.3]))
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[45:75, 60:100] = True
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    filled = ExemplarInpainter()(np.where(hole[..., None], 0, rgb), hole, depth=depth, camera=camera(), soft_rim=soft_rim)
    assert (filled[~hole] == rgb[~hole]).all()
    assert np.abs(filled - rgb)[hole].mean() < 0.06


def test_the_membrane_is_smooth_and_keeps_known_pixels() -> None:
    rgb, _ = two_boards()
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[40:70, 10:50] = True
    filled = MembraneInpainter()(np.where(hole[..., None], np.float32(0), rgb), hole)
    assert (filled[~hole] == rgb[~hole]).all()
    assert np.abs(filled[hole] - WHITE).max() < 0.02


def test_a_rim_that_was_retouched_judges_nothing() -> None:
    """What is left of a shadow around the hole is a step over the whole rim; the stripes beyond it are right all the same."""
    rgb, depth = two_boards()
    hole, y, x = np.zeros((HEIGHT, WIDTH), dtype=bool), *np.mgrid[:HEIGHT, :WIDTH]
    hole[45:75, 100:135] = True
    retouched = (y >= 41) & (y < 79) & (x >= 96) & (x < 135) & ~hole  # all of its rim but the right side
    shown = np.where(hole[..., None], np.float32(0), np.where(retouched[..., None], rgb + np.float32(0.2), rgb))
    view = {"depth": depth, "camera": camera()}
    errors = [
        float(((inpaint_image(ExemplarInpainter(), shown, hole, **view, retouched=mask) - rgb)[hole] ** 2).mean())
        for mask in (None, retouched)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_an_inpainter_gets_the_arguments_that_it_names() -> None:
    rgb, depth = two_boards()
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[40:70, 10:50] = True

    def by_depth(rgb: NDArray[np.float32], hole: NDArray[np.bool_], *, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.repeat(depth[..., None] / 4, 3, axis=-1)

    filled = inpaint_image(by_depth, rgb, hole, depth=depth, camera=camera(), seed=3)
    assert (filled[hole] == 0.5).all()


def test_what_is_left_of_an_object_at_the_rim_counts_less_where_that_is_said() -> None:
    hole = np.zeros((64, 64), bool)
    hole[20:44, 20:44] = True
    rgb = np.full((64, 64, 3), 0.4, np.float32)
    rgb[19:45, 19:45] = 0.8  # a fringe of one pixel
    filled = {soft: inpaint_image(MembraneInpainter(), rgb, hole, soft_rim=soft)[32, 32, 0] for soft in (False, True)}
    assert filled[False] > 0.55
    assert filled[True] < filled[False] - 0.05
