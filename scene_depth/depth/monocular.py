"""Depth inpainters made from monocular models: predict from the picture, then bring the prediction onto known depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.alignment import SPACES, Space, align_locally, apply_fit, fit_globally
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.errors import InputError
from scene_depth.registry import Entry, Registry

BackEnd = Literal["solver", "local", "global"]
BACK_ENDS = ("solver", "local", "global")


@dataclass(frozen=True)
class MonocularMap:
    """What a monocular model says about one picture.

    Attributes:
        values: Growing with the quantity of ``space``, scale and shift free, finite  # [H, W]
        space: Whether ``values`` are inverse depth, depth or log depth up to scale and shift; "auto" if not known, then
            the space that fits known depth best is taken.
        uncertainty: In the unit of ``values``, if the model tells  # [H, W]
    """

    values: NDArray[np.float32]
    space: Space | Literal["auto"]
    uncertainty: NDArray[np.float32] | None = None


MonocularModel = Callable[..., Any]
"""(rgb [H, W, 3]) -> MonocularMap, or a plain function f(rgb) -> values [H, W]. One whose ``takes_seed`` is True is also given
``seed=``, one whose ``takes_prompt`` is True ``prompt=``, the known depth."""


@dataclass(frozen=True)
class PriorInpainter(DepthModel):
    """Brings a monocular prediction, made before, onto known depth.

    Attributes:
        predicted: The prediction.
        back_end: "solver" hands the prediction to the embedded solver as its prior: known depth is continued along the
            prediction without a seam. "local" is the alignment of Prior Depth Anything, "global" one scale and shift.
        solver_options: Parameters of the solver.
    """

    predicted: MonocularMap
    back_end: BackEnd = "solver"
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    name: ClassVar[str] = "prior"

    @property
    def harmonize(self) -> bool | None:
        return _leaves_seam(self.back_end)

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Fits the prediction to the known depth of a view of its size."""
        values, space = self.predicted.values, self.predicted.space
        if self.back_end == "solver":
            from scene_depth.depth.solver import SolverInpainter

            solved = SolverInpainter(prior=values, prior_space=space, **self.solver_options).predict(view, seed=seed)
            return replace(solved, details={"back_end": self.back_end, **solved.details})
        fit = fit_globally(values, view.depth, view.known, space)
        details = {"back_end": self.back_end, "fit": asdict(fit)}
        if self.back_end == "local":
            return DepthPrediction(align_locally(values, view.depth, view.known, fit), details=details)
        return DepthPrediction(apply_fit(fit, values, view.depth[view.known]), details=details)


@dataclass(frozen=True)
class MonocularInpainter(DepthModel):
    """A depth inpainter that predicts from the picture alone and fits the prediction to known depth.

    Attributes:
        model: The monocular model, or a plain function f(rgb) -> values.
        back_end, solver_options: As in ``PriorInpainter``.
        space: Says what a plain function predicts; overrides what a model says of itself.
    """

    model: MonocularModel
    back_end: BackEnd = "solver"
    space: Space | Literal["auto"] | None = None
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    name: ClassVar[str] = "monocular"

    def __post_init__(self) -> None:
        if self.back_end not in BACK_ENDS:
            raise InputError("back_end", repr(self.back_end), f"one of {', '.join(BACK_ENDS)}")
        if self.space is not None and self.space not in (*SPACES, "auto"):
            raise InputError("space", repr(self.space), f"one of {', '.join(SPACES)}, auto")

    @property
    def harmonize(self) -> bool | None:
        return _leaves_seam(self.back_end)

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Runs the model and fits what it says.

        Raises:
            InputError: Without a picture, or if the model returns something else than a map of its size.
        """
        if view.rgb is None:
            raise InputError("rgb", None, "a picture, the model predicts from it")
        predicted = predict(self.model, view.rgb, seed, self.space, view.depth)
        found = PriorInpainter(predicted, self.back_end, self.solver_options).predict(view, seed=seed)
        return replace(found, details={"model": model_name(self.model), **found.details})


def _leaves_seam(back_end: BackEnd) -> bool | None:
    """The ``harmonize`` of a back end: the solver continues known depth, the others leave a seam if they move it."""
    return False if back_end == "solver" else None


def predict(
    model: MonocularModel,
    rgb: NDArray[np.float32],
    seed: int = 0,
    space: Space | Literal["auto"] | None = None,
    depth: NDArray[Any] | None = None,
) -> MonocularMap:
    """Runs a model or plain function and checks what it returns.

    Args:
        model: A monocular model.
        rgb: sRGB in [0, 1]  # [H, W, 3]
        seed: Seed, for models that take one.
        space: Overrides the model's own statement; "auto" for a plain function by default.
        depth: Known depth, 0 = unknown, for models that are prompted with it  # [H, W]

    Raises:
        InputError: If the model needs a prompt and there is no depth, or the result has another size than the picture or no
            finite value.
    """
    asked = {"seed": seed, "prompt": depth}
    result = model(rgb, **{name: value for name, value in asked.items() if getattr(model, f"takes_{name}", False)})
    if not isinstance(result, MonocularMap):
        result = MonocularMap(np.asarray(result), "auto")
    values = np.asarray(result.values, dtype=np.float32)
    finite = np.isfinite(values)
    if values.shape != rgb.shape[:2] or not finite.any():
        found = f"shape {values.shape}" if values.shape != rgb.shape[:2] else "no finite value"
        raise InputError(f"prediction of {model_name(model)}", found, f"finite values of shape {rgb.shape[:2]}")
    if not finite.all():
        values = np.where(finite, values, np.median(values[finite]))
    return MonocularMap(values, space or result.space, result.uncertainty)


def model_name(model: MonocularModel) -> str:
    """The name that reports give a model."""
    return getattr(model, "name", None) or getattr(model, "__name__", None) or type(model).__name__


MONOCULAR_MODELS = Registry(
    "monocular model",
    "scene_depth.monocular_models",
    {
        "marigold": "scene_depth.depth.monocular_models:MarigoldModel",
        "transformers": "scene_depth.depth.monocular_models:TransformersModel",
        "depthfm": "scene_depth.depth.depthfm:DepthFMModel",
    },
    arguments=1,
)


def load_monocular_model(model: str | Callable[..., Any], **options: Any) -> MonocularModel:
    """Gives a monocular model.

    Args:
        model: A name (``available_monocular_models``), also ``NAME:CHECKPOINT`` with a hub id or a local path; or
            ``module:attribute`` or ``file.py:attribute``, each also with options behind it; or an object: a model, a class or
            other factory of one, or a plain function f(rgb) -> values.
        options: Parameters of the factory; they override those of the name.

    Raises:
        InputError: If there is no such model, or its packages or weights are missing.

    Example:
        >>> import numpy as np
        >>> import scene_depth as sd
        >>> model = sd.load_monocular_model(lambda rgb: 1 - rgb.mean(axis=2))
        >>> model(np.zeros((4, 6, 3), np.float32)).shape
        (4, 6)
    """
    if isinstance(model, str):
        name, _, checkpoint = model.partition(":")
        if name in MONOCULAR_MODELS.built_in and checkpoint:
            model, options = name, {"checkpoint": checkpoint, **options}
    loaded: MonocularModel = MONOCULAR_MODELS.load(model, **options)
    return loaded


def available_monocular_models() -> list[Entry]:
    """All registered monocular models; a broken one is listed with its problem.

    Example:
        >>> import scene_depth as sd
        >>> [entry.name for entry in sd.available_monocular_models()]
        ['depthfm', 'marigold', 'transformers']
    """
    return MONOCULAR_MODELS.available()
