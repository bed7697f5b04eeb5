"""Heal draws and fits only what an edit changes, with the bits that drawing everything gives."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from room_scene import Room, room, wall
from scene_depth_heal.drawings import Drawings, opaque_depth
from scene_depth_heal.fill import region_to_fill, smooth_guess
from scene_depth_heal.hole import (
    SHARE_OF_OBJECT,
    TOLERANCE,
    HealView,
    ViewState,
    dilate,
    find_hole,
    open_hole,
    weight_of,
    widen_hole,
    without_rims,
)
from scene_depth_heal.refine import has_settled
from scene_depth_heal.session import EditSession
from scene_depth_heal.strays import FAINT, SHARE_SHOWN, unsupported_splats
from scene_depth_heal.workflow import HealConfig, heal_views
from torch import Tensor

from scene_depth.cameras import Cameras, look_at
from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import Render, blending_weights, render
from scene_depth.spherical_harmonics import C0
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import Progress


@pytest.fixture(scope="module")
def scene() -> Room:
    return room()


@pytest.fixture(scope="module")
def views(scene: Room) -> list[HealView]:
    return [HealView(f"{index}.png", camera, scene.picture(index)) for index, camera in enumerate(scene.cameras)]


def with_strays(scene: Room) -> tuple[GaussianSplats, Tensor]:
    """The scene with splats inside the ball that no photo supports, and which splats are the ball."""
    strays = scene.splats.select(scene.ball).select(slice(0, 40))
    strays = replace(strays, means=strays.means * 0.3 + torch.tensor([0.0, 0.0, 2.6]) * 0.7, log_scales=strays.log_scales * 0 - 3)
    return concatenate_splats([scene.splats, strays]), torch.cat([scene.ball, torch.zeros(40, dtype=torch.bool)])


def weight_in_whole_picture(splats: GaussianSplats, chosen: Tensor, camera: Cameras) -> Tensor:
    sh = torch.where(chosen[:, None, None], 1.0, -1.0).expand(-1, 1, 3) * 0.5 / 0.28209479177387814
    return render(replace(splats, sh=sh.contiguous()), camera).rgb[0, ..., 0]


def test_a_hole_has_the_bits_of_whole_renders(scene: Room, views: list[HealView]) -> None:
    splats, removed = with_strays(scene)
    hole = find_hole(splats, removed, views)
    assert int(hole.removed.sum()) > int(removed.sum())
    for state in hole.states:
        before, after = render(splats, state.camera), render(hole.kept, state.camera)
        assert torch.equal(state.depth_before, opaque_depth(before))
        assert torch.equal(state.depth_after, opaque_depth(after))
        assert torch.equal(state.rgb_after, after.rgb[0].clamp(0, 1))
        weight = weight_in_whole_picture(splats, hole.removed, state.camera)
        assert torch.allclose(weight_of(splats, hole.removed, state.camera), weight, atol=1e-6)
        assert torch.equal(state.object_pixels, dilate(weight > SHARE_OF_OBJECT, 2))


def test_unsupported_splats_are_those_that_all_photos_together_tell(scene: Room, views: list[HealView]) -> None:
    splats, removed = with_strays(scene)
    blocked = [state.object_pixels for state in open_hole(splats, removed, views).states]
    kept = splats.select(~removed)
    in_hole = torch.stack([blending_weights(kept, c, m[None])[0] for c, m in zip(scene.cameras, blocked, strict=True)]).amax(0)
    beside = torch.stack([blending_weights(kept, c, ~m[None])[0] for c, m in zip(scene.cameras, blocked, strict=True)])
    expected = (in_hole > FAINT) & (beside.topk(2, dim=0).values[1] < SHARE_SHOWN * in_hole)
    found = unsupported_splats(splats, removed, scene.cameras, blocked)
    assert expected.any()
    assert torch.equal(found[~removed], expected)
    assert not found[removed].any()


def test_a_wider_hole_is_that_of_one_deletion(scene: Room, views: list[HealView]) -> None:
    means = scene.splats.means
    more = ~scene.ball & (means[:, 0] > 0.8) & (means[:, 0] < 1.3) & (means[:, 1].abs() < 0.4)
    assert 0 < int(more.sum()) < len(means) // 4
    wider = widen_hole(open_hole(scene.splats, scene.ball, views), more)
    at_once = open_hole(scene.splats, scene.ball | more, views)
    assert torch.equal(wider.removed, at_once.removed)
    assert wider.kept.sha256() == at_once.kept.sha256()
    for one, other in zip(wider.states, at_once.states, strict=True):
        for name in ("depth_before", "rgb_after", "depth_after", "object_pixels", "unseen"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name


def views_all_around(scene: Room) -> tuple[GaussianSplats, Tensor, list[HealView]]:
    """The ball before a whole wall; four views of it, two of what is behind it alone, and two that look away.

    What is behind the ball shows in the two views from between it and the wall, and is supported by them alone.
    """
    splats = concatenate_splats([wall(with_hole=False), scene.splats.select(scene.ball)])
    removed = torch.arange(len(splats)) >= len(splats) - int(scene.ball.sum())
    K, up = scene.cameras[0].K, torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    cameras = list(scene.cameras[:4])
    behind = ((0.1, 0, 3.2), (0, 0, 4)), ((-0.1, 0.1, 3.1), (0, 0, 4))
    away = ((0, 0, -2), (0.2, 0, -9)), ((0, 9, 0), (0, 12, 1))
    for position, target in (behind[0], away[0], behind[1], away[1]):
        pose = look_at(torch.tensor(position, dtype=torch.float64), torch.tensor(target, dtype=torch.float64), up)
        cameras.insert(len(cameras) // 2, Cameras(pose[None], K, scene.cameras[0].width, scene.cameras[0].height))
    views = [HealView(str(place), camera, render(splats, camera).rgb[0].clamp(0, 1)) for place, camera in enumerate(cameras)]
    return splats, removed, views


def test_photos_are_read_where_a_hole_wants_them_and_8_bits_are_as_good(scene: Room) -> None:
    """Views that look away are never read, and a loaded photo of 8 bits gives the bits of the same numbers as floats."""
    splats, removed, views = views_all_around(scene)
    eight_bit = [(255 * view.rgb).round().to(torch.uint8) for view in views]
    read: list[int] = []

    def photo(place: int) -> Tensor:
        read.append(place)
        return eight_bit[place]

    loaded = [replace(view, photo=partial(photo, place)) for place, view in enumerate(views)]
    floats = [replace(view, photo=eight_bit[place].float() / 255) for place, view in enumerate(views)]
    inpainters = load_depth_inpainter("harmonic"), load_image_inpainter("membrane")
    one, other = (heal_views(splats, removed, each, *inpainters, HealConfig(steps=5)) for each in (loaded, floats))
    assert one.report.new_splats > 0
    assert one.splats.sha256() == other.splats.sha256()
    assert set(read) == {place for place, view in enumerate(views) if view.name in {state.name for state in one.states}}
    assert len(set(read)) < len(views)


def test_a_photo_of_another_size_is_an_error_when_it_is_read(scene: Room, views: list[HealView]) -> None:
    wrong = replace(views[0], photo=lambda: torch.zeros(3, 4, 3, dtype=torch.uint8))
    with pytest.raises(InputError, match=r"photo: size \(3, 4\)"):
        _ = wrong.rgb
    with pytest.raises(InputError, match=r"measured: size \(3, 4\)"):
        _ = replace(views[0], measured=lambda: torch.zeros(3, 4)).depth


def draw_everything(splats: GaussianSplats, removed: Tensor, views: list[HealView]) -> list[dict[str, Tensor]]:
    """What every view shows before and after, and what is unseen in it, by drawing all and asking each view of each."""
    kept, found = splats.select(~removed), []
    for view in views:
        before, after = render(splats, view.camera), render(kept, view.camera)
        pixels = dilate(weight_in_whole_picture(splats, removed, view.camera) > SHARE_OF_OBJECT, 2)
        maps = {"depth_before": opaque_depth(before), "depth_after": opaque_depth(after), "rgb_after": after.rgb[0].clamp(0, 1)}
        found.append({**maps, "object_pixels": pixels})
    for place, maps in enumerate(found):
        known = maps["object_pixels"] & (maps["depth_after"] > 0)
        points = views[place].camera.unproject(maps["depth_after"][None])[0][known]
        seen = torch.zeros(len(points), dtype=torch.bool)
        for other, view in enumerate(views):
            if other != place:
                seen |= sight(points, view.camera, found[other]["depth_before"], found[other]["object_pixels"], TOLERANCE).seen
        maps["unseen"] = maps["object_pixels"].clone()
        maps["unseen"][known] = ~seen
        maps["unseen"] = without_rims(maps["unseen"])
    return found


def test_views_that_do_not_show_the_object_are_drawn_only_to_tell_what_is_behind_it(
    scene: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    splats, removed, views = views_all_around(scene)
    drawn = list[Cameras]()

    def spy(s: GaussianSplats, c: Cameras, **options: Any) -> Render:
        drawn.extend([] if options else [c])  # whole pictures
        return render(s, c, **options)

    monkeypatch.setattr("scene_depth_heal.drawings.render", spy)
    hole = open_hole(splats, removed, views)
    assert [state.name for state in hole.states] == ["0", "1", "6", "7"]
    assert {view.name for view in views if any(view.camera is camera for camera in drawn)} == {"0", "1", "4", "5", "6", "7"}
    assert len(drawn) == 6
    with_strays = find_hole(splats, removed, views)  # of what only one of the two views shows
    assert int(with_strays.removed.sum()) > int(removed.sum())
    for found in (hole, with_strays):
        expected = draw_everything(splats, found.removed, views)
        for view, maps in zip(views, expected, strict=True):
            state = found.by_name.get(view.name)
            assert (state is not None) == bool(maps["object_pixels"].any())
            state = state or found.state_of(view)
            for name, values in maps.items():
                assert torch.equal(getattr(state, name), values), (view.name, name)
        unseen, hidden = (sum(int(maps[name].sum()) for maps in expected) for name in ("unseen", "object_pixels"))
        assert 0 < unseen < 0.7 * hidden


def test_drawings_of_an_edited_scene_are_those_of_a_new_one(scene: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    splats, removed, views = views_all_around(scene)
    new = scene.splats.select(scene.ball).select(slice(0, 50))
    edited = concatenate_splats([splats.select(~removed), replace(new, means=new.means + torch.tensor([0.4, 0.0, 0.0]))])
    drawings, regions = Drawings(), list[object]()

    def spy(s: GaussianSplats, c: Cameras, **options: Any) -> Render:
        regions.append(options.get("region"))
        return render(s, c, **options)

    monkeypatch.setattr("scene_depth_heal.drawings.render", spy)
    for scene_now in (splats, edited, splats, edited):
        drawings.follow(scene_now)
        for view in views:
            image = render(scene_now, view.camera)
            assert all(map(torch.equal, drawings.of(view.camera), (image.rgb[0].clamp(0, 1), opaque_depth(image))))
    assert len(regions) == len(views)  # whole pictures are drawn once; parts of them go through render_region
    small = Drawings(limit_bytes=2 * views[0].rgb.nbytes)
    small.follow(splats)
    for view in [*views, views[-1]]:
        small.of(view.camera)
    assert len(regions) == 2 * len(views)  # the last one is kept, and few beside it
    small.of(views[0].camera)
    assert len(regions) == 2 * len(views) + 1


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[Cameras]:
    """The cameras of all whole pictures that are drawn."""
    drawn = list[Cameras]()

    def spy(s: GaussianSplats, c: Cameras, **options: Any) -> Render:
        drawn.extend([] if options else [c])
        return render(s, c, **options)

    monkeypatch.setattr("scene_depth_heal.drawings.render", spy)
    return drawn


def test_a_session_draws_only_what_a_stroke_has_changed(scene: Room, views: list[HealView], whole: list[Cameras]) -> None:
    session, quick = EditSession(scene.splats, views[::2]), HealConfig(steps=0, most_references=1, shadow=False)
    counts = list[int]()
    for side in (-1, 1, -1):  # a stroke over either half, undone after the second, and the second half in another way
        removed = session.splats.means[:, 2] < 2.9
        removed &= side * session.splats.means[:, 0] > (0.05 if len(counts) == 2 else 0)
        base, photos = session.splats, session.views
        result = session.heal("harmonic", "membrane", quick, lambda now: None, removed=removed)
        counts.append(len(whole))
        alone = heal_views(base, removed, photos, load_depth_inpainter("harmonic"), load_image_inpainter("membrane"), quick)
        assert alone.splats.sha256() == result.splats.sha256() == session.splats.sha256()
        assert alone.report.unseen_before == result.report.unseen_before
        assert torch.equal(alone.invented, result.invented)
        whole.clear()
        if len(counts) == 2:
            session.undo()
            session.undo()
    assert counts == [len(views[::2]), 0, 0]


def test_what_is_drawn_ahead_is_not_drawn_by_the_heal(scene: Room, views: list[HealView], whole: list[Cameras]) -> None:
    session, quick = EditSession(scene.splats, views[::2]), HealConfig(steps=0, most_references=1, shadow=False)
    session.draw_ahead()
    assert len(whole) == len(views[::2])
    session.heal("harmonic", "membrane", quick, lambda now: None, removed=scene.splats.means[:, 2] < 2.9)
    session.draw_ahead()  # of the healed scene, which is drawn already
    assert len(whole) == len(views[::2])
    small = EditSession(scene.splats, views[::2])
    small._drawings = Drawings(limit_bytes=3 * 16 * views[0].camera.width * views[0].camera.height)
    small.draw_ahead()
    assert len(whole) == len(views[::2]) + 3  # what would only push out another one is not drawn


def test_a_fill_is_shown_before_its_colour_is_there(scene: Room, views: list[HealView]) -> None:
    told = list[Progress]()
    removed, quick = scene.splats.means[:, 2] < 2.9, HealConfig(steps=0, most_references=1, shadow=False)
    inpainters = load_depth_inpainter("harmonic"), load_image_inpainter("exemplar")
    result = heal_views(scene.splats, removed, views, *inpainters, quick, on_progress=lambda now: told.append(now))
    first, last = (now.snapshot() for now in told if now.stage == "fill" and now.snapshot is not None)
    for name in ("means", "log_scales", "quats", "logit_opacities"):
        assert torch.equal(getattr(first, name), getattr(last, name))
    assert last.sha256() == result.splats.sha256()
    kept, fill = len(first) - result.new, result.fills[0]
    guess = smooth_guess(fill.view.picture.numpy(), fill.view.hole.numpy())[fill.view.hole.numpy()]
    assert torch.allclose(first.sh[kept:, 0] * C0 + 0.5, torch.from_numpy(guess), atol=1e-6)
    assert not torch.equal(first.sh[kept:], last.sh[kept:])


def test_a_scattered_hole_needs_no_more_surroundings_than_its_widest_part(views: list[HealView]) -> None:
    height, width = views[0].camera.height, views[0].camera.width
    flat, nothing = torch.full((height, width), 3.0), torch.zeros(height, width, dtype=torch.bool)

    def region(*spots: tuple[slice, slice]) -> tuple[int, int, int, int]:
        hole = nothing.clone()
        for spot in spots:
            hole[spot] = True
        return region_to_fill(ViewState(views[0], flat, views[0].rgb, flat, nothing, hole))

    spot = slice(height // 2, height // 2 + 2), slice(width // 2, width // 2 + 2)
    left, top, right, bottom = region(spot)
    other = slice(height // 2, height // 2 + 2), slice(width // 2 + 10, width // 2 + 12)
    assert region(spot, other) == (left, top, min(width, right + 10), bottom)
    joined = slice(height // 2, height // 2 + 2), slice(width // 2, width // 2 + 12)
    assert region(joined) == region(spot, other)
    square = slice(height // 2 - 5, height // 2 + 7), slice(width // 2, width // 2 + 12)
    assert region(square)[0] < left


def test_a_fit_has_settled_when_a_round_wins_hardly_anything() -> None:
    falling = [0.9**step for step in range(72)]
    assert not any(has_settled(falling[:count], 24) for count in range(1, 73))
    settled = falling + [falling[-1]] * 48
    assert [count for count in range(1, len(settled) + 1) if has_settled(settled[:count], 24)] == [120]
    assert not has_settled([1.0] * 40, 3)  # rounds of 21 steps, and three of them at least
    assert has_settled([1.0] * 63, 3)
