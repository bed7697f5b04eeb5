"""How a scene is grown, and what comes of it: configuration, report and result."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.json_reports import JsonReport, versions
from scene_depth.scene import Scene
from scene_depth.showing import Shown
from scene_depth.splats import GaussianSplats
from scene_depth_outpaint.planner import PlannedStep
from scene_depth_outpaint.state import OutpaintedView, StepReport
from scene_depth_outpaint.step import Acceptance


@dataclass(frozen=True)
class OutpaintConfig:
    """How a scene is grown.

    Example:
        >>> import scene_depth as sd
        >>> sd.OutpaintConfig(most_new=0.4, fit_steps=0).least_new
        0.15
    """

    least_new: float = 0.15
    """Views of a path with a smaller share of new pixels are passed over, but for the last one."""
    most_new: float = 0.5
    """Views with a larger share are preceded by others that lead there."""
    accept: bool = True
    """Refuse views that break ``acceptance``; else they are reported alone."""
    acceptance: Acceptance = field(default_factory=Acceptance)
    """What a view must keep to."""
    retries: int = 2
    """Attempts with other seeds before a smaller step is tried."""
    smaller_steps: int = 2
    """How many times a step may be halved."""
    fit_steps: int = 40
    """Optimisation steps of the splats at the end, for each view; 0 leaves them as they are made."""
    fit_every: int = 0
    """Fit the splats of every so many new views as soon as those are there, and hold them from then on; 0 fits all at the end."""
    fit_size: int = 512
    """Longer side of the pictures that they are fitted to, at most, in pixels."""
    seed: int = 0
    """Seed of all random choices."""

    def __post_init__(self) -> None:
        if not 0 <= self.least_new < self.most_new < 1:
            raise InputError("least_new, most_new", f"{self.least_new}, {self.most_new}", "shares with least_new below most_new")
        for name in ("retries", "smaller_steps", "fit_steps", "fit_every"):
            if getattr(self, name) < 0:
                raise InputError(name, getattr(self, name), "0 or more")


@dataclass(kw_only=True)
class OutpaintReport(JsonReport):
    """Record of an outpainting.

    Attributes:
        finished: Whether all planned views are there.
        start_views: Number of views that it began with.
        planned: Foreseen share of new pixels of every planned view, in order.
        steps: Record of every view.
        waits_for: Picture that is to be made elsewhere, for the run to go on.
        refused: Why the run ended before its last view.
        generator, inpainter, trajectory: What invented colour and depth, and where the cameras went.
        parameters: All parameters.
        splats: Splats made; ``frozen_splats`` were there before and are the same bits.
        start_psnr: PSNR in decibels of the start's first view rendered from all splats.
        unit: Of the scene.
        seconds: Wall time by stage, of this run.
        versions: Of what decides the numbers.
        notes: What a person should know.
    """

    finished: bool = True
    start_views: int = 0
    planned: list[float] = field(default_factory=list)
    steps: list[StepReport] = field(default_factory=list)
    waits_for: str | None = None
    refused: str | None = None
    generator: str = ""
    inpainter: str = ""
    trajectory: str = ""
    parameters: OutpaintConfig = field(default_factory=OutpaintConfig)
    splats: int = 0
    frozen_splats: int = 0
    start_psnr: float | None = None
    unit: str = "scene unit"
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, repr=False)
class OutpaintResult(Shown):
    """Outcome of an outpainting.

    Attributes:
        views: The start's views, then the new ones.
        plan: The views that were planned.
        scene: All views as a scene, with the points of their surfaces; None before there is any new view.
        splats: Splats that were there before, bit for bit and first, then those of all views; None in a dry run.
        report: What was done.

    Example:
        >>> import scene_depth as sd
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> result = sd.outpaint(view, "dolly[views=2]", color="none", dry_run=True)
        >>> len(result.views), result.report.start_views
        (1, 1)
    """

    views: tuple[OutpaintedView, ...]
    plan: tuple[PlannedStep, ...]
    scene: Scene | None
    splats: GaussianSplats | None
    report: OutpaintReport

    def __repr__(self) -> str:
        new = len(self.views) - self.report.start_views
        end = "finished" if self.report.finished else "stopped"
        return f"OutpaintResult({self.report.start_views} views of the start, {new} of {len(self.plan)} planned ones, {end})"

    def picture(self) -> NDArray[np.floating]:
        """The pictures of all views beside each other  # [H, W, 3]"""
        shown = [view.image[:: max(1, view.image.shape[0] // 160), :: max(1, view.image.shape[0] // 160)] for view in self.views]
        strip: NDArray[np.floating] = np.concatenate(shown, axis=1) / np.float32(255)
        return strip
