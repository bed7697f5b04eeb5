"""Finds depth inpainters by name: those of this package, those that other packages register, and plain functions."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scene_depth.depth.inpaint import ExactInpainter, inpainter_name
from scene_depth.errors import InputError
from scene_depth.options import split_options

GROUP = "scene_depth.depth_inpainters"

BUILT_IN: Mapping[str, str] = MappingProxyType(
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
        "marigold": "scene_depth.depth.monocular:marigold_inpainter",
        "depthfm": "scene_depth.depth.depthfm.inpainter:depthfm_inpainter",
        "transformers": "scene_depth.depth.monocular:transformers_inpainter",
    }
)
"""Name -> factory of the inpainters of this package, here so that they are found without an installation's metadata."""


@dataclass(frozen=True)
class InpainterEntry:
    """One inpainter that can be asked for by name.

    Attributes:
        name: The name.
        target: ``module:attribute`` of its factory.
        problem: Why it cannot be loaded; None if it can.
    """

    name: str
    target: str
    problem: str | None = None


def load_depth_inpainter(inpainter: str | Callable[..., Any], **options: Any) -> ExactInpainter:
    """Gives a depth inpainter that keeps known depth exactly.

    Args:
        inpainter: A name (``available_depth_inpainters``), ``module:attribute`` or ``file.py:attribute``, each also with
            options behind it as in ``depthlab[steps=10]``; or an object: an inpainter, a class or other factory of one,
            or a plain function f(rgb, depth, known) -> depth.
        options: Parameters of the factory; they override those of the name.

    Raises:
        InputError: If there is no such inpainter, it cannot be imported, or it does not take the options.
    """
    if not isinstance(inpainter, str):
        made = inpainter if isinstance(inpainter, ExactInpainter) else make(inpainter, inpainter_name(inpainter), options)
        return made if isinstance(made, ExactInpainter) else ExactInpainter(made, inpainter_name(inpainter))
    name, own = split_options(inpainter)
    target = find_target(name, BUILT_IN, GROUP, "inpainter")
    made = make(load_object(target, name), name, own | options)
    return made if isinstance(made, ExactInpainter) else ExactInpainter(made, inpainter)


def available_depth_inpainters() -> list[InpainterEntry]:
    """All registered names. Each is loaded on its own, so a broken one is listed with its problem and the others work."""
    return available(BUILT_IN, GROUP)


def available(built_in: Mapping[str, str], group: str) -> list[InpainterEntry]:
    """The names of a table and of an entry-point group; a built-in name cannot be taken over."""
    targets = {entry.name: entry.value for entry in entry_points(group=group)} | dict(built_in)
    entries = []
    for name, target in sorted(targets.items()):
        try:
            load_object(target, name)
        except InputError as error:
            entries.append(InpainterEntry(name, target, str(error.found)))
        else:
            entries.append(InpainterEntry(name, target))
    return entries


def find_target(name: str, built_in: Mapping[str, str], group: str, what: str) -> str:
    """The ``module:attribute`` behind a name, or the name itself if it is one."""
    if ":" in name:
        return name
    targets = {entry.name: entry.value for entry in entry_points(group=group)} | dict(built_in)
    if name not in targets:
        raise InputError(what, repr(name), f"one of {', '.join(sorted(targets))}, or module:function, or file.py:function")
    return targets[name]


def load_object(target: str, name: str) -> Any:
    """Imports ``module:attribute`` or ``file.py:attribute``.

    Raises:
        InputError: With the reason, whatever went wrong.
    """
    module_name, _, attribute = target.rpartition(":")
    try:
        module = _module_of_file(Path(module_name)) if module_name.endswith(".py") else importlib.import_module(module_name)
        found = module
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever a foreign module raises, it must not break the others
        problem = f"{target} could not be loaded: {type(error).__name__}: {error}"
        raise InputError(name, problem, "an importable module:attribute or file.py:attribute") from error
    return found


def make(found: Any, name: str, options: Mapping[str, Any], arguments: int = 3) -> Any:
    """Calls a factory with the options; a function that needs so many arguments itself, or an object, is used as it is.

    Args:
        found: Class, function or object.
        name: Its name in errors.
        options: Parameters of the factory.
        arguments: 3 for inpainters, f(rgb, depth, known); 1 for monocular models, f(rgb).
    """
    if not callable(found):
        raise InputError(name, f"{type(found).__name__} {found!r}", f"something to call, or a function of {arguments} arguments")
    is_factory = isinstance(found, type) or (inspect.isroutine(found) and not _needs(found, arguments))
    if not is_factory:
        if options:
            raise InputError(name, f"options {', '.join(options)}", "no options, this one is used as it is")
        return found
    try:
        inspect.signature(found).bind(**options)
    except TypeError as error:
        accepted = ", ".join(_options_of(found)) or "none"
        raise InputError(f"options of {name}", str(error), f"these options: {accepted}") from error
    return found(**options)


def _needs(function: Callable[..., Any], arguments: int) -> bool:
    """Whether it can be called with so many arguments and not without any; a function that needs none is a factory."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    return _binds(signature, arguments) and not _binds(signature, 0)


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _options_of(factory: Callable[..., Any]) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind is not parameter.VAR_POSITIONAL
    ]


def _module_of_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
