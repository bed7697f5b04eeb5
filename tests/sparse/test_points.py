"""Which points of all views stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pointmap_samples import sampled
from scene_depth_sparse import points, refine_pointmaps, refined_points

from scene_depth.cameras import Cameras
from scene_depth.pointmaps import PointmapRun, PointmapView


def slowly_thinned(xyz, doubt, alone, voxel):
    """The rule as it is said, point by point."""
    fine, large = {}, {}
    with_matched = {tuple(np.floor(p / (2 * voxel)).astype(int)) for p, single in zip(xyz, alone, strict=True) if not single}
    for i in sorted(range(len(xyz)), key=lambda i: (doubt[i], i)):
        if not alone[i]:
            fine.setdefault(tuple(np.floor(xyz[i] / voxel).astype(int)), i)
        elif (place := tuple(np.floor(xyz[i] / (2 * voxel)).astype(int))) not in with_matched:
            large.setdefault(place, i)
    return sorted([*fine.values(), *large.values()])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.integers(0, 10_000), st.floats(0.05, 3))
def test_the_surest_point_of_each_voxel_stays(count: int, seed: int, voxel: float) -> None:
    rng = np.random.default_rng(seed)
    xyz = rng.normal(size=(count, 3))
    doubt, alone = rng.integers(0, 5, count) / 10, rng.random(count) < 0.5
    number = np.repeat(np.arange(count)[:, None], 3, 1).astype(np.uint8)
    kept = points._Candidates(xyz, number, doubt, alone).thinned(voxel, np.zeros(3))
    assert kept.rgb[:, 0].tolist() == slowly_thinned(xyz, doubt, alone, voxel)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory):
    views = []
    for sample in sampled(tmp_path_factory.mktemp("photos"), "vggt", 4):
        height, width = sample.depth.shape
        camera = Cameras(torch.from_numpy(sample.pose)[None], torch.from_numpy(sample.K)[None], width, height)
        views.append(PointmapView(sample.name, camera, sample.depth.astype(np.float32), image=sample.image))
    return refine_pointmaps(PointmapRun(tuple(views), "simulated"))


def test_points_that_are_thinned_between_views_are_those_of_all_at_once(result, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = 800
    together = refined_points(result, budget=budget)
    monkeypatch.setattr(points, "AT_ONCE", 3000)
    between = refined_points(result, budget=budget)
    for cloud in (together, between):
        assert 0.5 * budget < len(cloud.xyz) <= budget
    distance = np.linalg.norm(together.xyz[:, None] - between.xyz[None], axis=-1)
    assert np.median(distance.min(1)) < 0.7 * np.median(np.sort(distance, 1)[:, 1])  # they cover the same
