"""Runs of the program that end at one of their writes: killed, interrupted, or on a disk that is full from there on."""

from __future__ import annotations

import errno
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch

from scene_depth.cli.app import main
from scene_depth.io.output_folder import MARK, UNFINISHED, claim_folder

How = Literal["nothing", "kill", "interrupt", "ctrl-c", "full"]
TAKES_SPACE = {"open", "os.mkdir"}
CHANGES = TAKES_SPACE | {"os.rename", "os.remove", "os.rmdir", "os.truncate", "os.chmod"}
KILLED = 99


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: Exit code; ``KILLED`` if it was.
        said: What it wrote on both streams.
        events: Changes of the folder that it made or tried.
    """

    code: int
    said: str
    events: int


class Runner:
    """A process of its own in which the program is warm, and whose forks run it.

    The process of the tests has threads of torch and of whatever ran before: a fork of it may wait forever for a lock that one of
    them held.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}):
            self._process.start()

    def warm(self, arguments: Sequence[object]) -> int:
        """Runs the program in the process itself, so that what it imports and compiles is in the forks; gives its exit code."""
        self._pipe.send(([str(argument) for argument in arguments], None))
        code: int = self._answer(None)
        return code

    def run(
        self, arguments: Sequence[object], root: Path, how: How = "nothing", at: int = -1, *, file_size: int | None = None
    ) -> Ended:
        """Runs the program in a fork; see ``run``."""
        self._pipe.send(([str(argument) for argument in arguments], (root, how, at, file_size)))
        ended: Ended = self._answer()
        return ended

    def close(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.join()

    def _answer(self, seconds: float | None = 300) -> Any:
        assert self._pipe.poll(seconds), "the forked program did not end"
        return self._pipe.recv()


def _serve(pipe: Any) -> None:
    while True:
        arguments, asked = pipe.recv()
        if asked is None:
            pipe.send(main(arguments))
        else:
            root, how, at, file_size = asked
            pipe.send(run(arguments, root, how, at, file_size=file_size))


def run(arguments: Sequence[str], root: Path, how: How, at: int, *, file_size: int | None) -> Ended:
    """Runs ``scene-depth`` in a forked process.

    Args:
        arguments: Of the program.
        root: Folder in which changes count.
        how: What happens at change number ``at``, the first being 0.
        at: The number.
        file_size: Largest file that can be written, bytes: a disk that is full in the middle of a file.
    """
    said, output = os.pipe()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code, count = 1, itertools.count()
        try:
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.alarm(120)
            if file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, resource.RLIM_INFINITY))
            sys.addaudithook(lambda event, values: _count(event, values, str(root), how, at, count))
            code = main(list(arguments))
            sys.stdout.flush()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os.write(writer, str(next(count)).encode())
            os._exit(code)
    os.close(output)
    os.close(writer)
    with open(said, encoding="utf-8", errors="replace") as words, open(reader, encoding="utf-8") as number:
        text, events = words.read(), number.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended(code, text, int(events or at))


_watchers: list[Callable[[str, tuple[Any, ...]], None]] = []


@contextmanager
def changes_in(root: Path, how: How = "nothing", at: int = -1) -> Iterator[Iterator[int]]:
    """Counts the changes of a folder that this process makes, in all its threads; for more see ``run``.

    Gives the counter, whose next number is how many there were.
    """
    count = itertools.count()
    _install_watch()
    _watchers.append(lambda event, values: _count(event, values, str(root), how, at, count))
    try:
        yield count
    finally:
        _watchers.clear()


@functools.cache
def _install_watch() -> None:
    """Once, since a hook stays as long as the process."""
    sys.addaudithook(lambda event, values: [watch(event, values) for watch in _watchers] and None)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Lets no file of this process grow beyond a size in bytes: a disk that is full in the middle of a file."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def _count(event: str, values: tuple[Any, ...], root: str, how: How, at: int, count: itertools.count[int]) -> None:
    if event not in CHANGES or (event == "open" and not (isinstance(values[2], int) and values[2] & (os.O_ACCMODE | os.O_CREAT))):
        return
    path = os.fsdecode(values[0]) if isinstance(values[0], str | bytes | os.PathLike) else ""
    if os.path.isabs(path) and not path.startswith(root):  # relative ones are those of a folder that is being removed
        return
    number = next(count)
    if number == at and how == "kill":
        os._exit(KILLED)
    if number == at and how == "ctrl-c":
        signal.raise_signal(signal.SIGINT)
    if number == at and how == "interrupt":
        raise KeyboardInterrupt
    if number >= at and how == "full" and event in TAKES_SPACE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def contents(folder: Path, *, hidden: bool = True) -> dict[str, str]:
    """Relative path -> hash of every file, but for times, memory and what was done before; "" for an empty folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not hidden and any(part.startswith(".") or part == UNFINISHED for part in path.relative_to(folder).parts):
            continue
        if path.is_file():
            found[name] = hashlib.sha256(_bits(path)).hexdigest()
        elif not any(path.iterdir()):
            found[name] = ""
    return found


def _bits(path: Path) -> bytes:
    if path.suffix == ".pt":
        return _plain(torch.load(path, weights_only=True)).encode()
    data = path.read_bytes()
    return (
        re.sub(rb'"(\w*seconds|peak_memory_mb|resumed)": ([-+.e\d]+|{[^}]*})', b"", data)
        if path.suffix in (".json", ".jsonl")
        else data
    )


def _plain(value: Any) -> str:
    """Bits of what a file of torch holds, whatever the order of the objects in it."""
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes().hex()
    if isinstance(value, dict):
        return str([(name, _plain(value[name])) for name in sorted(value, key=str) if not str(name).endswith("seconds")])
    return str([_plain(item) for item in value]) if isinstance(value, list | tuple) else repr(value)


def result_in(folder: Path) -> dict[str, str]:
    """The result that the next command in a folder would find; the folder itself stays as it is."""
    copy = folder.with_name(f"{folder.name}-copy")
    shutil.copytree(folder, copy, symlinks=True)
    try:
        for mark in copy.glob(f"*/{MARK}"):
            (command,) = json.loads(mark.read_text())["commands"]
            claim_folder(mark.parent, command, ())
        return contents(copy, hidden=False)
    finally:
        shutil.rmtree(copy)
