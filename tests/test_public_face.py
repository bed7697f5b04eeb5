"""The public face: what ``import scene_depth`` offers, how quick it is, and that every example in its docstrings runs."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import scene_depth

ROOT = Path(__file__).resolve().parent.parent


def test_every_name_is_there_and_nothing_else_is_listed() -> None:
    assert dir(scene_depth) == sorted(scene_depth.__all__, key=str)
    for name in scene_depth.__all__:
        assert getattr(scene_depth, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'heel'"):
        _ = scene_depth.heel


def test_the_names_for_type_checkers_are_those_that_are_loaded() -> None:
    source = (ROOT / "scene_depth/__init__.py").read_text(encoding="utf-8")
    block = source.split("if TYPE_CHECKING:")[1].split("_HOMES")[0]
    for home, names in scene_depth._HOMES.items():
        assert f"from {home} import" in block
        assert all(name in block for name in names)
    assert {name for names in scene_depth._HOMES.values() for name in names} | {"__version__"} == set(scene_depth.__all__)


def test_the_import_is_light() -> None:
    program = "import sys, scene_depth; print(scene_depth.__name__, 'torch' in sys.modules, 'numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["scene_depth", "False", "False"]


def test_a_plug_in_that_is_missing_is_named() -> None:
    program = """
import sys
sys.modules["scene_depth_heal"] = None
import scene_depth
try:
    scene_depth.heal
except AttributeError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "scene_depth.heal needs the plug-in scene_depth_heal, which is not installed" in result.stdout


@pytest.mark.parametrize("name", [name for name in scene_depth.__all__ if not name.startswith("__")])
def test_the_examples_of_a_public_name_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = getattr(scene_depth, name)
    monkeypatch.chdir(ROOT)
    finder = doctest.DocTestFinder(recurse=False)
    tests = [test for test in finder.find(thing, name, module=False, globs={}) if test.examples]
    assert tests, f"{name} has no example in its docstring"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_what_is_shown_of_values_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    scene = scene_depth.read_scene("scenes/table")
    assert repr(scene).startswith("Scene(32 views of 320 x 240, 32 with masks, 32 with depth, ")
    splats = scene_depth.read_splats("scenes/table/splats.spz")
    assert repr(splats) == f"GaussianSplats({len(splats):,} splats, SH degree {splats.sh_degree}, on cpu)"
    assert "\n" not in repr(scene.views[0].camera)
