"""The notebooks: clean files that use what is public, run as they stand in their fast mode, and are copied by a command."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nerfstudio_parser import nerfstudio_folder

from scene_depth.cli.app import main

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_of(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
@each_notebook
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder. Nothing goes to the error stream, and there are pictures."""
    if path.stem.endswith("_nerfstudio"):
        monkeypatch.setenv("SCENE_DEPTH_NERFSTUDIO", str(nerfstudio_folder()))
    monkeypatch.setenv("SCENE_DEPTH_FAST", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    (folder := tmp_path / "empty").mkdir()
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3


@each_notebook
def test_a_notebook_is_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (not cell.outputs and cell.execution_count is None)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@each_notebook
def test_a_notebook_begins_with_its_goal_and_ends_with_a_check(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert "**Goal.**" in notebook.cells[0].source
    assert "**Run time.**" in notebook.cells[0].source
    parameters = [cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    assert len(parameters) == 1
    assert "FAST = " in parameters[0]
    assert "\nassert " in code_of(notebook)[-1]


@each_notebook
def test_a_notebook_uses_what_is_public(path: Path) -> None:
    """Names of ``scene_depth`` by ``sd``, names of plug-ins by their ``__init__``, and nothing else of this package."""
    import scene_depth

    for source in code_of(nbformat.read(path, as_version=4)):
        tree = ast.parse(source.partition("\n")[2] if source.startswith("%%") else source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not [alias.name for alias in node.names if alias.name.startswith("scene_depth.")]
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("scene_depth"):
                assert "." not in node.module
                assert {alias.name for alias in node.names} <= set(import_module(node.module).__all__)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sd":
                assert node.attr in scene_depth.__all__


def test_the_command_copies_them_and_replaces_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "notebooks"
    assert main(["notebooks", str(target)]) == 0
    assert [path.name for path in sorted(target.iterdir())] == [path.name for path in NOTEBOOKS]
    assert all((target / path.name).read_bytes() == path.read_bytes() for path in NOTEBOOKS)
    (mine := target / NOTEBOOKS[0].name).write_text("mine")
    (target / NOTEBOOKS[1].name).unlink()
    assert main(["notebooks", str(target)]) == 2
    assert NOTEBOOKS[0].name in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert not (target / NOTEBOOKS[1].name).exists()
    assert main(["notebooks", str(target), "--overwrite"]) == 0
    assert mine.read_bytes() == NOTEBOOKS[0].read_bytes()
    assert main(["notebooks", str(mine)]) == 2


def test_the_command_imports_no_torch(tmp_path: Path) -> None:
    program = "import sys; from scene_depth.cli.app import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program, "notebooks", str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
