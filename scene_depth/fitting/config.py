"""What a fit can be asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from scene_depth.errors import InputError
from scene_depth.fitting.initialization import Start
from scene_depth.fitting.training_views import MaskUse

DEFAULTS = {
    "cpu": {"steps": 3500, "max_size": 480, "max_splats": 20_000},
    "cuda": {"steps": 30_000, "max_size": 1600, "max_splats": 1_000_000},
}

Density = Literal["guided", "mcmc", "default", "none"]


@dataclass(frozen=True)
class FitConfig:
    """How splats are fitted to a scene. Learning rates and schedules are those of the reference trainer where not said
    otherwise (Kerbl et al. 2023); density control by default is that of 3DGS-MCMC (Kheradmand et al. 2024).

    Example:
        >>> import scene_depth as sd
        >>> sd.FitConfig(steps=500, max_size=320).steps
        500
    """

    steps: int | None = None
    """Number of optimisation steps, which all schedules end with; by default 3500 on a CPU and 30000 on CUDA."""
    max_size: int | None = None
    """Longer side of the pictures in pixels, at most; by default 480 on a CPU and 1600 on CUDA."""
    batch: int = 1
    """Views a step."""
    low_resolution_steps: float = 0.1
    """Share of the steps at a quarter of the size, and again at half of it."""
    sh_degree: int = 3
    """Highest degree of the spherical harmonics, 0 to 3."""
    sh_every: int = 300
    """Steps after which another degree joins."""
    antialiased: bool = False
    """Fit for the antialiased renderer (Mip-Splatting)."""

    start: Start = "auto"
    """Where splats start: at the scene's points, on the depth of its views, or scattered where the cameras look."""
    start_splats: int | None = None
    """Number of splats to start with, at most; by default half of max_splats, or a quarter if they are scattered."""
    start_opacity: float = 0.5
    """Opacity of the first splats."""
    start_scale: float = 0.3
    """Width of the first splats in mean distances to three neighbours."""

    density: Density = "guided"
    """Density control: "guided" (3DGS-MCMC that adds splats where pictures pull), gsplat's "mcmc", "default", or "none"."""
    max_splats: int | None = None
    """Number of splats that density control may reach, besides frozen ones; by default 20000 on a CPU and 1000000 on CUDA."""
    refine_every: int = 100
    """Steps between changes of the number of splats."""
    refine_start: int = 300
    """Step after which the number of splats may change."""
    refine_stop: float = 0.85
    """Share of the steps after which it no longer changes."""
    grow_gradient: float = 0.0002
    """"default": gradient of a splat's projected mean, in half image widths, above which it is copied or split."""
    absgrad: bool = False
    """"default": add up absolute gradients (AbsGS); wants grow_gradient about 0.0008."""
    reset_every: int = 3000
    """"default": steps between resets of all opacities."""
    min_opacity: float = 0.005
    """Opacity below which a splat is removed or moved."""
    noise: float = 5e5
    """"guided" and "mcmc": size of the random moves, times the learning rate of the means."""
    opacity_penalty: float = 0.01
    """Weight of the mean opacity in the loss ("guided" and "mcmc")."""
    scale_penalty: float = 0.004
    """Weight of the mean scale, in scene extents, in the loss ("guided" and "mcmc")."""

    means_lr: float = 4e-4
    """Learning rate of the means, in scene extents, at the first step."""
    means_lr_final: float = 0.01
    """Its factor at the last step; it falls exponentially."""
    scales_lr: float = 5e-3
    """Learning rate of the logarithms of the scales."""
    quats_lr: float = 1e-3
    """Learning rate of the quaternions."""
    opacities_lr: float = 5e-2
    """Learning rate of the logits of the opacities."""
    colors_lr: float = 2.5e-3
    """Learning rate of the base colours."""
    sh_lr: float = 1.25e-4
    """Learning rate of the higher spherical harmonics."""
    lr_final: float = 0.1
    """Factor of all learning rates but the means' at the last step; they fall exponentially over the second half."""

    ssim_weight: float = 0.2
    """Weight of 1 - SSIM beside 1 minus it for L1."""
    depth_weight: float = 0.05
    """Weight of the distance to known depth, where views have any, in median depths of the scene."""
    mask_use: MaskUse = "none"
    """Which pixels count where views have masks: all ("none"), the white ones ("keep") or the black ones ("ignore")."""
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Colour behind the splats."""
    random_background: bool = False
    """Another random colour behind the splats at each step, against transparent surfaces."""
    cache_bytes: int = 2 << 30
    """Memory for loaded pictures; what is above it is loaded at each use."""

    def __post_init__(self) -> None:
        for name in ("steps", "max_splats", "start_splats", "batch", "sh_every", "refine_every", "reset_every"):
            value = getattr(self, name)
            self._require(name, value is None or value >= 1, "1 or more")
        self._require("max_size", self.max_size is None or self.max_size >= 16, "16 or more")
        self._require("sh_degree", self.sh_degree in (0, 1, 2, 3), "0, 1, 2 or 3")
        self._require("low_resolution_steps", 0 <= self.low_resolution_steps <= 0.5, "0 to 0.5")
        for name in ("refine_stop", "ssim_weight"):
            self._require(name, 0 <= getattr(self, name) <= 1, "0 to 1")
        for name in ("start_opacity", "min_opacity"):
            self._require(name, 0 < getattr(self, name) < 1, "between 0 and 1")
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, float):
                self._require(entry.name, math.isfinite(value) and value >= 0, "a finite number, 0 or more")
        self._require(
            "means_lr_final, lr_final, start_scale", min(self.means_lr_final, self.lr_final, self.start_scale) > 0, "above 0"
        )
        background_ok = len(self.background) == 3 and all(0 <= value <= 1 for value in self.background)
        self._require("background", background_ok, "three numbers from 0 to 1")

    def settled(self, device: str) -> SettledConfig:
        """The parameters with those that depend on the device decided.

        Args:
            device: "cpu" or "cuda".
        """
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name, value in DEFAULTS["cpu" if device == "cpu" else "cuda"].items():
            if values[name] is None:
                values[name] = value
        return SettledConfig(**values)

    def _require(self, name: str, good: bool, accepted: str) -> None:
        if not good:
            found = ", ".join(str(getattr(self, part)) for part in name.split(", "))
            raise InputError(name, found, accepted)


@dataclass(frozen=True, kw_only=True)
class SettledConfig(FitConfig):
    """Parameters of a fit on a known kind of device."""

    steps: int
    max_size: int
    max_splats: int
