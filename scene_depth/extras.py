"""What is said where a package of an extra is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scene_depth.errors import InputError

VIEWER = ("viser", "scene_depth_viewer", "scene_depth_heal")


@contextmanager
def needs_viewer(otherwise: str = "") -> Iterator[None]:
    """Around imports of the viewer's modules: one line on how to install what is missing.

    Args:
        otherwise: What may be done without it, such as ", or --headless".

    Raises:
        InputError: If viser or one of the plug-ins is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in VIEWER:
            raise
        hint = f"pip install 'scene-depth[viewer]'{otherwise}"
        raise InputError(f"package {error.name}", "not installed", "", hint=hint) from error
