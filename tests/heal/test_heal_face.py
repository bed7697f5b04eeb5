"""The edits as a user calls them: the object said once, in any form."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scene_depth_heal
import scene_depth_heal.api
import torch
from scene_depth_heal import Box, HealConfig, Sphere, heal, select

from scene_depth.errors import InputError
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats

ROOT = Path(__file__).parents[2]
OBJECT = Sphere((0, 0, 0.9), 0.2)


def test_every_public_name_is_there_and_importing_the_package_is_light() -> None:
    for name in scene_depth_heal.__all__:
        assert getattr(scene_depth_heal, name).__name__ == name
    code = "import sys, scene_depth_heal; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_the_examples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = doctest.testmod(scene_depth_heal.api)
    assert found.attempted > 10
    assert found.failed == 0


def test_an_object_is_the_same_in_every_form(tmp_path: Path) -> None:
    splats = read_splats(ROOT / "scenes/table/splats.spz")
    chosen = select(splats, OBJECT)
    indices = chosen.nonzero()[:, 0]
    np.save(tmp_path / "chosen.npy", indices.numpy())
    for form in (chosen, chosen.numpy(), indices, indices.tolist(), tmp_path / "chosen.npy"):
        assert torch.equal(select(splats, form), chosen)
    assert torch.equal(select(splats, Box((0, 0, 0.9), (0.4, 0.4, 0.4))) & chosen, chosen)
    by_masks = select(splats, None, read_scene(ROOT / "scenes/table"), max_size=64)
    assert by_masks.any()
    for wrong, message in (([len(splats)], "indices"), (chosen[:-1], "one boolean a splat"), ([0.5], "indices of splats")):
        with pytest.raises(InputError, match=message):
            select(splats, wrong)
    with pytest.raises(InputError, match="masks belong to"):
        select(splats)


def test_a_heal_says_in_one_line_what_it_did_and_shows_it() -> None:
    scene, splats = read_scene(ROOT / "scenes/table"), read_splats(ROOT / "scenes/table/splats.spz")
    result = heal(scene, splats, OBJECT, inpainter="harmonic", config=HealConfig(steps=0, most_references=1), max_size=64)
    assert result.new > 0
    assert repr(result).startswith("HealResult(")
    assert "finished" in repr(result)
    assert "\n" not in repr(result)
    camera = result.states[0].camera
    assert result.show().size == (3 * camera.width, camera.height)
    assert result._repr_png_().startswith(b"\x89PNG")
