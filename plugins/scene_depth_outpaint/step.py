"""One view: what is known of it, its picture, its depth, where it may not stand, and whether it is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from scene_depth.arrays import Mask
from scene_depth.cameras import Cameras
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.seam import steps_at_border
from scene_depth.geometry.visibility import sight
from scene_depth.geometry.warp import Surfaces, Warp, boxes_in_view, sides_of_view
from scene_depth_outpaint.generators import Generator, NoGenerator, guided_by_depth, make_picture
from scene_depth_outpaint.picture_border import plain_border
from scene_depth_outpaint.state import OutpaintedView, StepReport

TOLERANCE = 0.02  # of the depth by which a point must stand before a surface to be told from it
GO_BACK = 0.01  # of the depth by which a point that an earlier view looks through goes on along its ray
MOST_BACK, AT_ONCE = 120, 20  # times, three times the depth; how many of them are looked at together
RANGE = 3.0  # times nearer or farther than everything known is out of range
FARTHEST = 1.3  # of the start's farthest point: how far planes are continued where no picture or prior bounds them
HIDES = 0.98  # of the depth that an earlier view has: a surface nearer than that hides it


@dataclass(frozen=True)
class Acceptance:
    """What a view must keep to; shares are of its new pixels.

    Example:
        >>> from scene_depth_outpaint import Acceptance
        >>> Acceptance(in_front=0.005).seam_offset
        0.005
    """

    seam_factor: float = 2.0
    """The step of depth at the border of what is known may be this many times that beside it, ..."""
    seam_offset: float = 0.005
    """... and this much more, relative to the depth."""
    in_front: float = 0.01
    """Largest share that stands before what an earlier view sees."""
    out_of_range: float = 0.01
    """Largest share more than three times nearer or farther than everything known."""
    hidden: float = 0.01
    """Largest share of an earlier view that the new surfaces hide."""

    def refusals(self, report: StepReport) -> tuple[str, ...]:
        """Why a view is refused, one sentence a reason."""
        found = []
        if report.seam_jump is not None and report.seam_beside is not None:
            limit = self.seam_factor * report.seam_beside + self.seam_offset
            if report.seam_jump > limit:
                found.append(f"the depth jumps by {report.seam_jump:.2%} at the seam, more than {limit:.2%}")
        limits = (
            (report.in_front_share, self.in_front, "of the new pixels stand before what earlier views see"),
            (report.out_of_range_share, self.out_of_range, "of the new pixels are far nearer or farther than all that is known"),
            (report.hidden_share, self.hidden, "of an earlier view would be hidden by the new surfaces"),
        )
        found += [f"{share:.1%} {words}, more than {limit:.1%}" for share, limit, words in limits if share > limit]
        return tuple(found)


@dataclass
class Room:
    """All that is known so far.

    Attributes:
        views: In order.
        surfaces: What they show; of each view what it brought.
        kept: New pixels of each view that lie on surfaces  # [H, W] each
        sides: What bounds each view  # [5, 4] each
    """

    views: list[OutpaintedView]
    surfaces: Surfaces
    kept: list[Mask]
    sides: list[NDArray[np.float64]]

    @classmethod
    def empty(cls) -> Room:
        """Nothing known."""
        return cls([], Surfaces(), [], [])

    def add(self, view: OutpaintedView) -> None:
        """Adds a view; what it shows that is not known yet becomes part of the surfaces."""
        self.kept.append(self.surfaces.add(view.camera, view.depth, view.image, brings(view)))
        self.views.append(view)
        self.sides.append(sides_of_view(view.camera))

    def farthest(self) -> float:
        """Distance from the first camera to the farthest point of the start, in scene units."""
        ends = []
        for view in self.views:
            if view.report.kind == "start":
                points = view.camera.unproject(torch.from_numpy(view.depth.astype(np.float64))[None])[0]
                ends.append(float((points - self.views[0].camera.centers[0]).norm(dim=-1).max()))
        return max(ends)

    def seen_by(self, points: Tensor) -> list[OutpaintedView]:
        """The views whose picture the points may lie in."""
        if not len(points):
            return []
        low, high = (end(dim=0).values.numpy() for end in (points.min, points.max))
        return [self.views[number] for number in np.flatnonzero(boxes_in_view(low, high, np.stack(self.sides)))]


def brings(view: OutpaintedView) -> Mask:
    """Pixels that a view adds to what is known: the start's but a border around it, else those that nothing showed  # [H, W]"""
    return ~plain_border(view.image) if view.report.kind == "start" else ~view.known


def make_view(
    room: Room,
    camera: Cameras,
    generator: Generator,
    inpainter: ExactInpainter,
    report: StepReport,
    *,
    acceptance: Acceptance,
    led: bool = True,
) -> OutpaintedView | Warp:
    """Makes one view from what is known.

    The warped depth stays bit for bit. New pixels that stand before what an earlier view sees are moved back along their rays to
    the first place where none looks through them.

    Args:
        room: All that is known; nothing is added to it.
        camera: Where to look from.
        generator: Invents colours.
        inpainter: Invents depth.
        report: What is to be said of the view before it is made: index, waypoint, prompt, seed.
        acceptance: Limits, for the report's refusals.
        led: Whether a prior or a trained network leads the depth. Else surfaces are only continued: up to a distance, since an
            error would grow from view to view, and without the grey of a picture whose new colours nothing invented.

    Returns:
        The view; or what is known of it, if its picture is to be made elsewhere and is not there yet.
    """
    warp = room.surfaces.warp(camera)
    known, seed = warp.known, report.seed
    first_guess = None
    if guided_by_depth(generator) and not known.all():
        first_guess = inpaint_depth(inpainter, warp.rgb, warp.depth, known, camera=camera, seed=seed).depth
    image = make_picture(
        generator, warp.rgb, known, index=report.index, camera=camera, prompt=report.prompt, seed=seed, depth=first_guess
    )
    if image is None:
        return warp
    blind = isinstance(generator, NoGenerator) and not led
    rgb = None if blind else image / np.float32(255)
    # the border of what is known is exact, so the solver's seam there is taken out of the new pixels
    seamless = True if inpainter.name == "solver" else None
    prediction = inpaint_depth(inpainter, rgb, warp.depth, known, camera=camera, seed=seed, harmonize=seamless)
    limited = prediction.depth if led else _within(prediction.depth, ~known, camera, room)
    depth, pushed, in_front = _behind_what_is_seen(limited, ~known, camera, room)
    jump, beside = steps_at_border(depth, known, warp.outline)
    new = int((~known).sum())
    low, high = float(warp.depth[known].min()) / RANGE, float(warp.depth[known].max()) * RANGE
    details = {name: value for name, value in prediction.details.items() if name != "seconds"}
    made = replace(
        report,
        new_share=new / known.size,
        seam_jump=float(np.median(jump)) if jump.size else None,
        seam_beside=float(np.median(beside)) if beside.size else None,
        pushed_share=pushed / max(new, 1),
        in_front_share=in_front / max(new, 1),
        out_of_range_share=float(((depth < low) | (depth > high))[~known].sum()) / max(new, 1),
        depth_details=_without_times(details),
    )
    trial = Surfaces()
    kept = trial.add(camera, depth, image, ~known)
    points = camera.unproject(torch.from_numpy(depth.astype(np.float64))[None])[0][torch.from_numpy(kept)]
    made = replace(made, points=int(kept.sum()), hidden_share=_hidden_share(trial, room.seen_by(points)))
    return OutpaintedView(camera, image, depth, known, replace(made, refusals=acceptance.refusals(made)))


def _within(depth: NDArray[np.float32], new: Mask, camera: Cameras, room: Room) -> NDArray[np.float32]:
    """The depth with new points brought back along their rays into the sphere about the start that they may stand in  # [H, W]"""
    radius = FARTHEST * room.farthest()
    offset = camera.centers[0].double() - room.views[0].camera.centers[0].double()
    rays = camera.unproject(torch.ones(1, *depth.shape, dtype=torch.float64))[0] - camera.centers[0].double()
    square, along = (rays**2).sum(-1), (rays * offset).sum(-1)
    root = along**2 - square * ((offset**2).sum() - radius**2)
    far = (-along + root.clamp_min(0).sqrt()) / square
    beyond = torch.from_numpy(new) & (root > 0) & (far > 0) & (torch.from_numpy(depth) > far)
    return np.where(beyond.numpy(), far.float().numpy(), depth)


def _without_times(details: dict[str, object]) -> dict[str, object]:
    """Details without what differs between two runs of the same work."""
    cleaned = {name: _without_times(value) if isinstance(value, dict) else value for name, value in details.items()}
    return {name: value for name, value in cleaned.items() if name not in ("seconds", "timings")}


def _behind_what_is_seen(
    depth: NDArray[np.float32], new: Mask, camera: Cameras, room: Room
) -> tuple[NDArray[np.float32], int, int]:
    """The depth with new pixels moved back that an earlier view looks through  # [H, W]

    Returns:
        The depth, the number of pixels that were moved, and of those that stand before something all the same.
    """
    rows, columns = np.nonzero(new)
    if not len(rows):
        return depth, 0, 0
    center = camera.centers[0].double()
    rays = camera.unproject(torch.ones(1, *depth.shape, dtype=torch.float64))[0][rows, columns] - center
    z = torch.from_numpy(depth[rows, columns].astype(np.float64))
    views = room.seen_by(center + rays * z[:, None])
    astray = torch.nonzero(_looked_through(center + rays * z[:, None], views))[:, 0]
    first, moved = astray, z.clone()
    farther = (1 + GO_BACK) ** torch.arange(1, AT_ONCE + 1, dtype=torch.float64)
    for _ in range(MOST_BACK // AT_ONCE):
        if not len(astray):
            break
        tried = moved[astray, None] * farther  # [A, AT_ONCE]
        points = (center + rays[astray, None] * tried[..., None]).reshape(-1, 3)
        through = _looked_through(points, room.seen_by(points)).reshape(tried.shape)
        ended, place = (~through).max(dim=1)
        moved[astray] = torch.where(ended, tried.gather(1, place[:, None])[:, 0], tried[:, -1])
        astray = astray[~ended]
    moved[astray] = z[astray]  # for which there is no place
    result = depth.copy()
    result[rows, columns] = moved.float().numpy()
    return result, len(first) - len(astray), len(astray)


def _looked_through(points: Tensor, views: Sequence[OutpaintedView]) -> Tensor:
    """Points that stand before the surface that one of the views sees  # [P] bool"""
    through = torch.zeros(len(points), dtype=torch.bool)
    for view in views:
        waiting = torch.nonzero(~through & _in_picture(points, view.camera))[:, 0]
        if len(waiting):
            found = sight(points[waiting], view.camera, torch.from_numpy(view.depth), tolerance=TOLERANCE)
            through[waiting[found.floating]] = True
    return through


def _in_picture(points: Tensor, camera: Cameras) -> Tensor:
    """Points that lie in the picture of a camera  # [P] bool"""
    pixels, z = camera.project(points)
    x, y = pixels[0].unbind(-1)
    return (z[0] > 0) & (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height)


def _hidden_share(surfaces: Surfaces, views: Sequence[OutpaintedView]) -> float:
    """The largest share of a view's picture that surfaces would hide: those that stand clearly before what it shows."""
    worst = 0.0
    for view in views:
        inverse = surfaces.draw(view.camera)[0]
        hides = inverse * view.depth * HIDES > 1
        if hides.mean() > worst:
            worst = max(worst, float(ndimage.binary_opening(hides, np.ones((2, 2), bool)).mean()))
    return worst
