"""DepthFM as a depth inpainter: by its completion model, or by the published depth model and the solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.depthfm.attention import AttentionVariant
from scene_depth.depth.depthfm.conversion import found_parts
from scene_depth.depth.depthfm.inference import LogDepth, predict_log_depth
from scene_depth.depth.depthfm.metric import metric_depth, relative_uncertainty
from scene_depth.depth.depthfm.model import RESOLUTION, check_options
from scene_depth.depth.depthfm.network import DepthFM, load_depthfm
from scene_depth.depth.depthfm.video import fitted_frame, measure_flicker
from scene_depth.depth.latent.model_input import check_clear_input, check_model_input
from scene_depth.depth.model import DepthModel
from scene_depth.depth.monocular import BACK_ENDS, BackEnd, MonocularMap, PriorInpainter
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.errors import InputError


@dataclass(frozen=True)
class DepthFMInpainter(DepthModel):
    """Completes depth from a picture by flow matching.

    With weights of the completion model, known depth is a condition of the network, and its prediction is fitted to the
    known pixels. With those of the published depth model, which sees the picture alone, the prediction goes to a common
    back end, by default to the embedded solver as its prior. Either way known depth stays exact.

    Attributes:
        weights: The official ``depthfm-v1.ckpt``, a folder or a hub id, as ``checkpoint`` of ``load_depthfm``.
        vae, attention, device, dtype: As in ``load_depthfm``.
        num_inference_steps, ensemble_size, processing_resolution, batch: As in ``DepthFMModel``.
        back_end: "auto": the network's own prediction, fitted ("global"), for a completion model; "solver" for a depth
            model. Or one of the back ends of ``MonocularInpainter``.
        solver_options: Parameters of the solver.
        video: Calls are the frames of one video, in order: each prediction is fitted to the depth of the frame before and to
            the known pixels, both counting the same, in place of a back end. ``details`` tell the flicker.
    """

    weights: str | Path | None = None
    vae: str | Path | None = None
    num_inference_steps: int = 2
    ensemble_size: int = 4
    processing_resolution: int = RESOLUTION
    attention: AttentionVariant = "plain"
    back_end: BackEnd | Literal["auto"] = "auto"
    batch: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    video: bool = False
    name: ClassVar[str] = "depthfm"
    find_weights = staticmethod(found_parts)
    _networks: DepthFM = field(init=False, repr=False, compare=False)
    _before: list[tuple[NDArray[np.float64], NDArray[np.float32]]] = field(
        init=False, repr=False, compare=False, default_factory=list
    )  # depth and picture of the frame before

    def __post_init__(self) -> None:
        check_options(self.num_inference_steps, self.ensemble_size, self.processing_resolution, self.batch)
        if self.back_end not in (*BACK_ENDS, "auto"):
            raise InputError("back_end", repr(self.back_end), f"auto, {', '.join(BACK_ENDS)}")
        networks = load_depthfm(self.weights, self.vae, attention=self.attention, device=self.device, dtype=self.dtype)
        object.__setattr__(self, "_networks", networks)

    @property
    def harmonize(self) -> bool | None:
        return False if self._fitted_by == "solver" else None

    def check(self, rgb: ArrayLike | None, depth: ArrayLike, known: ArrayLike | None, camera: Cameras | None) -> InpaintingInput:
        """Refuses what ``check_input`` would only note, such as unusable depth that is marked known."""
        return check_clear_input(rgb, depth, known, camera)

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view.

        Raises:
            InputError: Without a picture, or if several known pixels have one depth.
        """
        check_model_input(view, model="DepthFM")
        assert view.rgb is not None
        predicted = predict_log_depth(
            self._networks,
            view.rgb,
            depth=view.depth,
            known=view.known,
            num_inference_steps=self.num_inference_steps,
            ensemble_size=self.ensemble_size,
            processing_resolution=self.processing_resolution,
            seed=seed,
            batch=self.batch,
        )
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
        known_map = MonocularMap(predicted.values, "log", predicted.uncertainty)
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
