"""The package: what is in the wheel and the sdist, how the wheel behaves on its own, and what the versions are.

``make test-wheel`` goes further and installs the wheel into a clean environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PACKAGES = [ROOT / "scene_depth", *sorted(path.parent for path in (ROOT / "plugins").glob("scene_depth_*/__init__.py"))]
BUILD = "from setuptools.build_meta import {0}; import sys; {0}(sys.argv[1])"


def project_version() -> str:
    found = re.search(r'^version = "(.+)"$', PROJECT, re.MULTILINE)
    assert found
    return found.group(1)


def tracked_files() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def build(kind: str, source: Path, folder: Path) -> Path:
    """Builds without isolation and without network, in a source tree that may be written into."""
    folder.mkdir()
    program = [sys.executable, "-c", BUILD.format(kind), str(folder)]
    result = subprocess.run(program, cwd=source, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    ignored = shutil.ignore_patterns(".*", "out", "build", "dist", "shared", "__pycache__", "*.egg-info", "node_modules")
    shutil.copytree(ROOT, folder / "tree", ignore=ignored)
    return build("build_sdist", folder / "tree", folder / "dist")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as an installer makes it: of the sdist alone."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return build("build_wheel", next(folder.iterdir()), folder / "dist")


def test_the_sdist_has_every_file_of_the_repository(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in tracked_files() if not name.startswith(".")} <= held
    assert not [name for name in held if name.endswith(".pyc")]


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    ours = {str(package.relative_to(ROOT)) for package in PACKAGES}
    expected = {name.removeprefix("plugins/") for name in tracked_files() if name.startswith(tuple(f"{top}/" for top in ours))}
    expected |= {f"scene_depth_heal/{name}" for name in tracked_files() if name.startswith(("scenes/table/", "notebooks/"))}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected
    assert "scene_depth/depth/solver/gate.npz" in held
    assert {f"{package.name}/py.typed" for package in PACKAGES} <= held


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    place = f"scene_depth-{project_version()}.dist-info"
    metadata = archive.read(f"{place}/METADATA").decode()
    assert f"\nVersion: {project_version()}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert f"{place}/licenses/LICENSE" in archive.namelist()


def test_every_entry_point_of_the_wheel_loads(wheel: Path) -> None:
    points = ConfigParser(delimiters=("=",))
    points.read_string(zipfile.ZipFile(wheel).read(f"scene_depth-{project_version()}.dist-info/entry_points.txt").decode())
    own = [section for section in points.sections() if not section.startswith("nerfstudio.")]  # which only nerfstudio loads
    targets = [target for section in own for target in dict(points[section]).values()]
    assert len(targets) > 10
    for target in targets:
        module, _, attribute = target.partition(":")
        assert callable(getattr(import_module(module), attribute)), target


# Commands of the wheel with the core's dependencies alone: what each says in its one line of the extra that it needs.
CORE_ONLY = {
    "demo --output demo": "scene-depth[viewer]",
    "view scenes/table": "scene-depth[viewer]",
    "heal scenes/table --output healed --color diffusion --color-options model=x": "scene-depth[diffusion]",
    "complete scenes/table/images/frame_00.jpg depth.exr --output completed": "scene-depth[exr]",
}
PROGRAM = """
import contextlib, io, sys
for package in ("viser", "av", "diffusers", "transformers", "accelerate", "safetensors", "OpenEXR", "h5py", "ninja"):
    sys.modules[package] = None
import scene_depth_heal
from scene_depth.cli.app import main

site, *commands = sys.argv[1:]
assert scene_depth_heal.__file__.startswith(site), scene_depth_heal.__file__
main(["--version"])
main(["--help"])
for command in commands:
    with contextlib.redirect_stderr(io.StringIO()) as said:
        print(main(command.split()), said.getvalue().replace("\\n", "|"))
"""


def test_the_wheel_without_extras_says_in_one_line_which_is_missing(wheel: Path, tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    zipfile.ZipFile(wheel).extractall(site)
    empty.mkdir()
    (empty / "scenes").symlink_to(site / "scene_depth_heal/scenes")
    (empty / "depth.exr").write_bytes(b"v/1\x01")
    program = [sys.executable, "-c", PROGRAM, str(site), *CORE_ONLY]
    paths = {**os.environ, "PYTHONPATH": str(site)}
    result = subprocess.run(program, cwd=empty, env=paths, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    first, *help_lines = result.stdout.splitlines()
    assert first == f"scene-depth {project_version()}"
    assert not [line for line in help_lines if "broken" in line]
    for line, named in zip(help_lines[-len(CORE_ONLY) :], CORE_ONLY.values(), strict=True):
        code, _, said = line.partition(" ")
        assert code == "2", line
        assert said.startswith("scene-depth: "), line
        assert said.index("|") == len(said) - 1, line
        assert named in said


def test_the_version_is_said_in_one_place() -> None:
    import scene_depth

    assert scene_depth.__version__ == version("scene-depth") == project_version()
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project_version()}\n" in citation
    assert "\nlicense: Apache-2.0\n" in citation


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    """``constraints-lowest.txt`` pins exactly what ``pyproject.toml`` allows at least, so that make test-lowest tests it."""
    bounds = {name.lower(): bound for name, bound in re.findall(r'"([A-Za-z0-9_-]+)>=([0-9.]+)[^"]*"', PROJECT)}
    pins = dict(re.findall(r"^([A-Za-z0-9_-]+)==([0-9.]+)$", (ROOT / "constraints-lowest.txt").read_text(), re.MULTILINE))
    assert {"torch", "numpy", "numba", "viser", "diffusers"} <= set(pins)
    for name, pin in pins.items():
        parts, bound = pin.split("."), bounds[name.lower()].split(".")
        assert parts[: len(bound)] == bound, f"{name}: {pin} is tested, {bounds[name.lower()]} is promised"
