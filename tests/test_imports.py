"""Who may import whom: read from the sources, and seen in a fresh process."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "scene_depth"

# A module may import from rooms of a lower number, and from its own room.
FLOORS = {
    "arrays": 0,
    "errors": 0,
    "extras": 1,
    "lazy_names": 0,
    "options": 1,
    "kernels": 1,
    "registry": 2,
    "showing": 1,
    "work": 1,
    "rotations": 1,
    "spherical_harmonics": 1,
    "cameras": 2,
    "splats": 2,
    "splat_transforms": 3,
    "scene": 3,
    "pointmaps": 3,
    "geometry": 4,
    "io": 5,
    "rendering": 5,
    "depth": 6,
    "color": 6,
    "fitting": 6,
    "datasets": 7,
    "evaluation": 8,
    "training": 9,
    "cli": 10,
}
# Heavy or optional packages, and the only core files that may name them at all.
GUARDED = {
    "gsplat": {"rendering/cuda.py", "fitting/density.py"},
    "nerfstudio": set(),
    "viser": set(),
}
# Optional packages that a core module may import inside a function, when it is used.
LAZY = {
    "diffusers",
    "transformers",
    "accelerate",
    "open3d",
    "pycolmap",
    "OpenEXR",
    "cv2",
    "matplotlib",
    "safetensors",
    "huggingface_hub",
    *GUARDED,
}


def modules() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def imports(path: Path) -> list[tuple[str, bool]]:
    """Names of the imported modules, each with whether the import runs when the file is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {
        node
        for scope in ast.walk(tree)
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(scope)
        for node in ast.walk(scope)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node not in inner) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "scene_depth" else [node.module or ""]
            )
            found += [(name, node not in inner) for name in names]
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def room_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    room, relative = room_of(path), path.relative_to(CORE).as_posix()
    if room == "__init__":
        return
    assert room in FLOORS, f"{room} has no floor in the house: name it in FLOORS"
    for name, at_import in imports(path):
        package, *rest = name.split(".")
        if package in GUARDED:
            assert relative in GUARDED[package], f"{relative} may not import {package}"
        assert not (package in LAZY - set(GUARDED) and at_import), f"{relative} imports {package} before it is used"
        assert not package.startswith("scene_depth_"), f"{relative} imports the plugin {package}"
        if package == "scene_depth" and rest and rest[0] != room:
            assert FLOORS[rest[0]] < FLOORS[room], f"{relative} ({room}) may not import {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for types and inside functions count, too; the lazy faces of packages, which only hand names on, do not."""
    files = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for root, folder in ((ROOT, CORE), (ROOT / "plugins", ROOT / "plugins"))
        for path in folder.rglob("*.py")
        if "lazy_names(__name__" not in path.read_text(encoding="utf-8")
    }

    def imported(path: Path) -> set[str]:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        of = [(node.module or "", alias.name) for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
        return plain | {f"{package}.{name}" if f"{package}.{name}" in files else package for package, name in of}

    graph = {module: imported(path) & files.keys() - {module} for module, path in files.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def packages() -> list[str]:
    return ["scene_depth", *sorted(path.parent.name for path in (ROOT / "plugins").glob("scene_depth_*/__init__.py"))]


ALLOWED = {"scene_depth_viewer": {"viser"}}


@pytest.mark.parametrize("name", [name for name in packages() if name != "scene_depth_nerfstudio"])
def test_a_fresh_process_loads_nothing_forbidden(name: str) -> None:
    program = f"""
import importlib, pkgutil, sys
package = importlib.import_module({name!r})
for module in pkgutil.walk_packages(package.__path__, {name + "."!r}):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sorted(set(name.split(".")[0] for name in sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    forbidden = LAZY - ALLOWED.get(name, set())
    assert not forbidden & set(result.stdout.split())


LATE = tuple(f"nerfstudio.{name}" for name in ("configs", "data.datamanagers", "engine", "pipelines", "utils.eval_utils"))


def test_the_front_end_of_nerfstudio_imports_nothing_early() -> None:
    """nerfstudio imports the package while its own modules are half imported: data managers and trainers not there yet."""
    folder = ROOT / "plugins" / "scene_depth_nerfstudio"
    assert not imports(folder / "__init__.py")
    early, waiting = set(), ["scene_data"]
    while waiting:
        module = waiting.pop()
        for name, _ in imports(folder / f"{module}.py"):
            assert not name.startswith(("nerfstudio.engine", "nerfstudio.pipelines", "nerfstudio.data.datamanagers")), (
                module,
                name,
            )
            assert not name.startswith(("nerfstudio.configs", "nerfstudio.utils.eval_utils")), (module, name)
            package, _, inner = name.partition(".")
            if package == folder.name and inner not in early:
                early.add(inner)
                waiting.append(inner)
