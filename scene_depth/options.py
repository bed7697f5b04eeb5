"""Options as ``KEY=VALUE``: behind a name, as in ``depthlab[weights=FOLDER]``, and as keywords of readers and writers."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

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


def split_pairs(texts: Sequence[str], what: str) -> dict[str, str]:
    """``KEY=VALUE`` texts as keys and values, both as typed.

    Raises:
        InputError: If a text has another form.
    """
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(what, repr(text), "KEY=VALUE")
        pairs[key] = value
    return pairs


def bind_options(
    function: Callable[..., Any], options: Mapping[str, Any], what: str, *, file: str | PathLike[str] | None = None
) -> dict[str, Any]:
    """Options for the keyword arguments of a function; text becomes what their annotations ask for.

    Args:
        function: Whose signature says which options there are, and of what kind.
        options: Values, or texts as they are typed on a command line.
        what: What the options are, for errors.
        file: What they are for, for errors.

    Raises:
        InputError: If the function does not take an option, or not such a value.
    """
    parameters, hints = inspect.signature(function).parameters.values(), get_type_hints(function)
    names = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    if unknown := [name for name in options if name not in names]:
        raise InputError(what, ", ".join(unknown), f"options of this format: {', '.join(names) or 'it has none'}", file=file)
    return {name: _as_annotated(name, value, hints[name], file) for name, value in options.items()}


def _as_annotated(name: str, value: Any, hint: Any, file: str | PathLike[str] | None) -> Any:
    """A value of the annotated kind. Only plain kinds are checked: text, numbers, true and false, and names to choose from."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if isinstance(value, str) and (str not in kinds or (type(None) in kinds and value.lower() == "none")):
        value = value if value in choices else _value(value)
    if isinstance(value, (str, bool, type(None))):
        fits = type(value) in kinds or value in choices
    else:
        fits = not isinstance(value, (int, float)) or (float in kinds and math.isfinite(value))
    if fits:
        return value
    words = {str: "text", bool: "true or false", float: "a finite number", type(None): "none"}
    accepted = [*map(repr, choices), *(words[kind] for kind in kinds if kind in words)]
    raise InputError(name, repr(value), ", ".join(accepted), file=file)


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
