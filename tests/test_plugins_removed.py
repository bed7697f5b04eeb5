"""Each plug-in removed in turn: the core and the other plug-ins work as before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("scene_depth_*/__init__.py"))
FRONT_ENDS = {"scene_depth_heal": {"scene_depth_viewer", "scene_depth_nerfstudio"}}
"""What may rest on a plug-in and goes with it: a front end on its workflow."""

PROGRAM = """
import importlib, importlib.abc, pkgutil, sys

removed = set(sys.argv[1].split(","))


class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in removed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())
for name in sys.argv[2].split(","):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if name != "scene_depth_nerfstudio" and not module.name.endswith("__main__"):
            importlib.import_module(module.name)

import numpy as np
from scene_depth.datasets.streams import FRAME_STREAMS
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.registry import load_depth_inpainter

depth = np.full((8, 8), 2.0, np.float32)
known = np.ones((8, 8), bool)
known[3:5, 3:5] = False
found = inpaint_depth(load_depth_inpainter("nearest"), np.zeros((8, 8, 3), np.float32), np.where(known, depth, 0), known)
assert np.array_equal(found.depth, depth)

broken = [entry.name for entry in FRAME_STREAMS.available() if entry.problem]
assert broken == (["procedural"] if "scene_depth_synthetic" in removed else []), broken

from scene_depth.training.registry import TRAININGS, find_training, training_config

for entry in TRAININGS.available():
    assert entry.problem is None, entry
if broken:
    from scene_depth.errors import InputError

    training = find_training("auxiliary")
    try:
        training.make(training_config(training, "tiny"))
    except InputError as error:
        assert "scene_depth_synthetic" in str(error), error
    else:
        raise AssertionError("trained on worlds without a generator")

from scene_depth.cli.app import main

sys.argv[1:] = ["--help"]
main()
"""


@pytest.mark.parametrize("name", PLUGINS)
def test_the_rest_works_without_a_plugin(name: str) -> None:
    removed = {name} | FRONT_ENDS.get(name, set())
    rest = ["scene_depth", *(other for other in PLUGINS if other not in removed)]
    arguments = [sys.executable, "-c", PROGRAM, ",".join(sorted(removed)), ",".join(rest)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "complete" in result.stdout
