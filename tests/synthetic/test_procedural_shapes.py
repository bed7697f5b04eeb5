"""Every primitive against closed forms: depth is z-depth at pixel centres, normals are gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scene_depth_synthetic.procedural.finishes import paint
from scene_depth_synthetic.procedural.materials import rgb
from scene_depth_synthetic.procedural.renderer import Rendering, render
from scene_depth_synthetic.procedural.shapes import (
    Part,
    block,
    box,
    cushion,
    cylinder,
    ellipsoid,
    frustum,
    height_field,
    mesh,
    moved,
    panel,
    rod,
    torus,
    turned,
)
from scene_depth_synthetic.procedural.transforms import compose, invert, shift, stretch, turn_x, turn_z
from scene_depth_synthetic.procedural.world import Thing, World
from scipy.optimize import brentq

from scene_depth.cameras import Cameras, look_at
from scene_depth.errors import InputError

GREY = paint(rgb("#808080"))
WIDTH, HEIGHT = 49, 37
PLACE = compose(shift(0.1, -0.2, 0.15), turn_z(0.7), turn_x(0.4), stretch(0.5, 0.35, 0.6))


def camera(eye: tuple[float, float, float] = (0.4, -2.6, 0.9), target: tuple[float, float, float] = (0.0, 0.0, 0.1)) -> Cameras:
    pose = look_at(*(torch.tensor(v, dtype=torch.float64) for v in (eye, target, (0.0, 0.0, 1.0))))
    K = torch.tensor([[61.0, 0.0, 22.7], [0.0, 57.5, 19.9], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Cameras(pose[None], K[None], WIDTH, HEIGHT)


def picture(parts: list[Part], view: Cameras, **options: int) -> Rendering:
    world = World((Thing(3, "toy", tuple(parts)),))
    return render(world.pack(), view, samples=1, threads=1, **options)


def expected_depth(inside: Callable[[np.ndarray], float], view: Cameras, row: int, column: int, nearest: float = 0.0) -> float:
    """First place where the ray through a pixel's centre enters the solid ``inside(p) <= 0``, found by bisection."""
    direction, origin = view.ray_directions()[0, row, column].numpy(), view.centers[0].numpy()

    def along(t: float) -> float:
        return inside(origin + t * direction)

    steps = np.linspace(max(nearest, 1e-3), 6.0, 4001)
    values = np.array([along(t) for t in steps])
    entering = np.flatnonzero((values[:-1] > 0) & (values[1:] <= 0))
    return float(brentq(along, steps[entering[0]], steps[entering[0] + 1], xtol=1e-14)) if len(entering) else 0.0


def local(point: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 0, 1]]))
    return inverse[:3, :3] @ point + inverse[:3, 3]


SOLIDS: dict[str, tuple[Part, Callable[[np.ndarray], float]]] = {
    "ellipsoid": (ellipsoid((1, 1, 1), (0, 0, 0), GREY), lambda p: p @ p - 1.0),
    "box": (box((2, 2, 2), (0, 0, 0), GREY), lambda p: np.abs(p).max() - 1.0),
    "cushion": (cushion((2, 2, 2), (0, 0, 0), GREY), lambda p: (p**4).sum() - 1.0),
    "cylinder": (cylinder(1.0, 2.0, (0, 0, -1), GREY), lambda p: max(np.hypot(p[0], p[1]) - 1.0, abs(p[2]) - 1.0)),
    "cone": (frustum(1.0, 0.0, 2.0, (0, 0, -1), GREY), lambda p: max(np.hypot(p[0], p[1]) - 0.5 * (1.0 - p[2]), -1.0 - p[2])),
    "upside-down cone": (
        frustum(0.0, 1.0, 2.0, (0, 0, -1), GREY),
        lambda p: max(np.hypot(p[0], p[1]) - 0.5 * (1.0 + p[2]), p[2] - 1.0),
    ),
    "torus": (torus(0.8, 0.25, (0, 0, 0), GREY), lambda p: (np.hypot(p[0], p[1]) - 0.8) ** 2 + p[2] ** 2 - 0.0625),
    "turned": (
        turned([(0, -1), (0.9, -1), (0.4, 0.2), (0.7, 1), (0, 1)], GREY),
        lambda p: max(np.hypot(p[0], p[1]) - np.interp(p[2], [-1, 0.2, 1], [0.9, 0.4, 0.7]), abs(p[2]) - 1.0),
    ),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_depth_is_the_first_root_of_the_implicit_function(name: str) -> None:
    part, inside = SOLIDS[name]
    view = camera()
    depth = picture(moved([part], PLACE), view).depth
    rows, columns = np.meshgrid(np.arange(2, HEIGHT, 5), np.arange(1, WIDTH, 5), indexing="ij")
    expected = [
        expected_depth(lambda p: inside(local(p, PLACE)), view, r, c) for r, c in zip(rows.flat, columns.flat, strict=True)
    ]
    found = depth[rows, columns].ravel()
    assert (found > 0).sum() >= 6
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=0)


@pytest.mark.parametrize("name", SOLIDS)
def test_normals_are_gradients_that_face_the_camera(name: str) -> None:
    part, inside = SOLIDS[name]
    view = camera()
    drawn = picture(moved([part], PLACE), view)
    points = view.unproject(torch.from_numpy(drawn.depth).double()[None])[0].numpy()
    rotation = view.camera_to_world[0, :3, :3].numpy()
    step, agreements = 1e-5, []
    for row, column in np.argwhere(drawn.depth > 0)[::7]:
        p = points[row, column]
        gradient = np.array([inside(local(p + step * e, PLACE)) - inside(local(p - step * e, PLACE)) for e in np.eye(3)])
        normal = rotation @ drawn.normals[row, column]
        agreements.append(normal @ gradient / np.linalg.norm(gradient))
    assert np.quantile(agreements, 0.05) > 0.9999  # the rest lie on edges, where the gradient is not defined
    rays = np.einsum("hwi,ij->hwj", view.ray_directions()[0].numpy(), rotation)
    seen = drawn.depth > 0
    assert ((rays * drawn.normals).sum(-1)[seen] < 0).all()
    np.testing.assert_allclose(np.linalg.norm(drawn.normals[seen], axis=-1), 1.0, atol=1e-6)


def test_plane_depth_is_z_and_not_distance() -> None:
    """A wall square to the axis has one depth everywhere; a tilted floor follows n.p = d at pixel centres."""
    pose = torch.eye(4, dtype=torch.float64)
    K = torch.tensor([[40.0, 0, 20.0], [0, 44.0, 16.0], [0, 0, 1]], dtype=torch.float64)
    view = Cameras(pose[None], K[None], 41, 31)
    wall = picture([panel(50.0, 50.0, (0, 0, 3.0), GREY)], view)
    np.testing.assert_array_equal(wall.depth, np.float32(3.0))
    tilt = compose(shift(0, 0, 3.0), turn_x(0.6))
    floor = picture(moved([panel(50.0, 50.0, (0, 0, 0), GREY)], tilt), view)
    normal = tilt[:, 2]
    x, y = (np.arange(41) + 0.5 - 20.0) / 40.0, ((np.arange(31) + 0.5 - 16.0) / 44.0)[:, None]
    expected = normal[2] * 3.0 / (normal[0] * x + normal[1] * y + normal[2])
    np.testing.assert_allclose(floor.depth, expected, rtol=1e-7)
    facing = np.sign(normal[2]) * normal
    np.testing.assert_allclose(floor.normals, np.broadcast_to(-facing, (31, 41, 3)), atol=1e-6)


def test_a_mesh_of_a_box_looks_like_the_box() -> None:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    view = camera()
    triangles = picture(moved([mesh(corners, faces, GREY, smooth=False)], PLACE), view)
    solid = picture(moved([box((2, 2, 2), (0, 0, 0), GREY)], PLACE), view)
    np.testing.assert_allclose(triangles.depth, solid.depth, rtol=1e-6)
    np.testing.assert_allclose(triangles.normals, solid.normals, atol=1e-6)


def test_a_height_field_follows_its_function() -> None:
    x, y = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-3, 3, 121), indexing="xy")
    view = camera((0.0, -2.0, 2.2), (0.0, 0.2, 0.0))
    depth = picture([height_field(x, y, 0.2 * np.sin(2 * x) * np.cos(y), GREY)], view).depth
    points = view.unproject(torch.from_numpy(depth).double()[None])[0].numpy()[depth > 0]
    assert len(points) > 900
    np.testing.assert_allclose(points[:, 2], 0.2 * np.sin(2 * points[:, 0]) * np.cos(points[:, 1]), atol=5e-4)


def test_a_rod_reaches_from_end_to_end() -> None:
    view = camera()
    start, end = np.array([-0.4, 0.1, -0.3]), np.array([0.5, 0.3, 0.6])
    depth = picture([rod(start, end, 0.1, GREY)], view).depth
    points = view.unproject(torch.from_numpy(depth).double()[None])[0].numpy()[depth > 0]
    axis = (end - start) / np.linalg.norm(end - start)
    along = (points - start) @ axis
    beside = np.linalg.norm(points - start - along[:, None] * axis, axis=1)
    assert along.min() > -1e-6
    assert along.max() < np.linalg.norm(end - start) + 1e-6
    assert (np.isclose(beside, 0.1, atol=1e-6) | (beside < 0.1)).all()
    assert np.isclose(beside, 0.1, atol=1e-6).mean() > 0.8


def test_cameras_inside_a_box_and_a_ball_see_their_far_side() -> None:
    view = camera((0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    ball = picture([ellipsoid((2, 2, 2), (0, 0, 0), GREY)], view)
    lengths = np.linalg.norm(view.ray_directions()[0].numpy(), axis=-1)
    np.testing.assert_allclose(ball.depth * lengths, 2.0, rtol=1e-6)
    room = picture([box((4, 4, 4), (0, 0, 0), GREY)], view)
    points = view.unproject(torch.from_numpy(room.depth).double()[None])[0].numpy()
    np.testing.assert_allclose(np.abs(points).max(-1), 2.0, rtol=1e-6)


def test_many_primitives_through_the_tree_equal_the_nearest_of_each_alone() -> None:
    rng = np.random.default_rng(4)
    parts = []
    for _ in range(60):
        place = compose(shift(*rng.uniform(-0.8, 0.8, 3)), turn_z(rng.uniform(0, 6)), turn_x(rng.uniform(0, 6)))
        size = rng.uniform(0.05, 0.3, 3)
        chosen = (block(size, (0, 0, 0), GREY), ellipsoid(size, (0, 0, 0), GREY), cylinder(size[0], size[1], (0, 0, 0), GREY))
        parts += moved([chosen[rng.integers(3)]], place)
    view = camera()
    together = picture(parts, view).depth
    alone = np.stack([picture([part], view).depth for part in parts])
    nearest = np.where(alone > 0, alone, np.inf).min(axis=0)
    np.testing.assert_array_equal(together, np.where(np.isfinite(nearest), nearest, 0).astype(np.float32))


def test_affine_maps_are_inverted() -> None:
    product = compose(PLACE, invert(PLACE[None])[0])
    np.testing.assert_allclose(product, np.eye(4)[:3], atol=1e-14)


@pytest.mark.parametrize(
    ("options", "field"),
    [({"samples": 3}, "samples"), ({"lit_samples": 9, "samples": 4}, "lit_samples"), ({"threads": 0}, "threads")],
)
def test_numbers_out_of_range_are_refused(options: dict[str, int], field: str) -> None:
    scene = World((Thing(1, "toy", (SOLIDS["box"][0],)),)).pack()
    with pytest.raises(InputError, match=field):
        render(scene, camera(), **options)


def test_two_cameras_and_an_empty_world_are_refused() -> None:
    scene = World((Thing(1, "toy", (SOLIDS["box"][0],)),)).pack()
    pair = Cameras(camera().camera_to_world.repeat(2, 1, 1), camera().K.repeat(2, 1, 1), WIDTH, HEIGHT)
    with pytest.raises(InputError, match="camera"):
        render(scene, pair)
    with pytest.raises(InputError, match="things"):
        World(()).pack()
