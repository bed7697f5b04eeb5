"""The program: its list of commands, what it says of misspelled ones, and how commands end."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

import pytest
import tyro

import scene_depth.cli.app as app
from scene_depth.cli.app import GROUP, TASKS, main
from scene_depth.errors import InputError


@dataclass(frozen=True)
class Taken:
    """What is taken away."""

    box: Path | None = None
    """A box."""


def sample(
    scene: tyro.conf.Positional[Path],
    output: Path,
    taken: Annotated[Taken, tyro.conf.arg(name="what to remove")] = Taken(),
) -> None:
    """Do something.

    Args:
        scene: A scene.
        output: A folder.
        taken: What to take.
    """
    print(scene, output, taken.box)
    raise KeyboardInterrupt


FAILURES = {
    "full": OSError(errno.ENOSPC, "No space left on device", "out/a.ply"),
    "memory": MemoryError("Unable to allocate 3. TiB"),
    "deep": RecursionError("maximum recursion depth exceeded"),
    "large": OverflowError("int too large to convert to float"),
    "steering": InputError("name", "a\x1b[2Jb\nc\u202e", "letters", file="x\r.ply"),
}


def fail(how: str) -> None:
    """Fail."""
    if how == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    if how == "pipe":
        raise BrokenPipeError
    raise FAILURES[how]


@pytest.fixture
def commands(monkeypatch):
    found = [
        EntryPoint("heal", f"{__name__}:sample", GROUP),
        EntryPoint("fail", f"{__name__}:fail", GROUP),
        EntryPoint("broken", "no_such_package.cli:broken", GROUP),
    ]
    monkeypatch.setattr(app, "entry_points", lambda group: found)


def test_commands_are_listed_by_task_with_the_main_ones_first(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    named = [name for names in TASKS.values() for name in names]
    assert {entry.name for entry in entry_points(group=GROUP)} >= set(named)
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("  ")] == named
    assert all(f"\n{task}:\n" in printed for task in TASKS)
    assert "broken" not in printed


def test_the_list_imports_no_command():
    code = "import sys; from scene_depth.cli.app import main; main(['--help']); assert not {'torch', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(("name", "usual"), [("OPENBLAS_NUM_THREADS", "1"), ("GOMP_SPINCOUNT", "3000")])
@pytest.mark.parametrize("given", [None, "7"])
def test_threads_do_not_wait_busily_unless_the_user_says_otherwise(name: str, usual: str, given: str | None) -> None:
    code = (
        "import os, sys; from scene_depth.cli.app import main; assert not {'numpy', 'torch'} & set(sys.modules); "
        f"sys.argv = ['scene-depth', '--version']; main(); print(os.environ[{name!r}])"
    )
    others = {key: value for key, value in os.environ.items() if key != name}
    chosen = {} if given is None else {name: given}
    found = subprocess.run([sys.executable, "-c", code], env=others | chosen, check=True, capture_output=True, text=True).stdout
    assert found.splitlines()[-1] == (given or usual)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split()[0] == "scene-depth"


def test_a_misspelled_command_gets_a_suggestion(capsys):
    assert main(["hela"]) == 2
    assert "no command hela; did you mean heal?" in capsys.readouterr().err


def test_a_misspelled_option_is_named_before_what_is_missing(commands, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["heal", "scene", "--ouput", "folder", "--bxo=1"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("scene-depth: no option --ouput; did you mean --output?\n")
    assert "no option --bxo; did you mean --box?" in said
    assert said.index("Missing") > said.index("--box?")


def test_options_are_shown_in_groups_without_none(commands, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["heal", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "what to remove options" in shown
    assert "What to take." in shown
    assert "--box PATH" in shown
    assert "{None}" not in shown


def test_a_command_that_is_interrupted_ends_with_130(commands, capsys):
    assert main(["heal", "a", "--output", "b", "--box", "c"]) == 130
    said = capsys.readouterr()
    assert said.out.split() == ["a", "b", "c"]
    assert said.err == "scene-depth: interrupted\n"


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("full", "out/a.ply: No space left on device"),
        ("memory", "out of memory (Unable to allocate 3. TiB)"),
        ("deep", "a value in the input is beyond what can be worked with (maximum recursion depth exceeded)"),
        ("large", "a value in the input is beyond what can be worked with (int too large to convert to float)"),
        ("steering", r"x\r.ply: name: a\x1b[2Jb\nc\u202e; expected letters"),
    ],
)
def test_what_goes_wrong_outside_of_the_program_is_one_line(commands, capsys, how, line):
    assert main(["fail", "--how", how]) == 2
    assert capsys.readouterr().err == f"scene-depth: {line}\n"


def test_sigterm_ends_a_command_as_ctrl_c_does(commands, capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert main(["fail", "--how", "term"]) == 130
    assert capsys.readouterr().err == "scene-depth: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_has_seen_enough_ends_a_command_in_silence(commands, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    assert main(["fail", "--how", "pipe"]) == 141
    assert capsys.readouterr().err == ""


def test_a_broken_command_is_reported_and_the_others_work(commands, capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert "broken" in listed.partition("more:")[2]
    assert "no_such_package" in listed
    assert main(["broken"]) == 2
    assert "could not be loaded" in capsys.readouterr().err
    assert main(["heal", "a", "--output", "b"]) == 130


@pytest.mark.parametrize(("option", "value"), [("--steps", "-1"), ("--max-splats", "0")])
def test_a_value_that_a_record_of_options_refuses_is_one_line(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(tmp_path), "--output", str(tmp_path / "out"), option, value]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"scene-depth: {option[2:].replace('-', '_')} is {value}; expected 1 or more")
