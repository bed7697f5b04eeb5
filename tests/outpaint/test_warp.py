"""Known surfaces in other cameras: exact, without cracks, and nothing drawn over what is hidden."""

from __future__ import annotations

import numpy as np
import pytest
from box_room import PILLARED, ROOM, Room

from scene_depth.errors import InputError
from scene_depth.geometry.warp import Surfaces, joined_neighbours


def surfaces_of(room: Room, yaw: float = 0.0) -> Surfaces:
    camera = room.camera(yaw)
    rgb, depth = room.seen(camera)
    surfaces = Surfaces()
    kept = surfaces.add(camera, depth, np.rint(255 * rgb).astype(np.uint8), np.ones(depth.shape, bool))
    assert kept.all()
    return surfaces


def test_the_view_itself_comes_back_bit_for_bit() -> None:
    camera = ROOM.camera()
    rgb, depth = ROOM.seen(camera)
    warp = surfaces_of(ROOM).warp(camera)
    assert warp.known.all()
    np.testing.assert_array_equal(warp.depth, depth)
    np.testing.assert_array_equal(np.rint(255 * warp.rgb), np.rint(255 * rgb))


@pytest.mark.parametrize(("yaw", "position"), [(20, (0, 0, 0)), (-15, (0.2, 0.1, 0.5)), (0, (0, 0, 1.5)), (0, (0, 0, -1.0))])
def test_a_turned_or_moved_camera_sees_the_room_where_it_is(yaw: float, position: tuple[float, float, float]) -> None:
    camera = ROOM.camera(yaw, position)
    warp, truth = surfaces_of(ROOM).warp(camera), ROOM.seen(camera)[1]
    assert warp.known.any()
    off = np.abs(warp.depth / truth - 1)[warp.known]
    assert np.quantile(off, 0.9) < 1e-5
    assert off.max() < 0.03  # at the corners of the room
    closed = warp.known[20:44, 20:44]
    assert closed.all() or position[2] < 0 or yaw  # a camera that comes near sees no cracks


def test_what_a_pillar_hides_stays_unknown() -> None:
    camera = PILLARED.camera(0, (0.5, 0, 0))
    warp, truth = surfaces_of(PILLARED).warp(camera), PILLARED.seen(camera)[1]
    behind = ~warp.known & (truth > 1.5)
    assert behind.any()
    assert (np.abs(warp.depth / truth - 1)[warp.known] < 0.03).mean() > 0.995
    assert warp.outline.any()
    assert (warp.depth[warp.outline] < 1.4).mean() > 0.9


def test_a_surface_seen_from_behind_hides_and_shows_nothing() -> None:
    camera = PILLARED.camera(180, (0, 0, 1.6))  # behind the pillar's front
    inverse, _, front = surfaces_of(PILLARED).draw(camera)
    middle = (slice(28, 36), slice(28, 36))
    assert (inverse[middle] > 0).all()
    assert not front[middle].any()


def test_a_floor_at_a_slant_is_one_surface_and_a_step_is_not() -> None:
    rows = np.arange(1, 33)[:, None] * np.ones(32)
    floor = 40.0 / rows
    row, column = joined_neighbours(floor, np.ones(floor.shape, bool), 32)
    assert row.all()
    assert column[3:].all()  # nearer to the horizon it is too steep to the ray
    step = np.where(np.arange(32) < 16, 2.0, 2.5)[None] * np.ones((32, 1))
    row, _ = joined_neighbours(step, np.ones(step.shape, bool), 32)
    assert not row[:, 15].any()
    assert np.delete(row, 15, axis=1).all()


def test_a_depth_map_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="depth, where"):
        Surfaces().add(ROOM.camera(), np.ones((3, 3)), np.zeros((3, 3, 3), np.uint8), np.ones((3, 3), bool))


def test_white_and_black_stay_colours_when_they_are_interpolated() -> None:
    camera = ROOM.camera()
    depth = ROOM.seen(camera)[1]
    surfaces = Surfaces()
    surfaces.add(camera, depth, np.full((*depth.shape, 3), (255, 0, 255), np.uint8), np.ones(depth.shape, bool))
    rgb = surfaces.warp(ROOM.camera(7.3, (0.1, 0.05, 0.2))).rgb
    assert rgb.min() >= 0
    assert rgb.max() <= 1
