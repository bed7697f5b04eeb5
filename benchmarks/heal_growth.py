"""How the work of a heal grows with the photos, at one hole: with those that show it, and with those that do not.

A wall 60 units long in a corridor, a ball before its middle, and tiny photos along it. Photos that show the ball stand before it
on an arc; all others slide along the rest of the wall, half of them so close that the wall behind the ball is in no picture.
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from scene_depth_heal.hole import HealView
from scene_depth_heal.workflow import HealConfig, heal_views

from benchmarks.results import table
from scene_depth.cameras import Cameras, look_at
from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.rendering import render
from scene_depth.spherical_harmonics import C0
from scene_depth.splats import GaussianSplats, concatenate_splats

WIDTH, HEIGHT = 64, 48
SEEING = 12  # photos that show the ball where the others grow
DISTANCE, BALL, LENGTH = 4.0, 0.45, 30.0
STEPS = 30  # of the fit of new splats
AIMS = {"show it": 1.1, "do not": 0.3}


def growth_lines(photos: tuple[int, ...]) -> list[str]:
    """Tables of processor seconds by the number of photos, with the exponent from the first to the last."""
    scene, removed = corridor()
    heal_once(scene, removed, views_of(scene, 2, 0), dry_run=False)  # compiles
    lines = []
    for dry_run in (True, False):
        rows = []
        for kind, aim in AIMS.items():
            seconds = []
            for count in photos:
                views = views_of(scene, count, 0) if kind == "show it" else views_of(scene, SEEING, count)
                started = time.process_time()
                heal_once(scene, removed, views, dry_run)
                seconds.append(time.process_time() - started)
                print(f"{'dry run' if dry_run else 'heal'}, {count} photos that {kind}: {seconds[-1]:.2f} s", flush=True)
            exponent = math.log(seconds[-1] / seconds[0]) / math.log(photos[-1] / photos[0])
            others = "" if kind == "show it" else f", beside {SEEING} that do"
            rows.append((f"photos that {kind}{others}", *(f"{each:.2f}" for each in seconds), f"{exponent:.2f}", f"{aim}"))
        name = "dry run" if dry_run else f"heal, {STEPS} steps"
        lines += table((name, *(f"{count}, CPU s" for count in photos), "exponent", "aim"), rows)
    return lines


def corridor(columns: int = 1500, rows: int = 40) -> tuple[GaussianSplats, torch.Tensor]:
    """The scene, with so many splats along the wall and up, and which of its splats are the ball."""
    rng = np.random.default_rng(0)
    x, y = torch.meshgrid(torch.linspace(-LENGTH, LENGTH, columns), torch.linspace(-2.0, 2.0, rows), indexing="ij")
    wall = torch.stack([x.flatten(), y.flatten(), torch.full((x.numel(),), DISTANCE)], dim=1)
    directions = rng.normal(size=(1500, 3))
    ball = torch.from_numpy(directions / np.linalg.norm(directions, axis=1, keepdims=True) * BALL).float()
    ball[:, 2] += 0.6 * DISTANCE
    colors = 0.5 + 0.2 * torch.sin(3 * wall) * torch.sin(5 * wall[:, [1, 0, 1]])
    behind = wall[:, :2].norm(dim=1) < 0.5  # what no photo sees, a fit does not have
    kept = _splats(wall[~behind], colors[~behind], (60 / columns, 3.6 / rows, 0.004))
    scene = concatenate_splats([kept, _splats(ball, torch.tensor([0.8, 0.1, 0.1]), (0.03, 0.03, 0.03))])
    return scene, torch.arange(len(scene)) >= len(kept)


def views_of(scene: GaussianSplats, seeing: int, others: int) -> list[HealView]:
    """Photos that show the ball, and others along the wall, mixed."""
    return [HealView(name, camera, render(scene, camera).rgb[0].clamp(0, 1)) for name, camera in cameras_of(seeing, others)]


def cameras_of(seeing: int, others: int) -> list[tuple[str, Cameras]]:
    """Their names and cameras."""
    arc = [(x, 0.1 * x, 0.0, 0.0) for x in np.linspace(-0.7, 0.7, seeing)]
    along = np.linspace(4.0, LENGTH - 4.0, others) * np.resize([-1, 1], others)
    beside = [(x, 0.0, z, x) for x, z in zip(along, np.resize([0.0, 1.5], others), strict=True)]
    order, places = np.random.default_rng(1).permutation(seeing + others), [*arc, *beside]
    K = torch.tensor([[[60.0, 0, 31.0], [0, 60.0, 24.0], [0, 0, 1]]], dtype=torch.float64)
    cameras = []
    for place in order:
        x, y, z, target = places[place]
        position, middle, up = torch.tensor([[x, y, z], [target, 0.0, DISTANCE], [0.0, -1.0, 0.0]], dtype=torch.float64)
        cameras.append((f"{place}.png", Cameras(look_at(position, middle, up)[None], K, WIDTH, HEIGHT)))
    return cameras


def heal_once(scene: GaussianSplats, removed: torch.Tensor, views: list[HealView], dry_run: bool) -> None:
    """Heals with what is quick."""
    painters = load_depth_inpainter("harmonic"), load_image_inpainter("membrane")
    result = heal_views(scene, removed, views, *painters, HealConfig(steps=STEPS, shadow=False), dry_run=dry_run)
    if not (0 < result.report.unseen_share_of_hole < 1 and bool(result.new) != dry_run):
        raise SystemExit(f"{len(views)} views: {result} is not the heal that was to be measured")


def _splats(means: torch.Tensor, colors: torch.Tensor, scales: tuple[float, ...]) -> GaussianSplats:
    count = len(means)
    return GaussianSplats(
        means=means.float(),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.tensor(scales).log().repeat(count, 1),
        logit_opacities=torch.full((count,), 4.0),
        sh=((colors.expand(count, 3) - 0.5) / C0)[:, None],
    )
