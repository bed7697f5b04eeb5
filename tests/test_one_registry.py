"""One registry for everything: the same plug-in behaves the same whatever kind of thing it is."""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from scene_depth import registry
from scene_depth.color.registry import IMAGE_INPAINTERS, load_image_inpainter
from scene_depth.datasets.streams import FRAME_STREAMS
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.monocular import MONOCULAR_MODELS, load_monocular_model
from scene_depth.depth.prior import predict
from scene_depth.depth.registry import DEPTH_INPAINTERS, load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.registry import Option, Registry, load_object
from scene_depth.training.registry import TRAININGS, find_training

PLUGIN = """
import numpy as np

def function{arguments}:
    return np.full({shape}, 7.0)

def factory(value=5.0):
    return lambda {names}: np.full({shape}, value)

class Model:
    def __init__(self, value: float = 3.0):
        self.value = value

    def __call__(self, {names}):
        return np.full({shape}, self.value)

    @staticmethod
    def find_weights():
        raise OSError("none here")

ready = Model(9.0)
number = 3
"""
KINDS = {
    DEPTH_INPAINTERS: ("rgb, depth, known", "depth.shape", load_depth_inpainter),
    IMAGE_INPAINTERS: ("rgb, mask", "rgb.shape", load_image_inpainter),
    MONOCULAR_MODELS: ("rgb", "rgb.shape[:2]", load_monocular_model),
}
GROUPS = (*KINDS, TRAININGS, FRAME_STREAMS)


def load(kind: Registry, spec, **options):
    return KINDS[kind][2](spec, **options)


def value_of(kind: Registry, loaded) -> float:
    """What a loaded plug-in fills in."""
    rgb, hole = np.zeros((3, 4, 3), dtype=np.float32), np.eye(3, 4, dtype=bool)
    if kind is DEPTH_INPAINTERS:
        return float(inpaint_depth(loaded, rgb, np.where(hole, 0, 2.0), harmonize=False).depth[0, 0])
    return float((loaded(rgb, hole) if kind is IMAGE_INPAINTERS else predict(loaded, rgb).values)[0, 0].max())


@pytest.fixture(params=KINDS, ids=lambda kind: kind.what)
def kind(request, tmp_path, monkeypatch):
    names, shape, _ = KINDS[request.param]
    (tmp_path / "plugged.py").write_text(PLUGIN.format(arguments=f"({names})", names=names, shape=shape))
    (tmp_path / "broken.py").write_text("raise RuntimeError('at import')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield request.param
    sys.modules.pop("plugged", None)


@pytest.mark.parametrize("place", ["plugged", "plugged.py"])
def test_every_form_of_a_plugin_is_taken(kind, place):
    expected = {"function": 7, "factory": 5, "factory[value=2]": 2, "Model": 3, "Model[value=4]": 4, "ready": 9}
    for form, value in expected.items():
        assert value_of(kind, load(kind, f"{place}:{form}")) == value
    assert value_of(kind, load(kind, f"{place}:factory[value=2]", value=6)) == 6  # the argument wins


def test_objects_are_taken_as_names_are(kind):
    found = {name: load_object(f"plugged:{name}", name) for name in ("function", "factory", "Model", "ready")}
    assert [value_of(kind, load(kind, found[name])) for name in ("function", "factory", "Model", "ready")] == [7, 5, 3, 9]
    assert value_of(kind, load(kind, found["Model"], value=8)) == 8


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("nix", {}, r"KIND is 'nix'; expected one of .*, or module:attribute, or file\.py:attribute"),
        ("plugged:nix", {}, "plugged:nix could not be loaded: AttributeError"),
        ("plugged.py:nix", {}, "plugged.py:nix could not be loaded: AttributeError"),
        ("nowhere:nix", {}, "nowhere:nix could not be loaded: ModuleNotFoundError"),
        ("nowhere.py:nix", {}, "nowhere.py:nix could not be loaded: FileNotFoundError: no file nowhere.py"),
        ("broken:nix", {}, "broken:nix could not be loaded: RuntimeError: at import"),
        ("broken.py:nix", {}, "broken.py:nix could not be loaded: RuntimeError: at import"),
        ("plugged:number", {}, "plugged:number: int 3; expected something to call"),
        ("plugged:function", {"value": 1}, "plugged:function: options value; expected no options"),
        ("plugged:factory[size=1]", {}, "options of plugged:factory: .*'size'; expected these options: value"),
        ("plugged:Model", {"size": 1}, "options of plugged:Model: .*'size'; expected these options: value"),
        ("plugged:Model[size]", {}, "options of plugged:Model is 'size'; expected KEY=VALUE"),
    ],
)
def test_errors_are_the_same_for_every_kind(kind, spec, options, message):
    with pytest.raises(InputError, match=message.replace("KIND", kind.what)):
        load(kind, spec, **options)


def test_what_is_available_says_options_and_weights(kind, monkeypatch):
    points = [EntryPoint(name.lower(), f"plugged:{name}", kind.group) for name in ("function", "factory", "Model", "ready")]
    points += [EntryPoint("broken", "broken:nix", kind.group), EntryPoint(next(iter(kind.built_in)), "broken:nix", kind.group)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == kind.group else [])
    entries = {entry.name: entry for entry in kind.available()}
    assert set(entries) == {*kind.built_in, "function", "factory", "model", "ready", "broken"}
    assert "RuntimeError: at import" in entries["broken"].problem
    assert all(entry.problem is None for name, entry in entries.items() if name != "broken")  # none took a built-in name over
    assert entries["function"].options == ()
    assert entries["factory"].options == (Option("value", 5.0, ""),)
    assert entries["model"].options == (Option("value", 3.0, "float"),)
    assert not entries["factory"].needs_weights
    assert (entries["model"].needs_weights, entries["model"].missing_weights) == (True, "none here")
    assert value_of(kind, load(kind, "model", value=1.5)) == 1.5


@pytest.mark.parametrize("kind", GROUPS, ids=lambda kind: kind.what)
def test_every_built_in_name_can_be_imported(kind):
    entries = {entry.name: entry for entry in kind.available()}
    assert set(kind.built_in) <= set(entries)
    assert {name: entries[name].problem for name in kind.built_in if entries[name].problem} == {}


def test_options_tell_their_defaults_and_weights_are_looked_for():
    entries = {entry.name: entry for entry in DEPTH_INPAINTERS.available()}
    for entry in entries.values():
        assert all(option.default is not inspect.Parameter.empty for option in entry.options), entry.name
    assert {name for name, entry in entries.items() if entry.needs_weights} == {
        "any2full", "auxiliary", "depthfm", "depthlab", "marigold", "priorda", "refined", "transformers",
        "lucid_dreamer", "scale_and_shift", "text2room",
    }  # fmt: skip
    assert {"back_end", "checkpoint", "device"} <= {option.name for option in entries["marigold"].options}


def test_trainings_are_found_like_inpainters(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("from scene_depth.training.auxiliary import TRAINING\nother = 3\n")
    (tmp_path / "broken.py").write_text("raise RuntimeError('at import')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for spec in ("mine:TRAINING", "mine.py:TRAINING"):
        assert find_training(spec).name == "auxiliary"
    for spec, message in (
        ("nix", "training is 'nix'; expected one of auxiliary, .*or module:attribute"),
        ("broken:nix", "broken:nix could not be loaded: RuntimeError: at import"),
        ("broken.py:nix", "broken.py:nix could not be loaded: RuntimeError: at import"),
        ("mine.py:other", "mine.py:other: int; expected a Training"),
        ("mine.py:TRAINING[steps=1]", "options steps; expected no options"),
    ):
        with pytest.raises(InputError, match=message):
            find_training(spec)
