"""What pyproject.toml cannot say: the sample scene and the notebooks go into the wheel."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("scenes/table/**/*", "notebooks/*.ipynb")
"""What ``scene_depth_heal.shipped`` finds in its package where there is no checkout."""


class BuildWithShipped(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self._shipped().items():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return super().get_outputs(include_bytecode) + [str(target) for target in self._shipped().values()]

    def _shipped(self) -> dict[Path, Path]:
        """The files, and where they go in the package that finds them."""
        files = sorted(path for pattern in SHIPPED for path in Path().glob(pattern) if path.is_file())
        return {path: Path(self.build_lib, "scene_depth_heal", path) for path in files}


setup(cmdclass={"build_py": BuildWithShipped})
