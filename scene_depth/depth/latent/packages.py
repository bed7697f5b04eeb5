"""Parts of packages that are installed for diffusion models alone, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from scene_depth.errors import InputError, first_line


def package_class(package: str, name: str) -> Any:
    """A class of a package, imported now.

    Raises:
        InputError: If the package is not installed, or too old to have it.
    """
    try:
        return getattr(importlib.import_module(package), name)
    except (ImportError, AttributeError, RuntimeError) as error:
        found, hint = f"could not be imported ({first_line(error)})", "pip install 'scene-depth[diffusion]'"
        raise InputError(f"package {package}", found, "", hint=hint) from error


def diffusers_class(name: str) -> Any:
    """A class of diffusers; errors as in ``package_class``."""
    return package_class("diffusers", name)
