"""Finds image inpainters by name: those of this package, those that other packages register, and plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scene_depth.color.protocol import ImageInpainter
from scene_depth.registry import Entry, Registry

IMAGE_INPAINTERS = Registry(
    "image inpainter",
    "scene_depth.image_inpainters",
    {
        "exemplar": "scene_depth.color.exemplar.inpainter:ExemplarInpainter",
        "membrane": "scene_depth.color.exemplar.inpainter:MembraneInpainter",
        "diffusion": "scene_depth.color.diffusion:DiffusionInpainter",
    },
    arguments=2,
)


def load_image_inpainter(inpainter: str | Callable[..., Any], **options: Any) -> ImageInpainter:
    """Gives an image inpainter.

    Args:
        inpainter: A name (``available_image_inpainters``), ``module:attribute`` or ``file.py:attribute``, each also with options
            behind it as in ``diffusion[model=FOLDER]``; or an object: an inpainter, a class or other factory of one, or a plain
            function f(rgb, hole) -> rgb.
        options: Parameters of the factory; they override those of the name.

    Raises:
        InputError: If there is no such inpainter, it cannot be imported, or it does not take the options.

    Example:
        >>> import scene_depth as sd
        >>> fill = sd.load_image_inpainter("exemplar")
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> fill(view.image(), view.mask()).shape
        (240, 320, 3)
    """
    loaded: ImageInpainter = IMAGE_INPAINTERS.load(inpainter, **options)
    return loaded


def available_image_inpainters() -> list[Entry]:
    """All registered image inpainters; a broken one is listed with its problem.

    Example:
        >>> import scene_depth as sd
        >>> [entry.name for entry in sd.available_image_inpainters()]
        ['diffusion', 'exemplar', 'membrane']
    """
    return IMAGE_INPAINTERS.available()
