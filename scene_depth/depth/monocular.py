"""Depth inpainters made from monocular models: predict from the picture, then bring the prediction onto known depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Literal

from scene_depth.depth.alignment import SPACES, Fit, Space, align_locally, apply_fit, fit_globally
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel, ExactInpainter, inpainter_name
from scene_depth.depth.prior import MonocularMap, MonocularModel, Prior, check_fit, model_name, predict
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.errors import InputError
from scene_depth.options import split_options
from scene_depth.registry import Entry, Registry

BackEnd = Literal["solver", "local", "global"]
BACK_ENDS = ("solver", "local", "global")


@dataclass(frozen=True)
class PriorInpainter(DepthModel):
    """Brings a monocular prediction, made before, onto known depth.

    Attributes:
        predicted: The prediction.
        back_end: "solver" hands the prediction to the embedded solver as its prior: known depth is continued along the
            prediction without a seam. "local" is the alignment of Prior Depth Anything, "global" one scale and shift.
        solver_options: Parameters of the solver.
        fit: What is fitted to the known depth: the prediction's "scale", scale and shift ("affine"), "auto" for what the model
            says, else what carries farther over the known depth; or None for what the model says, else scale and shift.
    """

    predicted: MonocularMap
    back_end: BackEnd = "solver"
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    fit: Fit | None = None
    name: ClassVar[str] = "prior"

    @property
    def harmonize(self) -> bool | None:
        return _leaves_seam(self.back_end)

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Fits the prediction to the known depth of a view of its size."""
        values, space = self.predicted.values, self.predicted.space
        if self.back_end == "solver":
            from scene_depth.depth.solver import SolverInpainter

            solver = SolverInpainter(**{"prior": self.predicted, "fit": self.fit, **self.solver_options})
            solved = solver.predict(view, seed=seed)
            return replace(solved, details={"back_end": self.back_end, **solved.details})
        fit = fit_globally(values, view.depth, view.known, space, self.predicted.resolve_fit(self.fit))
        details = {"back_end": self.back_end, "fit": asdict(fit)}
        if self.back_end == "local":
            return DepthPrediction(align_locally(values, view.depth, view.known, fit), details=details)
        return DepthPrediction(apply_fit(fit, values, view.depth[view.known]), details=details)


@dataclass(frozen=True)
class MonocularInpainter(DepthModel):
    """A depth inpainter that predicts from the picture alone and fits the prediction to known depth.

    Attributes:
        model: The monocular model, or a plain function f(rgb) -> values.
        back_end, solver_options, fit: As in ``PriorInpainter``.
        space: Says what a plain function predicts; overrides what a model says of itself.
    """

    model: MonocularModel
    back_end: BackEnd = "solver"
    space: Space | Literal["auto"] | None = None
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    fit: Fit | None = None
    name: ClassVar[str] = "monocular"

    def __post_init__(self) -> None:
        if self.back_end not in BACK_ENDS:
            raise InputError("back_end", repr(self.back_end), f"one of {', '.join(BACK_ENDS)}")
        if self.space is not None and self.space not in (*SPACES, "auto"):
            raise InputError("space", repr(self.space), f"one of {', '.join(SPACES)}, auto")
        check_fit(self.fit)

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
        found = PriorInpainter(predicted, self.back_end, self.solver_options, self.fit).predict(view, seed=seed)
        return replace(found, details={"model": model_name(self.model), **found.details})


def _leaves_seam(back_end: BackEnd) -> bool | None:
    """The ``harmonize`` of a back end: the solver continues known depth, the others leave a seam if they move it."""
    return False if back_end == "solver" else None


def with_prior(inpainter: DepthInpainter | Callable[..., Any], prior: Prior | str, fit: Fit | None = None) -> ExactInpainter:
    """The same inpainter, led by a monocular prior.

    Args:
        inpainter: An inpainter that takes a prior: the solver, or one of those that align it in another way.
        prior: Values of the view's size, a map, a monocular model, or the name of one, also with ``fit`` among its options, as in
            ``transformers:CHECKPOINT[fit=scale]``.
        fit: What of the prior is fitted to the known depth; by default what the inpainter has, or the options of the name say.

    Raises:
        InputError: If the inpainter takes no prior, or there is no such model or fit.
    """
    own = inpainter.inpainter if isinstance(inpainter, ExactInpainter) else inpainter
    check_takes_prior(inpainter)
    if isinstance(prior, str):
        prior, stated = load_prior(prior)
        fit = fit or stated
    options: dict[str, Any] = {"prior": prior} if fit is None else {"prior": prior, "fit": fit}
    return ExactInpainter(replace(own, **options), inpainter_name(inpainter))  # type: ignore[type-var]


def check_takes_prior(inpainter: DepthInpainter | Callable[..., Any]) -> None:
    """Raises InputError if an inpainter is not led by a prior."""
    own = inpainter.inpainter if isinstance(inpainter, ExactInpainter) else inpainter
    if not is_dataclass(own) or "prior" not in {each.name for each in fields(own)}:
        accepted = "the inpainter 'solver', or another one that takes a prior: lucid_dreamer, scale_and_shift, text2room"
        raise InputError("prior", f"with the inpainter {inpainter_name(inpainter)!r}", accepted)


def load_prior(name: str) -> tuple[MonocularModel, Fit | None]:
    """The monocular model of a name, and the ``fit`` among its options, as in ``marigold[fit=affine]``.

    Raises:
        InputError: If there is no such model or fit.
    """
    bare, options = split_options(name)
    fit = options.pop("fit", None)
    check_fit(fit)
    return load_monocular_model(bare, **options), fit


MONOCULAR_MODELS = Registry(
    "monocular model",
    "scene_depth.monocular_models",
    {
        "small": "scene_depth.depth.monocular_models:small_model",
        "marigold": "scene_depth.depth.monocular_models:MarigoldModel",
        "transformers": "scene_depth.depth.monocular_models:TransformersModel",
        "depthfm": "scene_depth.depth.depthfm:DepthFMModel",
        "moge": "scene_depth.depth.geometry_models:MoGeModel",
        "da3": "scene_depth.depth.geometry_models:DepthAnything3Model",
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
        ['da3', 'depthfm', 'marigold', 'moge', 'small', 'transformers']
    """
    return MONOCULAR_MODELS.available()
