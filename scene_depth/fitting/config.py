"""What a fit can be asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from scene_depth.errors import InputError
from scene_depth.fitting.density import MCMC, Default, Guided, require
from scene_depth.fitting.training_views import MaskUse

DEFAULTS = {
    "cpu": {"steps": 3500, "max_size": 480, "max_splats": 20_000},
    "cuda": {"steps": 30_000, "max_size": 1600, "max_splats": 1_000_000},
}


@dataclass(frozen=True)
class Rates:
    """Learning rates; those of the reference trainer where not said otherwise.

    Example:
        >>> import scene_depth as sd
        >>> sd.FitConfig(rates=sd.Rates(means_lr=4e-5)).rates.means_lr
        4e-05
    """

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

    def __post_init__(self) -> None:
        require(self, "means_lr scales_lr quats_lr opacities_lr colors_lr sh_lr", "a finite number, 0 or more")
        require(self, "means_lr_final lr_final", "a finite number above 0", lambda value: value > 0)

    def at(self, progress: float, extent: float) -> dict[str, float]:
        """Learning rates by parameter.

        Args:
            progress: Share of the steps, up to 1 at the last one.
            extent: Size of the scene, which the rate of the means is in.
        """
        late = self.lr_final ** max(0.0, 2 * progress - 1)
        return {
            "means": self.means_lr * extent * self.means_lr_final**progress,
            "scales": self.scales_lr * late,
            "quats": self.quats_lr * late,
            "opacities": self.opacities_lr * late,
            "sh0": self.colors_lr * late,
            "shN": self.sh_lr * late,
        }


@dataclass(frozen=True)
class CameraRefinement:
    """How cameras are refined with the splats, as gsplat's ``pose_opt`` and nerfstudio's ``SO3xR3`` do it.

    Each view has a rotation about its camera's centre and a shift of that centre, found by Adam from the gradient of the loss
    through the rasteriser. What photos cannot tell, a motion and a scale of all cameras together, is kept out of them, unless
    frozen splats hold the frame.

    Example:
        >>> import scene_depth as sd
        >>> sd.FitConfig(cameras=sd.CameraRefinement(focal="each")).cameras.focal
        'each'
    """

    camera_lr: float = 1e-3
    """Learning rate of rotations in radians and of centres in scene extents, at the first step."""
    camera_lr_final: float = 0.01
    """Its factor, and that of focal_lr, at the last step; they fall exponentially."""
    camera_decay: float = 1e-6
    """Weight decay of rotations and shifts."""
    focal: Literal["keep", "shared", "each"] = "shared"
    """Which focal lengths are refined: none, all by one factor, or each view's by its own."""
    focal_lr: float = 1e-3
    """Learning rate of the logarithm of the factor of the focal lengths."""
    camera_start: float = 0.02
    """Share of the steps before which cameras stay, while splats are still far from the photos."""

    def __post_init__(self) -> None:
        require(self, "camera_lr camera_decay focal_lr", "a finite number, 0 or more")
        require(self, "camera_lr_final", "a finite number above 0", lambda value: value > 0)
        require(self, "camera_start", "0 to 1", lambda value: 0 <= value <= 1)


@dataclass(frozen=True)
class FitConfig:
    """How splats are fitted to a scene. Schedules are those of the reference trainer (Kerbl et al. 2023) if not said otherwise.

    Example:
        >>> import scene_depth as sd
        >>> sd.FitConfig(steps=500, density=sd.Guided(refine_start=100), rates=sd.Rates(means_lr=2e-4)).steps
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

    start: Literal["auto", "points", "depth", "random"] = "auto"
    """Where splats start: at the scene's points, on the depth of its views, or scattered where the cameras look."""
    start_splats: int | None = None
    """Number of splats to start with, at most; by default half of max_splats, or a quarter if they are scattered."""
    start_opacity: float = 0.5
    """Opacity of the first splats."""
    start_scale: float = 0.3
    """Width of the first splats in mean distances to three neighbours."""

    density: Guided | MCMC | Default | None = field(default_factory=Guided)
    """How the number of splats changes; None keeps it."""
    max_splats: int | None = None
    """Number of splats that density control may reach, besides frozen ones; by default 20000 on a CPU and 1000000 on CUDA."""
    rates: Rates = field(default_factory=Rates)
    """Learning rates."""
    cameras: CameraRefinement | None = None
    """How poses and focal lengths are refined with the splats; None keeps them."""

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
        require(self, "steps max_splats start_splats batch sh_every", "1 or more", lambda value: value >= 1)
        require(self, "max_size", "16 or more", lambda value: value >= 16)
        require(self, "sh_degree", "0, 1, 2 or 3", lambda value: value in (0, 1, 2, 3))
        require(self, "low_resolution_steps", "0 to 0.5", lambda value: 0 <= value <= 0.5)
        require(self, "ssim_weight", "0 to 1", lambda value: 0 <= value <= 1)
        require(self, "start_opacity", "between 0 and 1", lambda value: 0 < value < 1)
        require(self, "start_scale", "a finite number above 0", lambda value: value > 0)
        require(self, "depth_weight", "a finite number, 0 or more")
        if len(self.background) != 3 or not all(0 <= value <= 1 for value in self.background):
            raise InputError("background", ", ".join(map(str, self.background)), "three numbers from 0 to 1")

    def settled(self, device: str) -> SettledConfig:
        """The parameters with those that depend on the device decided.

        Args:
            device: "cpu" or "cuda".
        """
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        missing = {name: value for name, value in DEFAULTS["cpu" if device == "cpu" else "cuda"].items() if given[name] is None}
        return SettledConfig(**{**given, **missing})


@dataclass(frozen=True, kw_only=True)
class SettledConfig(FitConfig):
    """Parameters of a fit on a known kind of device."""

    steps: int
    max_size: int
    max_splats: int

    def as_dict(self) -> dict[str, Any]:
        """All parameters as plain values, with the name of the strategy."""
        density = None if self.density is None else {"name": self.density.name, **asdict(self.density)}
        return {**asdict(self), "density": density}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> SettledConfig:
        """The opposite of ``as_dict``.

        Raises:
            KeyError, TypeError: If fields are missing or of another kind.
        """
        density = None
        if content["density"] is not None:
            own = dict(content["density"])
            density = {strategy.name: strategy for strategy in (Guided, MCMC, Default)}[own.pop("name")](**own)
        cameras = None if content.get("cameras") is None else CameraRefinement(**content["cameras"])
        values = {"density": density, "rates": Rates(**content["rates"]), "background": tuple(content["background"])}
        return cls(**{**content, **values, "cameras": cameras})
