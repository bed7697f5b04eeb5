"""What a fit did, as a value that saves as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scene_depth.io.json_reports import JsonReport, versions


@dataclass(frozen=True)
class FitReport(JsonReport):
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
    versions: dict[str, str] = field(default_factory=versions)
    test: list[dict[str, Any]] = field(default_factory=list)
    psnr_test: float | None = None
    ssim_test: float | None = None
