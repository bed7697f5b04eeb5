"""What the page may say: every message of a browser passes this door before anything acts on it.

A value counts only if it is one that its field offered: an option of a list, a number in range, printable text. Whatever else
comes over the wire is dropped, whoever sent it. Names of files stay within one folder.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scene_depth.errors import InputError

log = logging.getLogger(__name__)
LARGEST = 1e12  # of any number
MOST_BYTES = 1 << 16  # of one message
MOST_LETTERS = 2000  # of one text
LONGEST_NAME = 200  # of a file, in bytes

Rule = Callable[[object], bool]


def number(least: float = -LARGEST, most: float = LARGEST, whole: bool = False) -> Rule:
    """A finite number in a range."""

    def accepts(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return least <= value <= most and (not whole or value == int(value))

    return accepts


def numbers(count: int) -> Rule:
    """So many finite numbers."""
    return lambda value: isinstance(value, list | tuple) and len(value) == count and all(map(number(), value))


def one_of(offered: Callable[[], Sequence[str]]) -> Rule:
    """One of the texts that are offered when it comes."""
    return lambda value: isinstance(value, str) and value in offered()


def text(value: object) -> bool:
    """One line of text, not endless."""
    return isinstance(value, str) and len(value) <= MOST_LETTERS and (value.isprintable() or not value)


def yes_or_no(value: object) -> bool:
    """True or false."""
    return isinstance(value, bool)


def pressed(value: object) -> bool:
    """What a button sends."""
    return value is True


def _rotation(value: object) -> bool:
    return numbers(4)(value) and isinstance(value, list | tuple) and math.hypot(*value) > 1e-6


def _places(value: object) -> bool:
    return isinstance(value, list | tuple) and 1 <= len(value) <= 2 and all(map(numbers(2), value))


def _optional(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value)


_POINTER: dict[str, Rule] = {
    "ray_origin": _optional(numbers(3)),
    "ray_direction": _optional(numbers(3)),
    "modifier": _optional(text),
}
_NODE: dict[str, Rule] = {"name": text, "owner": text}
MESSAGES: Mapping[str, Mapping[str, Rule]] = {
    "ViewerCameraMessage": {
        "wxyz": _rotation,
        "position": numbers(3),
        "look_at": numbers(3),
        "up_direction": numbers(3),
        "fov": number(1e-3, math.pi - 1e-3),
        "aspect": number(1e-2, 1e2),
        "near": number(0),
        "far": number(0),
        "image_height": number(1, 1 << 15, whole=True),
        "image_width": number(1, 1 << 15, whole=True),
    },
    "ScenePointerMessage": {"event_type": one_of(lambda: ("click", "rect-select")), "screen_pos": _places, **_POINTER},
    "SceneNodeClickMessage": {"instance_index": _optional(number(0)), "screen_pos": numbers(2), **_NODE, **_POINTER},
    "TransformControlsUpdateMessage": {"wxyz": _rotation, "position": numbers(3), **_NODE},
    "CommandTriggerMessage": {"uuid": text},
    "TransformControlsDragStartMessage": _NODE,
    "TransformControlsDragEndMessage": _NODE,
}
"""What a browser may send beside values of fields: fields of each kind of message, in all versions of viser together."""


class Door:
    """Lets messages through that are well formed and hold only values that were offered.

    Args:
        decode: Makes a message of the bytes that viser gets; it may raise whatever it likes.

    Attributes:
        rules: Id of a field of the page -> what it accepts; values of other fields do not pass.
    """

    def __init__(self, decode: Callable[[bytes], object]):
        self._decode = decode
        self.rules: dict[str, Rule] = {}

    def admits(self, raw: object) -> bool:
        """Whether a message may be acted on.

        Args:
            raw: As it came over the wire.
        """
        if not isinstance(raw, bytes) or len(raw) > MOST_BYTES:
            return False
        try:
            message = self._decode(raw)
            admitted = self._accepts(type(message).__name__, vars(message))
        except Exception as error:  # whatever bytes nobody thought of do to the decoder, they are no message
            log.debug("no message: %r", error)
            return False
        if not admitted:
            log.debug("refused: %.200r", message)
        return admitted

    def _accepts(self, kind: str, content: Mapping[str, object]) -> bool:
        if kind != "GuiUpdateMessage":
            rules = MESSAGES.get(kind)
            return rules is not None and all(name in rules and rules[name](value) for name, value in content.items())
        field, updates = content.get("id", content.get("uuid")), content["updates"]
        if not isinstance(field, str) or not isinstance(updates, dict) or list(updates) != ["value"]:
            return False
        return field in self.rules and self.rules[field](updates["value"])


class ExportFolder:
    """Names of files that come from the page, as paths in the folder that was chosen when the viewer was started.

    Args:
        path: The folder; it is made when the first file is written.
    """

    def __init__(self, path: Path):
        self.path = path.expanduser().absolute()

    def file(self, name: str, suffixes: Sequence[str]) -> Path:
        """Path of a file of the folder.

        Args:
            name: What was typed on the page.
            suffixes: Accepted endings; "" stands for a name without one.

        Raises:
            InputError: If it is no plain name, ends otherwise, or is a link.
        """
        plain = bool(name) and name.isprintable() and not name.startswith(".") and not set(name) & set("/\\:")
        if not plain or len(name.encode("utf-8", "replace")) > LONGEST_NAME:
            raise InputError("file", repr(name[:80]), f"a plain name such as scene{suffixes[0]}; it lies in {self.path}")
        endings = tuple(suffix for suffix in suffixes if suffix)
        if not name.lower().endswith(endings) and not ("" in suffixes and "." not in name):
            raise InputError("file", repr(name), f"a name that ends with {' or '.join(endings)}")
        path = self.path / name
        if path.is_symlink():
            raise InputError("file", "a link to another place", "a file of the folder itself", file=path)
        return path
