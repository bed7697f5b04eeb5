"""Pointmap results as the official codes save them: every stored layout, and the photos that belong to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import scene_depth as sd

STORED = Path(__file__).resolve().parents[3] / "shared/parity/pointmaps"
PHOTOS = Path(__file__).resolve().parents[3] / "shared/data/nle_tower/images"
RUNS = {
    "dust3r/scene_getters.npz": ("dust3r", (0, 2, 5)),
    "vggt/predictions.npz": ("vggt", (0, 2, 5)),
    "depth_anything_3/results.npz": ("depth_anything_3", (0, 3, 5)),
    "depth_anything_3/results_mini.npz": ("depth_anything_3", (0, 3, 5)),
    "depth_anything_3/colmap/results_of_the_same_call.npz": ("depth_anything_3", (0, 3, 5)),
}


@pytest.mark.parametrize("file", RUNS)
def test_a_stored_run_is_read_with_its_photos(file: str) -> None:
    model, numbers = RUNS[file]
    run = sd.read_pointmaps(STORED / file, [PHOTOS / f"{number:02d}.jpg" for number in numbers])
    assert run.model == model
    assert [view.name for view in run.views] == [f"{number:02d}.jpg" for number in numbers]
    for view in run.views:
        camera = view.photo_camera()
        assert (camera.width, camera.height) == view.photo_size
        assert abs(float(camera.K[0, 0, 2]) - camera.width / 2) < view.scale[0]
        assert view.depth.dtype == np.float32
