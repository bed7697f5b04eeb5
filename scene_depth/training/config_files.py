"""Configurations as JSON: dataclasses to plain values and back, with one clear error for every mistake."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.json_files import read_json_object

Config = TypeVar("Config")
OPTIONS = "options"
"""Name of fields that are mappings with keys of any name."""
NAMES = {int: "an integer", float: "a number", str: "text", bool: "true or false", Path: "a path"}


def read_config(path: str | PathLike[str], kind: type[Config]) -> Config:
    """Reads a configuration; fields that the file leaves out keep their defaults.

    Args:
        path: JSON file.
        kind: Its dataclass.

    Raises:
        InputError: If the file is no JSON object, or has an unknown key or a value of the wrong type.
    """
    return config_from_plain(kind, read_json_object(path), file=path)


def write_config(path: str | PathLike[str], config: Any) -> None:
    """Writes a dataclass as JSON that ``read_config`` reads again."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(config_to_plain(config), indent=1) + "\n", encoding="utf-8")


def config_to_plain(value: Any) -> Any:
    """Dataclasses as dictionaries, tuples as lists, paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: config_to_plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, (tuple, list)):
        return [config_to_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: config_to_plain(entry) for name, entry in value.items()}
    return str(value) if isinstance(value, Path) else value


def config_from_plain(kind: Any, value: Any, *, file: str | PathLike[str] | None = None, place: str = "") -> Any:
    """Builds a value of a type from plain values.

    Args:
        kind: Dataclass, tuple, mapping, union, Literal, int, float, bool, str or Path.
        value: From JSON.
        file: For errors.
        place: Dotted name of the value, for errors.

    Raises:
        InputError: If a key is unknown or missing, or a value has the wrong type.
    """
    if is_dataclass(kind):
        return _dataclass_from(kind, value, file, place)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return config_from_plain(next(entry for entry in arguments if entry is not type(None)), value, file=file, place=place)
    if origin is Literal:
        if value not in arguments:
            raise InputError(place, repr(value), f"one of {', '.join(map(repr, arguments))}", file=file)
        return value
    if origin is Mapping:
        if not isinstance(value, dict):
            raise InputError(place, repr(value), "an object in braces", file=file)
        return value
    if origin is tuple:
        return _tuple_from(arguments, value, file, place)
    return _simple_from(kind, value, file, place)


def changed(config: Config, settings: Sequence[str]) -> Config:
    """The configuration with some values replaced.

    Args:
        config: A dataclass.
        settings: ``KEY=VALUE`` with dotted keys ("train.steps=100", "data.0.path=/data"); values are JSON or else text.

    Raises:
        InputError: If a setting has no "=", or its key or value does not fit.
    """
    plain = config_to_plain(config)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError("set", repr(setting), "KEY=VALUE, such as train.steps=1000")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        _put(plain, key, value)
    return config_from_plain(type(config), plain)


def _put(plain: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    inner = plain
    for part in path:
        inner = inner[_key_of(inner, part, key)]
    if path[-1:] == [OPTIONS] and isinstance(inner, dict):  # whoever takes the options knows which there are
        inner[last] = value
    else:
        inner[_key_of(inner, last, key)] = value


def _key_of(inner: Any, part: str, key: str) -> Any:
    if isinstance(inner, dict) and part in inner:
        return part
    if isinstance(inner, list) and part.isdigit() and int(part) < len(inner):
        return int(part)
    accepted = ", ".join(inner) if isinstance(inner, dict) else f"a number below {len(inner)}" if isinstance(inner, list) else ""
    raise InputError(f"setting {key}", repr(part), f"one of {accepted}" if accepted else "nothing, this is a plain value")


def _dataclass_from(kind: Any, value: Any, file: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(place or "configuration", type(value).__name__, "an object in braces", file=file)
    known = {entry.name: entry for entry in fields(kind)}
    unknown = [key for key in value if key not in known]
    if unknown:
        raise InputError(_join(place, unknown[0]), "an unknown key", f"one of {', '.join(known)}", file=file)
    missing = [n for n, e in known.items() if n not in value and e.default is MISSING and e.default_factory is MISSING]
    if missing:
        raise InputError(_join(place, missing[0]), "nothing", "a value", file=file)
    hints = get_type_hints(kind)
    made = {name: config_from_plain(hints[name], entry, file=file, place=_join(place, name)) for name, entry in value.items()}
    return kind(**made)


def _tuple_from(arguments: tuple[Any, ...], value: Any, file: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise InputError(place, repr(value), "a list", file=file)
    kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
    if len(kinds) != len(value):
        raise InputError(place, f"{len(value)} values", f"{len(kinds)} values", file=file)
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(config_from_plain(kind, entry, file=file, place=f"{place}.{index}") for index, (kind, entry) in pairs)


def _simple_from(kind: Any, value: Any, file: Any, place: str) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is float and number:
        return float(value)
    if kind is int and number and value == int(value):
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise InputError(place, repr(value), NAMES.get(kind, str(kind)), file=file)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
