"""Finds image inpainters by name: those of this package and those that other packages register."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from scene_depth.color.protocol import ImageInpainter
from scene_depth.errors import InputError
from scene_depth.options import split_options

GROUP = "scene_depth.image_inpainters"

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "exemplar": "scene_depth.color.exemplar.inpainter:ExemplarInpainter",
        "diffusion": "scene_depth.color.diffusion:DiffusionInpainter",
    }
)


def load_image_inpainter(name: str, **options: Any) -> ImageInpainter:
    """Gives an image inpainter.

    Args:
        name: A name of this package or of the entry-point group, or ``module:attribute`` of a class, another factory or
            a plain function ``f(rgb, hole) -> rgb``; each also with options behind it as in ``diffusion[steps=20]``.
        options: Parameters of the factory; they override those of the name.

    Raises:
        InputError: If there is none of that name, if it cannot be imported, or if it does not take the options.
    """
    name, own = split_options(name)
    options = own | options
    targets = {**{entry.name: entry.value for entry in entry_points(group=GROUP)}, **BUILT_IN}
    target = targets.get(name, name)
    module, separator, attribute = target.partition(":")
    if not separator:
        raise InputError("image inpainter", repr(name), f"one of {', '.join(sorted(targets))}, or module:attribute")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError("image inpainter", f"{name!r}, which cannot be imported: {error}", "an installed inpainter") from error
    if not isinstance(found, type) and not options:
        return found
    try:
        inspect.signature(found).bind(**options)
    except TypeError as error:
        raise InputError(f"options of {name!r}", str(error), "parameters of that inpainter") from error
    return found(**options)
