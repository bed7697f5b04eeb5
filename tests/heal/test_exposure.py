"""Photos of another exposure than the splats do not darken the hole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from room_scene import room
from scene_depth_heal.exposure import match_exposure
from scene_depth_heal.fill import smooth_guess
from scene_depth_heal.hole import HealView, open_hole
from scene_depth_heal.inputs import load_views
from scene_depth_heal.selection import SelectionSource, select
from scene_depth_heal.workflow import HealConfig, HealResult, heal_views

from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.evaluation.scene_scores import evaluate_scene, find_holes, mean_scores
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats

TABLE = Path(__file__).parents[2] / "scenes/table"


def test_photos_at_four_fifths_of_the_brightness_lose_nothing() -> None:
    """Without the match the hole of this small heal loses 0.5 dB, that of four references and exemplars at full size 1.7."""
    splats, truth = read_splats(TABLE / "splats.spz"), read_scene(TABLE / "removed", split="test")
    views = load_views(read_scene(TABLE, split="train"), 112, SelectionSource())[::3]
    removed, holes = select(splats, views, SelectionSource()), find_holes(truth, TABLE / "masks")
    inpainters = load_depth_inpainter("harmonic"), load_image_inpainter(smooth_guess)
    config = HealConfig(steps=30, most_references=2, shadow=False)

    def healed(factor: float) -> tuple[HealResult, float]:
        photos = [replace(view, photo=factor * view.rgb) for view in views]
        result = heal_views(splats, removed, photos, *inpainters, config)
        return result, mean_scores(evaluate_scene(result.splats, truth, holes, max_size=112))["psnr_hole"]

    (plain, plain_psnr), (dark, dark_psnr) = healed(1.0), healed(0.8)
    assert not plain.report.notes
    assert dark_psnr > plain_psnr - 0.1
    assert dark.report.frozen_sha256_before == plain.report.frozen_sha256_before == dark.report.frozen_sha256_after
    assert dark.report.notes[0].startswith(
        f"photos of another exposure than the splats, matched to them: {len(views)} of {len(views)}"
    )


@pytest.mark.parametrize("gain", [(1.0, 1.0, 1.0), (1.25, 1.25, 1.25), (0.8, 1.0, 1.3)])
def test_a_gain_is_told_from_noise_and_from_what_moved(gain: tuple[float, float, float]) -> None:
    scene, rng = room(), np.random.default_rng(0)
    views = []
    for index, camera in enumerate(scene.cameras):
        rgb = scene.picture(index) / (gain if index == 2 else (1.0, 1.0, 1.0)) + rng.normal(scale=0.03, size=(72, 96, 3))
        rgb[:30, :40] = 0.9  # somebody in the picture
        views.append(HealView(f"{index}.png", camera, torch.from_numpy(rgb.clip(0, 1)).float()))
    matched, found = match_exposure(open_hole(scene.splats, scene.ball, views))
    assert [each.matched for each in found.values()] == [index == 2 and gain != (1.0, 1.0, 1.0) for index in range(6)]
    np.testing.assert_allclose(found["2.png"].gain, gain, rtol=0.01)
    for before, after in zip(views, matched.states, strict=True):
        assert found[before.name].matched or after.view is before
