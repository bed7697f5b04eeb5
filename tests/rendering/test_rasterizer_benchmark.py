"""The rasteriser's benchmark: its rows, its clouds, and what it does without a peer or data."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks import rasterizer
from benchmarks.rasterizer_scenes import GARDEN, garden_cloud, pinhole, random_splats, splats_at_points
from scene_depth.rendering import render

COLUMNS = {"splats", "width", "height", "forward_ms", "forward_backward_ms", "peer_forward_backward_ms", "ratio"}


def run(monkeypatch, tmp_path, *arguments: str) -> list[dict]:
    """Rows that the command writes for a tiny grid, without the part that fits a scene."""
    file = tmp_path / "rows.json"
    monkeypatch.setattr(rasterizer, "QUICK_GRID", [(300, 40, 30), (50_000, 16, 12)])
    few = {"few": (random_splats(40), pinhole(20, 16, fx=20, fy=20))}
    monkeypatch.setattr(rasterizer, "accuracy_cases", lambda *_: few)
    monkeypatch.setattr(rasterizer, "step_lines", lambda quick: ["steps"])
    monkeypatch.setattr(sys, "argv", ["rasterizer", "--quick", "--json", str(file), *arguments])
    rasterizer.main()
    return json.loads(file.read_text())


def test_rows_have_both_times_and_their_ratio(monkeypatch, tmp_path, capsys) -> None:
    missing = rasterizer.reference_missing()
    if missing is not None:
        pytest.skip(missing)
    rows = run(monkeypatch, tmp_path)
    assert [(row["splats"], row["width"], row["height"]) for row in rows] == [(300, 40, 30), (50_000, 16, 12)]
    for row in rows:
        assert set(row) >= COLUMNS
        assert row["forward_ms"] > 0
        assert row["ratio"] == pytest.approx(row["peer_forward_backward_ms"] / row["forward_backward_ms"])
    printed = capsys.readouterr().out
    assert "| 50,000 | 16 x 12 |" in printed
    assert "0 of 320" in printed


def test_without_peer_and_data(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(rasterizer, "reference_missing", lambda: "gsplat is not there")
    monkeypatch.setenv("SCENE_DEPTH_SHARED", str(tmp_path))
    rows = run(monkeypatch, tmp_path)
    assert all(row["ratio"] is None and row["peer_forward_backward_ms"] is None for row in rows)
    assert all(row["forward_ms"] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert "No peer: gsplat is not there." in printed
    assert "made-up garden" in printed


def test_the_made_up_garden_is_like_the_real_one(shared) -> None:
    """About as many splats in view, as large, at the same depths, so that times mean the same."""
    figures = []
    for path in (shared(GARDEN), None):
        drawn = render(*splats_at_points(garden_cloud(path), 20_000, 320, 240), median_depth=True)
        seen = drawn.radii[drawn.radii > 0].double()
        assert drawn.median_depth is not None
        middle = drawn.median_depth[drawn.median_depth > 0].quantile(torch.tensor([0.1, 0.5, 0.9])).double()
        figures.append(torch.cat([torch.tensor([len(seen), seen.log().mean().exp()]).double(), middle]).numpy())
    assert np.allclose(figures[1], figures[0], rtol=0.5)


def test_more_splats_than_points() -> None:
    cloud = garden_cloud(None)
    cloud = type(cloud)(cloud.points[:500], cloud.colors[:500], cloud.cameras)
    splats, cameras = splats_at_points(cloud, 800, 64, 48)
    again, _ = splats_at_points(cloud, 800, 64, 48)
    assert len(splats) == len(splats.means.unique(dim=0)) == 800
    assert (cameras.width, cameras.height) == (64, 48)
    assert torch.equal(splats.means, again.means)
