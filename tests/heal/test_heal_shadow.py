"""The shadow of a removed object, on a floor whose light is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from floor_scene import FLOOR_Y, UP
from scene_depth_heal import HealConfig, HealResult, HealView, hole, shadow
from scene_depth_heal.workflow import heal_views

from scene_depth.cameras import Cameras, look_at
from scene_depth.color.exemplar.inpainter import ExemplarInpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.rendering import bounds, render, weights
from scene_depth.splats import SH_C0, GaussianSplats, concatenate_splats

WIDTH, HEIGHT = 176, 128
CENTER, RADIUS, REACH = (0.0, 2.6), 0.22, 0.35


@dataclass(frozen=True)
class Shaded:
    """A ball on a floor, which splats are the ball, the floor without its shadow, and the cameras."""

    splats: GaussianSplats
    ball: torch.Tensor
    lit: GaussianSplats
    cameras: list[Cameras]


def distance(points: torch.Tensor) -> torch.Tensor:
    """Level distance of points from the ball's middle  # [..., 3] -> [...]"""
    return torch.hypot(points[..., 0] - CENTER[0], points[..., 2] - CENTER[1])


def floor(shadowed: bool) -> GaussianSplats:
    """Flat splats 2 cm apart with a grain of 4 cm; with half the light beside the ball and nothing under it."""
    x, z = torch.meshgrid(torch.linspace(-1.3, 1.3, 131), torch.linspace(1.5, 4.1, 131), indexing="ij")
    grain = torch.from_numpy(np.kron(np.random.default_rng(5).normal(size=(66, 66)), np.ones((2, 2)))[:131, :131]).float()
    means = torch.stack([x.flatten(), torch.full((x.numel(),), FLOOR_Y), z.flatten()], dim=1)
    grey = 0.55 + 0.07 * grain.clamp(-2, 2).flatten()
    away = distance(means)
    if shadowed:
        grey = grey * (1 - 0.5 * (1 - (away - RADIUS) / REACH).clamp(0, 1))
    splats = GaussianSplats(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(len(means), 1),
        log_scales=torch.tensor([0.013, 0.002, 0.013]).log().repeat(len(means), 1),
        logit_opacities=torch.full((len(means),), 4.0),
        sh=((grey[:, None] * torch.tensor([1.0, 0.8, 0.6]) - 0.5) / SH_C0)[:, None],
    )
    return splats.select(away > 0.9 * RADIUS) if shadowed else splats


def ball() -> GaussianSplats:
    directions = np.random.default_rng(0).normal(size=(2500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = torch.from_numpy(directions * RADIUS + [CENTER[0], FLOOR_Y - RADIUS, CENTER[1]]).float()
    return GaussianSplats(
        means=points,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(len(points), 1),
        log_scales=torch.full((len(points), 3), float(np.log(0.012))),
        logit_opacities=torch.full((len(points),), 4.0),
        sh=torch.tensor([1.2, -1.4, -1.4]).repeat(len(points), 1, 1),
    )


@pytest.fixture(scope="module")
def shaded() -> Shaded:
    K = torch.tensor([[170.0, 0, 86.0], [0, 172.0, 66.0], [0, 0, 1]], dtype=torch.float64)
    cameras = []
    for x in np.linspace(-0.3, 0.3, 5):
        position, target = torch.tensor([x, -0.5, 0.6]).double(), torch.tensor([0.0, 1.0, 2.6]).double()
        cameras.append(Cameras(look_at(position, target, torch.from_numpy(UP))[None], K[None], WIDTH, HEIGHT))
    ground, thing = floor(shadowed=True), ball()
    is_ball = torch.arange(len(ground) + len(thing)) >= len(ground)
    return Shaded(concatenate_splats([ground, thing]), is_ball, floor(shadowed=False), cameras)


def photos(scene: Shaded) -> list[np.ndarray]:
    return [render(scene.splats, camera).rgb[0].clamp(0, 1).numpy() for camera in scene.cameras]


def healed(scene: Shaded, pictures: list[np.ndarray] | None = None, **options) -> HealResult:
    pictures = photos(scene) if pictures is None else pictures
    views = [HealView(f"{i}.png", camera, pictures[i]) for i, camera in enumerate(scene.cameras)]
    config = HealConfig(steps=40, most_references=2, **options)
    return heal_views(scene.splats, scene.ball, views, load_depth_inpainter("harmonic"), ExemplarInpainter(), config)


def darkness_beside(scene: Shaded, splats: GaussianSplats) -> float:
    """Mean of truth less render around where the ball stood, in the middle view."""
    camera = scene.cameras[2]
    truth, shown = (render(each, camera) for each in (scene.lit, splats))
    points = camera.unproject(truth.depth.double())[0]
    where = (distance(points) < RADIUS + 0.6 * REACH) & (truth.alpha[0] > 0.9)
    return float((truth.rgb[0] - shown.rgb[0])[where].mean())


def test_the_shadow_goes_with_the_object_and_the_rest_stays_bit_for_bit(shaded: Shaded) -> None:
    result = healed(shaded)
    report = result.report
    assert report.shadow_splats > 100
    assert 0 < report.shadow_share_of_picture < 0.5
    assert 0.4 < report.shadow_shade < 0.95
    assert report.frozen_sha256_before == report.frozen_sha256_after
    kept = result.splats.select(slice(0, report.kept_splats))
    assert report.kept_splats == len(shaded.splats) - report.removed_splats - report.stray_splats - report.shadow_splats
    old = {row.tobytes() for row in shaded.splats.means.numpy()}
    assert all(row.tobytes() in old for row in kept.means.numpy())
    beyond = [int((distance(each.means) > RADIUS + 1.5 * REACH).sum()) for each in (kept, shaded.splats)]
    assert beyond[0] > 0.95 * beyond[1]
    before = darkness_beside(shaded, shaded.splats.select(~shaded.ball))
    assert darkness_beside(shaded, result.splats) < 0.4 * before


@dataclass
class Counting:
    """A depth inpainter that counts how often it is asked."""

    calls: int = 0

    def __call__(self, rgb, depth, known, *, camera=None, seed=0):
        self.calls += 1
        return load_depth_inpainter("harmonic")(rgb, depth, known, camera=camera, seed=seed)


def test_depth_is_completed_once_a_reference_and_once_for_the_witness(shaded: Shaded, unshaded: Shaded) -> None:
    for scene, options, witnesses in ((shaded, {}, 1), (shaded, {"shadow": False}, 0), (unshaded, {}, 0)):
        counting, pictures = Counting(), photos(scene)
        views = [HealView(f"{i}.png", camera, pictures[i]) for i, camera in enumerate(scene.cameras)]
        config = HealConfig(steps=0, most_references=2, **options)
        report = heal_views(scene.splats, scene.ball, views, counting, ExemplarInpainter(), config).report
        assert (report.shadow_splats > 100) == bool(witnesses)
        assert counting.calls == len(report.references) + witnesses


def test_a_scene_is_rendered_no_more_often_than_the_method_needs(shaded, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, renderer = [], hole.render

    def counted(splats, camera, **options):
        left, top, right, bottom = options.get("region") or (0, 0, camera.width, camera.height)
        drawn.append((right - left) * (bottom - top) / (camera.width * camera.height))
        return renderer(splats, camera, **options)

    for module in (hole, weights, bounds):
        monkeypatch.setattr(module, "render", counted)
    pictures = photos(shaded)
    views = [HealView(f"{i}.png", camera, pictures[i]) for i, camera in enumerate(shaded.cameras)]

    def renders(**options) -> float:
        """Pictures drawn of each view besides those of the fit."""
        drawn.clear()
        inpainter, config = load_depth_inpainter("harmonic"), HealConfig(steps=0, most_references=1, **options)
        report = heal_views(shaded.splats, shaded.ball, views, inpainter, ExemplarInpainter(), config).report
        strays.append(report.stray_splats > 0)
        return sum(drawn) / len(views)

    strays: list[bool] = []
    # before with the object marked, what the photos show in and beside it, after; again with stray splats; covered
    assert renders(shadow=False) <= 5 + strays[-1]
    assert renders() <= 7 + strays[-1]  # with the shadow's splats gone: before, after


def test_without_the_option_only_the_object_goes(shaded: Shaded) -> None:
    result = healed(shaded, shadow=False)
    assert result.report.shadow_splats == 0
    assert result.report.kept_splats == len(shaded.splats) - result.report.removed_splats - result.report.stray_splats


@pytest.fixture(scope="module")
def unshaded(shaded: Shaded) -> Shaded:
    """The same scene without the shadow."""
    ground = shaded.lit.select(distance(shaded.lit.means) > 0.9 * RADIUS)
    splats = concatenate_splats([ground, ball()])
    return replace(shaded, splats=splats, ball=torch.arange(len(splats)) >= len(ground))


def test_where_no_shadow_is_nothing_else_is_taken(unshaded: Shaded) -> None:
    assert healed(unshaded).report.shadow_splats < 0.01 * len(unshaded.lit)


def test_what_one_view_alone_shows_is_no_shadow(shaded: Shaded, unshaded: Shaded, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, named = photos(unshaded), ("2.png", "0.png")
    pictures[2] = photos(shaded)[2]
    assert healed(unshaded, pictures, references=named).report.shadow_splats == 0
    monkeypatch.setattr(shadow, "find_witness", lambda *_: None)
    assert healed(unshaded, pictures, references=named).report.shadow_splats > 100  # that view's word, if nobody is asked
