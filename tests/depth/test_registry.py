"""Finding inpainters by name, by module, by file and as functions."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from scene_depth import registry
from scene_depth.depth.classical import HarmonicInpainter, NearestInpainter
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.protocol import DepthInpainter
from scene_depth.depth.registry import DEPTH_INPAINTERS, available_depth_inpainters, load_depth_inpainter
from scene_depth.errors import InputError

DEPTH = np.array([[1.0, 0.0, 3.0]])


@pytest.fixture
def plugins(monkeypatch):
    """Entry points of other packages: a good one, a broken one and one that takes over a built-in name."""
    found = [
        EntryPoint("good", "scene_depth.depth.classical:NearestInpainter", DEPTH_INPAINTERS.group),
        EntryPoint("broken", "no_such_package.inside:Thing", DEPTH_INPAINTERS.group),
        EntryPoint("nearest", "no_such_package.inside:Thing", DEPTH_INPAINTERS.group),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry for entry in found if entry.group == group])


def test_every_built_in_name_loads_or_says_what_it_lacks():
    problems = {entry.name: entry.problem for entry in available_depth_inpainters()}
    assert set(DEPTH_INPAINTERS.built_in) <= set(problems)
    assert [name for name in DEPTH_INPAINTERS.built_in if problems[name]] == []


def test_a_broken_plugin_is_reported_and_breaks_nothing(plugins):
    entries = {entry.name: entry for entry in available_depth_inpainters()}
    assert "ModuleNotFoundError" in entries["broken"].problem
    assert entries["good"].problem is None
    assert entries["linear"].problem is None
    assert load_depth_inpainter("good")(None, DEPTH).depth[0, 1] in (1.0, 3.0)
    with pytest.raises(InputError, match="no_such_package"):
        load_depth_inpainter("broken")


def test_built_in_names_cannot_be_taken_over(plugins):
    assert load_depth_inpainter("nearest").inpainter == NearestInpainter()


def test_options_reach_the_factory():
    loaded = load_depth_inpainter("harmonic", color_scale=0.2)
    assert isinstance(loaded, ExactInpainter)
    assert isinstance(loaded, DepthInpainter)
    assert loaded.inpainter == HarmonicInpainter(color_scale=0.2)
    assert loaded.name == "harmonic"
    assert load_depth_inpainter("harmonic_color", color_scale=0.3).inpainter.color_scale == 0.3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nix", {}, "inpainter: found 'nix'; accepted: one of .*nearest"),
        ("nearest", {"radius": 1}, "options of nearest: .*radius.* accepted: these options: none"),
        ("harmonic", {"colour": 1}, "options of harmonic: .*color_scale, least_weight, tolerance"),
        ("harmonic", {"tolerance": -1}, "positive parameters"),
        ("no.such.module:thing", {}, "ModuleNotFoundError"),
        ("scene_depth.depth.classical:Thing", {}, "AttributeError"),
        ("scene_depth.depth.checks:DEPTH_RANGE", {}, "accepted: something to call"),
        ("missing.py:fill", {}, "no file missing.py"),
    ],
)
def test_errors_say_what_would_be_right(name, options, message):
    with pytest.raises(InputError, match=message):
        load_depth_inpainter(name, **options)


def test_plain_functions():
    def halve(rgb, depth, known):
        return np.where(known, depth, 0.5)

    loaded = load_depth_inpainter(halve)
    assert loaded.name == "halve"
    assert loaded(None, DEPTH).depth.tolist() == [[1, 0.5, 3]]
    assert load_depth_inpainter(loaded) is loaded
    with pytest.raises(InputError, match="no options"):
        load_depth_inpainter(halve, strength=2)


def test_classes_and_instances():
    assert load_depth_inpainter(HarmonicInpainter, tolerance=1e-3).inpainter == HarmonicInpainter(tolerance=1e-3)
    assert load_depth_inpainter(HarmonicInpainter()).name == "harmonic"


CODE = """
import numpy as np

def fill(rgb, depth, known):
    return np.where(known, depth, 7.0)

def factory(value=5.0):
    return lambda rgb, depth, known: np.where(known, depth, value)

class Constant:
    def __init__(self, value):
        self.value = value

    def __call__(self, rgb, depth, known):
        return np.where(known, depth, self.value)
"""


def test_modules_and_files(tmp_path, monkeypatch):
    (tmp_path / "users_fill.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        for place in ("users_fill", str(tmp_path / "users_fill.py")):
            assert (
                load_depth_inpainter(
                    f"{place}:fill",
                )(None, DEPTH).depth[0, 1]
                == 7.0
            )
            assert load_depth_inpainter(f"{place}:factory")(None, DEPTH).depth[0, 1] == 5.0
            assert load_depth_inpainter(f"{place}:factory", value=2.0)(None, DEPTH).depth[0, 1] == 2.0
            assert load_depth_inpainter(f"{place}:Constant", value=4.0)(None, DEPTH).depth[0, 1] == 4.0
            with pytest.raises(InputError, match="value"):
                load_depth_inpainter(f"{place}:Constant")
    finally:
        sys.modules.pop("users_fill", None)


def test_a_file_with_an_error_is_reported(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        load_depth_inpainter(f"{tmp_path / 'bad.py'}:fill")
