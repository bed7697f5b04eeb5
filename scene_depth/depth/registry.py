"""Finds depth inpainters by name: those of this package, those that other packages register, and plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scene_depth.depth.model import ExactInpainter, inpainter_name
from scene_depth.registry import Entry, Registry

DEPTH_INPAINTERS = Registry(
    "depth inpainter",
    "scene_depth.depth_inpainters",
    {
        "auxiliary": "scene_depth.depth.auxiliary:AuxiliaryInpainter",
        "solver": "scene_depth.depth.solver:SolverInpainter",
        "refined": "scene_depth.depth.refined:RefinedInpainter",
        "nearest": "scene_depth.depth.classical:NearestInpainter",
        "linear": "scene_depth.depth.classical:LinearInpainter",
        "harmonic": "scene_depth.depth.classical:HarmonicInpainter",
        "harmonic_color": "scene_depth.depth.classical:harmonic_color",
        "colorization": "scene_depth.depth.classical:ColorizationInpainter",
        "ip_basic": "scene_depth.depth.classical:IPBasicInpainter",
        "geodesic": "scene_depth.depth.classical:GeodesicInpainter",
        "depthlab": "scene_depth.depth.depthlab:DepthLabInpainter",
        "marigold": "scene_depth.depth.monocular_models:marigold_inpainter",
        "depthfm": "scene_depth.depth.depthfm:DepthFMInpainter",
        "transformers": "scene_depth.depth.monocular_models:transformers_inpainter",
        "priorda": "scene_depth.depth.completion_networks:PriorDAInpainter",
        "any2full": "scene_depth.depth.completion_networks:Any2FullInpainter",
        "scale_and_shift": "scene_depth.depth.aligned_prior:ScaleAndShift",
        "text2room": "scene_depth.depth.aligned_prior:Text2Room",
        "lucid_dreamer": "scene_depth.depth.aligned_prior:LucidDreamer",
    },
    arguments=3,
)


def load_depth_inpainter(inpainter: str | Callable[..., Any], **options: Any) -> ExactInpainter:
    """Gives a depth inpainter that keeps known depth exactly.

    Args:
        inpainter: A name (``available_depth_inpainters``), ``module:attribute`` or ``file.py:attribute``, each also with
            options behind it as in ``depthlab[weights=FOLDER]``; or an object: an inpainter, a class or other factory of one,
            or a plain function f(rgb, depth, known) -> depth.
        options: Parameters of the factory; they override those of the name.

    Raises:
        InputError: If there is no such inpainter, it cannot be imported, or it does not take the options.

    Example:
        >>> import scene_depth as sd
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> linear = sd.load_depth_inpainter("linear")
        >>> linear(view.image(), view.depth(), ~view.mask()).depth.shape
        (240, 320)
    """
    if isinstance(inpainter, ExactInpainter):
        return inpainter
    loaded = DEPTH_INPAINTERS.load(inpainter, **options)
    name = inpainter if isinstance(inpainter, str) else inpainter_name(inpainter)
    return loaded if isinstance(loaded, ExactInpainter) else ExactInpainter(loaded, name)


def available_depth_inpainters() -> list[Entry]:
    """All registered depth inpainters; a broken one is listed with its problem.

    Example:
        >>> import scene_depth as sd
        >>> "solver" in [entry.name for entry in sd.available_depth_inpainters()]
        True
    """
    return DEPTH_INPAINTERS.available()
