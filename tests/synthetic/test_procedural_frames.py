"""Random worlds: views agree with each other, ids with geometry, the data set with itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_depth_synthetic.procedural import CLASSES, KINDS, ProceduralDataset, RGBDFrame, generate_frame, generate_world, render
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.exact_math import arctan2, exp, linear_from_srgb, sincos, srgb_from_linear
from scene_depth_synthetic.procedural.exposure import develop
from scene_depth_synthetic.procedural.finishes import paint
from scene_depth_synthetic.procedural.lighting import RECTANGLE, Light, Sky
from scene_depth_synthetic.procedural.materials import rgb
from scene_depth_synthetic.procedural.renderer import spread_points
from scene_depth_synthetic.procedural.shapes import block, ellipsoid, panel
from scene_depth_synthetic.procedural.world import Thing, World, WorldBuilder
from torch.utils.data import DataLoader

from scene_depth.cameras import Cameras, look_at
from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.frames.faults import enlarged_frame
from scene_depth.datasets.frames.resize import resized_frame
from scene_depth.errors import InputError
from scene_depth.geometry.normals import normals_from_depth

GREY = paint(rgb("#999999"), unevenness=0.0)


@pytest.fixture(scope="module")
def frames() -> dict[str, RGBDFrame]:
    return {kind: generate_frame(kind, 21, 96, 72) for kind in KINDS}


def stepped_aside(camera: Cameras, distance: float) -> Cameras:
    """The camera moved along its own x axis and turned a little."""
    pose = camera.camera_to_world.clone()
    pose[0, :3, 3] += distance * pose[0, :3, 0]
    angle = torch.tensor(0.06, dtype=torch.float64)
    turn = torch.eye(3, dtype=torch.float64)
    turn[0, 0] = turn[2, 2] = torch.cos(angle)
    turn[0, 2], turn[2, 0] = -torch.sin(angle), torch.sin(angle)
    pose[0, :3, :3] = pose[0, :3, :3] @ turn
    return replace(camera, camera_to_world=pose)


def depth_between_pixels(depth: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth at continuous coordinates by interpolating inverse depth, exact on planes; and where the four agree."""
    column, row = np.floor(x - 0.5).astype(int), np.floor(y - 0.5).astype(int)
    inside = (column >= 0) & (row >= 0) & (column < depth.shape[1] - 1) & (row < depth.shape[0] - 1)
    column, row = np.where(inside, column, 0), np.where(inside, row, 0)
    corners = np.stack([depth[row, column], depth[row, column + 1], depth[row + 1, column], depth[row + 1, column + 1]])
    u, v = x - 0.5 - column, y - 0.5 - row
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v])
    whole = inside & (corners > 0).all(0)
    inverse = (weights / np.where(corners > 0, corners, 1)).sum(0)
    smooth = whole & (corners.max(0) < 1.1 * np.where(whole, corners.min(0), 1))
    return 1 / np.where(whole, inverse, 1), smooth


@pytest.mark.parametrize("kind", KINDS)
def test_depth_of_two_views_agrees(kind: str, frames: dict[str, RGBDFrame]) -> None:
    first = frames[kind]
    camera = stepped_aside(first.camera, 0.06 * float(np.median(first.depth[first.known])))
    second = render(generate_world(kind, 21).pack(), camera, samples=1, threads=1)
    points = first.camera.unproject(torch.from_numpy(first.depth).double()[None])[0][torch.from_numpy(first.known)]
    pixels, z = camera.project(points)
    there, smooth = depth_between_pixels(second.depth, *pixels[0].numpy().T)
    error = np.abs(there - z[0].numpy()) / z[0].numpy()
    visible = smooth & (error < 0.02)
    assert visible.sum() > 0.4 * smooth.sum() > 500
    assert np.median(error[visible]) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_ranges_ids_and_classes(kind: str, frames: dict[str, RGBDFrame]) -> None:
    frame, world = frames[kind], generate_world(kind, 21)
    assert frame.rgb.dtype == frame.depth.dtype == frame.normals.dtype == np.float32
    assert 0 <= frame.rgb.min() < frame.rgb.max() <= 1
    assert frame.depth.max() < {"room": 20, "table_top": 15, "street": 140}[kind]
    sky = ~frame.known
    assert (frame.instances[sky] == 0).all()
    assert (frame.classes[sky] == 0).all()
    assert (frame.normals[sky] == 0).all()
    categories = {thing.number: CLASSES.index(thing.category) for thing in world.things}
    for number in np.unique(frame.instances[frame.known]):
        assert set(np.unique(frame.classes[frame.instances == number])) == {categories[number]}
    assert len(np.unique(frame.instances)) >= 4


def test_normals_agree_with_those_of_the_depth_map(frames: dict[str, RGBDFrame]) -> None:
    frame = frames["room"]
    cosine = (frame.normals * normals_from_depth(frame.depth, frame.camera)).sum(-1)[frame.known]
    assert np.median(cosine) > 0.999


def test_a_thing_left_out_changes_only_what_it_hid_or_lit() -> None:
    """Masks are where the depth differs; far from the thing and its shadow the picture keeps its bits."""
    builder = WorldBuilder()
    builder.add("floor", [panel(40.0, 40.0, (0, 0, 0), GREY)])
    ball = builder.add("toy", [ellipsoid((0.3, 0.3, 0.3), (0, 0, 0.3), GREY)])
    builder.add("box", [block((0.4, 0.4, 0.4), (1.2, 0.5, 0), GREY)])
    lamp = Light(RECTANGLE, (0.0, 0.0, 4.0), (9.0, 9.0, 9.0), (0.0, 0.3, 0.0), (0.3, 0.0, 0.0))
    world = World(tuple(builder.things), (lamp,), Sky(lights=False))
    pose = look_at(*(torch.tensor(v, dtype=torch.float64) for v in ((0.0, -4.0, 2.5), (0.3, 0.2, 0.2), (0.0, 0.0, 1.0))))
    K = torch.tensor([[90.0, 0, 46.0], [0, 92.0, 38.0], [0, 0, 1]], dtype=torch.float64)
    view = Cameras(pose[None], K[None], 96, 72)
    full, cleared = (render(w.pack(), view, samples=8, threads=1) for w in (world, world.without([ball])))
    mask = full.objects == ball
    np.testing.assert_array_equal(full.depth != cleared.depth, mask)
    assert (cleared.depth[mask] > full.depth[mask]).all()
    assert set(np.unique(cleared.objects)) == set(np.unique(full.objects)) - {ball}
    floor = -2.5 / view.ray_directions()[0, ..., 2].numpy()
    behind = mask & (cleared.objects == 1)
    np.testing.assert_allclose(cleared.depth[behind], floor[behind], rtol=1e-6)
    changed = (full.radiance != cleared.radiance).any(-1)
    assert changed[mask].mean() > 0.95
    points = view.unproject(torch.from_numpy(cleared.depth).double()[None])[0].numpy()
    shaded = (np.hypot(points[..., 0], points[..., 1]) < 0.3) & (cleared.objects == 1) & ~mask
    assert (cleared.radiance[shaded].mean(-1) > full.radiance[shaded].mean(-1)).mean() > 0.9
    with pytest.raises(InputError, match="numbers"):
        world.without([99])


def test_direct_light_follows_the_inverse_square_and_the_cosine() -> None:
    """Far from a small lamp the irradiance is radiance x area x cos x cos / distance^2, and 0 in full shadow."""
    lamp = Light(RECTANGLE, (0.0, 0.0, 3.0), (50.0, 40.0, 30.0), (0.0, 0.05, 0.0), (0.05, 0.0, 0.0))
    things = (
        Thing(1, "floor", (panel(30.0, 30.0, (0, 0, 0), GREY),)),
        Thing(2, "box", (block((0.5, 0.5, 1.0), (1.0, 0, 0), GREY),)),
    )
    pose = look_at(*(torch.tensor(v, dtype=torch.float64) for v in ((0.0, -3.0, 4.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))))
    view = Cameras(pose[None], torch.tensor([[[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]]], dtype=torch.float64), 64, 48)
    dark = Sky((0, 0, 0), (0, 0, 0), (0, 0, 0))
    drawn = render(World(things, (lamp,), dark, (0.0, 0.0, 0.0)).pack(), view, samples=64, threads=1)
    points = view.unproject(torch.from_numpy(drawn.depth).double()[None])[0].numpy()
    square = (points[..., 0] ** 2 + points[..., 1] ** 2) + 9.0
    expected = 50.0 * 0.01 * 9.0 / square**2 / np.pi
    clear = (drawn.objects == 1) & (points[..., 0] < -0.3)
    np.testing.assert_allclose(drawn.irradiance[..., 0][clear], expected[clear], rtol=0.03)
    alone = render(World(things[:1], (lamp,), dark, (0.0, 0.0, 0.0)).pack(), view, samples=4, threads=1).irradiance
    np.testing.assert_allclose(alone[..., 2], 0.6 * alone[..., 0], rtol=1e-5)
    single = render(World(things, (lamp,), dark, (0.0, 0.0, 0.0)).pack(), view, samples=1, threads=1)
    beyond = (single.objects == 1) & (points[..., 0] > 1.33) & (points[..., 0] < 1.75) & (np.abs(points[..., 1]) < 0.15)
    assert beyond.sum() > 3
    assert single.irradiance[beyond].max() < 0.02 * expected[beyond].min() < single.irradiance[clear].min()


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(0, 1))
@settings(max_examples=200)
def test_exact_functions_are_close_to_the_library(x: float, y: float, level: float) -> None:
    np.testing.assert_allclose(sincos.py_func(x), (np.sin(x), np.cos(x)), atol=1e-13)
    angle = arctan2.py_func(y, x)
    np.testing.assert_allclose(np.hypot(x, y) * np.array([np.cos(angle), np.sin(angle)]), (x, y), atol=1e-6)
    assert -np.pi <= angle <= np.pi
    np.testing.assert_allclose(exp.py_func(x / 50), np.exp(x / 50), rtol=1e-11)
    np.testing.assert_allclose(linear_from_srgb.py_func(srgb_from_linear.py_func(level)), level, atol=1e-9)


def test_sobol_points_are_stratified_and_seeds_differ() -> None:
    points = spread_points(64)
    for columns, rows in ((64, 1), (16, 4), (8, 8), (1, 64)):
        cells = np.floor(points * (columns, rows)).astype(int)
        assert len({tuple(cell) for cell in cells}) == 64
    assert [Dice(5, 1).unit() for _ in range(2)] == [Dice(5, 1).unit()] * 2
    assert Dice(5, 1).unit() != Dice(5, 2).unit()


def test_developing_keeps_order_and_range() -> None:
    ramp = np.linspace(0, 20, 256, dtype=np.float32).reshape(1, -1, 1).repeat(3, 2)
    image = develop(ramp, 0.5)
    assert image[0, 0, 0] == 0
    assert (np.diff(image[0, :, 0]) >= 0).all()
    assert 0.95 < image.max() <= 1
    with pytest.raises(ValueError, match="exposure"):
        develop(ramp, 0.0)


def noisy_sensor(frame: RGBDFrame, seed: int) -> np.ndarray:
    """Depth with noise of one millimetre."""
    noise = np.random.default_rng(seed).normal(0.0, 0.001, frame.depth.shape)
    return np.where(frame.known, frame.depth + noise, 0.0).astype(np.float32)


def test_a_data_set_is_the_same_in_workers_and_batches() -> None:
    data = ProceduralDataset(("room", "street"), 4, (32, 24), seed=9, sensor=noisy_sensor)
    batches = list(DataLoader(data, batch_size=2, num_workers=1))
    assert [tuple(b["rgb"].shape) for b in batches] == [(2, 3, 24, 32)] * 2
    for index in range(4):
        item, batch = data[index], batches[index // 2]
        for name, value in item.items():
            assert torch.equal(batch[name][index % 2], value)
    assert not torch.equal(data[0]["depth"], data[2]["depth"])
    assert torch.equal(data[-1]["depth"], data[3]["depth"])
    assert torch.equal(item["known"], item["depth"] > 0)
    assert len(list(data)) == 4
    with pytest.raises(IndexError, match="4 frames"):
        data[4]
    other = ProceduralDataset("room", 4, (32, 24), seed=10)
    assert not torch.equal(other[0]["rgb"], data[0]["rgb"])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"kind": "cave"}, "kind"),
        ({"kind": ()}, "kind"),
        ({"count": 0}, "count"),
        ({"size": (4, 40)}, "size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_data_sets_are_refused(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(InputError, match=field):
        ProceduralDataset(**arguments)  # type: ignore[arg-type]


def test_the_size_of_a_picture_does_not_move_the_camera() -> None:
    small, large = generate_frame("table_top", 4, 32, 24), generate_frame("table_top", 4, 64, 48, samples=1)
    torch.testing.assert_close(small.camera.camera_to_world, large.camera.camera_to_world, rtol=0, atol=0)
    torch.testing.assert_close(small.camera.resized(64, 48).K, large.camera.K)
    chosen = generate_frame("table_top", 4, 8, 8, camera=small.camera)
    np.testing.assert_array_equal(chosen.depth, small.depth)
    with pytest.raises(InputError, match="width, height"):
        generate_frame("room", 0, 4, 48)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_an_enlarged_frame_shows_the_same_scene(seed: int) -> None:
    small = generate_frame("room", 3, 48, 36)
    frame = DepthFrame("one", small.depth, small.rgb, small.camera)
    large = enlarged_frame(frame, 2.5, seed)
    assert large.truth.shape == (90, 120)
    assert large.camera is not None
    assert (large.camera.width, large.camera.height) == (120, 90)
    again = resized_frame(large, 48, 36)
    known = frame.truth > 0
    assert 0 < known.mean() < 1
    assert np.array_equal(again.truth > 0, known)
    assert np.median(np.abs(again.truth[known] / frame.truth[known] - 1)) < 0.01
    assert np.abs(again.rgb - frame.rgb).mean() < 0.02
    assert frame.truth[known].min() <= large.truth[large.truth > 0].min()
    assert large.truth.max() <= frame.truth.max()
    assert np.array_equal(enlarged_frame(frame, 2.5, seed).rgb, large.rgb)
    assert enlarged_frame(frame, 1, seed) is frame
