"""Parameters written behind a name, as in ``depthlab[num_inference_steps=10,weights=FOLDER]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from scene_depth.errors import InputError

OPTION = re.compile(r"[A-Za-z_]\w*=[^,]*")


def with_options(name: str, options: Sequence[str]) -> str:
    """A name with ``KEY=VALUE`` options behind it, in the form that ``load_depth_inpainter`` and
    ``load_image_inpainter`` take.

    Raises:
        InputError: If an option has another form.
    """
    for option in options:
        if not OPTION.fullmatch(option):
            raise InputError("inpainter options", repr(option), "KEY=VALUE, without commas")
    if not options:
        return name
    bare, bracket, own = name.rstrip("]").partition("[")
    return f"{bare}[{','.join([*([own] if bracket else []), *options])}]"


def split_options(name: str) -> tuple[str, dict[str, Any]]:
    """Parts a name like ``depthlab[num_inference_steps=10,weights=FOLDER]`` into the name and its options.

    Values are numbers, ``true``, ``false``, ``none``, or else text.

    Raises:
        InputError: If an option has another form.
    """
    if not name.endswith("]") or "[" not in name:
        return name, {}
    bare, _, inside = name[:-1].partition("[")
    options = {}
    for option in filter(None, (part.strip() for part in inside.split(","))):
        if not OPTION.fullmatch(option):
            raise InputError(f"options of {bare}", repr(option), "KEY=VALUE, with commas between them")
        key, _, value = option.partition("=")
        options[key] = _value(value)
    return bare, options


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
