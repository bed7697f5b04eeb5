"""Splats that are fitted as the views come: held from then on, the same bits after a stop, forgotten with their views."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_room import ROOM
from scene_depth_outpaint import OutpaintConfig, outpaint
from scene_depth_outpaint import workflow as outpaint_workflow

from scene_depth.evaluation.images import psnr
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress

PATH = [ROOM.camera(yaw) for yaw in (12.0, 24.0, 36.0)]
GROUPS = OutpaintConfig(fit_steps=6, fit_every=2, accept=False)


def paint(rgb, hole, *, camera=None):
    return np.where(hole[..., None], ROOM.seen(camera)[0], rgb)


def grown(config: OutpaintConfig = GROUPS, **options):
    return outpaint(ROOM.view(), PATH, color=paint, config=config, **options)


def same(first: GaussianSplats, other: GaussianSplats) -> bool:
    return first.sha256() == other.sha256()


@pytest.fixture(scope="module")
def whole():
    return grown()


def test_what_was_fitted_is_held(whole, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int, GaussianSplats | None]] = []
    plain = outpaint_workflow.outpaint_views

    def watched(views, trajectory, **options):
        return plain(views, trajectory, **options, on_views=lambda views, done, splats: seen.append((len(views), done, splats)))

    monkeypatch.setattr(outpaint_workflow, "outpaint_views", watched)
    result = grown()
    assert [(views, done) for views, done, _ in seen] == [(1, 0), (2, 0), (3, 3), (4, 3)]
    first = seen[2][2]
    assert first is not None
    assert len(first) < len(result.splats)
    assert same(result.splats.select(slice(0, len(first))), first)
    assert same(result.splats, whole.splats)


def test_they_show_all_views(whole) -> None:
    assert len(whole.splats) == len(grown(replace(GROUPS, fit_every=0)).splats)
    for view in whole.views:
        assert psnr(render(whole.splats, view.camera).rgb[0].numpy(), view.image / np.float32(255)) > 30


@pytest.mark.parametrize("stops_after", [1, 2, 3])
def test_a_run_that_goes_on_has_the_same_bits(whole, tmp_path: Path, stops_after: int) -> None:
    def stop(now: Progress) -> bool:
        return now.stage != "outpaint" or now.done < stops_after

    begun = grown(output=tmp_path, on_progress=stop)
    assert not begun.report.finished
    assert (begun.splats is not None) == (stops_after >= 2)  # what is fitted so far
    fits: list[Progress] = []
    ended = grown(output=tmp_path, on_progress=lambda now: fits.append(now) if now.stage == "splats" else None)
    assert ended.report.finished
    assert same(ended.splats, whole.splats)
    again = len({now.total for now in fits})
    assert again == (1 if stops_after >= 2 else 2)  # the first group is read


def test_a_fit_that_is_stopped_is_not_kept(tmp_path: Path, whole) -> None:
    begun = grown(output=tmp_path, on_progress=lambda now: now.stage != "splats" or now.done < 3)
    assert not begun.report.finished
    assert not list(tmp_path.glob("steps/*/splats*"))
    assert same(grown(output=tmp_path).splats, whole.splats)


def test_splats_of_other_settings_are_made_anew(tmp_path: Path) -> None:
    grown(output=tmp_path)
    kept = tmp_path / "steps/002/splats.json"
    assert json.loads(kept.read_text())["fit_steps"] == GROUPS.fit_steps
    longer = grown(replace(GROUPS, fit_steps=9), output=tmp_path)
    assert json.loads(kept.read_text())["fit_steps"] == 9
    assert same(longer.splats, grown(replace(GROUPS, fit_steps=9)).splats)


def test_views_that_are_taken_back_take_their_splats_with_them(tmp_path: Path, whole) -> None:
    answers = iter(["accept", "accept", "undo", "accept", "accept"])
    result = grown(output=tmp_path, review=lambda proposal: next(answers))
    assert result.report.finished
    assert result.views[2].report.attempt == 1
    assert len(result.splats) == len(whole.splats)
    np.testing.assert_array_equal(result.views[2].image, whole.views[2].image)
    assert same(result.splats, whole.splats)  # the same picture, so the same splats


def test_the_start_of_frozen_splats_gets_none(whole) -> None:
    frozen = whole.splats
    result = outpaint(ROOM.view(), [ROOM.camera(-12.0), ROOM.camera(-24.0)], color=paint, config=GROUPS, frozen=frozen)
    assert same(result.splats.select(slice(0, len(frozen))), frozen)
    assert 0 < result.report.splats < 64 * 64 * 2
