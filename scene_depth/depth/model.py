"""What a depth model of this package is, and the one call around every depth inpainter.

A model predicts. Here, and nowhere else, input is checked, the seam is taken out of the hole, known depth is put back bit for
bit, the step at its border is measured and normals are made.
"""

from __future__ import annotations

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scene_depth.arrays import Array
from scene_depth.cameras import Cameras
from scene_depth.depth.checks import InpaintingInput, check_input
from scene_depth.depth.harmonize import border_offsets, harmonize
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.depth.scattered import nearest_fill
from scene_depth.depth.seam import measure_seam
from scene_depth.errors import InputError
from scene_depth.geometry.normals import normals_from_depth

PlainFunction = Callable[..., Any]  # f(rgb, depth, known) -> depth [H, W]

BEYOND_REASON = 1e6  # predictions this many times beyond the known range are no depth


class DepthModel(ABC):
    """A depth inpainter that predicts and leaves everything else to the one call around it; itself a ``DepthInpainter``.

    A class attribute ``name`` is its name in reports; by default they take that of its class.

    Example:
        >>> import numpy as np
        >>> import scene_depth as sd
        >>> class Farthest(sd.DepthModel):
        ...     def predict(self, view, *, seed):
        ...         return sd.DepthPrediction(np.full(view.shape, view.depth.max()))
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> Farthest()(view.image(), view.depth(), ~view.mask()).details["inpainter"]
        'Farthest'
    """

    @property
    def harmonize(self) -> bool | None:
        """Whether the seam is taken out of the hole; None if the prediction moved known depth, since putting that back makes
        the seam. False also says that what is predicted at known pixels has no meaning."""
        return None

    @property
    def exact(self) -> bool:
        """False if a direct call gives known depth as the model changed it; ``inpaint_depth`` puts it back all the same."""
        return True

    @abstractmethod
    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts the depth of every pixel; what it gives at known ones is only used to see whether it moved them.

        Args:
            view: Checked input with a pixel to predict, in float32 or float64. The model may write into its arrays.
            seed: Seed of all random choices.

        Returns:
            Depth and, if the model tells, uncertainty; ``details`` says in plain values what was done, ``details["notes"]``
            in words what a person should know.
        """

    def check(self, rgb: ArrayLike | None, depth: ArrayLike, known: ArrayLike | None, camera: Cameras | None) -> InpaintingInput:
        """Checks the input of a direct call; a model that accepts less than ``inpaint_depth`` overrides it.

        Raises:
            InputError: For bad input; the message names the argument.
        """
        return check_input(rgb, depth, known, camera)

    def __call__(
        self,
        rgb: ArrayLike | None,
        depth: ArrayLike,
        known: ArrayLike | None = None,
        *,
        camera: Cameras | None = None,
        seed: int = 0,
    ) -> DepthPrediction:
        """Fills one view; the same as ``inpaint_depth``.

        Args:
            rgb: sRGB in [0, 1], or None  # [H, W, 3]
            depth: z-depth in any unit  # [H, W]
            known: True = measured; by default wherever depth is finite and positive  # [H, W]
            camera: One pinhole camera of the same size; normals are given only with it.
            seed: Seed of all random choices.

        Raises:
            InputError: For bad input (see ``check``).
        """
        view = self.check(rgb, depth, known, camera)
        return complete_view(self, view, seed=seed) if self.exact else self.predict(view, seed=seed)


@dataclass(frozen=True)
class ExactInpainter(DepthModel):
    """Any inpainter under a name; ``load_depth_inpainter`` returns these.

    Attributes:
        inpainter: The depth model, other inpainter or plain function that predicts.
        name: Its name in reports.
    """

    inpainter: DepthInpainter | PlainFunction
    name: str

    @property
    def harmonize(self) -> bool | None:
        wish: bool | None = getattr(self.inpainter, "harmonize", None)
        return wish

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts with the model, or calls the function with those of the keywords camera and seed that it takes."""
        if isinstance(self.inpainter, DepthModel):
            return self.inpainter.predict(view, seed=seed)
        keywords: dict[str, Any] = {"camera": view.camera, "seed": seed}
        try:
            parameters = dict(inspect.signature(self.inpainter).parameters)
        except (TypeError, ValueError):  # builtins and extension types do not tell
            parameters = {}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            keywords = {name: value for name, value in keywords.items() if name in parameters}
        result = self.inpainter(view.rgb, view.depth, view.known, **keywords)
        return result if isinstance(result, DepthPrediction) else DepthPrediction(np.asarray(result))


def inpainter_name(inpainter: DepthInpainter | PlainFunction) -> str:
    """The name that reports give an inpainter."""
    return getattr(inpainter, "name", None) or getattr(inpainter, "__name__", None) or type(inpainter).__name__


def complete_view(
    inpainter: DepthInpainter | PlainFunction, view: InpaintingInput, *, seed: int = 0, harmonize: bool | None = None
) -> DepthPrediction:
    """Completes a checked view; see ``inpaint_depth``.

    Args:
        inpainter: A depth inpainter or a plain function.
        view: From ``check_input``.
        seed, harmonize: As in ``inpaint_depth``.
    """
    if not callable(inpainter):
        raise InputError("inpainter", type(inpainter).__name__, "a depth inpainter, a function f(rgb, depth, known) or a name")
    model = inpainter if isinstance(inpainter, DepthModel) else ExactInpainter(inpainter, inpainter_name(inpainter))
    if view.known.all():
        view.notes.append("all pixels are known; nothing was predicted")
        return _finish(view, DepthPrediction(view.depth), view.depth, _describe(model, view, seed))
    started = time.perf_counter()
    prediction = model.predict(_copy(view), seed=seed)
    return make_exact(model, view, prediction, seed=seed, harmonize=harmonize, seconds=time.perf_counter() - started)


def make_exact(
    model: DepthModel,
    view: InpaintingInput,
    prediction: DepthPrediction,
    *,
    seed: int,
    seconds: float,
    harmonize: bool | None = None,
) -> DepthPrediction:
    """Turns what a model predicted for a view into what every inpainter returns.

    Args:
        model: The model that predicted.
        view: From ``check_input``, with a pixel that was not known.
        prediction: Its prediction.
        seed: Seed that was used.
        seconds: Time that it took.
        harmonize: As in ``inpaint_depth``.
    """
    _check_prediction(prediction, view)
    details = _describe(model, view, seed) | {"seconds": seconds}
    if prediction.details:
        details["model"] = prediction.details
        said = prediction.details.get("notes")
        details["notes"] += [note for note in said if note not in details["notes"]] if isinstance(said, list) else []
    whole = np.asarray(prediction.depth)
    if model.harmonize is False:
        whole = np.where(view.known, view.depth, whole)
    whole = _make_usable(whole, view, details["notes"])
    filled = _without_seam(whole, view, model.harmonize if harmonize is None else harmonize, details)
    return _finish(view, prediction, filled, details)


def parameters_of(inpainter: Any) -> dict[str, Any]:
    """Plain parameters of a dataclass inpainter and of those inside it, for reports; without what its ``repr`` leaves out."""
    if not is_dataclass(inpainter) or isinstance(inpainter, type):
        return {}
    values = {field.name: getattr(inpainter, field.name) for field in fields(inpainter) if field.repr}
    inner = {name: each for name, each in values.items() if isinstance(each, ExactInpainter)}
    plain = {name: value for name, value in values.items() if isinstance(value, str | int | float | bool | None)}
    return plain | {name: {"name": each.name, **parameters_of(each.inpainter)} for name, each in inner.items()}


def _describe(model: DepthModel, view: InpaintingInput, seed: int) -> dict[str, Any]:
    return {
        "inpainter": inpainter_name(model),
        "parameters": parameters_of(model.inpainter if isinstance(model, ExactInpainter) else model),
        "seed": seed,
        "pixels": view.known.size,
        "known": int(view.known.sum()),
        "notes": list(view.notes),
    }


def _copy(view: InpaintingInput) -> InpaintingInput:
    """Copies into which an inpainter may write; float16 is too coarse to compute in."""
    depth = view.depth.astype(np.float32 if view.depth.dtype.itemsize < 4 else view.depth.dtype)
    rgb = None if view.rgb is None else view.rgb.copy()
    return InpaintingInput(rgb, depth, view.known.copy(), view.camera, work=view.work)


def _check_prediction(prediction: DepthPrediction, view: InpaintingInput) -> None:
    values = np.asarray(prediction.depth)
    if values.shape != view.depth.shape or values.dtype.kind not in "fiu":
        raise InputError(
            "result of the inpainter", f"shape {values.shape} of {values.dtype}", f"real depth of shape {view.depth.shape}"
        )
    if prediction.uncertainty is not None and np.shape(prediction.uncertainty) != view.depth.shape:
        raise InputError("uncertainty of the inpainter", f"shape {np.shape(prediction.uncertainty)}", f"{view.depth.shape}")


def _make_usable(depth: Array, view: InpaintingInput, notes: list[str]) -> Array:
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
    """The prediction with its seam taken out if that is wished, or not said and needed."""
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
    return harmonize(whole, view.depth, view.known, offsets)


def _finish(view: InpaintingInput, prediction: DepthPrediction, filled: Array, details: dict[str, Any]) -> DepthPrediction:
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
