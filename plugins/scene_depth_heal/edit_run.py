"""What insertion and retexture have in common: parameters, the record of an edit, its outcome, progress and stopping."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.json_reports import JsonReport, versions
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import OnProgress, Progress, Work


@dataclass(frozen=True)
class EditConfig:
    """How an edit is fitted."""

    steps: int = 200
    """Optimisation steps of the new splats; 0 leaves them as they are made."""
    seed: int = 0
    """Seed of all random choices."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise InputError("steps", self.steps, "0 or more")


@dataclass(frozen=True)
class PosedView:
    """A view of the scene without its photo.

    Attributes:
        name: Name of the view.
        camera: Camera at the working size.
    """

    name: str
    camera: Cameras


@dataclass
class EditReport(JsonReport):
    """Record of an edit, filled in as it goes, so that an interrupted one says how far it came.

    Attributes:
        kind: "painted", "retexture" or "ply".
        finished: Whether all stages were done.
        kept_splats, removed_splats, new_splats: Counts.
        stray_splats: New splats taken out because they left the painted surface, or stood before known ones.
        near_camera_splats: New splats that would cover much of a picture; taken out of painted edits, counted of files.
        edit: What was asked for: the view and its mask, or where the file was placed.
        checks: Measures of the outcome; each workflow says which.
        shows_in: Share of each view's picture in which the new splats dominate, by view name, largest first.
        seam: Depth and normal jump at the border of the mask, beside the surface's own roughness.
        depth_details: What the depth inpainter says of its work.
        notes: What a person should know.
        frozen_sha256_before, frozen_sha256_after: Hash of the kept splats' tensors.
        seconds: Wall time of each stage.
        parameters: All parameters, the seed among them.
        versions: Versions of what decides the numbers.
    """

    kind: str
    finished: bool = False
    kept_splats: int = 0
    removed_splats: int = 0
    new_splats: int = 0
    stray_splats: int = 0
    near_camera_splats: int = 0
    edit: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, Any] = field(default_factory=dict)
    shows_in: dict[str, float] = field(default_factory=dict)
    seam: dict[str, Any] | None = None
    depth_details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    frozen_sha256_before: str = ""
    frozen_sha256_after: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)


@dataclass(frozen=True)
class EditResult:
    """Outcome of an edit.

    Attributes:
        splats: Kept splats, bit for bit and first (padded with zeros if the new ones have a higher SH degree), then the
            new ones.
        new: How many of them are new.
        report: What was done.
    """

    splats: GaussianSplats
    new: int
    report: EditReport


@dataclass
class EditRun:
    """An edit under way.

    Attributes:
        kept: Splats that never change.
        report: Filled in as it goes.
        on_progress: Called between steps; False stops.
        new: New splats as they stand.
        work: Its stages, and whether somebody asked to stop.
    """

    kept: GaussianSplats
    report: EditReport
    on_progress: OnProgress | None = None
    new: GaussianSplats | None = None
    work: Work = field(init=False)

    def __post_init__(self) -> None:
        self.kept = self.kept.detach()
        self.work = Work(self.on_progress, seconds=self.report.seconds)
        self.report.kept_splats = len(self.kept)
        self.report.frozen_sha256_before = self.kept.sha256()

    def scene(self) -> GaussianSplats:
        """Kept splats, then the new ones."""
        return self.kept if self.new is None or len(self.new) == 0 else concatenate_splats([self.kept, self.new])

    def announce(self, stage: str, message: str) -> bool:
        """Says that a stage is done; gives whether to go on."""
        return self.work.report(Progress(stage, 1, 1, message, snapshot=self.scene))

    def result(self) -> EditResult:
        """What stands now."""
        edited = self.scene()
        new = len(edited) - len(self.kept)
        self.report.new_splats = new
        self.report.finished = not self.work.stopped
        old = edited.select(slice(0, len(self.kept))).with_sh_degree(self.kept.sh_degree)
        self.report.frozen_sha256_after = old.sha256()
        return EditResult(edited, new, self.report)
