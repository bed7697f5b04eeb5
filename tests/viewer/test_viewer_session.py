"""What a session does to a scene: select, delete, heal, undo, export."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from room_scene import Room, wall
from scene_depth_heal import HealConfig, HealView
from scene_depth_heal.clicks import Click
from scene_depth_heal.history import HIDDEN, INVENTED, LOCKED
from scene_depth_heal.picking import Stroke, in_mask
from scene_depth_heal.session import EditSession
from scene_depth_heal.stamp import stamp
from scene_depth_viewer.opening import open_session

from scene_depth.errors import InputError
from scene_depth.evaluation.images import psnr
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.rendering import render
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats
from scene_depth.work import Progress

QUICK = HealConfig(steps=40, most_references=2)


def quiet(_: Progress) -> None:
    return None


def test_selections_combine_grow_and_can_be_undone(session: EditSession, the_room: Room) -> None:
    session.select(the_room.ball)
    half = the_room.splats.means[:, 0] > 0
    session.select(half, "intersect")
    assert torch.equal(session.selection, the_room.ball & half)
    before = int(session.selection.sum())
    session.grow_selection(1)
    assert int(session.selection.sum()) > before
    session.undo()
    assert int(session.selection.sum()) == before
    session.grow_selection(-1)
    assert int(session.selection.sum()) < before
    session.invert_selection()
    assert session.history.labels == ["open", "select", "select", "shrink", "invert"]


def test_delete_and_undo_give_the_same_bits(session: EditSession, the_room: Room) -> None:
    told = []
    session.listen(lambda: told.append(len(session.shown()[0])))
    session.select(the_room.ball)
    session.delete()
    assert session.splats.sha256() == the_room.splats.select(~the_room.ball).sha256()
    session.undo()
    assert session.splats.sha256() == the_room.splats.sha256()
    assert torch.equal(session.selection, the_room.ball)
    assert told == [29836, 26836, 29836]


def test_a_heal_repairs_what_was_deleted_before(session: EditSession, the_room: Room, photos: list[HealView]) -> None:
    front = the_room.ball & (the_room.splats.means[:, 2] < 2.4)
    session.select(front)
    session.delete()
    session.select(the_room.ball[~front])
    stages = []
    result = session.heal("harmonic", "exemplar", QUICK, lambda now: stages.append(now.stage))
    assert set(stages) == {"hole", "fill", "fit"}
    assert result.report.removed_splats == int(the_room.ball.sum())
    kept = the_room.splats.select(~the_room.ball)
    assert session.splats.select(slice(0, len(kept))).sha256() == kept.sha256()
    hole = result.states[2].unseen.numpy()
    truth = the_room.truth(2, wall(with_hole=False))
    assert psnr(render(session.splats, the_room.cameras[2]).rgb[0].clamp(0, 1).numpy(), truth, hole) > 22
    red = session.photos[2].rgb[..., 0] - session.photos[2].rgb[..., 1] > 0.5
    assert red.any()
    assert np.array_equal(session.photos[2].rgb, photos[2].rgb)
    assert (session.views[2].rgb[red][:, 0] - session.views[2].rgb[red][:, 1]).max() < 0.4  # the ball is gone from it
    session.undo()
    assert session.history.present.hole is not None
    session.redo()
    assert session.history.present.hole is None


def test_edits_wait_for_a_heal_and_a_cancelled_one_changes_nothing(session: EditSession, the_room: Room) -> None:
    session.select(the_room.ball)
    before, refused = session.splats, []

    def meddle(now: Progress) -> None:
        for act in (session.delete, session.undo, session.invert_selection):
            with pytest.raises(InputError, match="still running"):
                act()
        with pytest.raises(InputError, match="one at a time"):
            session.heal("nearest", "exemplar", QUICK, quiet)
        refused.append(now.stage)
        if now.stage == "fill":
            session.show_preview(now.snapshot())
            assert len(session.shown()[0]) > len(before) - int(the_room.ball.sum())
            session.cancel()

    result = session.heal("nearest", "exemplar", QUICK, meddle)
    assert "fill" in refused
    assert not result.report.finished
    assert session.splats is before
    assert session.preview is None
    assert torch.equal(session.selection, the_room.ball)
    session.delete()  # edits go on


def test_a_heal_that_fails_frees_the_session(session: EditSession, the_room: Room) -> None:
    session.select(the_room.ball)
    with pytest.raises(InputError, match="one of"):
        session.heal("no such inpainter", "exemplar", QUICK, quiet)
    assert not session.busy
    session.delete()


def test_masks_select(the_room: Room, photos: list[HealView]) -> None:
    masked = [HealView(v.name, v.camera, v.rgb, mask=v.rgb[..., 0] - v.rgb[..., 1] > 0.4) for v in photos]
    session = EditSession(the_room.splats, masked)
    session.select_masked()
    visible = the_room.ball & (the_room.splats.means[:, 2] < 2.5)
    assert session.selection[visible].float().mean() > 0.95
    assert session.selection[~the_room.ball].float().mean() < 0.03
    assert all(view.mask is None for view in session.views)


def test_before_shows_the_scene_as_opened(session: EditSession, the_room: Room) -> None:
    session.select(the_room.ball)
    session.delete()
    session.before = True
    assert session.shown() == (session.original, None)
    session.before = False
    assert len(session.shown()[0]) == 26836


def test_nothing_and_everything_are_refused(session: EditSession, the_room: Room) -> None:
    with pytest.raises(InputError, match="no splat"):
        session.delete()
    with pytest.raises(InputError, match="no splat"):
        session.heal("nearest", "exemplar", QUICK, quiet)
    session.invert_selection()
    with pytest.raises(InputError, match="all"):
        session.delete()
    with pytest.raises(InputError, match="the scene has changed"):
        session.select(torch.ones(3, dtype=torch.bool))
    alone = EditSession(the_room.splats)
    with pytest.raises(InputError, match="no splat"):
        alone.heal("nearest", "exemplar", QUICK, quiet)
    with pytest.raises(InputError, match="masks"):
        alone.select_masked()


@pytest.mark.parametrize("name", ["out.ply", "out.compressed.ply", "out.spz", "out.splat"])
def test_exports_are_read_back(session: EditSession, the_room: Room, tmp_path: Path, name: str) -> None:
    session.select(the_room.ball)
    session.delete()
    path = session.export(tmp_path / name)
    assert len(read_splats(path)) == len(session.splats)
    assert session.exported(name) == path.read_bytes()


def test_the_input_is_never_overwritten(the_room: Room, tmp_path: Path) -> None:
    path = tmp_path / "scene.ply"
    write_splats(path, the_room.splats)
    content = path.read_bytes()
    session = open_session(path, None, None, 640, "cpu")
    with pytest.raises(InputError, match="never overwritten"):
        session.export(path)
    with pytest.raises(InputError, match="extension"):
        session.export(tmp_path / "scene.obj")
    assert path.read_bytes() == content


def test_opening_splats_alone_and_with_their_edited_copy(the_room: Room, tmp_path: Path) -> None:
    before, after = tmp_path / "a.ply", tmp_path / "b.ply"
    write_splats(before, the_room.splats)
    write_splats(after, the_room.splats.select(~the_room.ball))
    session = open_session(before, None, after, 640, "cpu")
    assert session.history.labels == ["open", "b.ply"]
    assert len(session.original) == len(the_room.splats)
    assert not session.photos
    with pytest.raises(InputError, match="nothing at this path"):
        open_session(tmp_path / "c.ply", None, None, 640, "cpu")
    with pytest.raises(InputError, match="splats"):
        open_session(before, after, None, 640, "cpu")


def test_threads_cannot_tear_a_session(session: EditSession, the_room: Room) -> None:
    def meddle() -> None:
        for _ in range(30):
            session.invert_selection()

    workers = [threading.Thread(target=meddle) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(session.history.labels) == 121
    assert not session.selection.any()  # an even number of inversions


def test_a_model_is_loaded_once_for_each_name_with_options(session: EditSession, the_room: Room) -> None:
    loads: list[tuple[str, dict[str, int]]] = []

    def load(spec: str, **options: int) -> object:
        loads.append((spec, options))
        return object()

    first = session._loaded("solver", load, {})
    assert session._loaded("solver", load, {}) is first
    assert session._loaded("solver", load, {"steps": 3}) is not first
    assert loads == [("solver", {}), ("solver", {"steps": 3})]


def test_hidden_and_locked_splats_are_not_selected(session: EditSession, the_room: Room) -> None:
    session.select(the_room.ball)
    session.mark(HIDDEN, "hide")
    assert len(session.shown()[0]) == 26836
    assert not session.selection.any()
    with pytest.raises(InputError, match="all"):
        session.select_by(lambda splats: torch.ones(len(splats), dtype=torch.bool))
    session.select(torch.ones(len(the_room.splats), dtype=torch.bool))
    assert torch.equal(session.selection, ~the_room.ball)
    session.unmark(HIDDEN, "show all")
    assert session.shown()[0] is session.splats
    session.select(the_room.ball)
    session.mark(LOCKED, "lock")
    session.invert_selection()
    assert torch.equal(session.selection, ~the_room.ball)
    session.undo()
    session.undo()
    session.delete()  # what was locked is as it was before that
    assert len(session.splats) == 26836
    assert session.splats.sha256() == the_room.splats.select(~the_room.ball).sha256()


def test_a_selection_is_moved_and_duplicated_with_a_hole_still_to_heal(session: EditSession, the_room: Room) -> None:
    front = the_room.ball & (the_room.splats.means[:, 2] < 2.4)
    session.select(front)
    session.delete()
    left = the_room.ball[~front]
    session.select(left)
    matrix = similarity_matrix(euler_rotation(0, 0, 90), (0.0, 0.0, 1.0), 2.0)
    expected = transform_splats(the_room.splats.select(the_room.ball & ~front), matrix)
    session.transform(matrix)
    assert session.splats.select(left).sha256() == expected.sha256()
    assert session.splats.select(~left).sha256() == the_room.splats.select(~the_room.ball).sha256()
    hole = session.history.present.hole
    assert hole is not None
    assert hole.base.select(~hole.removed).sha256() == session.splats.sha256()
    session.transform(similarity_matrix(None, (0.1, 0.0, 0.0)), copy=True)
    assert int(session.selection.sum()) == int(left.sum())
    hole = session.history.present.hole
    assert hole is not None
    assert hole.base.select(~hole.removed).sha256() == session.splats.sha256()
    assert session.history.labels[-2:] == ["move", "duplicate"]
    session.select(torch.zeros(len(session.splats), dtype=torch.bool))
    with pytest.raises(InputError, match="no splat"):
        session.transform(matrix)


def test_a_stroke_is_repaired_in_one_step_and_what_it_invents_is_marked_until_confirmed(
    session: EditSession, the_room: Room
) -> None:
    session.select(~the_room.ball)
    session.mark(LOCKED, "lock")
    camera = the_room.cameras[2]
    pixels = camera.project(the_room.splats.means[the_room.ball].double())[0][0]
    middle = tuple(pixels.mean(0).tolist())
    stroke = Stroke(camera, [middle], float((pixels - pixels.mean(0)).norm(dim=1).max()) + 2)
    removed = session.chosen_by(lambda splats: in_mask(splats, camera, stroke.mask(), front_only=False), "brush")
    assert torch.equal(removed, the_room.ball)  # the wall behind is locked
    result = session.heal("harmonic", "exemplar", HealConfig(steps=5, most_references=2), quiet, removed=removed)
    assert session.history.labels == ["open", "select", "lock", "repair"]
    invented = session.invented
    assert invented is not None
    assert len(invented) == len(session.splats)
    kept = len(session.splats) - result.new
    assert not invented[:kept].any()
    means = session.splats.means[kept:]
    unseen_of_view = result.states[2].unseen
    column, row = camera.project(means.double())[0][0].long().unbind(1)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    behind = torch.zeros(len(means), dtype=torch.bool)
    behind[inside] = unseen_of_view.cpu()[row[inside], column[inside]]
    assert invented[kept:][behind].float().mean() > 0.9
    assert bool(invented.any())
    session.unmark(INVENTED, "confirm")
    assert session.invented is not None
    assert not session.invented.any()
    session.undo()
    session.undo()
    assert session.splats.sha256() == the_room.splats.sha256()


def test_marks_stay_on_their_splats_where_a_heal_also_removes_strays(
    session: EditSession, the_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ball goes in two parts, and the heal takes every hundredth splat of the walls for a stray."""
    walls = (~the_room.ball).nonzero()[:, 0]
    strays = torch.zeros_like(the_room.ball)
    strays[walls[::100]] = True
    locked = torch.zeros_like(the_room.ball)
    locked[walls[::7]] = True
    monkeypatch.setattr("scene_depth_heal.hole.unsupported_splats", lambda *arguments: strays)
    session.select(locked)
    session.mark(LOCKED, "lock")
    front = the_room.ball & (the_room.splats.means[:, 2] < 2.4)
    session.select(front)
    session.delete()
    session.select(the_room.ball[~front])
    result = session.heal("nearest", "exemplar", QUICK, quiet)
    assert torch.equal(result.removed, the_room.ball | strays)
    marked = (session.history.present.marks & LOCKED) > 0
    assert torch.equal(session.splats.means[marked], the_room.splats.means[locked & ~strays])


def test_a_stroke_over_a_scene_that_has_changed_meanwhile_is_refused(session: EditSession, the_room: Room) -> None:
    removed = session.chosen_by(lambda splats: the_room.ball, "brush")
    session.select(the_room.ball & (the_room.splats.means[:, 2] < 2.4))
    session.delete()
    with pytest.raises(InputError, match="changed meanwhile"):
        session.heal("nearest", "exemplar", QUICK, quiet, removed=removed)
    assert not session.busy


def test_a_changed_scene_keeps_marks_selection_and_the_hole(session: EditSession, the_room: Room) -> None:
    session.select(the_room.ball & (the_room.splats.means[:, 2] < 2.4))
    session.delete()
    behind = session.splats.means[:, 2] < 3
    session.select(behind)
    session.mark(LOCKED, "lock")
    session.select(session.splats.means[:, 0] > 1)
    camera, chosen = the_room.cameras[2], int(session.selection.sum())
    stamped, kept = stamp(session.splats, Click(camera, (10, 10)), Click(camera, (20, 20)), 0.2)
    session.change(stamped, kept, "clone")
    assert 0 < int((~kept).sum()) < 200
    assert int(session.selection.sum()) == chosen
    assert int(((session.history.present.marks & LOCKED) > 0).sum()) == int(behind.sum())
    hole = session.history.present.hole
    assert hole is not None
    assert hole.base.select(~hole.removed).sha256() == session.splats.sha256() == stamped.sha256()
    session.undo()
    assert len(session.splats) == len(kept)
