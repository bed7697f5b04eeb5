"""The documentation: it builds without a warning, names all that is public, and its commands are commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zlib
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import scene_depth
from scene_depth.cli import app

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
            app.main([entry.name, "--help"])
        for option in set(re.findall(r"(?<![\w-])--[a-z][\w-]*", capsys.readouterr().out)) - {"--help"}:
            assert option in page, f"{entry.name} {option}"


@pytest.mark.slow
def test_the_pages_load_nothing_from_elsewhere(built: Path) -> None:
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)"', text)
        loaded += re.findall(r'<link[^>]* rel="stylesheet"[^>]* href="(https?:[^"]+)"', text)
        assert not loaded, page.name


PAGES = sorted(path for path in DOCS.rglob("*.md") if "generated" not in path.relative_to(DOCS).parts)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")], ids=lambda page: page.stem)
def test_the_commands_of_a_page_are_understood(page: Path) -> None:
    """By the parser of the command itself; `test_readme.py` and the commands' own tests run them."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("scene-depth ")]
    commands = {entry.name: entry for entry in entry_points(group=app.GROUP)}
    for line in lines:
        _, name, *options = shlex.split(line)
        assert callable(app._parse(commands[name].load(), [name, *options])), line


SMALLER = {
    "sd.heal(scene, splats)": "sd.heal(scene, splats, max_size=64, config=sd.HealConfig(steps=2, most_references=1))",
    'view("scenes/table")': 'view("scenes/table", port=0)',
}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, but for smaller pictures."""
    (tmp_path / "scenes").symlink_to(ROOT / "scenes")
    monkeypatch.chdir(tmp_path)
    program = "\n".join(blocks(page, "python"))
    for text, smaller in SMALLER.items():
        program = program.replace(text, smaller)
    exec(compile(program, page.name, "exec"), {})


def test_the_tests_of_the_table_of_files_exist() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", (DOCS / "files.md").read_text(encoding="utf-8")))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests/io").glob("test_*.py")]
    there = {name for source in sources for name in re.findall(r"^ *def (test_\w+)", source, re.MULTILINE)}
    assert len(named) > 20
    assert named <= there
