"""What pyproject.toml cannot say: the sample scene of ``scene-depth demo`` goes into the wheel."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SCENE = Path("scenes/table")


class BuildWithScene(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self._scene().items():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return super().get_outputs(include_bytecode) + [str(target) for target in self._scene().values()]

    def _scene(self) -> dict[Path, Path]:
        """Files of the scene, and where they go in the package that has the demo."""
        files = sorted(path for path in SCENE.rglob("*") if path.is_file())
        return {path: Path(self.build_lib, "scene_depth_heal", path) for path in files}


setup(cmdclass={"build_py": BuildWithScene})
