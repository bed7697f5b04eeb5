"""Depth inpainters by name and as objects; what all kinds of plug-ins have in common is in ``tests/test_one_registry.py``."""

from __future__ import annotations

import numpy as np
import pytest

from scene_depth.depth.classical import HarmonicInpainter, NearestInpainter
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.protocol import DepthInpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError

DEPTH = np.array([[1.0, 0.0, 3.0]])


def test_what_is_loaded_keeps_known_depth_and_has_a_name():
    loaded = load_depth_inpainter("harmonic", color_scale=0.2)
    assert isinstance(loaded, ExactInpainter)
    assert isinstance(loaded, DepthInpainter)
    assert loaded.inpainter == HarmonicInpainter(color_scale=0.2)
    assert loaded.name == "harmonic"
    assert load_depth_inpainter("harmonic_color", color_scale=0.3).inpainter.color_scale == 0.3
    assert load_depth_inpainter("nearest").inpainter == NearestInpainter()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nearest", {"radius": 1}, "options of nearest: .*radius.* expected these options: none"),
        ("harmonic", {"colour": 1}, "options of harmonic: .*color_scale, least_weight, tolerance"),
        ("harmonic", {"tolerance": -1}, "positive parameters"),
    ],
)
def test_errors_say_what_would_be_right(name, options, message):
    with pytest.raises(InputError, match=message):
        load_depth_inpainter(name, **options)


def test_functions_classes_and_instances():
    def halve(rgb, depth, known):
        return np.where(known, depth, 0.5)

    loaded = load_depth_inpainter(halve)
    assert loaded.name == "halve"
    assert loaded(None, DEPTH).depth.tolist() == [[1, 0.5, 3]]
    assert load_depth_inpainter(loaded) is loaded
    assert load_depth_inpainter(HarmonicInpainter, tolerance=1e-3).inpainter == HarmonicInpainter(tolerance=1e-3)
    assert load_depth_inpainter(HarmonicInpainter()).name == "harmonic"


@pytest.mark.parametrize("name", ["depthlab", "depthfm"])
@pytest.mark.parametrize(("old", "new"), [("steps", "num_inference_steps"), ("ensemble", "ensemble_size")])
def test_an_option_under_its_old_name_is_told_its_new_one(name, old, new):
    with pytest.raises(InputError, match=rf"'{old}'.*{new}"):
        load_depth_inpainter(f"{name}[{old}=2]")
