"""The loop in a room whose true depth and colours are known: what is known stays, what is new stands where it may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from box_room import PILLARED, ROOM
from numpy.typing import NDArray
from scene_depth_outpaint import OutpaintConfig, OutpaintResult, outpaint
from scene_depth_outpaint.picture_border import plain_border

from scene_depth.cameras import Cameras
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


def with_a_seam(beyond: float) -> Callable[..., NDArray[np.float32]]:
    """The true depth, a fifth too far where more than a share of the view is new."""

    def truth(rgb: object, depth: object, known: NDArray[np.bool_], camera: Cameras | None = None) -> NDArray[np.float32]:
        assert camera is not None
        return ROOM.seen(camera)[1] * np.where(~known & ((~known).mean() > beyond), np.float32(1.2), np.float32(1))

    return truth


def test_a_refused_view_is_tried_again_in_smaller_steps() -> None:
    wanted = ROOM.camera(24)
    result = outpaint(ROOM.view(), [wanted], color="none", inpainter=with_a_seam(0.3), config=QUICK)
    assert result.report.finished
    assert [view.report.reached for view in result.views[1:]] == [False, True]
    assert torch.equal(result.views[-1].camera.camera_to_world, wanted.camera_to_world)
    assert not any(view.report.refusals for view in result.views)


def test_a_view_that_fails_however_small_the_step_ends_the_run_with_the_reason() -> None:
    result = outpaint(ROOM.view(), [ROOM.camera(24)], color="none", inpainter=with_a_seam(0.0), config=QUICK)
    assert not result.report.finished
    assert len(result.views) == 1
    assert result.report.refused is not None
    assert "the depth jumps by" in result.report.refused
    forced = outpaint(
        ROOM.view(), [ROOM.camera(24)], color="none", inpainter=with_a_seam(0.0), config=replace(QUICK, accept=False)
    )
    assert forced.report.finished
    assert forced.views[1].report.refusals


def test_the_splats_show_the_start_and_splats_of_before_keep_their_bits() -> None:
    camera = [ROOM.camera(30)]
    first = outpaint(ROOM.view(), camera, color="membrane", config=OutpaintConfig(fit_steps=20))
    assert first.report.start_psnr is not None
    assert first.report.start_psnr > 30
    assert first.splats is not None
    again = outpaint(ROOM.view(), camera, color="membrane", config=OutpaintConfig(fit_steps=1), frozen=first.splats)
    assert again.splats is not None
    assert (
        again.splats.select(slice(0, len(first.splats))).sha256() == first.splats.with_sh_degree(again.splats.sh_degree).sha256()
    )
    assert again.report.frozen_splats == len(first.splats)


def bordered(image: NDArray[np.uint8], width: int, level: int = 255) -> NDArray[np.uint8]:
    """The picture with a border of one grey."""
    covered = image.copy()
    covered[:width] = covered[-width:] = covered[:, :width] = covered[:, -width:] = level
    return covered


def test_a_border_around_the_start_is_no_surface() -> None:
    large = replace(ROOM, size=128)
    view = large.view()
    image = bordered(np.rint(255 * view.image()).astype(np.uint8), 3)
    object.__setattr__(view, "load_image", lambda: image.astype(np.float32) / 255)
    assert plain_border(image).sum() == 128**2 - (128 - 2 * (3 + 1)) ** 2
    result = outpaint(view, [large.camera(12)], color="none", config=replace(QUICK, fit_steps=20))
    np.testing.assert_array_equal(result.views[0].image, image)
    made = result.views[1]
    assert made.image[made.known].min(axis=-1).max() < 250  # nothing of the border
    assert "border of one colour, 12.1% of it" in result.report.notes[0]
    assert result.report.start_psnr is not None
    assert result.report.start_psnr > 25


def test_plain_surfaces_are_no_borders() -> None:
    image = np.rint(255 * replace(ROOM, size=128).view().image()).astype(np.uint8)
    assert not plain_border(image).any()
    assert not plain_border(np.full((60, 80, 3), 240, np.uint8)).any()
    assert not plain_border(bordered(image, 20)).any()  # as wide as a wall
    sky = image.copy()
    sky[:30] = 230
    assert not plain_border(sky).any()
    assert plain_border(bordered(image, 2, level=0)).sum() == 128**2 - 122**2
