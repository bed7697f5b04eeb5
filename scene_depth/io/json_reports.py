"""Reports: dataclasses that save as JSON."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from scene_depth.io.atomic import atomic_path

PACKAGES = ("scene-depth", "torch", "numpy", "scipy", "numba", "gsplat")


class JsonReport:
    """What every report can do; for dataclasses to inherit."""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values: numbers that are not finite become None, what JSON does not know becomes text."""
        content: dict[str, Any] = plain(asdict(self))  # type: ignore[call-overload]  # those who inherit are dataclasses
        return content

    def as_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the report, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.as_json() + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Versions of python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def plain(value: Any) -> Any:
    """The value as what JSON knows: dictionaries with texts as keys, lists, texts, finite numbers, booleans and None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
