"""The ``scene-depth`` program: finds its commands by entry point and runs one.

A command is a function whose parameters are its options. Options are shown in groups: a parameter that is a dataclass becomes a
group of its own under the name that ``Annotated[Selection, tyro.conf.arg(name="what to remove")]`` gives it, with what the
function's docstring says of the parameter above it; the options keep their plain names.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import functools
import importlib.util
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import tyro

from scene_depth.cli.progress import sigterm_is_interrupt
from scene_depth.errors import InputError, disk_error_line, one_line
from scene_depth.io.claims import Limits, reading_limits
from scene_depth.io.scene_notes import LOGGER

GROUP = "scene_depth.commands"
TASKS = {
    "see it work": ("demo", "notebooks"),
    "repair a scene": ("heal", "insert", "view"),
    "grow a scene": ("outpaint",),
    "few photos": ("sparse",),
    "splat files": ("fit", "render", "convert", "inspect"),
    "depth": ("complete", "eval"),
    "train": ("train", "weights", "scenes"),
}
"""Task -> its commands, the main ones first; commands that other packages add come last."""
STYLE = (tyro.conf.DisallowNone, tyro.conf.OmitArgPrefixes)
"""Of every command: what may be left out is not shown as a choice of None, and groups do not lengthen the names of options."""


QUIET_THREADS = {"OPENBLAS_NUM_THREADS": "1", "GOMP_SPINCOUNT": "3000"}
"""Threads of OpenBLAS and of torch's OpenMP wait busily and take the cores from compiled kernels: with the former a stroke of the
repair brush costs a fourth more, with the latter more than twice as much where another program keeps a core busy. What the user
has set counts."""


def main(arguments: list[str] | None = None) -> int:
    """Runs ``scene-depth COMMAND ...``. Bad input ends with exit code 2 and one line that says what was wrong."""
    if arguments is None:
        arguments = sys.argv[1:]
        for name, value in QUIET_THREADS.items():  # read when numpy and torch are first imported, which no command has done yet
            os.environ.setdefault(name, value)
    first = arguments[0] if arguments else ""
    if first in ("", "-h", "--help"):
        try:
            _print_commands()
            sys.stdout.flush()
        except BrokenPipeError:
            return _end_reading()
        return 0 if first else 2
    if first == "--version":
        print(f"scene-depth {version('scene-depth')}")
        return 0
    commands = {entry.name: entry for entry in entry_points(group=GROUP)}
    if first not in commands:
        return _fail(f"no command {first}{_suggestion(first, commands)} (scene-depth --help lists all)")
    try:
        command = commands[first].load()
    except Exception as error:  # a broken extension must not break the other commands
        return _fail(f"the command {first!r} of {commands[first].value} could not be loaded: {error}")
    try:
        arguments, limits = _take_limits(arguments)
    except InputError as error:
        return _fail(str(error))
    with reading_limits(limits):
        return _run(lambda: _parse(command, arguments)())


def _take_limits(arguments: list[str]) -> tuple[list[str], Limits]:
    """Takes ``--max-pixels N`` and ``--max-splats N``, which every command has, out of the arguments."""
    options = {f"--{field.name.replace('_', '-')}": field.name for field in dataclasses.fields(Limits)}
    rest, values, words = [], {}, iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if (name := options.get(option.replace("_", "-"))) is None:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value.isascii() or not value.isdigit() or len(value) > 18:
            raise InputError(option, repr(value), "a whole number")
        values[name] = int(value)
    return rest, Limits(**values)


def _run(call: Callable[[], Any]) -> int:
    """Runs a command and gives its exit code, 0 if it says none. What goes wrong outside of the program ends with one line, and
    so does a request to end."""
    with sigterm_is_interrupt(), _notes_shown():
        try:
            code = call()
            return code if isinstance(code, int) else 0
        except InputError as error:
            return _fail(str(error))
        except KeyboardInterrupt:
            _fail("interrupted")
            return 130
        except BrokenPipeError:
            return _end_reading()
        except OSError as error:
            return _fail(disk_error_line(error))
        except MemoryError as error:
            return _fail(f"out of memory ({one_line(error) or 'a smaller picture or fewer splats need less'})")
        except (RecursionError, OverflowError) as error:
            return _fail(f"a value in the input is beyond what can be worked with ({one_line(error)})")


class _Notes(logging.Handler):
    """Prints what readers have to say on the error stream, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"note: {one_line(record.getMessage())}", file=sys.stderr)


@contextlib.contextmanager
def _notes_shown() -> Iterator[None]:
    handler, former = _Notes(), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(former)


def _fail(message: str) -> int:
    print(f"scene-depth: {message}", file=sys.stderr)
    return 2


def _parse(command: Callable[..., Any], arguments: list[str]) -> Callable[[], Any]:
    """Gives the call that the arguments ask for. Of misspelled options it says first what was probably meant."""

    @functools.wraps(command)
    def bind(*values: Any, **options: Any) -> Callable[[], Any]:
        return functools.partial(command, *values, **options)

    app = tyro.extras.SubcommandApp()
    app.command(name=arguments[0])(bind)
    parse = functools.partial(app.cli, prog="scene-depth", config=STYLE)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            call: Callable[[], Any] = parse(args=arguments)
    except SystemExit as ended:
        if (refusal := _refusal_behind(ended)) is not None:
            raise refusal from None
        if ended.code == 2:
            _suggest_options(parse, arguments)
        print(complaint.getvalue(), end="", file=sys.stderr)
        raise
    print(complaint.getvalue(), end="", file=sys.stderr)
    return call


def _refusal_behind(ended: BaseException) -> InputError | None:
    """The error with which a record of options refused its values, which the parser would frame under names of its own."""
    behind = ended.__context__
    while behind is not None and not isinstance(behind, InputError):
        behind = behind.__context__
    return behind


def _suggest_options(parse: Callable[..., Any], arguments: list[str]) -> None:
    """Names the option next to each misspelled one. The options of a command are those that its help shows."""
    given = [argument for argument in arguments if argument.startswith("--")]
    words = arguments[: arguments.index(given[0])] if given else arguments
    help_text = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(help_text), contextlib.redirect_stderr(io.StringIO()):
        parse(args=[*words, "--help"])
    known = dict.fromkeys(re.findall(r"(?<![\w-])--[a-z][\w-]*", help_text.getvalue()))
    for argument in given:
        name = argument.partition("=")[0].replace("_", "-")
        if name not in known and (suggestion := _suggestion(name, known)):
            _fail(f"no option {argument.partition('=')[0]}{suggestion}")


def _suggestion(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _end_reading() -> int:
    """Ends without a word: whoever read the output has seen enough."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # so that the end of the process does not write again
    return 141


def _print_commands() -> None:
    """Prints all commands by task. None of them is imported: their summaries are read from their source."""
    print("usage: scene-depth COMMAND ...\n\nRepair and extend 3D scenes with depth inpainting.")
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    named = {name for names in TASKS.values() for name in names}
    for task, names in {**TASKS, "more": sorted(set(found) - named)}.items():
        if present := [name for name in names if name in found]:
            print(f"\n{task}:")
            for name in present:
                print(f"  {name:<10} {summarize_target(found[name].value)}")
    print("\nscene-depth COMMAND --help shows the options of a command, scene-depth --version the version. Every command takes")
    print("--max-pixels N and --max-splats N, above which a picture or a file of splats is refused as damaged.")


def summarize_target(target: str) -> str:
    """First line of the docstring of ``module:attribute``, else of the module, or why there is none; nothing is imported."""
    module, _, name = target.partition(":")
    try:
        tree = ast.parse(_find_source(module).read_text(encoding="utf-8"))
    except Exception as error:  # a broken extension must not hide the other commands
        return f"(broken: {type(error).__name__}: {error})"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def _find_source(module: str) -> Path:
    """File of a module. Only its outermost package is looked up, which imports nothing."""
    package, *inner = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {package}")
    if not inner:
        return Path(spec.origin)
    path = Path(spec.origin).parent.joinpath(*inner)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


if __name__ == "__main__":
    sys.exit(main())
