"""What readers have to say of input that they could read: what was left out, found elsewhere, assumed or converted.

Notes go to the logger ``scene_depth.io``: commands print them, a program that uses the package sees the warnings among them.
Those of a scene are kept in ``Scene.notes`` too, for reports.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from os import PathLike

LOGGER = logging.getLogger("scene_depth.io")
SHOWN = 3  # names of an example


def note(file: str | PathLike[str] | None, sentence: str) -> None:
    """Says one thing about a file that is read all the same."""
    LOGGER.warning("%s%s", "" if file is None else f"{file}: ", sentence)


def shown(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


class SceneNotes:
    """Collects what a reader has to say about a scene, each kind once with the photos that it concerns."""

    def __init__(self) -> None:
        self._left_out: dict[str, list[str]] = {}
        self._found: dict[str, list[str]] = {}
        self._sentences: dict[str, None] = {}

    def leave_out(self, name: str, why: str) -> None:
        """A photo is not used."""
        self._left_out.setdefault(why, []).append(name)

    def found(self, how: str, example: str, what: str = "photos") -> None:
        """A photo, or another file of a view, is used, but not as the scene's file says."""
        self._found.setdefault(f"{what} {how}", []).append(example)

    def say(self, sentence: str) -> None:
        """Anything else; the same sentence is said once."""
        self._sentences[sentence] = None

    def sentences(self, used: int) -> tuple[str, ...]:
        """First how many photos are used and why not the rest, then everything else."""
        total = used + sum(len(names) for names in self._left_out.values())
        reasons = [f"{len(names)} left out: {why} ({shown(names)})" for why, names in self._left_out.items()]
        counts = [f"{len(names)} {how} ({shown(names)})" for how, names in self._found.items()]
        return ("; ".join([f"{used} of {total} photos used", *reasons]), *counts, *self._sentences)
