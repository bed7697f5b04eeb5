"""DepthFM as a monocular model, and as a depth inpainter by its completion model or by the published model and the solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.checks import InpaintingInput, check_least
from scene_depth.depth.depthfm.inference import LogDepth, metric_depth, predict_log_depth, relative_uncertainty
from scene_depth.depth.depthfm.network import AttentionVariant, DepthFM, found_parts, load_depthfm
from scene_depth.depth.depthfm.video import fitted_frame, measure_flicker
from scene_depth.depth.latent.model_input import PictureModel, check_model_input
from scene_depth.depth.monocular import BACK_ENDS, BackEnd, PriorInpainter
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.errors import InputError

RESOLUTION = 512  # the model was trained at 384 x 512


@dataclass(frozen=True, kw_only=True)
class FlowOptions:
    """How DepthFM's networks are loaded and evaluated.

    Attributes:
        vae, attention, device, dtype: As in ``load_depthfm``.
        num_inference_steps: Euler steps, 1 to 4 for the published model.
        ensemble_size: Members that are averaged; from 2 on there is an uncertainty.
        processing_resolution: Longer side at which the network works, rounded to 64; 0 for the picture's.
        batch: Most members that go through the network at once; all by default.
    """

    vae: str | Path | None = None
    num_inference_steps: int = 2
    ensemble_size: int = 4
    processing_resolution: int = RESOLUTION
    attention: AttentionVariant = "plain"
    batch: int | None = None
    device: str = "auto"
    dtype: str = "auto"

    def load(self, checkpoint: str | Path | None) -> DepthFM:
        """The networks of a checkpoint, after the numbers have been looked at.

        Raises:
            InputError: If a number makes no sense; else as in ``load_depthfm``.
        """
        check_least(
            num_inference_steps=(self.num_inference_steps, 1),
            ensemble_size=(self.ensemble_size, 1),
            processing_resolution=(self.processing_resolution, 0),
            batch=(self.batch, 1),
        )
        return load_depthfm(checkpoint, self.vae, attention=self.attention, device=self.device, dtype=self.dtype)

    def evaluate(self, networks: DepthFM, rgb: NDArray[np.float32], seed: int, view: InpaintingInput | None = None) -> LogDepth:
        """Log depth of a picture; known depth of a view is a condition of the completion model."""
        return predict_log_depth(
            networks,
            rgb,
            depth=None if view is None else view.depth,
            known=None if view is None else view.known,
            num_inference_steps=self.num_inference_steps,
            ensemble_size=self.ensemble_size,
            processing_resolution=self.processing_resolution,
            seed=seed,
            batch=self.batch,
        )


@dataclass(frozen=True)
class DepthFMModel(FlowOptions):
    """DepthFM as a monocular model, and so as a prior of the solver: log depth of free scale and shift from a picture.

    Attributes:
        checkpoint: As in ``load_depthfm``, of the depth model. The other options are those of ``FlowOptions``.
    """

    checkpoint: str | Path | None = None
    name: ClassVar[str] = "depthfm"
    takes_seed: ClassVar[bool] = True
    find_weights = staticmethod(found_parts)

    def __post_init__(self) -> None:
        if self._networks.encoding is not None:
            accepted = "a depth model, which predicts from the picture alone"
            raise InputError("checkpoint", "a completion model", accepted, file=self.checkpoint)

    @cached_property
    def _networks(self) -> DepthFM:
        return self.load(self.checkpoint)

    def __call__(self, rgb: NDArray[np.float32], *, seed: int = 0) -> MonocularMap:
        found = self.evaluate(self._networks, rgb, seed)
        return MonocularMap(found.values, "log", found.uncertainty, metric=False)


@dataclass(frozen=True)
class DepthFMInpainter(FlowOptions, PictureModel):
    """Completes depth from a picture by flow matching.

    With weights of the completion model, known depth is a condition of the network, and its prediction is fitted to the
    known pixels. With those of the published depth model, which sees the picture alone, the prediction goes to a common
    back end, by default to the embedded solver as its prior. Either way known depth stays exact.

    Attributes:
        weights: The official ``depthfm-v1.ckpt``, a folder or a hub id, as ``checkpoint`` of ``load_depthfm``. The options that
            are not here are those of ``FlowOptions``.
        back_end: "auto": the network's own prediction, fitted ("global"), for a completion model; "solver" for a depth
            model. Or one of the back ends of ``MonocularInpainter``.
        solver_options: Parameters of the solver.
        video: Calls are the frames of one video, in order: each prediction is fitted to the depth of the frame before and to
            the known pixels, both counting the same, in place of a back end. ``details`` tell the flicker.
    """

    weights: str | Path | None = None
    back_end: BackEnd | Literal["auto"] = "auto"
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    video: bool = False
    name: ClassVar[str] = "depthfm"
    find_weights = staticmethod(found_parts)
    _before: list[tuple[NDArray[np.float64], NDArray[np.float32]]] = field(
        init=False, repr=False, compare=False, default_factory=list
    )  # depth and picture of the frame before

    def __post_init__(self) -> None:
        if self.back_end not in (*BACK_ENDS, "auto"):
            raise InputError("back_end", repr(self.back_end), f"auto, {', '.join(BACK_ENDS)}")
        _ = self._networks  # what is wrong with the weights is said at once

    @cached_property
    def _networks(self) -> DepthFM:
        return self.load(self.weights)

    @property
    def harmonize(self) -> bool | None:
        return False if self._fitted_by == "solver" else None

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view.

        Raises:
            InputError: Without a picture, or if several known pixels have one depth.
        """
        check_model_input(view, model="DepthFM")
        assert view.rgb is not None
        predicted = self.evaluate(self._networks, view.rgb, seed, view)
        return self._on_known_depth(predicted, view, seed)

    @property
    def _fitted_by(self) -> BackEnd | Literal["video"]:
        """What brings a prediction onto known depth."""
        if self.video:
            return "video"
        if self.back_end == "auto":
            return "solver" if self._networks.encoding is None else "global"
        return self.back_end

    def _on_known_depth(self, predicted: LogDepth, view: InpaintingInput, seed: int) -> DepthPrediction:
        back_end = self._fitted_by
        details: dict[str, Any] = {
            "model": "depth" if self._networks.encoding is None else "completion",
            "processed": list(predicted.processed),
            "back_end": back_end,
        }
        if back_end == "video":
            return self._as_next_frame(predicted, view, details)
        metric = metric_depth(predicted, view.depth, view.known)
        details["fit"] = asdict(metric.fit)
        if back_end == "global":
            return DepthPrediction(metric.depth, metric.uncertainty, details=details)
        known_map = MonocularMap(predicted.values, "log", predicted.uncertainty, metric=False)
        found = PriorInpainter(known_map, back_end, self.solver_options).predict(view, seed=seed)
        uncertainty = metric.uncertainty
        if found.uncertainty is not None and predicted.uncertainty is not None:
            # The solver tells how far known depth is, the members where the picture is unclear.
            uncertainty = np.hypot(found.uncertainty, metric.fit.scale * predicted.uncertainty).astype(np.float32)
        elif found.uncertainty is not None:
            uncertainty = found.uncertainty
        return DepthPrediction(found.depth, uncertainty, details=details | found.details)

    def _as_next_frame(self, predicted: LogDepth, view: InpaintingInput, details: dict[str, Any]) -> DepthPrediction:
        assert view.rgb is not None
        before = next((frame for frame in self._before if frame[0].shape == view.depth.shape), None)
        shown = MonocularMap(predicted.values, "log", predicted.uncertainty)
        fitted = fitted_frame(shown, None if before is None else before[0], view.depth, view.known)
        depth = np.where(view.known, view.depth, fitted.depth)
        details["fit"] = asdict(fitted.fit)
        if before is not None:
            details["flicker"] = measure_flicker([before[0], depth], [before[1], view.rgb]).change
        self._before[:] = [(depth, view.rgb)]
        return DepthPrediction(fitted.depth, relative_uncertainty(predicted, fitted.fit), details=details)
