"""Plain values, as JSON knows them, made dataclasses again, with one clear error for every mistake in them."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from scene_depth.errors import InputError
from scene_depth.io.json_files import is_number

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Kind = TypeVar("Kind", bound="DataclassInstance")
NAMES = {int: "an integer", float: "a number", str: "text", bool: "true or false", Path: "a path"}


def from_plain(
    kind: type[Kind],
    value: object,
    *,
    file: str | PathLike[str] | None = None,
    place: str = "",
    whole: bool = False,
) -> Kind:
    """Builds a dataclass from what ``scene_depth.io.json_reports.plain`` made of one.

    Args:
        kind: The dataclass. Its fields are dataclasses, tuples, lists, mappings, unions with None, Literal, int, float, bool, str
            or Path.
        value: From JSON.
        file: For errors.
        place: Dotted name of the value, for errors.
        whole: Refuse a value that leaves out a field with a default.

    Raises:
        InputError: If a key is unknown or missing, or a value has the wrong type.
    """
    return _Reader(file, whole).read_dataclass(kind, value, place)


class _Reader:
    def __init__(self, file: str | PathLike[str] | None, whole: bool):
        self.file, self.whole = file, whole

    def read_dataclass(self, kind: type[Kind], value: object, place: str) -> Kind:
        if not isinstance(value, dict):
            raise self._wrong(place or "configuration", type(value).__name__, "an object in braces")
        hints, needed = _fields_of(kind)
        unknown = [key for key in value if key not in hints]
        if unknown:
            raise self._wrong(_join(place, unknown[0]), "an unknown key", f"one of {', '.join(hints)}")
        missing = [name for name in (hints if self.whole else needed) if name not in value]
        if missing:
            raise self._wrong(_join(place, missing[0]), "nothing", "a value")
        return kind(**{name: self._read(hints[name], entry, _join(place, name)) for name, entry in value.items()})

    def _read(self, kind: Any, value: Any, place: str) -> Any:
        origin, arguments = get_origin(kind), get_args(kind)
        if is_dataclass(kind) and isinstance(kind, type):
            return self.read_dataclass(kind, value, place)
        if origin in (Union, types.UnionType):
            if value is None and type(None) in arguments:
                return None
            return self._read(next(entry for entry in arguments if entry is not type(None)), value, place)
        if origin is Literal:
            if value not in arguments:
                raise self._wrong(place, repr(value), f"one of {', '.join(map(repr, arguments))}")
            return value
        if origin in (Mapping, dict):
            if not isinstance(value, dict):
                raise self._wrong(place, repr(value), "an object in braces")
            return value
        if origin in (tuple, list):
            return origin(self._read_items(arguments, value, place))
        return self._read_simple(kind, value, place)

    def _read_items(self, kinds: tuple[Any, ...], value: Any, place: str) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise self._wrong(place, repr(value), "a list")
        if len(kinds) == 1 or kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            raise self._wrong(place, f"{len(value)} values", f"{len(kinds)} values")
        return [self._read(kind, entry, f"{place}.{i}") for i, (kind, entry) in enumerate(zip(kinds, value, strict=True))]

    def _read_simple(self, kind: Any, value: Any, place: str) -> Any:
        if kind is float and is_number(value):
            return float(value)
        if kind is int and is_number(value) and value == int(value):
            return int(value)
        if kind in (bool, str) and isinstance(value, kind):
            return value
        if kind is Path and isinstance(value, str):
            return Path(value)
        raise self._wrong(place, repr(value), NAMES.get(kind, str(kind)))

    def _wrong(self, place: str, found: str, accepted: str) -> InputError:
        return InputError(place, found, accepted, file=self.file)


@lru_cache(maxsize=64)
def _fields_of(kind: type[Any]) -> tuple[dict[str, Any], list[str]]:
    """Types of the fields by name, and the names of those without a default."""
    hints = get_type_hints(kind)
    needed = [e.name for e in fields(kind) if e.default is MISSING and e.default_factory is MISSING]
    return {entry.name: hints[entry.name] for entry in fields(kind)}, needed


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
