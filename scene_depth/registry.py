"""Finds things by name: those of this package, those that other packages register, and what a user points at.

One kind of thing has one :class:`Registry`: depth inpainters, image inpainters, monocular models, trainings, frame streams. All
take the same spellings and give the same errors.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError
from scene_depth.options import split_options

RENAMED_OPTIONS = {
    "steps": "num_inference_steps",
    "ensemble": "ensemble_size",
    "resolution": "processing_resolution",
    "guidance": "guidance_scale",
}
"""Former names of options -> names of today, for errors."""


@dataclass(frozen=True)
class Option:
    """One parameter of a factory.

    Attributes:
        name: Its name.
        default: Its value if it is left out; ``inspect.Parameter.empty`` if it must be given.
        annotation: Its type as written, or "".
    """

    name: str
    default: Any
    annotation: str


@dataclass(frozen=True)
class Entry:
    """One thing that can be asked for by name.

    Attributes:
        name: The name.
        target: ``module:attribute`` of its factory.
        problem: Why it cannot be loaded; None if it can.
        options: Parameters of its factory.
        needs_weights: Whether it works with weights that do not come with this package: its factory has a ``find_weights``.
        missing_weights: What it lacks on this machine of the weights that it takes by default; None if nothing.
    """

    name: str
    target: str
    problem: str | None = None
    options: tuple[Option, ...] = ()
    needs_weights: bool = False
    missing_weights: str | None = None


@dataclass(frozen=True, eq=False)
class Registry:
    """Names of one kind of thing.

    Attributes:
        what: The thing in words, for errors: "depth inpainter".
        group: Entry-point group in which other packages register theirs.
        built_in: Name -> ``module:attribute`` of what comes with this package; no other package can take such a name over.
        arguments: How many arguments a plain function of this kind takes, which tells it from a factory; None for things that
            are not called, which are given as they are found.
    """

    what: str
    group: str
    built_in: Mapping[str, str]
    arguments: int | None = None

    def names(self) -> list[str]:
        """All registered names, sorted; nothing is imported."""
        return list(self.targets())

    def available(self) -> list[Entry]:
        """All registered entries. Each is imported on its own: a broken one is listed with its problem, and the others work.

        No factory is called and no weights are read. A factory that needs weights says where they are by an attribute
        ``find_weights``, a function without arguments that raises an InputError if its default ones are not on this machine.
        """
        found = []
        for name, target in self.targets().items():
            try:
                loaded = load_object(target, name)
            except InputError as error:
                found.append(Entry(name, target, str(error.found)))
            else:
                is_factory = callable(loaded) and self.arguments is not None and _is_factory(loaded, self.arguments)
                finder = getattr(loaded, "find_weights", None)
                missing = None if finder is None else _problem_of(finder)
                found.append(Entry(name, target, None, options_of(loaded) if is_factory else (), finder is not None, missing))
        return found

    def load(self, spec: str | Any, **options: Any) -> Any:
        """Gives the thing itself.

        Args:
            spec: A registered name, ``module:attribute`` or ``file.py:attribute``, each also with options behind it as in
                ``depthlab[weights=FOLDER]``; or an object: a class or other factory, a plain function, the thing itself.
            options: Parameters of the factory; they override those of the name.

        Raises:
            InputError: If there is none of that name, it cannot be imported, or it does not take the options.
        """
        if not isinstance(spec, str):
            return self._make(spec, getattr(spec, "__name__", type(spec).__name__), options)
        name, own = split_options(spec)
        return self._make(load_object(self._find_target(name), name), name, own | options)

    def targets(self) -> dict[str, str]:
        """Name -> ``module:attribute``, sorted by name; nothing is imported."""
        found = {entry.name: entry.value for entry in entry_points(group=self.group)} | dict(self.built_in)
        return dict(sorted(found.items()))

    def _find_target(self, name: str) -> str:
        if ":" in name:
            return name
        targets = self.targets()
        if name not in targets:
            accepted = f"one of {', '.join(targets)}, or module:attribute, or file.py:attribute"
            raise InputError(self.what, repr(name), accepted)
        return targets[name]

    def _make(self, found: Any, name: str, options: Mapping[str, Any]) -> Any:
        """Calls a factory with the options; a plain function, or an object, is used as it is."""
        if self.arguments is None:
            if options:
                raise InputError(name, f"options {', '.join(options)}", f"no options: a {self.what} takes none")
            return found
        if not callable(found):
            raise InputError(
                name, f"{type(found).__name__} {found!r}", f"something to call, or a function of {self.arguments} arguments"
            )
        if not _is_factory(found, self.arguments):
            if options:
                raise InputError(name, f"options {', '.join(options)}", "no options, this one is used as it is")
            return found
        try:
            inspect.signature(found).bind(**options)
        except TypeError as error:
            names = [option.name for option in options_of(found)]
            for old in options:
                if old not in names and RENAMED_OPTIONS.get(old) in names:
                    raise InputError(f"options of {name}", repr(old), f"its name now: {RENAMED_OPTIONS[old]}") from error
            accepted = ", ".join(names) or "none"
            raise InputError(f"options of {name}", str(error), f"these options: {accepted}") from error
        return found(**options)


def options_of(factory: Callable[..., Any]) -> tuple[Option, ...]:
    """The parameters of a factory, in order; of a dataclass those of its constructor."""
    if isinstance(factory, type) and is_dataclass(factory):
        return tuple(Option(field.name, _default_of(field), str(field.type)) for field in fields(factory) if field.init)
    return tuple(
        Option(name, parameter.default, _type_of(parameter))
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )


def _type_of(parameter: inspect.Parameter) -> str:
    return "" if parameter.annotation is parameter.empty else inspect.formatannotation(parameter.annotation).strip("'")


def _default_of(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default


def _problem_of(finder: Callable[[], Any]) -> str | None:
    try:
        finder()
    except Exception as error:  # whatever a foreign finder raises, it must not break the list
        return str(error)
    return None


def _is_factory(found: Callable[..., Any], arguments: int) -> bool:
    """A class, or a function that can be called without arguments; any other callable is the thing itself."""
    return isinstance(found, type) or (inspect.isroutine(found) and not _needs(found, arguments))


def _needs(function: Callable[..., Any], arguments: int) -> bool:
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


def load_object(target: str, name: str) -> Any:
    """Imports ``module:attribute`` or ``file.py:attribute``; whatever goes wrong becomes one InputError."""
    module_name, _, attribute = target.rpartition(":")
    try:
        found = _module_of_file(Path(module_name)) if module_name.endswith(".py") else importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever a foreign module raises, it must not break the others
        problem = f"{target} could not be loaded: {type(error).__name__}: {error}"
        raise InputError(name, problem, "an importable module:attribute or file.py:attribute") from error
    return found


def _module_of_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
