"""An object in a scene of known planes: what it hides, what hides it, and the truth beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_depth_synthetic.cli import Composite, Run
from scene_depth_synthetic.composited import Composited, composite_object, write_composited
from scene_depth_synthetic.composited.drawing import KINDS, object_for

from scene_depth.cameras import Cameras, look_at
from scene_depth.errors import InputError
from scene_depth.io.scenes import read_scene
from scene_depth.io.transforms_json_output import write_transforms
from scene_depth.scene import Scene, View

WIDTH, HEIGHT = 96, 72
FLOOR, WALL = 1.0, 5.0  # y of the floor (down is +y), z of the wall
DOWN = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)


def cameras(count: int = 5) -> list[Cameras]:
    K = torch.tensor([[90.0, 0.0, 47.0], [0.0, 88.0, 37.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    target = torch.tensor([0.0, 0.7, 3.0], dtype=torch.float64)
    found = []
    for x in np.linspace(-0.8, 0.8, count):
        pose = look_at(torch.tensor([x, -0.4, 0.0], dtype=torch.float64), target, -DOWN)
        found.append(Cameras(pose[None], K[None], WIDTH, HEIGHT))
    return found


def planes(camera: Cameras) -> np.ndarray:
    """z-depth of the floor and the wall, exactly  # [H, W]"""
    rays, center = camera.ray_directions()[0].numpy(), camera.centers[0].numpy()
    to_wall = (WALL - center[2]) / rays[..., 2]
    to_floor = np.where(rays[..., 1] > 1e-6, (FLOOR - center[1]) / np.maximum(rays[..., 1], 1e-6), np.inf)
    return np.minimum(to_wall, to_floor).astype(np.float32)


def view(index: int, camera: Cameras, depth: np.ndarray | None) -> View:
    rng = np.random.default_rng(index)
    image = (rng.integers(60, 200, (HEIGHT, WIDTH, 3)) / np.float32(255)).astype(np.float32)
    return View(f"{index:02d}.jpg", camera, lambda: image, None, None if depth is None else lambda: depth)


def room() -> Scene:
    return Scene(tuple(view(index, camera, planes(camera)) for index, camera in enumerate(cameras())))


def with_depth(scene: Scene, change) -> Scene:
    views = [
        replace(each, load_depth=lambda each=each, i=i: change(i, each.depth().copy())) for i, each in enumerate(scene.views)
    ]
    return replace(scene, views=tuple(views))


@pytest.fixture(scope="module")
def composited() -> Composited:
    return composite_object(room(), seed=0, threads=1)


def test_what_the_mask_leaves_out_is_the_scene_bit_for_bit(composited: Composited) -> None:
    for original, full, removed in zip(room().views, composited.scene.views, composited.removed.views, strict=True):
        mask = full.mask()
        assert 0.01 < mask.mean() < 0.3
        assert np.array_equal(removed.image(), original.image())
        assert np.array_equal(removed.depth(), original.depth())
        assert np.array_equal(full.image()[~mask], original.image()[~mask])
        assert np.array_equal(full.depth()[~mask], original.depth()[~mask])
        assert (full.image() != original.image()).any(axis=-1)[mask].mean() > 0.97
        assert (full.depth()[mask] <= original.depth()[mask]).all()
        assert (full.depth() < original.depth())[mask].mean() > 0.8  # all but the rim, which is covered in part


def test_the_object_is_one_solid_on_the_floor_in_all_views(composited: Composited) -> None:
    place = composited.placement
    foot, up = np.array(place.foot), np.array(place.up)
    assert place.level
    assert up @ [0, -1, 0] > 0.9999
    assert abs(foot[1] - FLOOR) < 1e-3
    assert len(place.views) >= 4
    _, piece = object_for(0)
    radius = 0.5 * piece.width / piece.height * place.height
    widest = []
    for full, removed in zip(composited.scene.views, composited.removed.views, strict=True):
        on_object = full.depth() < removed.depth()
        points = full.camera.unproject(torch.from_numpy(full.depth())[None].double())[0].numpy()[on_object] - foot
        rise = points @ up
        beside = np.linalg.norm(points - rise[:, None] * up, axis=1)
        assert rise.min() > -1e-3
        assert rise.max() < 1.001 * place.height
        assert rise.max() > 0.9 * place.height
        widest.append(beside.max())
        assert beside.max() < 1.001 * radius
    assert max(widest) > 0.93 * radius


def test_a_silhouette_is_where_rays_meet_the_object(composited: Composited) -> None:
    """The mask against a render of points: the foot and the top project into it, points beside it do not."""
    place = composited.placement
    foot, up = torch.tensor(place.foot, dtype=torch.float64), torch.tensor(place.up, dtype=torch.float64)
    across = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64) * 0.8 * place.height
    for full in composited.scene.views:
        points = torch.stack([foot + 0.4 * place.height * up, foot + 0.4 * place.height * up + across])
        pixels = full.camera.project(points)[0][0].long().numpy()
        assert full.mask()[pixels[0, 1], pixels[0, 0]]
        assert not full.mask()[pixels[1, 1], pixels[1, 0]]


def test_a_nearer_surface_hides_the_object() -> None:
    def blind(index: int, depth: np.ndarray) -> np.ndarray:
        if index == 2:
            depth[:, : WIDTH // 2] = 0.4
        return depth

    free = composite_object(room(), seed=0, threads=1)
    scene = with_depth(room(), blind)
    hidden = composite_object(scene, seed=0, size=free.placement.height, threads=1)
    mask = hidden.scene.views[2].mask()
    assert not mask[:, : WIDTH // 2].any()
    assert all(hidden.scene.views[i].mask().any() for i in (0, 1, 3, 4))
    for full, original in zip(hidden.scene.views, scene.views, strict=True):
        assert (full.depth() <= original.depth()).all()


def test_gaps_in_the_depth_are_decided_by_their_neighbours(composited: Composited) -> None:
    def gaps(index: int, depth: np.ndarray) -> np.ndarray:
        depth[::7] = 0
        depth[0, :3] = (np.nan, np.inf, -1)
        return depth

    found = composite_object(with_depth(room(), gaps), seed=0, size=composited.placement.height, threads=1)
    for full, original in zip(found.scene.views, room().views, strict=True):
        mask, rows = full.mask(), np.arange(0, HEIGHT, 7)
        inside = mask & np.roll(mask, 1, axis=0) & np.roll(mask, -1, axis=0)
        assert mask[rows].any()
        assert (full.depth()[rows] > 0)[inside[rows]].mean() > 0.8
        assert (full.depth()[mask] <= original.depth()[mask]).all()
        clear = ~mask
        clear[::7] = False
        assert np.array_equal(full.depth()[clear], original.depth()[clear])


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads(composited: Composited) -> None:
    again, other = composite_object(room(), seed=0, threads=2), composite_object(room(), seed=1, threads=1)
    assert again.placement == composited.placement
    assert other.object_name != composited.object_name
    for first, second, third in zip(composited.scene.views, again.scene.views, other.scene.views, strict=True):
        assert np.array_equal(first.image(), second.image())
        assert np.array_equal(first.depth(), second.depth())
        assert np.array_equal(first.mask(), second.mask())
        assert not np.array_equal(first.mask(), third.mask())


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_every_kind_of_object_can_be_put_in(seed: int) -> None:
    found = composite_object(room(), seed=seed, size=0.5, threads=1)
    assert found.object_name == list(KINDS)[seed]
    assert found.placement.height == 0.5
    assert all(each.mask().any() for each in found.scene.views)


def test_a_folder_is_read_back_with_its_truth_and_split(tmp_path: Path, composited: Composited) -> None:
    recipe = write_composited(tmp_path / "out", composited, every=3, recipe={"scene": "room"})
    assert recipe["held_out"] == ["00.png", "03.png"]
    assert json.loads((tmp_path / "out" / "recipe.json").read_text())["scene"] == "room"
    full, removed = read_scene(tmp_path / "out"), read_scene(tmp_path / "out" / "removed")
    for read, made in ((full, composited.scene), (removed, composited.removed)):
        for one, two in zip(read.views, made.views, strict=True):
            assert one.name == two.name
            assert np.array_equal(one.image(), two.image())
            np.testing.assert_allclose(one.depth(), two.depth(), rtol=1e-6)
            np.testing.assert_allclose(one.camera.camera_to_world, two.camera.camera_to_world, atol=1e-12)
    assert all(np.array_equal(one.mask(), two.mask()) for one, two in zip(full.views, composited.scene.views, strict=True))
    for part in (tmp_path / "out", tmp_path / "out" / "removed"):
        assert [each.name for each in read_scene(part, split="test").views] == ["00.png", "03.png"]
        assert [each.name for each in read_scene(part, split="train").views] == ["01.png", "02.png", "04.png"]
    with pytest.raises(InputError, match="output folder"):
        write_composited(tmp_path / "out", composited)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_transforms(tmp_path / "scene", room())
    Composite(tmp_path / "scene", tmp_path / "out", seed=2, held_out_every=2, running=Run(threads=1)).run()
    assert "ball on a drum in 5 of 5 views, 3 of them held out" in capsys.readouterr().out
    assert len(read_scene(tmp_path / "out", split="test")) == 3
    with pytest.raises(InputError, match="new or empty"):
        Composite(tmp_path / "scene", tmp_path / "out").run()
    with pytest.raises(InputError, match="held_out_every"):
        Composite(tmp_path / "scene", tmp_path / "other", held_out_every=1).run()
    assert not (tmp_path / "other").exists()


def test_a_stopped_drawing_leaves_the_other_views_as_they_were(composited: Composited) -> None:
    found = composite_object(room(), seed=0, threads=1, on_progress=lambda now: now.done < 2)
    assert composited.finished
    assert not found.finished
    assert [bool(each.mask().any()) for each in found.scene.views] == [True, True, False, False, False]
    for full, removed, original in zip(found.scene.views[2:], found.removed.views[2:], room().views[2:], strict=True):
        assert full.name == removed.name
        assert np.array_equal(full.image(), original.image())
        assert np.array_equal(full.depth(), original.depth())


def test_bad_scenes_are_refused(tmp_path: Path, composited: Composited) -> None:
    scene = room()
    with pytest.raises(InputError, match="two or more views"):
        composite_object(scene.select([0]))
    with pytest.raises(InputError, match=r"view '01.jpg': depth"):
        composite_object(replace(scene, views=(scene.views[0], view(1, cameras()[1], None))))
    with pytest.raises(InputError, match="size"):
        composite_object(scene, size=0.0)
    with pytest.raises(InputError, match="seed"):
        composite_object(scene, seed=-1)
    with pytest.raises(InputError, match="no known pixel"):
        composite_object(with_depth(scene, lambda index, depth: 0 * depth))
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="no surface"):
        composite_object(with_depth(scene, lambda index, depth: rng.uniform(1, 9, depth.shape).astype(np.float32)))
    with pytest.raises(InputError, match=r"held_out.*nowhere"):
        write_transforms(tmp_path / "out", composited.scene, held_out=["nowhere.png"])
