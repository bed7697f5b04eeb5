"""The ``scene-depth`` program: finds its commands by entry point and runs one."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import tyro

from scene_depth.errors import InputError

GROUP = "scene_depth.commands"


def main(arguments: list[str] | None = None) -> int:
    """Runs ``scene-depth COMMAND ...``. Bad input ends with exit code 2 and one line that says what was wrong."""
    arguments = sys.argv[1:] if arguments is None else arguments
    app = tyro.extras.SubcommandApp()
    for entry in _wanted(arguments):
        try:
            command = entry.load()
        except Exception as error:  # a broken extension must not break the other commands
            print(f"scene-depth: the command {entry.name!r} of {entry.value} could not be loaded: {error}", file=sys.stderr)
            continue
        app.command(command, name=entry.name)
    try:
        app.cli(prog="scene-depth", args=arguments)
    except InputError as error:
        print(f"scene-depth: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("scene-depth: interrupted", file=sys.stderr)
        return 130
    return 0


def _wanted(arguments: list[str]) -> list[EntryPoint]:
    """The named command alone, so that its start does not wait for the imports of the others; else all."""
    commands = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    named = [entry for entry in commands if arguments and entry.name == arguments[0]]
    return named or commands


if __name__ == "__main__":
    sys.exit(main())
