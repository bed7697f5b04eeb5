"""The call that every depth inpainter passes through: known depth stays exact, the seam is measured and taken out."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.checks import InpaintingInput, check_input
from scene_depth.depth.harmonize import border_offsets
from scene_depth.depth.harmonize import harmonize as harmonized
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.depth.scattered import nearest_fill
from scene_depth.depth.seam import measure_seam
from scene_depth.errors import InputError
from scene_depth.geometry.normals import normals_from_depth

Array = NDArray[np.floating]
PlainFunction = Callable[..., Any]  # f(rgb, depth, known) -> depth [H, W]

BEYOND_REASON = 1e6  # predictions this many times beyond the known range are no depth


def inpaint_depth(
    inpainter: DepthInpainter | PlainFunction | str,
    rgb: ArrayLike | None,
    depth: ArrayLike,
    known: ArrayLike | None = None,
    *,
    camera: Cameras | None = None,
    seed: int = 0,
    harmonize: bool | None = None,
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
        seed: Seed of everything random.
        harmonize: Whether to take the seam out of the hole (``scene_depth.depth.harmonize``). By default if the
            inpainter moved known depth, since pasting that back is what makes the seam; an inpainter with an attribute
            ``harmonize`` decides for itself.

    Returns:
        The prediction. Its depth has the type of the input; integer depth becomes float32 (8, 16 bits) or float64.
        ``details`` says what was done in plain values.

    Raises:
        InputError: For bad input (see ``check_input``), or if the inpainter returns something of another shape.
    """
    name, inner = _resolved(inpainter)
    view = check_input(rgb, depth, known, camera)
    details: dict[str, Any] = {
        "inpainter": name,
        "parameters": parameters_of(inner),
        "seed": seed,
        "pixels": view.known.size,
        "known": int(view.known.sum()),
        "notes": view.notes,
    }
    if view.known.all():
        details["notes"].append("all pixels are known; nothing was predicted")
        return _finished(view, DepthPrediction(view.depth), view.depth, details)
    started = time.perf_counter()
    prediction = _as_prediction(_call(inner, view, seed), view)
    details["seconds"] = time.perf_counter() - started
    if prediction.details:
        details["model"] = prediction.details
        told = prediction.details.get("notes")
        details["notes"] += [note for note in told if note not in details["notes"]] if isinstance(told, list) else []
    whole = _made_usable(prediction.depth, view, details["notes"])
    wish = getattr(inner, "harmonize", None) if harmonize is None else harmonize
    filled = _without_seam(whole, view, wish, details)
    return _finished(view, prediction, filled, details)


@dataclass(frozen=True)
class ExactInpainter:
    """Any inpainter behind ``inpaint_depth``; itself a ``DepthInpainter``. ``load_depth_inpainter`` returns these.

    Attributes:
        inpainter: The depth inpainter or plain function that predicts.
        name: Its name in reports.
        harmonize: As in ``inpaint_depth``.
    """

    inpainter: DepthInpainter | PlainFunction
    name: str
    harmonize: bool | None = None

    def __call__(
        self,
        rgb: ArrayLike | None,
        depth: ArrayLike,
        known: ArrayLike | None = None,
        *,
        camera: Cameras | None = None,
        seed: int = 0,
    ) -> DepthPrediction:
        return inpaint_depth(self, rgb, depth, known, camera=camera, seed=seed, harmonize=self.harmonize)


def inpainter_name(inpainter: DepthInpainter | PlainFunction | ExactInpainter) -> str:
    """The name that reports give an inpainter."""
    if isinstance(inpainter, ExactInpainter):
        return inpainter.name
    return getattr(inpainter, "name", None) or getattr(inpainter, "__name__", None) or type(inpainter).__name__


def _resolved(inpainter: DepthInpainter | PlainFunction | ExactInpainter | str) -> tuple[str, DepthInpainter | PlainFunction]:
    """Name and what is inside the wrapper."""
    if isinstance(inpainter, str):
        from scene_depth.depth.registry import load_depth_inpainter

        return inpainter, load_depth_inpainter(inpainter).inpainter
    inner = inpainter.inpainter if isinstance(inpainter, ExactInpainter) else inpainter
    if not callable(inner):
        raise InputError("inpainter", type(inner).__name__, "a depth inpainter, a function f(rgb, depth, known) or a name")
    return inpainter_name(inpainter), inner


def _call(inpainter: Any, view: InpaintingInput, seed: int) -> Any:
    """Calls with copies, so that a function may write into its arguments, and with the keywords that it takes."""
    keywords = {"camera": view.camera, "seed": seed}
    try:
        parameters = dict(inspect.signature(inpainter).parameters)
    except (TypeError, ValueError):  # builtins and extension types do not tell
        parameters = {}
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        keywords = {name: value for name, value in keywords.items() if name in parameters}
    dtype = np.float32 if view.depth.dtype.itemsize < 4 else view.depth.dtype
    rgb = None if view.rgb is None else view.rgb.copy()
    return inpainter(rgb, view.depth.astype(dtype), view.known.copy(), **keywords)


def _as_prediction(result: Any, view: InpaintingInput) -> DepthPrediction:
    if not isinstance(result, DepthPrediction):
        result = DepthPrediction(np.asarray(result))
    values = np.asarray(result.depth)
    if values.shape != view.depth.shape or values.dtype.kind not in "fiu":
        raise InputError(
            "result of the inpainter", f"shape {values.shape} of {values.dtype}", f"real depth of shape {view.depth.shape}"
        )
    if result.uncertainty is not None and np.shape(result.uncertainty) != view.depth.shape:
        raise InputError("uncertainty of the inpainter", f"shape {np.shape(result.uncertainty)}", f"{view.depth.shape}")
    return result


def _made_usable(depth: NDArray, view: InpaintingInput, notes: list[str]) -> Array:
    """The prediction with values that cannot be depth replaced by the nearest usable one, predicted or known."""
    values = np.asarray(depth, dtype=np.float64)
    known = view.depth[view.known]
    lowest, highest = float(known.min()) / BEYOND_REASON, float(known.max()) * BEYOND_REASON
    usable = np.isfinite(values) & (values > lowest) & (values < highest)
    bad = ~usable & ~view.known
    values = np.where(view.known & ~usable, view.depth, values)
    if bad.any():
        notes.append(f"{int(bad.sum())} predicted pixels were not finite and positive; the nearest usable depth replaced them")
        return nearest_fill(values, ~bad)
    return values


def _without_seam(whole: Array, view: InpaintingInput, wish: bool | None, details: dict[str, Any]) -> Array:
    if wish is False:
        return whole
    offsets = border_offsets(whole, view.depth, view.known)
    if not (offsets.moved if wish is None else wish):
        return whole
    before = measure_seam(np.where(view.known, view.depth, whole), view.known)
    details["harmonized"] = {
        "known_depth_moved": offsets.moved,
        "median_offset": offsets.median,
        "border_pixels": int(offsets.border.sum()),
        "seam_before": asdict(before) if before is not None else None,
    }
    return harmonized(whole, view.depth, view.known, offsets)


def _finished(view: InpaintingInput, prediction: DepthPrediction, filled: NDArray, details: dict[str, Any]) -> DepthPrediction:
    """Casts, pastes known depth last of all, and adds what follows from the depth."""
    limits = np.finfo(view.depth.dtype)
    depth = np.clip(filled, float(limits.smallest_subnormal), float(limits.max)).astype(view.depth.dtype)
    depth = np.maximum(depth, limits.smallest_subnormal)  # rounding may reach 0
    depth[view.known] = view.depth[view.known]
    normals = prediction.normals
    if normals is None and view.camera is not None:
        normals = normals_from_depth(depth, view.camera)
    seam = measure_seam(depth, view.known, view.camera)
    return DepthPrediction(depth, _uncertainty(prediction, view), normals, seam, details)


def _uncertainty(prediction: DepthPrediction, view: InpaintingInput) -> NDArray[np.float32] | None:
    """0 at known pixels; where the inpainter gives none, the largest that it gives elsewhere (1 if it gives none at all)."""
    if view.known.all():
        return np.zeros(view.known.shape, dtype=np.float32)
    if prediction.uncertainty is None:
        return None
    values = np.array(prediction.uncertainty, dtype=np.float32)
    good = np.isfinite(values) & (values >= 0)
    values[~good] = values[good & ~view.known].max(initial=0.0) or 1.0
    values[view.known] = 0.0
    return values


def parameters_of(inpainter: Any) -> dict[str, Any]:
    """Plain parameters of a dataclass inpainter, for reports."""
    if not is_dataclass(inpainter) or isinstance(inpainter, type):
        return {}
    plain = (str, int, float, bool, type(None))
    return {name: value for name, value in vars(inpainter).items() if isinstance(value, plain)}
