"""The loop in a room whose true depth and colours are known: what is known stays, what is new stands where it may."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from box_room import PILLARED, ROOM
from scene_depth_outpaint import OutpaintConfig, OutpaintResult, outpaint

from scene_depth.errors import InputError
from scene_depth.geometry.visibility import sight
from scene_depth.geometry.warp import Surfaces

QUICK = OutpaintConfig(fit_steps=0)


@pytest.fixture(scope="module")
def turned() -> OutpaintResult:
    """A pillar from the side and around, geometry alone."""
    return outpaint(PILLARED.view(), "orbit[angle=30,views=4]", color="none", config=QUICK)


def test_the_start_is_what_was_given(turned: OutpaintResult) -> None:
    rgb, depth = PILLARED.seen(PILLARED.camera())
    start = turned.views[0]
    np.testing.assert_array_equal(start.depth, depth)
    np.testing.assert_array_equal(start.image, np.rint(255 * rgb).astype(np.uint8))
    assert start.known.all()
    assert turned.report.finished
    assert len(turned.views) > 2


def test_known_depth_of_every_view_is_what_earlier_views_show(turned: OutpaintResult) -> None:
    surfaces = Surfaces()
    for view in turned.views:
        if view.report.kind == "step":
            warp = surfaces.warp(view.camera)
            np.testing.assert_array_equal(warp.known, view.known)
            np.testing.assert_array_equal(warp.depth[view.known], view.depth[view.known])
            assert view.report.new_share == pytest.approx(1 - view.known.mean())
        where = ~view.known if view.report.kind == "step" else np.ones_like(view.known)
        surfaces.add(view.camera, view.depth, view.image, where)


def test_nothing_new_stands_before_what_an_earlier_view_sees(turned: OutpaintResult) -> None:
    for number, view in enumerate(turned.views):
        points = view.camera.unproject(torch.from_numpy(view.depth.astype(np.float64))[None])[0][torch.from_numpy(~view.known)]
        for earlier in turned.views[:number]:
            floating = sight(points, earlier.camera, torch.from_numpy(earlier.depth)).floating
            assert floating.float().mean() <= 0.01


def test_gaps_in_the_depth_of_the_start_are_filled_and_the_rest_is_kept() -> None:
    view = ROOM.view()
    depth = view.depth().copy()
    depth[20:30, 20:40] = 0
    object.__setattr__(view, "load_depth", lambda: depth)
    start = outpaint(view, "dolly", color="none", config=QUICK, dry_run=True).views[0]
    np.testing.assert_array_equal(start.depth[depth > 0], depth[depth > 0])
    assert (start.depth[20:30, 20:40] > 0).all()
    assert start.known.sum() == (depth > 0).sum()


def test_a_view_without_depth_is_refused() -> None:
    view = ROOM.view()
    object.__setattr__(view, "load_depth", None)
    with pytest.raises(InputError, match="depth"):
        outpaint(view, "dolly")
