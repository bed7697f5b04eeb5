"""The edits as functions of a scene and its splats, with the object said once, in any form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.placement import check_likeness, photos_of
from scene_depth.io.splat_files import splat_origin
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress
from scene_depth_heal.clicks import Click
from scene_depth_heal.edit import EditConfig, EditResult
from scene_depth_heal.inputs import load_views, photos_beside, posed_views
from scene_depth_heal.masks import fit_masks
from scene_depth_heal.painted import insert_painted, read_painted
from scene_depth_heal.picking import Stroke
from scene_depth_heal.place import Placement
from scene_depth_heal.placement import insert_splats
from scene_depth_heal.segmented import Segment, select_by_segments
from scene_depth_heal.selection import Box, Drawn, Region, SelectionSource, Sphere, about_origin, read_region
from scene_depth_heal.selection import select as select_splats
from scene_depth_heal.texture import retexture as retexture_views
from scene_depth_heal.workflow import HealConfig, HealResult, heal_alone, heal_views

Selection = Box | Sphere | Stroke | Click | Sequence[Click] | Tensor | NDArray[Any] | Sequence[int] | str | PathLike[str] | None
"""An object: a region, a stroke over it, clicks on it, splat indices, one boolean a splat, a folder of masks, a file of a region
or of indices; None means the scene's own masks."""


def select(
    splats: GaussianSplats,
    what: Selection = None,
    scene: Scene | None = None,
    *,
    grow: int = 0,
    max_size: int = 640,
    segment: Segment | None = None,
) -> Tensor:
    """Finds the splats of an object.

    Args:
        splats: The splats of the scene.
        what: The object: a box or sphere, a stroke over its front, clicks on it (and on what it is not), indices, one boolean
            a splat, a folder of masks named like the images, a file of indices (.npy, .txt) or of a region (.json); None takes
            the scene's own masks.
        scene: Posed photos; needed for masks alone.
        grow: Steps by which the selection grows, or shrinks if negative.
        max_size: Longer side at which masks are used, in pixels.
        segment: Says what clicks show in a picture, such as ``Sam2()``: a function of the picture, sRGB in [0, 1]  # [H, W, 3],
            columns and rows of clicks  # [P, 2], and whether each is on the object  # [P] bool, that gives the object's pixels
            # [H, W] bool. Its masks of the photos that see the object are lifted by their vote. By default the splats tell.

    Returns:
        Which splats belong to it  # [N] bool

    Raises:
        InputError: If the object cannot be read, or holds no splat or all of them.

    Example:
        >>> import scene_depth as sd
        >>> import scene_depth_heal as sh
        >>> splats = sd.read_splats("scenes/table/splats.spz")
        >>> chosen = sh.select(splats, sh.Sphere((0, 0, 0.9), 0.2))
        >>> chosen.shape == (len(splats),), bool(chosen.any())
        (True, True)
    """
    named = _named(what)
    if scene is None and named is not None and named.by_masks:
        accepted = "a region, indices or one boolean a splat; or the scene of posed photos that the masks belong to"
        raise InputError("scene", "none, for masks", accepted)
    views = [] if scene is None else load_views(scene.about_origin(splat_origin(splats)), max_size, named)
    source = _source_of(what)
    if segment is None:
        return select_splats(splats, fit_masks(splats, views)[0], source, grow)
    clicks = about_origin(source, splats) if isinstance(source, tuple) else ()
    if not clicks:
        raise InputError("segment", "given without clicks", "clicks, which say what to segment")
    return select_splats(splats, views, select_by_segments(splats, clicks, views, segment), grow)


def heal(
    scene: Scene | GaussianSplats,
    splats: GaussianSplats | Selection = None,
    removed: Selection = None,
    *,
    inpainter: str | Callable[..., Any] = "solver",
    color: str | Callable[..., Any] = "exemplar",
    config: HealConfig | None = None,
    grow: int = 0,
    max_size: int = 640,
    check_placement: bool = True,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
) -> HealResult:
    """Removes an object from a scene and repairs the hole that it leaves: ``heal(scene, splats, removed)``.

    Splats without photos are healed by what they show from around the object: ``heal(splats, removed)``. All that they do not
    show is then invented.

    Args:
        scene: Posed photos; or, without any, the splats.
        splats: Splats of the scene, never changed; or, without photos, the object.
        removed: The object, in any form that ``select`` takes; without photos, masks cannot show it.
        inpainter: Depth inpainter: a name, an object or a plain function; see ``load_depth_inpainter``.
        color: Image inpainter: a name, an object or a plain function; see ``load_image_inpainter``.
        config: Parameters.
        grow: Steps by which the selection grows, or shrinks if negative.
        max_size: Longer side of the pictures that are worked on, in pixels.
        check_placement: Stop where the splats do not look like the photos from their cameras, as at another scale or turned.
            Without photos there is nothing to check.
        on_progress: Called between steps; False stops, and the result holds what is done so far.
        dry_run: Only delete, and report what is unseen.

    Raises:
        InputError: If an input does not fit; the message names it.

    Example:
        >>> import scene_depth as sd
        >>> import scene_depth_heal as sh
        >>> scene, splats = sd.read_scene("scenes/table"), sd.read_splats("scenes/table/splats.spz")
        >>> result = sh.heal(scene, splats, sh.Sphere((0, 0, 0.9), 0.2), max_size=64, dry_run=True)
        >>> result.new
        0
        >>> alone = sh.heal(splats, sh.Sphere((0, 0, 0.9), 0.2), max_size=64, dry_run=True)
        >>> alone.report.virtual_views.count > 3
        True
    """
    depth_inpainter, image_inpainter = load_depth_inpainter(inpainter), load_image_inpainter(color)
    if isinstance(scene, GaussianSplats):
        if splats is not None and removed is not None:
            raise InputError("scene", "splats", "a scene of posed photos, or heal(splats, removed) without one")
        given = removed if splats is None else splats
        if isinstance(given, GaussianSplats):
            raise InputError("removed", "splats", "the object: a region, indices, one boolean a splat or a file of one of them")
        chosen = select(scene, given, grow=grow)
        return heal_alone(
            scene, chosen, depth_inpainter, image_inpainter, config,
            max_size=max_size, on_progress=on_progress, dry_run=dry_run,
        )  # fmt: skip
    if not isinstance(splats, GaussianSplats):
        raise InputError("splats", type(splats).__name__, "the splats of the scene, then the object")
    scene = scene.about_origin(splat_origin(splats))
    views = load_views(scene, max_size, _named(removed))
    likeness = check_likeness(splats, photos_beside(views), stop=check_placement)
    views, notes = fit_masks(splats, views)
    chosen = select_splats(splats, views, _source_of(removed), grow)
    result = heal_views(splats, chosen, views, depth_inpainter, image_inpainter, config, on_progress=on_progress, dry_run=dry_run)
    result.report.describe_scene(scene)
    result.report.likeness, result.report.notes = likeness, [*notes, *result.report.notes]
    return result


def insert(
    scene: Scene,
    splats: GaussianSplats,
    what: GaussianSplats | tuple[str, str | PathLike[str]],
    *,
    placement: Placement | None = None,
    mask: str | PathLike[str] | None = None,
    inpainter: str | Callable[..., Any] = "solver",
    config: EditConfig | None = None,
    max_size: int = 640,
    check_placement: bool = True,
    on_progress: OnProgress | None = None,
) -> EditResult:
    """Puts something into a scene: other splats, or an object that was painted into one view.

    Args:
        scene: Posed photos.
        splats: Splats of the scene; they stay bit for bit.
        what: Splats, or the name of a view and the file of its picture with an object painted in.
        placement: Where splats go.
        mask: File that is white where it was painted; by default what differs from the photo, or from the render.
        inpainter: Depth inpainter that gives a painted object its shape.
        config: Parameters of the fit of a painted object.
        max_size: Longer side of the pictures that are worked on, in pixels.
        check_placement: Stop where the splats do not look like the photos from their cameras, as at another scale or turned.
        on_progress: Called between steps; False stops, and the result holds what is done so far.

    Raises:
        InputError: If an input does not fit; the message names it.

    Example:
        >>> import scene_depth as sd
        >>> import scene_depth_heal as sh
        >>> scene, splats = sd.read_scene("scenes/table"), sd.read_splats("scenes/table/splats.spz")
        >>> cup = splats.select(sh.select(splats, sh.Sphere((0, 0, 0.9), 0.2)))
        >>> result = sh.insert(scene, splats, cup, placement=sh.Placement(at=(0.3, 0, 0.9), stand="no"), max_size=64)
        >>> result.new == len(cup)
        True
    """
    scene = scene.about_origin(splat_origin(splats))
    views = posed_views(scene, max_size)
    likeness = check_likeness(splats, photos_of(scene), stop=check_placement)
    if isinstance(what, GaussianSplats):
        if placement is None:
            raise InputError("placement", "none", "a Placement, which says where the splats go")
        result = insert_splats(splats, views, what, placement, on_progress=on_progress)
    else:
        files = read_painted(scene, what[0], Path(what[1]), None if mask is None else Path(mask), max_size)
        painted = files.against(splats)
        result = insert_painted(splats, views, painted, load_depth_inpainter(inpainter), config, on_progress=on_progress)
    result.report.describe_scene(scene)
    result.report.likeness = likeness
    return result


def retexture(
    scene: Scene,
    splats: GaussianSplats,
    painted: tuple[str, str | PathLike[str]],
    *,
    mask: str | PathLike[str] | None = None,
    config: EditConfig | None = None,
    max_size: int = 640,
    check_placement: bool = True,
    on_progress: OnProgress | None = None,
) -> EditResult:
    """Gives a surface the colours that were painted over it in one view; its shape stays.

    Args:
        scene: Posed photos.
        splats: Splats of the scene.
        painted: Name of a view, and the file of its picture with new colours painted in.
        mask: File that is white where it was painted; by default what differs from the photo, or from the render.
        config: Parameters of the fit.
        max_size: Longer side of the pictures that are worked on, in pixels.
        check_placement: Stop where the splats do not look like the photos from their cameras, as at another scale or turned.
        on_progress: Called between steps; False stops, and the result holds what is done so far.

    Raises:
        InputError: If an input does not fit; the message names it.

    Example:
        >>> import scene_depth as sd
        >>> scene, splats = sd.read_scene("scenes/table"), sd.read_splats("scenes/table/splats.spz")
        >>> try:
        ...     sd.retexture(scene, splats, ("no_such_view", "painted.png"))
        ... except sd.InputError as error:
        ...     print("no_such_view" in str(error))
        True
    """
    scene = scene.about_origin(splat_origin(splats))
    files = read_painted(scene, painted[0], Path(painted[1]), None if mask is None else Path(mask), max_size)
    likeness = check_likeness(splats, photos_of(scene), stop=check_placement)
    view = files.against(splats)
    result = retexture_views(splats, posed_views(scene, max_size), view, config, on_progress=on_progress)
    result.report.describe_scene(scene)
    result.report.likeness = likeness
    return result


def _source_of(what: Selection) -> SelectionSource | Region | Drawn | Tensor:
    """The selection as masks, a file of indices, a region, what was drawn, or a tensor of indices or booleans."""
    if what is None:
        return SelectionSource()
    if isinstance(what, Box | Sphere | Stroke | Tensor):
        return what
    if isinstance(what, Click):
        return (what,)
    if isinstance(what, str | PathLike):
        path = Path(what)
        if path.is_dir():
            return SelectionSource(masks=path)
        return read_region(path) if path.suffix.lower() == ".json" else SelectionSource(indices=path)
    clicks = tuple(each for each in what if isinstance(each, Click))
    if clicks and len(clicks) < len(what):
        raise InputError("removed", f"{len(clicks)} clicks among {len(what)} values", "clicks alone, or indices alone")
    return clicks or torch.as_tensor(np.asarray(what))


def _named(what: Selection) -> SelectionSource | None:
    """What names files or masks, if anything does."""
    source = _source_of(what)
    return source if isinstance(source, SelectionSource) else None
