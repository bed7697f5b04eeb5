"""Procedural worlds against closed forms, and the shipped sample scenes against their recipes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_depth_synthetic.procedural import KINDS, ProceduralDataset, generate_frame
from scene_depth_synthetic.procedural.finishes import paint
from scene_depth_synthetic.procedural.materials import rgb
from scene_depth_synthetic.procedural.renderer import render
from scene_depth_synthetic.procedural.shapes import block
from scene_depth_synthetic.procedural.world import WorldBuilder
from scene_depth_synthetic.samples import SAMPLE_SCENES
from scene_depth_synthetic.samples.writer import capture, sample_scene

from scene_depth.cameras import Cameras, look_at
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import sight
from scene_depth.io.scenes import read_scene

SCENES = Path(__file__).resolve().parents[2] / "scenes"


def test_a_floor_has_the_depth_and_normal_of_its_plane() -> None:
    position, target = torch.tensor([0.4, -3.0, 2.0]).double(), torch.tensor([0.0, 1.0, 0.0]).double()
    K = torch.tensor([[70.0, 0, 30.0], [0, 75.0, 26.0], [0, 0, 1]], dtype=torch.float64)
    camera = Cameras(look_at(position, target, torch.tensor([0.0, 0.0, 1.0]).double())[None], K[None], 64, 48)
    builder = WorldBuilder()
    builder.add("floor", [block((60.0, 60.0, 0.1), (0, 0, -0.1), paint(rgb("#808080")))])
    from scene_depth_synthetic.procedural.lighting import Sky
    from scene_depth_synthetic.procedural.world import World

    world = World(tuple(builder.things), (), Sky((0.3, 0.3, 0.3), (0.3, 0.3, 0.3), (0.1, 0.1, 0.1)), (0.1, 0.1, 0.1))
    image = render(world.pack(), camera, samples=4, lit_samples=1, seed=0, threads=1)
    rays = camera.ray_directions()[0].numpy()
    expected = -2.0 / rays[..., 2]
    hit = (image.depth > 0) & (expected > 0) & (expected < 25)
    assert hit.mean() > 0.5
    np.testing.assert_allclose(image.depth[hit], expected[hit], rtol=1e-5)
    up = np.array([0.0, 0.0, 1.0]) @ camera.camera_to_world[0, :3, :3].numpy()
    np.testing.assert_allclose(image.normals[hit], np.broadcast_to(up, (hit.sum(), 3)), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_bits_for_any_number_of_threads(kind: str) -> None:
    first, again, other = (generate_frame(kind, seed, 48, 36, threads=threads) for seed, threads in ((3, 1), (3, 2), (4, 1)))
    for name in ("rgb", "depth", "normals", "instances", "classes"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert not np.array_equal(first.depth, other.depth)
    assert first.known.mean() > 0.3
    assert np.isfinite(first.rgb).all()
    lengths = np.linalg.norm(first.normals[first.known], axis=-1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-4)
    facing = (first.normals * (first.camera.ray_directions()[0].numpy() @ first.camera.camera_to_world[0, :3, :3].numpy())).sum(
        -1
    )
    assert (facing[first.known] < 1e-3).all()


def test_a_data_set_can_be_sent_to_workers() -> None:
    data = ProceduralDataset("room", 2, (48, 36), seed=5)
    copy = pickle.loads(pickle.dumps(data))
    assert len(data) == 2
    assert all(torch.equal(data[1][key], copy[1][key]) for key in data[1])


def test_bad_arguments_are_named() -> None:
    with pytest.raises(InputError, match="kind"):
        generate_frame("cave", 0, 48, 36)
    with pytest.raises(InputError, match="seed"):
        generate_frame("room", -1, 48, 36)
    with pytest.raises(InputError, match="name"):
        sample_scene("cave")


@pytest.mark.parametrize("name", SAMPLE_SCENES)
def test_a_recipe_draws_the_same_bits_for_any_number_of_threads(name: str) -> None:
    drawn = capture(sample_scene(name, scale=0.25))
    one, two = (drawn.picture(5, removed=False, threads=threads) for threads in (1, 2))
    for field in ("image", "depth", "mask"):
        assert getattr(one, field).tobytes() == getattr(two, field).tobytes()


@pytest.mark.parametrize("name", SAMPLE_SCENES)
def test_shipped_views_agree_with_each_other(name: str) -> None:
    scene, cleared = read_scene(SCENES / name), read_scene(SCENES / name / "removed")
    assert len(scene) == len(cleared) == 32
    assert len(read_scene(SCENES / name, split="train")) == 24
    K = scene.views[0].camera.K[0]
    assert K[0, 0] != K[1, 1]
    assert K[0, 2] != scene.views[0].camera.width / 2
    first, second = scene.views[9], scene.views[11]
    depth = torch.from_numpy(first.depth()).double()
    points = first.camera.unproject(depth[None])[0][depth > 0]
    seen = sight(points, second.camera, torch.from_numpy(second.depth()).double(), tolerance=0.01)
    compared = seen.seen | seen.floating
    assert float(seen.seen.sum() / compared.sum()) > 0.97
    for with_object, without in zip(scene.views[:4], cleared.views[:4], strict=True):
        mask, before, after = with_object.mask(), with_object.depth(), without.depth()
        assert mask.any()
        assert np.array_equal(before[~mask], after[~mask])
        assert ((after[mask] == 0) | (after[mask] >= before[mask])).all()
