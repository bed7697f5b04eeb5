"""Folders of results: who owns what is in them, and how a new result takes the place of an earlier one.

A command claims its output folder before long work starts. What it may write there is noted in an owner mark; a file or folder of
the same name that it did not write itself is never touched, and a folder of the scene that it reads is never an output. Results
are written beside the earlier ones and take their place when they are whole. Those of a run that was stopped go into
``unfinished/`` where a finished result stands. Every change of the folder is a rename; a run that was killed between two of them
is brought to its end by the next one that claims the folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path, check_output, check_writable, clear_strays, temporary_prefix

MARK = ".scene-depth.json"
UNFINISHED = "unfinished"
FORMAT = 1
_READY, _CONTENTS, _RESERVED = ".scene-depth-ready", ".contents.json", 4096
SCENE_PARTS = re.compile(r"(images?|masks?|depths?)(_\d+)?|sparse|colmap|dense|stereo|rgb|colou?r|poses?|test|train|views", re.I)
"""Folders of a scene in which readers look for photos, masks, depth and cameras."""


@dataclass
class Stage:
    """Where a result is written before it takes its place.

    Attributes:
        path: Folder to write into.
        finished: Set to False for the result of a run that was stopped.
    """

    path: Path
    finished: bool = True


@dataclass(frozen=True)
class OutputFolder:
    """A folder that a command may write into.

    Attributes:
        path: The folder.
        command: Who writes.
        names: Files and folders directly in it that the command writes.
    """

    path: Path
    command: str
    names: tuple[str, ...]

    @property
    def unfinished(self) -> Path:
        """Folder of a run under way or stopped, beside a finished result. Checkpoints of long work go here as it goes."""
        return self.path / UNFINISHED

    def place(self, finished: bool) -> Path:
        """Folder in which a result will stand: ``unfinished/`` if it is not finished and would replace one that is."""
        earlier = _read_mark(self.path).get(self.command, {}).get("finished", False)
        return self.path if finished or not earlier else self.unfinished

    def find(self, name: str) -> Path:
        """A file of the run that was stopped or killed last, such as its checkpoint, else of the result."""
        left = self.unfinished / name
        return left if left.exists() else self.path / name

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        """Gives a folder to write a result into, which takes its place when the block ends.

        If the block fails or is interrupted, what was written is kept as an unfinished result, if there is anything.
        """
        stage = Stage(Path(tempfile.mkdtemp(dir=self.path, prefix=temporary_prefix())))
        try:
            (stage.path / _CONTENTS).write_text(" " * _RESERVED)  # so that a result can still take its place on a full disk
            yield stage
            self._land(stage)
        except BaseException:
            stage.finished = False
            with suppress(OSError):  # the first error is the one to tell
                if stage.path.exists() and len(os.listdir(stage.path)) > 1:
                    self._land(stage)
                elif (self.path / _READY).exists():
                    _move_ready(self.path)
            raise
        finally:
            shutil.rmtree(stage.path, ignore_errors=True)

    def _land(self, stage: Stage) -> None:
        stage.path.chmod(self.path.stat().st_mode & 0o777)
        place = self.place(stage.finished)
        contents = {
            "command": self.command,
            "finished": stage.finished,
            "place": "" if place == self.path else UNFINISHED,
            "names": sorted(name for name in os.listdir(stage.path) if name != _CONTENTS),
        }
        with open(stage.path / _CONTENTS, "r+", encoding="utf-8") as file:
            file.write(json.dumps(contents).ljust(_RESERVED))
        stage.path.rename(self.path / _READY)
        _move_ready(self.path)


def claim_folder(
    path: str | os.PathLike[str],
    command: str,
    names: Sequence[str],
    *,
    scenes: Sequence[str | os.PathLike[str] | None] = (),
    inputs: Sequence[str | os.PathLike[str] | None] = (),
    overwrite: bool = False,
) -> OutputFolder:
    """Checks, before long work starts, that a command may write its results into a folder, and marks the folder as its own.

    Args:
        path: The folder; made if missing.
        command: Name of the command.
        names: Files and folders directly in it that the command writes.
        scenes: Scenes that are read: folders, or files in them. None of them may be the output or lose a part to it.
        inputs: Other files and folders that are read and must stay.
        overwrite: Also take over ``names`` that something else wrote; never those of ``scenes`` and ``inputs``.

    Raises:
        InputError: If the folder cannot be written, belongs to a scene that is read, or holds one of ``names`` from elsewhere.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError("output folder", "a file", "a folder", file=folder)
    for scene in scenes:
        if scene is not None:
            _check_outside(folder, Path(scene))
    _check_inputs_stay(folder, names, [Path(source) for source in (*scenes, *inputs) if source is not None])
    check_writable(folder)
    clear_strays(folder, _read_mark(folder).get(command, {}).get("names", ()))
    _move_ready(folder)
    mark = _read_mark(folder)
    owned = set(mark.get(command, {}).get("names", ()))
    foreign = [name for name in (*names, UNFINISHED) if name not in owned and os.path.lexists(folder / name)]
    if foreign and not overwrite:
        writers = sorted(other for other, entry in mark.items() if other != command and set(entry["names"]) & set(foreign))
        found = f"{', '.join(foreign)} of {'scene-depth ' + writers[0] if writers else 'something else'}"
        accepted = f"a new folder, or one that only scene-depth {command} wrote into; --overwrite replaces what is named here"
        raise InputError("output folder", found, accepted, file=folder)
    entry = {"names": sorted(owned | set(names) | {UNFINISHED}), "finished": mark.get(command, {}).get("finished", False)}
    _write_mark(folder, {**{other: _without(entry_, foreign) for other, entry_ in mark.items()}, command: entry})
    return OutputFolder(folder, command, tuple(names))


def check_new_file(
    path: str | os.PathLike[str], *, inputs: Sequence[str | os.PathLike[str]] = (), overwrite: bool = False
) -> Path:
    """Checks, before long work starts, that one file can be written and nothing is lost by it.

    Raises:
        InputError: If it exists and ``overwrite`` is not set, is one of ``inputs``, or cannot be written.
    """
    checked = check_output(path, inputs=tuple(inputs))
    clear_strays(checked.parent)
    if checked.exists() and not overwrite:
        raise InputError("output", "a file that is there already", "a new name, or --overwrite to replace it", file=checked)
    return checked


def _check_outside(folder: Path, scene: Path) -> None:
    """Refuses an output that is the scene's own folder or one of the parts that its readers know."""
    if not scene.exists():  # which the reader says better
        return
    home = (scene if scene.is_dir() else scene.parent).resolve()
    output = folder.resolve()
    if output == home:
        raise InputError(
            "output folder", "the folder of the scene that is read", "another folder, the scene stays as it is", file=folder
        )
    if home in output.parents:
        part = output.relative_to(home).parts[0]
        if SCENE_PARTS.fullmatch(part) or (output.is_dir() and any(output.iterdir()) and not (output / MARK).exists()):
            raise InputError("output folder", f"{part}, a part of the scene that is read", "a folder outside of it", file=folder)


def _check_inputs_stay(folder: Path, names: Sequence[str], sources: Sequence[Path]) -> None:
    for source in sources:
        resolved = source.resolve()
        for name in names:
            written = (folder / name).resolve()
            if written == resolved or written in resolved.parents:
                raise InputError(
                    "output folder",
                    f"{name}, which would replace an input",
                    "another folder: an input is never overwritten",
                    file=folder,
                )


def _move_ready(folder: Path) -> None:
    """Brings a result that is whole to its place, from wherever a killed run left off."""
    ready = folder / _READY
    if ready.is_symlink() or not ready.is_dir():
        return
    try:
        contents = json.loads((ready / _CONTENTS).read_text(encoding="utf-8"))
        command, finished, in_root = str(contents["command"]), contents["finished"] is True, contents["place"] == ""
        names = _plain_names(contents["names"])
    except (OSError, ValueError, KeyError, TypeError):  # removed by a run that was killed while it tidied up
        shutil.rmtree(ready, ignore_errors=True)
        return
    mark = _read_mark(folder)
    entry = mark.get(command, {"names": []})
    place = folder if in_root else folder / UNFINISHED
    place.mkdir(exist_ok=True)
    if in_root:
        old = set(entry["names"]) - {UNFINISHED}
        entry = {"names": sorted(set(entry["names"]) | set(names)), "finished": finished}
    else:
        old = set(os.listdir(place))
    for name in sorted(old - set(names)):
        _remove(place / name)
    for name in sorted(names, key=lambda name: name.endswith(".json")):  # reports last
        if os.path.lexists(ready / name):
            if (place / name).is_dir() and not (place / name).is_symlink():
                _remove(place / name)
            os.replace(ready / name, place / name)
    if in_root:
        _remove(folder / UNFINISHED)
    _write_mark(folder, {**mark, command: entry})
    shutil.rmtree(ready)


def _remove(path: Path) -> None:
    """Removes a file or folder; a folder leaves its place by one rename first, so that it is never half there."""
    if path.is_dir() and not path.is_symlink():
        gone = Path(tempfile.mkdtemp(dir=path.parent, prefix=temporary_prefix()))
        path.rename(gone / "old")
        shutil.rmtree(gone, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _without(entry: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {**entry, "names": [name for name in entry["names"] if name not in names or name == UNFINISHED]}


def _read_mark(folder: Path) -> dict[str, dict[str, Any]]:
    """Command -> what it wrote; a mark that cannot be read owns nothing."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = json.loads((folder / MARK).read_text(encoding="utf-8"))
        if content["format"] == FORMAT:
            return {
                str(command): {"names": _plain_names(entry["names"]), "finished": entry["finished"] is True}
                for command, entry in content["commands"].items()
            }
    return {}


def _plain_names(names: Any) -> list[str]:
    """The names that stay directly in their folder; a mark can come from elsewhere, and what it names may be removed."""
    return [name for name in names if isinstance(name, str) and name not in ("", ".", "..") and os.path.basename(name) == name]


def _write_mark(folder: Path, commands: dict[str, dict[str, Any]]) -> None:
    with atomic_path(folder / MARK) as temporary:
        temporary.write_text(json.dumps({"format": FORMAT, "commands": commands}, indent=1) + "\n", encoding="utf-8")
