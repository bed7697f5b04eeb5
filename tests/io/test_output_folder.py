"""Folders of results: nothing of somebody else is touched, and a run killed at any write leaves the old result or the new one."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from scene_depth.depth.latent.state_dicts import write_state_dict
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder, atomic_path, temporary_prefix
from scene_depth.io.output_folder import MARK, UNFINISHED, OutputFolder, check_new_file, claim_folder
from scene_depth.io.torch_files import write_torch

NAMES = ("splats.ply", "report.json", "test", "checkpoint.pt")
WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}


def write_result(folder: Path, text: str, *, finished: bool = True, views: int = 2, overwrite: bool = False) -> None:
    output = claim_folder(folder, "fit", NAMES, overwrite=overwrite)
    with output.stage() as stage:
        (stage.path / "splats.ply").write_text(text)
        (stage.path / "test").mkdir()
        for view in range(views):
            (stage.path / "test" / f"{view}.png").write_text(text)
        (stage.path / "report.json").write_text(text)
        stage.finished = finished


def write_until_full(output: OutputFolder) -> None:
    with output.stage() as stage:
        (stage.path / "splats.ply").write_text("new")
        raise InputError("output", "No space left on device", "space")


def read_result(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MARK
    }


def result_of(text: str, views: int = 2) -> dict[str, str]:
    return {"splats.ply": text, "report.json": text, **{f"test/{view}.png": text for view in range(views)}}


def test_a_finished_result_takes_the_place_of_an_earlier_one_as_a_whole(tmp_path: Path) -> None:
    write_result(tmp_path, "old", views=3)
    write_result(tmp_path, "new", views=2)
    assert read_result(tmp_path) == result_of("new")


def test_a_stopped_run_leaves_the_finished_result_and_keeps_its_own_beside_it(tmp_path: Path) -> None:
    write_result(tmp_path, "old")
    write_result(tmp_path, "new", finished=False)
    assert read_result(tmp_path) == {
        **result_of("old"),
        **{f"{UNFINISHED}/{name}": text for name, text in result_of("new").items()},
    }
    write_result(tmp_path, "last")
    assert read_result(tmp_path) == result_of("last")


def test_a_stopped_run_in_a_new_folder_leaves_what_it_has(tmp_path: Path) -> None:
    write_result(tmp_path, "part", finished=False)
    write_result(tmp_path, "more", finished=False)
    assert read_result(tmp_path) == result_of("more")


def test_a_run_that_fails_keeps_what_it_wrote(tmp_path: Path) -> None:
    write_result(tmp_path, "old")
    output = claim_folder(tmp_path, "fit", NAMES)
    with pytest.raises(InputError, match="No space"):
        write_until_full(output)
    assert read_result(tmp_path) == {**result_of("old"), f"{UNFINISHED}/splats.ply": "new"}
    assert output.find("splats.ply").read_text() == "new"
    assert output.find("report.json").read_text() == "old"


@pytest.mark.parametrize("name", ["splats.ply", "test", "report.json", UNFINISHED])
def test_what_somebody_else_wrote_is_not_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir() if name in ("test", UNFINISHED) else (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name}.* of something else.*--overwrite"):
        claim_folder(tmp_path, "fit", NAMES)
    assert os.listdir(tmp_path) == [name]
    write_result(tmp_path, "new", overwrite=True)
    assert read_result(tmp_path) == result_of("new")


def test_results_of_another_command_are_named_and_stay(tmp_path: Path) -> None:
    write_result(tmp_path, "old")
    with pytest.raises(InputError, match=r"report.json of scene-depth fit"):
        claim_folder(tmp_path, "heal", ("healed.ply", "report.json"))
    claim_folder(tmp_path, "render", ("rgb",))
    assert read_result(tmp_path) == result_of("old")


def test_files_of_no_concern_stay_through_every_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_result(tmp_path, "old")
    write_result(tmp_path, "new")
    assert read_result(tmp_path) == {**result_of("new"), "notes.txt": "mine"}


@pytest.mark.parametrize("part", ["", "images", "images_2", "masks", "depth", "test", "views", "rgb", "photos"])
@pytest.mark.parametrize("by_file", [False, True])
def test_a_scene_that_is_read_is_never_an_output(tmp_path: Path, part: str, by_file: bool) -> None:
    scene = tmp_path / "scene"
    (scene / "photos").mkdir(parents=True)
    (scene / "photos" / "a.jpg").write_text("photo")
    (scene / "transforms.json").write_text("{}")
    source = scene / "transforms.json" if by_file else scene
    before = read_result(scene)
    with pytest.raises(InputError, match="of the scene that is read"):
        claim_folder(scene / part, "render", ("frames",), scenes=(source,), overwrite=True)
    assert read_result(scene) == before
    assert not (scene / "images").exists()
    claim_folder(scene / "healed", "render", ("frames",), scenes=(source,))
    claim_folder(scene / "healed", "render", ("frames",), scenes=(source,))


def test_an_input_is_never_replaced_even_if_asked(tmp_path: Path) -> None:
    (tmp_path / "splats.ply").write_text("mine")
    with pytest.raises(InputError, match=r"splats.ply, which would replace an input"):
        claim_folder(tmp_path, "fit", NAMES, inputs=(tmp_path / "splats.ply",), overwrite=True)


def test_a_mark_from_elsewhere_cannot_remove_what_lies_outside(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("mine")
    folder = tmp_path / "output"
    folder.mkdir()
    entry = {"names": ["../photo.jpg", "..", "/etc", str(tmp_path / "photo.jpg")], "finished": True}
    (folder / MARK).write_text(json.dumps({"format": 1, "commands": {"fit": entry}}))
    write_result(folder, "new")
    assert (tmp_path / "photo.jpg").read_text() == "mine"
    assert read_result(folder) == result_of("new")


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 1, "commands": {"fit": []}}', "\x00"])
def test_a_broken_mark_owns_nothing(tmp_path: Path, text: str) -> None:
    write_result(tmp_path, "old")
    (tmp_path / MARK).write_text(text)
    with pytest.raises(InputError, match="something else"):
        claim_folder(tmp_path, "fit", NAMES)


def test_leftovers_of_killed_processes_go_and_those_of_running_ones_stay(tmp_path: Path) -> None:
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    gone = tmp_path / f"{temporary_prefix().replace(str(os.getpid()), str(dead))}abc.ply"
    stays = tmp_path / f"{temporary_prefix()}abc.ply"
    elsewhere = tmp_path / f".scene-depth-00000000-{dead}-abc.ply"
    for path in (gone, stays, elsewhere):
        path.write_text("part")
    claim_folder(tmp_path, "fit", NAMES)
    assert {path.name for path in tmp_path.iterdir()} == {stays.name, elsewhere.name, MARK}


def in_a_process(call: Callable[[], object], event: int = 1 << 30) -> int:
    """Exit code of a process that makes the call, and dies with 9 before its n-th write to the disk."""
    child = os.fork()
    if child == 0:
        left, code = event, 1

        def count(name: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            opened = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if opened or name in WRITES:
                left -= 1
                if left < 0:
                    os._exit(9)

        sys.addaudithook(count)
        try:
            call()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("finished", [True, False])
def test_killed_at_every_write_the_next_run_finds_the_old_result_or_the_new_one(tmp_path: Path, finished: bool) -> None:
    both = {True: [], False: []}
    event, killed = 0, True
    while killed:
        folder = tmp_path / str(event)
        write_result(folder, "old", views=2)
        killed = in_a_process(partial(write_result, folder, "new", finished=finished, views=1), event) == 9
        output = claim_folder(folder, "fit", NAMES)  # what the next run does first
        found = read_result(folder)
        beside = {name.removeprefix(f"{UNFINISHED}/"): text for name, text in found.items() if name.startswith(UNFINISHED)}
        result = {name: text for name, text in found.items() if not name.startswith(UNFINISHED)}
        assert result in (result_of("old"), result_of("new", 1)) if finished else result == result_of("old"), event
        assert beside in ({}, result_of("new", 1)), event
        assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == {MARK}, event
        both[result == result_of("old")].append(event)
        assert output.path == folder
        event += 1
    assert event > 20  # the hook saw the writes
    assert both[True]
    assert both[False] or not finished


def test_a_disk_that_is_full_at_the_last_bytes_leaves_the_old_file(tmp_path: Path) -> None:
    """Of arrays that fit into one buffer, NumPy does not notice that they were cut."""
    path = tmp_path / "a.npy"
    path.write_text("old")

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        with pytest.raises(InputError, match="File too large"), atomic_path(path) as temporary:
            np.save(temporary, np.zeros(320, np.float32))

    assert in_a_process(write) == 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_torch, write_state_dict])
def test_a_disk_that_is_full_in_the_middle_of_weights_leaves_the_old_ones(
    tmp_path: Path, write: Callable[[Path, dict[str, torch.Tensor]], None]
) -> None:
    if write is write_state_dict:
        pytest.importorskip("safetensors")
    path, state = tmp_path / "weights", {"a": torch.zeros(3000), "b": torch.ones(3)}
    path.write_text("old")

    def write_more() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        with pytest.raises(InputError, match="File too large"):
            write(path, state)

    assert in_a_process(write_more) == 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_of_several_files_appears_as_a_whole(tmp_path: Path, is_there: bool) -> None:
    event, killed = 0, True
    while killed:
        folder = tmp_path / str(event) / "scene"
        folder.parent.mkdir()
        if is_there:
            folder.mkdir(mode=0o700)
        killed = in_a_process(partial(write_folder, folder), event) == 9
        found = {name: text for name, text in read_result(folder).items() if not name.startswith(".")} if folder.exists() else {}
        assert found in ({}, {"a": "a", "b/c": "c"}), event
        if not found:
            assert in_a_process(partial(write_folder, folder)) == 0
        assert not list(folder.parent.rglob(".*"))
        assert read_result(folder) == {"a": "a", "b/c": "c"}
        assert not is_there or folder.stat().st_mode & 0o777 == 0o700
        event += 1
    assert event > 8


def write_folder(folder: Path) -> None:
    with atomic_folder(folder) as written:
        (written / "a").write_text("a")
        (written / "b").mkdir()
        (written / "b" / "c").write_text("c")


def test_one_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    assert check_new_file(path) == path
    path.write_text("mine")
    with pytest.raises(InputError, match="--overwrite"):
        check_new_file(path)
    assert check_new_file(path, overwrite=True) == path
    with pytest.raises(InputError, match="never overwritten"):
        check_new_file(path, inputs=(path,), overwrite=True)


def test_a_pipe_is_no_output(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ply")
    with pytest.raises(InputError, match="device or pipe"), atomic_path(tmp_path / "pipe.ply"):
        pass


def test_a_name_as_long_as_the_disk_takes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".ply")
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    with pytest.raises(InputError, match="too long"), atomic_path(tmp_path / ("n" * 256 + ".ply")) as temporary:
        temporary.write_text("whole")
