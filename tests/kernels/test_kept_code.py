"""Machine code that is kept on disk: used again only if nothing that it was made from has changed, and never needed."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from scene_depth.depth.solver import gate
from scene_depth.kernels import EXACT, kernel
from scene_depth.kernels.fingerprint import fingerprint

ROOT = Path(__file__).resolve().parents[2]
CONSTANTS = "WEIGHT = 2.0  # a comment\n"
OPTIONS = "from scene_depth.kernels import Options\n\nUSED = Options(())\n"
FUNCTIONS = """
import made_constants
from made_options import USED
from scene_depth.kernels import inlined

@inlined(USED)
def scaled(x):
    return x * made_constants.WEIGHT
"""
KERNEL = """
from made_functions import scaled
from made_options import USED
from scene_depth.kernels import kernel

@kernel(USED)
def scale(values):
    for index in range(values.size):
        values[index] = scaled(values[index])
"""
SOURCES = {"made_constants": CONSTANTS, "made_options": OPTIONS, "made_functions": FUNCTIONS, "made_kernel": KERNEL}

Run = Callable[..., tuple[float, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """``run(made_constants=...)`` imports the four modules anew, with changed sources, and calls the kernel."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # edits within one second would go unnoticed by Python itself

    def forget() -> None:
        for name in SOURCES:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def call(**changed: str) -> tuple[float, str]:
        forget()
        for name, source in {**SOURCES, **changed}.items():
            (tmp_path / f"{name}.py").write_text(source)
        scale = importlib.import_module("made_kernel").scale
        values = np.full(3, 1.5)
        scale(values)
        hits, misses = scale.stats.cache_hits, scale.stats.cache_misses
        return float(values[0]), "kept" if hits else "compiled" if misses else "neither"

    yield call
    forget()


def test_the_same_sources_find_their_code(run: Run) -> None:
    assert run() == (3.0, "compiled")
    assert run() == (3.0, "kept")
    assert run(made_constants="# another comment\nWEIGHT = 2.0\n") == (3.0, "kept")


@pytest.mark.parametrize(
    ("changed", "result"),
    [
        ({"made_constants": CONSTANTS.replace("2.0", "4.0")}, 6.0),
        ({"made_functions": FUNCTIONS.replace("x *", "x +")}, 3.5),
        ({"made_options": OPTIONS.replace("()", "('contract',)")}, 3.0),
        ({"made_options": OPTIONS.replace("()", "(), bare=True")}, 3.0),
    ],
    ids=["constant of another module", "function of another module", "fast-math flags", "reference counts"],
)
def test_any_change_of_what_code_is_made_from_is_a_miss(run: Run, changed: dict[str, str], result: float) -> None:
    run()
    assert run(**changed) == (result, "compiled")
    assert run() == (3.0, "kept"), "the former code is kept beside the new"


def test_constants_and_options_of_real_kernels_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    mix = gate._mix_pixels
    before = fingerprint(mix)
    assert fingerprint(mix) == before
    monkeypatch.setattr(gate, "LEAST_ERROR", -8.0)
    assert fingerprint(mix) != before
    monkeypatch.undo()
    monkeypatch.setitem(gate._weigh.targetoptions, "fastmath", {"nsz"})
    assert fingerprint(mix) != before
    monkeypatch.undo()
    assert fingerprint(mix) == before


ALL_FINGERPRINTS = """
import importlib, pkgutil
from numba.core.dispatcher import Dispatcher
from scene_depth.kernels.fingerprint import fingerprint
rooms = ["scene_depth.depth.solver", "scene_depth.rendering.cpu", "scene_depth.color.exemplar"]
rooms += ["scene_depth_synthetic.procedural"]
names = ["scene_depth.geometry.membrane", "scene_depth.fitting.ssim_kernel"]
for room in rooms:
    names += [module.name for module in pkgutil.iter_modules(importlib.import_module(room).__path__, room + ".")]
for name in names:
    for key, value in sorted(vars(importlib.import_module(name)).items()):
        if isinstance(value, Dispatcher):
            print(name, key, fingerprint(value))
"""


def test_fingerprints_are_the_same_in_every_process() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ALL_FINGERPRINTS],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    first, second = (process.communicate()[0].splitlines() for process in processes)
    assert len(first) > 150
    assert len({line.split()[-1] for line in first}) > 100, "many functions are found under the names of several modules"
    assert first == second


def test_a_kernel_that_reads_what_cannot_be_written_down_is_refused() -> None:
    names: dict[str, Any] = {"table": {"a": 1}}
    exec("def look(x):\n    return x + table['a']\n", names)
    with pytest.raises(TypeError, match="reads table, a dict"):
        fingerprint(kernel(EXACT)(names["look"]))


def test_without_a_cache_folder_kernels_run_and_one_line_says_so() -> None:
    program = """
import numpy as np
from scene_depth.kernels import EXACT, kernel
names, values = {}, np.zeros(3)
exec("def add(values):\\n    values += 1\\ndef double(values):\\n    values *= 2\\n", names)  # no file: nowhere to keep code
for name in ("add", "double"):
    kernel(EXACT)(names[name])(values)
print(*values)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["2.0", "2.0", "2.0"]
    assert done.stderr.splitlines() == [line_of("no cache folder can be written")]


def line_of(reason: str) -> str:
    return f"compiled kernels are not kept, so that every start takes longer: {reason}; set NUMBA_CACHE_DIR"


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_full_disk_is_one_line_and_nothing_else(tmp_path: Path) -> None:
    program = """
import resource
import numpy as np
from scene_depth.color.exemplar.base import _diffuse
from scene_depth.depth.solver.candidates import find_neighbours
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(find_neighbours(np.eye(3, dtype=np.float32), np.eye(3, dtype=bool)).found.sum())
print(_diffuse(np.ones((3, 3, 1)), np.ones((3, 3)), np.ones((3, 3)), 2).sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["24.0", "9.0"]
    assert done.stderr.splitlines() == [line_of("[Errno 27] File too large")]


def test_nothing_else_knows_the_inside_of_numba() -> None:
    outside = [
        path.relative_to(ROOT).as_posix()
        for folder in ("scene_depth", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        if "kernels" not in path.parts and any(word in path.read_text() for word in ("import numba", "from numba", "llvmlite"))
    ]
    assert outside == []
