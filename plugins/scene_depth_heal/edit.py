"""What all edits have in common: the record of a change, the run of an edit, and new splats on top of old ones that must show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.depth.protocol import SeamReport
from scene_depth.errors import InputError
from scene_depth.evaluation.images import psnr
from scene_depth.geometry.view_graph import ViewGraph
from scene_depth.io.json_reports import JsonReport, plain, versions
from scene_depth.rendering import Render, render
from scene_depth.rendering.bounds import footprints_of
from scene_depth.scene import Scene, View
from scene_depth.showing import Shown
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import OnProgress, Progress, Work
from scene_depth_heal.drawings import OPAQUE
from scene_depth_heal.hole import as_array, dilate, picture_of, share_of, weight_of
from scene_depth_heal.place import Placement

RAISES = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03)  # of the depth; fitted surfaces are up to some percent thick
DOMINATES = 0.5  # blending weight of new splats from which a pixel shows them
ENOUGH = 0.95  # mean weight of the new splats, the rim left out, that is enough
WORTH = 0.02  # mean weight that a further raise must win
COMPARED = 6  # views whose pixels beside the new splats are compared


@dataclass(kw_only=True)
class ChangeReport(JsonReport):
    """Record of a change of a scene, filled in as it goes, so that an interrupted one says how far it came.

    Attributes:
        finished: Whether all stages were done.
        removed_splats, kept_splats, new_splats: Counts.
        stray_splats: Splats that went besides; each workflow says which.
        frozen_sha256_before, frozen_sha256_after: Hash of the kept splats' tensors.
        unit, origin: Of the scene: see ``Scene.unit``, and the point of its files that is the zero of the splats.
        scene_notes: What was said when the scene was read: photos left out, units that were stated or assumed.
        seconds: Wall time of each stage.
        versions: Versions of what decides the numbers.
    """

    finished: bool = False
    removed_splats: int = 0
    kept_splats: int = 0
    new_splats: int = 0
    stray_splats: int = 0
    frozen_sha256_before: str = ""
    frozen_sha256_after: str = ""
    unit: str = "scene unit"
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scene_notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)

    def describe_scene(self, scene: Scene) -> None:
        """Notes how the scene was read."""
        self.unit, self.origin, self.scene_notes = scene.unit, scene.origin, scene.notes

    def close(self, changed: GaussianSplats, kept: GaussianSplats, work: Work) -> None:
        """Notes what came out: the changed scene, which begins with the kept splats."""
        self.kept_splats, self.new_splats = len(kept), len(changed) - len(kept)
        old = changed.select(slice(0, len(kept))).with_sh_degree(kept.sh_degree)
        self.frozen_sha256_after, self.finished = old.sha256(), not work.stopped

    def kept_as_they_were(self) -> str:
        """One clause on the kept splats, for a person."""
        same = self.frozen_sha256_before == self.frozen_sha256_after
        return f"{self.kept_splats:,} old ones are {'unchanged, bit for bit' if same else 'CHANGED'}"


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
class PaintedPart:
    """What was painted over in an edited view.

    Attributes:
        view: Its name.
        mask: Where the mask comes from.
        mask_pixels, mask_share: Its size.
    """

    view: str
    mask: str
    mask_pixels: int
    mask_share: float


@dataclass(frozen=True)
class RetexturedPart(PaintedPart):
    """What was painted anew in an edited view.

    Attributes:
        mask_without_surface: Share of the mask behind which no opaque surface shows.
    """

    mask_without_surface: float


@dataclass(frozen=True)
class PlacedPart:
    """Where other splats were put.

    Attributes:
        matrix: Similarity from the file's to the scene's coordinates, rows first.
        up: The vertical there.
        up_from: What it was taken from.
        lowest, highest: Of the solid part, along the vertical.
        surface_height: The height of what they stand on; this and what follows is None where they stand on nothing.
        surface_point: Where it is.
        surface_normal: Its direction.
        sh_degree_of_scene, sh_degree_of_file: Of their colours.
    """

    matrix: list[list[float]]
    up: list[float]
    up_from: str
    lowest: float
    highest: float
    surface_height: float | None
    surface_point: list[float] | None
    surface_normal: list[float] | None
    sh_degree_of_scene: int
    sh_degree_of_file: int


def _measure(sentence: str) -> Any:
    return field(default=None, metadata={"sentence": sentence})


@dataclass
class EditChecks:
    """Measures of an edit, each with the sentence that tells it to a person; None where one was not taken."""

    raised_by: float | None = _measure("New splats were brought nearer by {:.1%} of the depth, to show before old ones.")
    weight_in_mask_before_fit: float | None = _measure("Before they were fitted, they gave {:.0%} of the picture under the mask.")
    psnr_in_mask: float | None = _measure("The edited view shows the painted picture with a PSNR of {:.1f} dB.")
    depth_abs_rel_in_mask: float | None = _measure("Its depth there is {:.1%} off on average.")
    opaque_share_of_mask: float | None = _measure("{:.0%} of the mask shows an opaque surface.")
    hidden_share_of_mask: float | None = _measure("{:.0%} of the mask does not show the new splats.")
    median_depth_change: float | None = _measure("The depth of the surface changed by {:.1%} at most, as the median of a view.")
    psnr_of_texture_in_other_views: float | None = _measure("Other views show the new colours with a PSNR of {:.1f} dB.")
    views_that_show_it: int | None = _measure("Views that show the edit: {}.")
    changed_beside_it: float | None = _measure("Beside it, colours changed by {:.2%} on average in the worst view.")

    def sentences(self) -> list[str]:
        """What was measured, a sentence each."""
        measured = [(each, getattr(self, each.name)) for each in fields(self)]
        return [each.metadata["sentence"].format(value) for each, value in measured if value is not None]


@dataclass(frozen=True)
class EditFiles:
    """What a command was given beside parameters, under the names of its options; None where nothing was."""

    splats: Path | None = None
    painted: tuple[str, Path] | None = None
    mask: Path | None = None
    ply: Path | None = None
    part: str | None = None
    max_size: int | None = None


@dataclass(kw_only=True)
class EditReport(ChangeReport):
    """Record of an edit; see ``ChangeReport`` for what all changes of a scene tell.

    Attributes:
        kind: What was done.
        parameters: All parameters, the seed among them.
        files: What a command was given besides; in JSON they stand among the parameters.
        stray_splats: New splats taken out because they left the painted surface, or stood before known ones.
        near_camera_splats: New splats that would cover much of a picture; taken out of painted edits, counted of files.
        edit: What was asked for.
        checks: Measures of the outcome.
        shows_in: Share of each view's picture in which the new splats dominate, by view name, largest first.
        seam: Depth and normal jump at the border of the mask, beside the surface's own roughness.
        depth_details: What the depth inpainter says of its work.
        likeness: Of renders and photos before the edit, at most 1; None where nothing was compared.
        notes: What a person should know.
    """

    kind: Literal["painted", "retexture", "ply"]
    parameters: EditConfig | Placement
    files: EditFiles = EditFiles()
    near_camera_splats: int = 0
    edit: PaintedPart | PlacedPart | None = None
    checks: EditChecks = field(default_factory=EditChecks)
    shows_in: dict[str, float] = field(default_factory=dict)
    seam: SeamReport | None = None
    depth_details: Mapping[str, object] = field(default_factory=dict)
    likeness: float | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, without files that were not given and measures that were not taken."""
        content = super().as_dict()
        content["parameters"].update({name: value for name, value in content.pop("files").items() if value is not None})
        content["checks"] = plain({name: value for name, value in vars(self.checks).items() if value is not None})
        return content


@dataclass(frozen=True, repr=False)
class EditResult(Shown):
    """Outcome of an edit.

    Attributes:
        splats: Kept splats, bit for bit and first (padded with zeros if the new ones have a higher SH degree), then the
            new ones.
        new: How many of them are new.
        report: What was done.
        before: The scene as it was.
        views: The views of the scene.
    """

    splats: GaussianSplats
    new: int
    report: EditReport
    before: GaussianSplats
    views: tuple[View, ...]

    def __repr__(self) -> str:
        report = self.report
        parts = [report.kind, f"{report.removed_splats:,} splats replaced", f"{self.new:,} new"]
        parts += [f"shown in {sum(share > 0 for share in report.shows_in.values())} of {len(self.views)} views"]
        parts += [f"{sum(report.seconds.values()):.1f} s", "finished" if report.finished else "stopped"]
        return f"EditResult({', '.join(parts)})"

    def telling_views(self) -> list[View]:
        """The edited view first, then the others, those first that show the most of the edit."""
        edited = [self.report.edit.view] if isinstance(self.report.edit, PaintedPart) else []
        order = {name: place for place, name in enumerate(dict.fromkeys([*edited, *self.report.shows_in]))}
        return sorted(self.views, key=lambda view: order.get(view.name, len(order)))

    def picture(self, view: View | None = None) -> NDArray[np.float32]:
        """A view before and after the edit, by default the one that tells most of it  # [H, 2 W, 3]"""
        camera = (view or self.telling_views()[0]).camera
        return np.concatenate([picture_of(self.before, camera), picture_of(self.splats, camera)], axis=1)


@dataclass
class EditRun:
    """An edit under way.

    Attributes:
        before: The scene as it was.
        kept: Splats of it that never change.
        views: The views of the scene.
        report: Filled in as it goes.
        on_progress: Called between steps; False stops.
        new: New splats as they stand; at first none.
        work: Its stages, and whether somebody asked to stop.
    """

    before: GaussianSplats
    kept: GaussianSplats
    views: Sequence[View]
    report: EditReport
    on_progress: OnProgress | None = None
    new: GaussianSplats = field(init=False)
    work: Work = field(init=False)

    def __post_init__(self) -> None:
        self.kept = self.kept.detach()
        self.new = self.kept.select(slice(0, 0))
        self.work = Work(self.on_progress, seconds=self.report.seconds)
        self.report.kept_splats = len(self.kept)
        self.report.frozen_sha256_before = self.kept.sha256()

    def scene(self) -> GaussianSplats:
        """Kept splats, then the new ones."""
        return concatenate_splats([self.kept, self.new]) if len(self.new) else self.kept

    def announce(self, stage: str, message: str) -> bool:
        """Says that a stage is done; gives whether to go on."""
        return self.work.report(Progress(stage, 1, 1, message, snapshot=self.scene))

    def result(self) -> EditResult:
        """What stands now."""
        edited = self.scene()
        self.report.close(edited, self.kept, self.work)
        return EditResult(edited, self.report.new_splats, self.report, self.before, tuple(self.views))

    def add_until_shown(self, make: Callable[[float], GaussianSplats], camera: Cameras, wanted: Tensor) -> float:
        """Makes splats nearer and nearer until they cover what is wanted, or nothing more is won by it; they are the new ones.

        Splats at the mean depth of an old surface lie inside it: half of the old splats are drawn over them.

        Args:
            make: Gives the new splats for a part of the depth by which they are to be nearer.
            camera: The view that they are made for.
            wanted: Pixels that should show them  # [H, W] bool

        Returns:
            That part of the depth.
        """
        inner = ~dilate(~wanted, 1)
        inner = inner if bool(inner.any()) else wanted
        best, raised_by = -1.0, 0.0
        for part in RAISES:
            new = make(part)
            shown = float(new_weight(self.kept, new, camera)[inner].mean())
            if best < 0 or shown > best + WORTH:
                self.new, raised_by, best = new, part, shown
            if best >= ENOUGH:
                break
        self.report.checks.raised_by, self.report.checks.weight_in_mask_before_fit = raised_by, best
        return raised_by

    def new_weights(self) -> dict[str, Tensor]:
        """Blending weight of the new splats in the views that may show some, by name; see ``new_weight``  # [H, W] each"""
        whole = self.scene()
        prints, is_new = footprints_of(whole), torch.arange(len(whole), device=whole.device) >= len(self.kept)
        ours = prints.select(is_new)
        near = ViewGraph([view.camera for view in self.views]).views_holding(ours.means, ours.radii)
        shown = [self.views[place] for place in sorted(near)]
        return {view.name: weight_of(whole, is_new, view.camera, footprints=prints) for view in shown}

    def check_views(self) -> None:
        """Notes where the new splats show, and whether they change anything beside them."""
        whole, weights = self.scene(), self.new_weights()
        shares = {view.name: 0.0 if view.name not in weights else share_of(weights[view.name] > DOMINATES) for view in self.views}
        ordered = dict(sorted(shares.items(), key=lambda item: -item[1]))
        compared = {name for name in list(ordered)[:COMPARED] if ordered[name] > 0}
        worst = 0.0
        for view in self.views:
            if view.name not in compared:
                continue
            beside = ~dilate(weights[view.name] > DOMINATES, 2)
            if bool(beside.any()):
                before, after = render(self.kept, view.camera).rgb[0], render(whole, view.camera).rgb[0]
                worst = max(worst, float((before - after).abs().mean(-1)[beside].mean()))
        self.report.shows_in, self.report.checks.changed_beside_it = ordered, worst
        self.report.checks.views_that_show_it = sum(share > 0 for share in ordered.values())

    def check_edited_view(self, after: Render, mask: Tensor, picture: Tensor, depth: Tensor) -> None:
        """Notes how well the edited view shows the picture and the depth that the new splats were made from.

        Args:
            after: The view as it is now.
            mask: Where it was painted  # [H, W] bool
            picture: What it should show  # [H, W, 3]
            depth: The z-depth that it should have  # [H, W]
        """
        drawn, wanted, where = as_array(after.depth[0]), as_array(depth), as_array(mask)
        opaque = where & (as_array(after.alpha[0]) >= OPAQUE) & (wanted > 0)
        difference = np.abs(drawn[opaque] - wanted[opaque]) / wanted[opaque]
        checks = self.report.checks
        checks.psnr_in_mask = psnr(as_array(after.rgb[0].clamp(0, 1)), as_array(picture), where)
        checks.depth_abs_rel_in_mask = float(difference.mean()) if opaque.any() else float("nan")
        checks.opaque_share_of_mask = float(opaque.sum() / where.sum())


def new_weight(kept: GaussianSplats, new: GaussianSplats, camera: Cameras) -> Tensor:
    """Blending weight of the new splats in every pixel, 0 to 1  # [H, W]"""
    whole = concatenate_splats([kept, new])
    return weight_of(whole, torch.arange(len(whole), device=whole.device) >= len(kept), camera)


def in_the_way(splats: GaussianSplats, cameras: list[Cameras], largest: float = 0.25) -> Tensor:
    """Splats that would cover much of a picture because they lie at a camera  # [N] bool

    Args:
        splats: New splats.
        cameras: All cameras of the scene.
        largest: Radius of three standard deviations, relative to the longer side of the picture, from which on it is so.
    """
    means, radius = splats.means.cpu().double(), 3 * splats.scales.amax(dim=1).cpu().double()
    found = torch.zeros(len(splats), dtype=torch.bool)
    for camera in cameras:
        pixels, z = camera.project(means)
        size = torch.tensor([camera.width, camera.height], dtype=torch.float64)
        reach = radius * float(camera.K[0, 0, 0]) / z[0].clamp_min(1e-9)
        near = (pixels[0] > -reach[:, None]).all(1) & (pixels[0] < size + reach[:, None]).all(1)
        found |= near & (z[0] > 0) & (reach > largest * max(camera.width, camera.height))
        found |= (means - camera.centers[0].double()).norm(dim=1) < radius
    return found
