"""The clone stamp: a piece of surface is copied to another place of the scene."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.io.splat_files import splat_origin
from scene_depth.rotations import rotation_about, rotation_between
from scene_depth.spherical_harmonics import C0
from scene_depth.splat_transforms import similarity_matrix, transform_splats
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth_heal.clicks import Click
from scene_depth_heal.placement import SurfacePoint, surface_at
from scene_depth_heal.selection import camera_about_origin

RING = 1.5  # outer radius of the surroundings that colours are matched by, in radii of the stamp
ENOUGH = 8  # splats of the surroundings that say a colour
INVISIBLE = 1 / 255  # opacity below which a splat is left out


def clone(
    splats: GaussianSplats,
    source: Click | SurfacePoint,
    target: Click | SurfacePoint,
    radius: float,
    *,
    depth: float | None = None,
    turn: float = 0.0,
    scale: float = 1.0,
    feather: float = 0.3,
    match_color: bool = True,
) -> GaussianSplats:
    """Copies a round piece of surface to another place, as a clone stamp does.

    The copies are turned so that the normals of both places agree, with their view-dependent colours. At the border they fade
    in while the target's splats fade out; inside, the target's are gone. The rest of the scene stays bit for bit.

    Args:
        splats: The scene; never changed.
        source: What is copied: a click on a picture, or a point with the surface's normal, in coordinates of the scene's files.
        target: Where to, likewise.
        radius: Of the stamp at the source, in scene units.
        depth: How far from the plane of the surface splats are taken, and at the target replaced; by default half the radius.
        turn: Degrees about the target's normal, counter-clockwise seen from outside.
        scale: Factor of the size.
        feather: Share of the radius over which the border fades, 0 to 1.
        match_color: Shift the copies' colours by the difference of what surrounds both places.

    Returns:
        The scene in its order, less what faded away, with the copies last.

    Raises:
        InputError: If a number is out of range, a click shows no surface, or there is nothing at the source.

    Example:
        >>> import scene_depth as sd
        >>> scene, splats = sd.read_scene("scenes/table"), sd.read_splats("scenes/table/splats.spz")
        >>> camera = scene.views[0].camera
        >>> stamped = sd.clone(splats, sd.Click(camera, (60, 170)), sd.Click(camera, (250, 180)), radius=0.05)
        >>> stamped.means.isfinite().all().item()
        True
    """
    return stamp(splats, source, target, radius, depth, turn, scale, feather, match_color)[0]


def stamp(
    splats: GaussianSplats,
    source: Click | SurfacePoint,
    target: Click | SurfacePoint,
    radius: float,
    depth: float | None = None,
    turn: float = 0.0,
    scale: float = 1.0,
    feather: float = 0.3,
    match_color: bool = True,
) -> tuple[GaussianSplats, torch.Tensor]:
    """As ``clone``, with which of the given splats are still there  # [N] bool"""
    depth = 0.5 * radius if depth is None else depth
    for name, value in (("radius", radius), ("depth", depth), ("scale", scale)):
        if not 0 < value < math.inf:
            raise InputError(name, value, "a finite number above 0")
    if not 0 <= feather <= 1 or not math.isfinite(turn):
        raise InputError("feather, turn", f"{feather}, {turn}", "a share from 0 to 1, and a finite angle")
    start, end = _place(splats, source), _place(splats, target)
    taken = _within(splats, start, radius, depth)
    if not bool(taken.any()):
        raise InputError("source", "no splat within the radius", "a place on a surface, or a larger radius")
    rotation = rotation_about(end.normal, math.radians(turn)) @ rotation_between(start.normal, end.normal)
    shift = torch.from_numpy(end.point) - scale * rotation @ torch.from_numpy(start.point)
    piece = splats.select(taken)
    copies = transform_splats(replace(piece, comments=()), similarity_matrix(rotation, shift, scale))
    copies = _faded(copies, _weight(copies, end, scale * radius, feather))
    if match_color:
        wanted = _surrounding_color(splats, end, scale * radius, scale * depth)
        found = _surrounding_color(splats, start, radius, depth)
        if wanted is not None and found is not None:
            sh = copies.sh.clone()
            sh[:, 0] += ((wanted - found) / C0).to(sh)
            copies = replace(copies, sh=sh)
    replaced = _within(splats, end, scale * radius, scale * depth)
    remaining = 1 - _weight(splats.select(replaced), end, scale * radius, feather)
    faded = _faded(splats.select(replaced), remaining)
    logits, kept = splats.logit_opacities.clone(), torch.ones(len(splats), dtype=torch.bool, device=splats.device)
    logits[replaced] = torch.where(remaining.to(logits) < 1, faded.logit_opacities, logits[replaced])
    kept[replaced] = faded.opacities >= INVISIBLE
    scene = replace(splats, logit_opacities=logits).select(kept)
    return concatenate_splats([scene, copies.select(copies.opacities >= INVISIBLE)]), kept.cpu()


def _place(splats: GaussianSplats, where: Click | SurfacePoint) -> SurfacePoint:
    """The place in the frame of the splats, with a normal of unit length."""
    if isinstance(where, Click):
        return surface_at(splats, camera_about_origin(where.camera, splats), *where.pixel)
    length = float(np.linalg.norm(where.normal))
    if not (np.isfinite(where.point).all() and 0 < length < math.inf):
        raise InputError("place", f"{where}", "a finite point and a normal that is not zero")
    return SurfacePoint(np.asarray(where.point, dtype=np.float64) - splat_origin(splats), np.asarray(where.normal) / length)


def _around(splats: GaussianSplats, place: SurfacePoint) -> tuple[Tensor, Tensor]:
    """Distance of each centre from the normal's line through a place, and from its plane  # [N], [N]"""
    away = splats.means.detach().double() - torch.from_numpy(place.point).to(splats.device)
    height = away @ torch.from_numpy(place.normal).to(away)
    return (away.square().sum(dim=1) - height.square()).clamp_min(0).sqrt(), height.abs()


def _within(splats: GaussianSplats, place: SurfacePoint, radius: float, depth: float) -> Tensor:
    distance, height = _around(splats, place)
    return (distance <= radius) & (height <= depth)


def _weight(splats: GaussianSplats, place: SurfacePoint, radius: float, feather: float) -> Tensor:
    """Share of the stamp, 1 inside and 0 from its border on  # [N]"""
    distance, _ = _around(splats, place)
    inward = ((radius - distance) / max(feather * radius, 1e-12 * radius)).clamp(0, 1)
    return inward * inward * (3 - 2 * inward)


def _faded(splats: GaussianSplats, share: Tensor) -> GaussianSplats:
    """Splats of a share of their opacity; those of the whole stay as they are."""
    opacities = splats.opacities.double() * share
    logits = torch.logit(opacities.clamp(1e-9, 1 - 1e-9)).to(splats.logit_opacities)
    return replace(splats, logit_opacities=torch.where(share < 1, logits, splats.logit_opacities))


def _surrounding_color(splats: GaussianSplats, place: SurfacePoint, radius: float, depth: float) -> Tensor | None:
    """Mean colour of what surrounds the stamp, weighted by opacity; None where too little does  # [3]"""
    distance, height = _around(splats, place)
    ring = (distance > radius) & (distance <= RING * radius) & (height <= depth)
    if int(ring.sum()) < ENOUGH:
        return None
    weights = splats.opacities[ring].double()
    return (weights[:, None] * splats.base_colors[ring].double()).sum(dim=0) / weights.sum()
