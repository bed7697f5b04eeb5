"""Every reader on mutated files: each is read or refused with one line, in bounded memory and time."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import ROOM, fuzz
from targets import TARGETS

INPUTS = 60


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_files_are_read_or_refused_with_one_line(tmp_path: Path, name: str) -> None:
    counts, failures, largest = fuzz(name, INPUTS, seed=1, folder=tmp_path)
    assert not failures, "\n".join(failures)
    assert largest < ROOM
    assert counts["refused"]
