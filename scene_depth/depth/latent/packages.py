"""Parts of packages that are installed for some models alone, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from scene_depth.errors import InputError, first_line


def package_class(module: str, name: str, hint: str = "pip install 'scene-depth[diffusion]'") -> Any:
    """A class of a package, imported now.

    Args:
        module: Its module.
        name: Its name.
        hint: How to install the package.

    Raises:
        InputError: If the package is not installed, or too old to have it.
    """
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, RuntimeError) as error:
        found = f"could not be imported ({first_line(error)})"
        raise InputError(f"package {module.partition('.')[0]}", found, "", hint=hint) from error


def diffusers_class(name: str) -> Any:
    """A class of diffusers; errors as in ``package_class``."""
    return package_class("diffusers", name)
