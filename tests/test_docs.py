"""The documentation: it builds without a warning, names all that is public, and its commands are commands."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import scene_depth
from scene_depth.cli.app import main

pytest.importorskip("myst_nb", reason="the documentation is built on Python 3.11 and later")
pytest.importorskip("furo")

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PLUG_INS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built from nothing, with warnings as errors."""
    folder = tmp_path_factory.mktemp("docs")
    program = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        str(folder / "trees"),
        str(DOCS),
        str(folder / "html"),
    ]
    result = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def described(built: Path) -> set[str]:
    """Every Python name that has an entry."""
    inventory = (built / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines() if " py:" in line}


@pytest.mark.slow
def test_every_public_name_is_described(described: set[str]) -> None:
    face = {f"scene_depth.{name}" for name in scene_depth.__all__ if name != "__version__"}
    assert face <= described
    for package in PLUG_INS:
        names = set(import_module(package).__all__) - set(scene_depth.__all__)
        assert {f"{package}.{name}" for name in names} <= described


@pytest.mark.slow
def test_every_option_of_every_command_is_described(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for entry in entry_points(group="scene_depth.commands"):
        if entry.dist is None or entry.dist.name != "scene-depth":
            continue
        page = (built / f"generated/commands/{entry.name}.html").read_text(encoding="utf-8")
        with pytest.raises(SystemExit):
            main([entry.name, "--help"])
        for option in set(re.findall(r"(?<![\w-])--[a-z][\w-]*", capsys.readouterr().out)) - {"--help"}:
            assert option in page, f"{entry.name} {option}"


@pytest.mark.slow
def test_the_pages_load_nothing_from_elsewhere(built: Path) -> None:
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)"', text)
        loaded += re.findall(r'<link[^>]* rel="stylesheet"[^>]* href="(https?:[^"]+)"', text)
        assert not loaded, page.name
