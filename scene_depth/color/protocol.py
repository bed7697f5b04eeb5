"""What every image inpainter takes and gives, and the checks that all of them pass through."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask
from scene_depth.cameras import Cameras
from scene_depth.errors import InputError


@runtime_checkable
class ImageInpainter(Protocol):
    """Invents colour where there is none."""

    def __call__(
        self,
        rgb: NDArray[np.float32],
        hole: Mask,
        *,
        depth: Array | None = None,
        camera: Cameras | None = None,
        source: Mask | None = None,
        retouched: Mask | None = None,
        seed: int = 0,
    ) -> NDArray[np.float32]:
        """Fills one picture.

        Args:
            rgb: sRGB in [0, 1]; values inside the hole are not read  # [H, W, 3]
            hole: True = to be filled  # [H, W]
            depth: Completed z-depth of the same view, if known, as a guide  # [H, W]
            camera: The pinhole camera of the view, if known.
            source: Pixels that may serve as an example; all known ones by default  # [H, W]
            retouched: Known pixels whose colour is an estimate, as where a shadow was taken away  # [H, W]
            seed: Seed of everything random.

        Returns:
            The picture with the hole filled  # [H, W, 3]
        """
        ...


PlainFunction = Callable[[NDArray[np.float32], Mask], Array]


def inpaint_image(
    inpainter: ImageInpainter | PlainFunction,
    rgb: Array,
    hole: Mask,
    *,
    depth: Array | None = None,
    camera: Cameras | None = None,
    source: Mask | None = None,
    retouched: Mask | None = None,
    soft_rim: bool = False,
    seed: int = 0,
    prompt: str | None = None,
) -> NDArray[np.float32]:
    """Checks the input, calls the inpainter and gives back every pixel outside the hole bit for bit.

    Args:
        inpainter: Any ImageInpainter, or a plain function ``f(rgb, hole) -> rgb``; of the keyword arguments it gets those that it
            names.
        rgb, hole, depth, camera, source, retouched, seed: See ImageInpainter.
        soft_rim: Whether something of a removed object may be left in the known pixels next to the hole, for inpainters that name
            such an argument.
        prompt: What should be in this hole, for inpainters that name such an argument; None leaves it to them.

    Raises:
        InputError: If shapes do not fit together, values are not finite in [0, 1], nothing is known, or if the inpainter
            returns something that is not a finite picture of this size.
    """
    rgb = _checked_image(rgb, hole)
    if not hole.any():
        return rgb
    if hole.all() or (source is not None and not (source & ~hole).any()):
        raise InputError("hole", "the whole picture, or no pixel left as an example", "a hole with something known around it")
    guides: dict[str, Any] = {"depth": depth, "camera": camera, "source": source, "retouched": retouched, "soft_rim": soft_rim}
    guides["seed"] = seed
    guides |= {} if prompt is None else {"prompt": prompt}
    filled = inpainter(rgb, hole, **_named(inpainter, guides))
    filled = np.asarray(filled, dtype=np.float32)
    if filled.shape != rgb.shape or not np.isfinite(filled[hole]).all():
        raise InputError(
            "image inpainter", f"result of shape {filled.shape}, or one that is not finite", f"a finite picture {rgb.shape}"
        )
    return np.where(hole[..., None], np.clip(filled, 0.0, 1.0), rgb)


def _checked_image(rgb: Array, hole: Mask) -> NDArray[np.float32]:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or not np.issubdtype(rgb.dtype, np.floating):
        raise InputError("rgb", f"{rgb.dtype} {rgb.shape}", "floating point (H, W, 3)")
    if hole.shape != rgb.shape[:2] or hole.dtype != np.bool_:
        raise InputError("hole", f"{hole.dtype} {hole.shape}", f"bool {rgb.shape[:2]}")
    known = rgb[~hole]
    if not np.isfinite(known).all() or (known.size and (known.min() < 0 or known.max() > 1)):
        raise InputError("rgb", "values outside [0, 1] or not finite", "sRGB in [0, 1] outside the hole")
    return rgb.astype(np.float32, copy=False)


def _named(inpainter: Callable[..., object], guides: dict[str, Any]) -> dict[str, Any]:
    """Those of the keyword arguments that the callable takes."""
    parameters = inspect.signature(inpainter).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return guides
    return {name: value for name, value in guides.items() if name in parameters}
