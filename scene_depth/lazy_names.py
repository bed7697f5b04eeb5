"""Public names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package's ``__init__`` takes as its ``__getattr__`` and ``__dir__``.

    Args:
        package: Its ``__name__``.
        modules: Public names by the module of the package that they live in.

    Example:
        >>> from scene_depth.lazy_names import lazy_names
        >>> find, names = lazy_names("json", {"decoder": ("JSONDecoder",)})
        >>> find(names()[0])
        <class 'json.decoder.JSONDecoder'>
    """
    home = {name: module for module, names in modules.items() for name in names}

    def find(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    return find, lambda: sorted(home)
