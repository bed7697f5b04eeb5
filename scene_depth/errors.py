"""The one error that bad input raises, and what it takes from the errors of others."""

from __future__ import annotations

import os
import re
from os import PathLike

LONGEST = 500
"""Characters of one value in a message."""
VALUE = re.compile(r"""'[^']*'|"[^"]*"|[-+]?[\d.,]+(e[-+]?\d+)?( x [\d.,]+)*|None|True|False|nan|-?inf""", re.DOTALL)
PLURAL = re.compile(r"[a-z]*[a-rt-z]s\b(?!\[)")


class InputError(ValueError):
    """Input that cannot be used, said in one line: where it is, which field, what is wrong, what is expected, what to try.

    Args:
        field: Name of the argument, file field, property or option at fault.
        found: What is there, as a short value or in words that go on after the field's name.
        accepted: What would be right; "" where ``hint`` says it all.
        file: File or folder that holds the field; None for an argument of a call.
        hint: The next step where one is known: a command, or what to do.

    Example:
        >>> import scene_depth as sd
        >>> try:
        ...     sd.read_scene("nowhere")
        ... except sd.InputError as error:
        ...     print(error)
        nowhere: scene: nothing at this path; expected a folder or JSON file
    """

    def __init__(
        self, field: str, found: object, accepted: str, *, file: str | PathLike[str] | None = None, hint: str | None = None
    ):
        self.field, self.found, self.accepted, self.file, self.hint = field, found, accepted, file, hint
        place = f"{one_line(file)}: " if file is not None else ""
        super().__init__(f"{place}{self.sentence}")

    @property
    def sentence(self) -> str:
        """The message without the file."""
        name, found = one_line(self.field), one_line(self.found)
        expected = f"; expected {self.accepted}" if self.accepted else ""
        return f"{name}{_link(name, self.found)}{found}{expected}" + (f". Try: {self.hint}" if self.hint else "")


def disk_error_line(error: OSError) -> str:
    """What the system says of a file or a disk, in one line with the file where it is known."""
    place = f"{one_line(error.filename)}: " if error.filename else ""
    return f"{place}{error.strerror or one_line(error)}"


def _link(name: str, found: object) -> str:
    """What stands between a field and what was found: "is" before values and before "a", "an" and "not", else a colon."""
    if not isinstance(found, str) or VALUE.fullmatch(found):
        return " are " if ", " in name else " is "
    if found.startswith(("could ", "holds ")):
        return " "
    return (" are " if PLURAL.match(name.rpartition(": ")[2]) else " is ") if found.startswith(("a ", "an ", "not ")) else ": "


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
