"""Runs readers on mutated files: ``python tests/fuzz/harness.py --inputs 100000`` (``make fuzz``) for long."""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from mutations import mutate
from targets import TARGETS, Target

from scene_depth.errors import InputError

ROOM = 300 << 20
"""Bytes that a reader may take beside the file's own size."""
SECONDS = 10
SILENT = "wrong in silence"
KINDS_FOUND = ("read", "refused", "failed", SILENT, "out of memory")


class TooSlow(BaseException):
    """A reader that takes longer than it may."""


def fuzz(name: str, inputs: int, seed: int, folder: Path) -> tuple[collections.Counter[str], list[str], int]:
    """Reads mutated files of one target.

    Returns:
        How many were read, refused with one error, failed, wrong in silence, out of memory; a line for each that was not read
        or refused, with the file kept beside; the most memory that a reader took beside the file's size, bytes.
    """
    target = TARGETS[name]
    source = folder / "source"
    source.mkdir(parents=True)
    path = target.make(source)
    valid, inner = path.read_bytes(), path.relative_to(source)
    assert _read(target, path) == "read", f"{name}: the file that is not mutated must be read: {_read(target, path)}"
    counts: collections.Counter[str] = collections.Counter()
    failures, largest = [], 0
    for number in range(inputs):
        data = mutate(valid, random.Random(f"{name} {seed} {number}"))
        path.write_bytes(data)
        before = _start_peak()
        outcome = _read(target, path)
        largest = max(largest, _memory("VmHWM") - before - len(data))
        kind = outcome if outcome in ("read", "refused", SILENT) else "out of memory" if "MemoryError" in outcome else "failed"
        counts[kind] += 1
        if kind not in ("read", "refused"):
            kept = folder / f"{hashlib.sha256(data).hexdigest()[:12]}-{path.name}"
            kept.write_bytes(data)
            failures.append(f"{name} ({inner}), input {number} of seed {seed}, kept as {kept}: {outcome}")
    return counts, failures, largest


def _start_peak() -> int:
    """Begins a new peak of memory; gives what is in use."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) << 10


def _read(target: Target, path: Path) -> str:
    try:
        with _limited(path.stat().st_size), _quiet():
            value = target.read(path)
            usable = target.check(value)
    except InputError as error:
        text = str(error)
        if isinstance(error.__cause__, MemoryError):  # which the reader caught
            return f"MemoryError: {text[:200]!r}"
        return (
            "refused" if text.isprintable() and len(text) < 4000 else f"an error of several lines or without end: {text[:200]!r}"
        )
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        where = traceback.extract_tb(error.__traceback__)
        inside = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in where if "scene_depth" in frame.filename]
        return f"{type(error).__name__}: {str(error)[:200]!r} at {' < '.join(reversed(inside))}"
    return "read" if usable else SILENT


@contextlib.contextmanager
def _limited(size: int) -> Iterator[None]:
    """Memory and time of one reader."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM + size, hard))
    former = signal.signal(signal.SIGALRM, _too_slow)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _too_slow(number: int, frame: Any) -> None:
    raise TooSlow(f"more than {SECONDS} s")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    sys.stderr.flush()
    nowhere, former = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    os.dup2(nowhere, 2)  # libraries in C write there too
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(former, 2)
        os.close(former)
        os.close(nowhere)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="mutated files over all targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets whose name holds this text")
    options = parser.parse_args()
    names = [name for name in TARGETS if options.only in name]
    total: collections.Counter[str] = collections.Counter()
    every, most = [], 0
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for number, name in enumerate(names):
        start = time.perf_counter()
        counts, failures, largest = fuzz(name, options.inputs // len(names), options.seed, root / str(number))
        total += counts
        every += failures
        most = max(most, largest)
        seconds = time.perf_counter() - start
        found = " ".join(f"{kind} {counts[kind]}" for kind in KINDS_FOUND)
        print(f"{name:32} {found}, {largest / 1e6:.0f} MB beside its size, {seconds:.1f} s", flush=True)
        for failure in failures[:5]:
            print(f"    {failure}")
    found = ", ".join(f"{kind} {total[kind]:,}" for kind in KINDS_FOUND)
    print(f"{sum(total.values()):,} inputs: {found}, at most {most / 1e6:.0f} MB beside the size of a file")
    if not every:
        shutil.rmtree(root)
    return bool(every)


if __name__ == "__main__":
    sys.exit(main())
