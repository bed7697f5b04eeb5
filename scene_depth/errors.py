"""The one error that bad input raises, and what it takes from the errors of others."""

from __future__ import annotations

import os
from os import PathLike

LONGEST = 500
"""Characters of one value in a message."""


class InputError(ValueError):
    """Input that cannot be used, said in one line: where it is, which field, what was found, what is accepted.

    Args:
        field: Name of the argument, file field, property or option at fault.
        found: What was there, in words or as a short value.
        accepted: What would have been right.
        file: File or folder that holds the field; None for an argument of a call.

    Example:
        >>> import scene_depth as sd
        >>> try:
        ...     sd.read_scene("nowhere")
        ... except sd.InputError as error:
        ...     print(error)
        nowhere: scene: found nothing at this path; accepted: a folder or JSON file
    """

    def __init__(self, field: str, found: object, accepted: str, *, file: str | PathLike[str] | None = None):
        self.field, self.found, self.accepted, self.file = field, found, accepted, file
        place = f"{one_line(file)}: " if file is not None else ""
        super().__init__(f"{place}{one_line(field)}: found {one_line(found)}; accepted: {accepted}")


def one_line(value: object) -> str:
    """A value as one line of text for a terminal: what files put into it can neither break the line nor steer the terminal.

    Control characters, and bytes of file names that are no UTF-8, are shown as escapes; more than 500 characters are cut.
    """
    text = os.fsdecode(value) if isinstance(value, (bytes, PathLike)) else str(value)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def first_line(error: BaseException) -> str:
    """What an error of another package says, in one line; the name of its class if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
