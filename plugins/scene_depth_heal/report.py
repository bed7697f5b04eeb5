"""What a heal did, as a value that saves as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scene_depth.io.json_reports import JsonReport, versions


@dataclass(frozen=True)
class ReferenceReport:
    """One reference that was filled.

    Attributes:
        view: Its name.
        invented_pixels: Pixels whose depth and colour were invented.
        splats: Splats made of them.
        seam: Depth and normal jump at the border of the hole, beside the surface's own roughness.
        depth_details: What the depth inpainter says of its work.
    """

    view: str
    invented_pixels: int
    splats: int
    seam: dict[str, Any] | None
    depth_details: dict[str, Any]


@dataclass
class HealReport(JsonReport):
    """Record of a heal, filled in as it goes, so that an interrupted one says how far it came.

    Attributes:
        finished: Whether all stages were done.
        removed_splats, kept_splats, new_splats: Counts.
        stray_splats: Splats besides the selected ones that went with them, because no photo supports them.
        shadow_splats: Splats that were removed besides because they carry the object's shadow.
        shadow_share_of_picture: Share of the first reference's picture that this shadow covers beside the hole.
        shadow_shade: Mean factor by which the picture is darker there; 1 where no shadow was found.
        floating_splats: New splats taken out because they stood before surfaces that other views know.
        unseen_before: Truly unseen share of each view's picture after the deletion, by view name.
        unseen_after: The same at the end: what no reference filled.
        unseen_share_of_hole: Share of all object pixels of all views that are truly unseen, before anything is invented.
        references: The fills, in order.
        frozen_sha256_before, frozen_sha256_after: Hash of the kept splats' tensors.
        seconds: Wall time of each stage.
        parameters: All parameters, the seed among them.
        versions: Versions of what decides the numbers.
    """

    finished: bool = False
    removed_splats: int = 0
    stray_splats: int = 0
    shadow_splats: int = 0
    shadow_share_of_picture: float = 0.0
    shadow_shade: float = 1.0
    kept_splats: int = 0
    new_splats: int = 0
    floating_splats: int = 0
    unseen_before: dict[str, float] = field(default_factory=dict)
    unseen_after: dict[str, float] = field(default_factory=dict)
    unseen_share_of_hole: float = 0.0
    references: list[ReferenceReport] = field(default_factory=list)
    frozen_sha256_before: str = ""
    frozen_sha256_after: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)
