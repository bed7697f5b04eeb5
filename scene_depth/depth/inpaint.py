"""The call that completes the depth of one view with any inpainter."""

from __future__ import annotations

from dataclasses import replace

from numpy.typing import ArrayLike

from scene_depth.cameras import Cameras
from scene_depth.depth.alignment import Fit
from scene_depth.depth.checks import check_input
from scene_depth.depth.model import PlainFunction, complete_view
from scene_depth.depth.monocular import with_prior
from scene_depth.depth.prior import Prior
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.work import OnProgress, Work


def inpaint_depth(
    inpainter: DepthInpainter | PlainFunction | str,
    rgb: ArrayLike | None,
    depth: ArrayLike,
    known: ArrayLike | None = None,
    *,
    camera: Cameras | None = None,
    seed: int = 0,
    harmonize: bool | None = None,
    prior: Prior | str | None = None,
    fit: Fit | None = None,
    on_progress: OnProgress | None = None,
) -> DepthPrediction:
    """Completes the depth of one view with any inpainter.

    Whatever the inpainter does, known depth comes back bit for bit, the result is finite and positive everywhere and
    the step at the border of the hole is measured.

    Args:
        inpainter: A depth inpainter, a plain function f(rgb, depth, known) -> depth, or a name for
            ``load_depth_inpainter``.
        rgb: Picture, floating in [0, 1] or unsigned integer, or None  # [H, W, 3]
        depth: z-depth in any unit; NaN, infinite, 0 and negative are unknown  # [H, W]
        known: True = measured; by default wherever depth is finite and positive  # [H, W]
        camera: One pinhole camera of the same size; normals are given only with it.
        seed: Seed of all random choices.
        harmonize: Whether to take the seam out of the hole (``scene_depth.depth.harmonize``). By default if the
            inpainter moved known depth, since pasting that back is what makes the seam; an inpainter with an attribute
            ``harmonize`` decides for itself.
        prior: Monocular prediction of this view, a monocular model, or the name of one, for an inpainter that takes a prior
            ("solver").
        fit: What of the prior is fitted to the known depth: its "scale", for metric depth, scale and shift ("affine"), or what
            carries farther ("auto"); by default as the inpainter has it.
        on_progress: Is called between the steps of an inpainter that takes long: of the solver, with pictures above 1.5
            megapixels. False skips what is left of bringing these to full size; ``details["model"]["finished"]`` is False then.

    Returns:
        The prediction. Its depth has the type of the input; integer depth becomes float32 (8, 16 bits) or float64.
        ``details`` says what was done in plain values.

    Raises:
        InputError: For bad input (see ``check_input``), or if the inpainter returns something of another shape.

    Example:
        >>> import scene_depth as sd
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> depth, known = view.depth(), ~view.mask() & (view.depth() > 0)
        >>> prediction = sd.inpaint_depth("nearest", view.image(), depth, known)
        >>> bool((prediction.depth[known] == depth[known]).all()), bool((prediction.depth > 0).all())
        (True, True)
    """
    found = load_depth_inpainter(inpainter) if isinstance(inpainter, str) else inpainter
    if prior is not None:
        found = with_prior(found, prior, fit)
    view = replace(check_input(rgb, depth, known, camera), work=Work(on_progress))
    return complete_view(found, view, seed=seed, harmonize=harmonize)
