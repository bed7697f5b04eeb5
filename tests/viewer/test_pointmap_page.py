"""Points of a refined run for the page: where they stand, how many, in which colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pointmap_samples import sampled, write_vggt
from scene_depth_sparse import FLAG_NAMES, cli, refine_pointmaps
from scene_depth_sparse.flags import COLORS, MISSING
from scene_depth_sparse.known import processed_pictures
from scipy import ndimage

from scene_depth.cameras import Cameras
from scene_depth.cli.app import main
from scene_depth.errors import InputError
from scene_depth.pointmaps import PointmapRun, PointmapView
from scene_depth.rendering import render
from scene_depth.spherical_harmonics import C0

page = pytest.importorskip("scene_depth_viewer.pointmap_page", reason="viser is not installed")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory):
    samples = sampled(tmp_path_factory.mktemp("photos"), "vggt", 3)
    views = []
    for sample in samples:
        K, pose = torch.from_numpy(sample.K)[None], torch.from_numpy(sample.pose)[None]
        height, width = sample.depth.shape
        camera = Cameras(pose, K, width, height)
        views.append(PointmapView(sample.name, camera, sample.depth.astype(np.float32), image=sample.image))
    return refine_pointmaps(PointmapRun(tuple(views), "simulated"))


@pytest.mark.parametrize("stride", [1, 3])
def test_points_stand_on_the_depth_of_their_pixels(result, stride: int) -> None:
    view = result.views[1]
    everywhere = view.depth > 0
    points = page.points_of_view(view, view.source.image, everywhere, stride, given=False)
    expected = view.points()[stride // 2 :: stride, stride // 2 :: stride].reshape(-1, 3)
    np.testing.assert_allclose(points.means.numpy(), expected, atol=2e-6 * np.abs(expected).max())


def test_seen_from_where_it_was_taken_a_view_shows_its_picture(result) -> None:
    view = result.views[0]
    points = page.points_of_view(view, view.source.image, view.depth > 0, 1, given=True)
    shown = render(points, view.camera).rgb[0].numpy()
    smooth = [ndimage.uniform_filter(picture, (7, 7, 0)) for picture in (shown, view.source.image)]  # discs overlap
    assert np.abs(smooth[0] - smooth[1]).mean() < 0.02


def test_no_more_points_than_a_browser_draws(result) -> None:
    assert page.point_stride(result) == 1
    many = replace(result, views=result.views * 40)
    stride = page.point_stride(many)
    assert stride % 2 == 1
    assert sum(view.depth[page._every(stride)].size for view in many.views) <= page.MOST_POINTS


def test_the_page_shows_what_is_chosen(result, tmp_path: Path) -> None:
    shown = page.PointmapPage(result, processed_pictures(result.run), FLAG_NAMES[:MISSING], COLORS, 0, tmp_path)
    try:
        assert len(shown.session.splats) == sum(int((view.depth > 0).sum()) for view in result.views)
        flags = np.concatenate([view.flags[view.depth > 0] for view in result.views])
        colors = 0.5 + C0 * shown.session.splats.sh[:, 0].numpy()
        np.testing.assert_allclose(colors, COLORS[flags], atol=1e-6)
        shown._shown["edge"] = False
        shown._draw()
        assert len(shown.session.splats) == int((flags != FLAG_NAMES.index("edge")).sum())
        shown._view.value = result.views[2].name
        shown._depth.value = page.ONLY_CHANGED
        shown._shown["edge"] = True
        shown._draw()
        view = result.views[2]
        changed = np.abs(view.depth - view.source.depth) > page.CHANGED * view.source.depth
        assert 0 < len(shown.session.splats) == int((changed & (view.depth > 0)).sum())
        for name in FLAG_NAMES[:MISSING]:
            shown._shown[name] = False
        with pytest.raises(InputError, match=r"none of photo_2\.png"):
            shown._draw()
    finally:
        shown.stop()


def test_the_command_shows_the_page_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_vggt(tmp_path / "predictions.npz", sampled(tmp_path / "photos", "vggt", 3))
    told = []

    def ended(page) -> None:
        told.append(page.address)
        page.stop()

    monkeypatch.setattr(cli, "_show", ended)
    assert main(["sparse", str(run), "--photos", str(tmp_path / "photos"), "--output", str(tmp_path / "out"), "--view"]) == 0
    assert told
    assert (tmp_path / "out/refined.npz").is_file()
    assert Image.open(next((tmp_path / "out/flags").iterdir())).size[0] > 0
