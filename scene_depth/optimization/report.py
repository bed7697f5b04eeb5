"""What a fit did, as a value that saves as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from scene_depth.io.atomic import atomic_path

PACKAGES = ("scene-depth", "torch", "numpy", "numba", "gsplat")


@dataclass(frozen=True)
class FitReport:
    """Record of a fit.

    Attributes:
        finished: Whether all steps were done.
        steps: Steps done, those before a resume included.
        loss: Mean loss of the last steps, at most 100.
        splats: Number of fitted splats, without frozen ones.
        frozen_splats: Number of frozen splats.
        frozen_sha256: Hash of the frozen splats after the fit, which is that before it.
        views: Number of views fitted to.
        width, height: Size of the first view's picture in pixels.
        extent: Size of the scene that learning rates are in, in scene units.
        seconds: Wall time of the steps, those before a resume included.
        cpu_seconds: Process time of the steps, over all threads.
        seed: Seed of all randomness.
        device: Where the fit ran.
        config: All parameters.
        versions: Of what decides the numbers.
        test: Measures on views that were held out, if there were any.
        psnr_test: Mean PSNR of the held-out views in decibels.
        ssim_test: Mean SSIM of the held-out views.
    """

    finished: bool
    steps: int
    loss: float
    splats: int
    frozen_splats: int
    frozen_sha256: str | None
    views: int
    width: int
    height: int
    extent: float
    seconds: float
    cpu_seconds: float
    seed: int
    device: str
    config: dict[str, Any]
    versions: dict[str, str] = field(default_factory=lambda: versions())
    test: list[dict[str, Any]] = field(default_factory=list)
    psnr_test: float | None = None
    ssim_test: float | None = None

    def as_json(self) -> str:
        """The report as JSON text; numbers that are not finite become null."""
        return json.dumps(_finite(asdict(self)), indent=2, ensure_ascii=False, allow_nan=False)

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


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
