"""The network that corrects the solver's depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.streams import SourceConfig, procedural_source, shuffled_position
from scene_depth.depth.masks import check_masks, known_mask
from scene_depth.depth.preview import preview
from scene_depth.depth.refined.inpainter import working_view
from scene_depth.depth.refined.network import FILE, KNOWN, RED, SLOPE_X, VALUE, NetworkConfig, RefiningNetwork, save_network
from scene_depth.depth.solver import SolverInpainter
from scene_depth.errors import InputError
from scene_depth.training.config import TrainConfig
from scene_depth.training.objective import Batch, Objective, Validation, derived_seed
from scene_depth.training.registry import Training
from scene_depth.training.solved_cache import SolvedCache

HOLES = ("silhouette", "rect", "patch5", "patch30", "outpaint", "sensor", "segment", "strokes", "squares")
POINTS = ("points150", "points500", "rand5", "lidar16")
SOLVER_ERROR = 0.02  # added to the solver's error of an example before the loss is divided by it
GENERATION = 3  # of kept examples; counts up when the description or the solver changes


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms beside the absolute error of log depth, 1.

    Attributes:
        relative: Of the absolute relative error.
        gradient: Of the error of differences between neighbours.
        error: Of the likelihood of the expected error; does not act on the correction.
    """

    relative: float = 1.0
    gradient: float = 0.5
    error: float = 0.02


@dataclass(frozen=True)
class RefinedConfig:
    """Configuration of the training.

    Attributes:
        network: Shape of the network.
        loss: Weights of the loss.
        data: Training frames, of the working size (``working_view.WORKING_SIZE`` the longer side).
        held_out: Validation frames.
        masks: Names of ``masks.MASKS``, drawn with equal probability.
        masks_a_frame: Different masks that each frame gets.
        noise: Largest relative noise of known depth; each example draws its own up to this.
        cache: Folder of solved examples; "" for the user's cache folder, "none" for no cache.
        train: Parameters of the loop.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: SourceConfig = field(default_factory=lambda: procedural_source(count=3000, width=160, height=120))
    held_out: SourceConfig = field(default_factory=lambda: procedural_source(seed=2, count=48, width=160, height=120))
    masks: tuple[str, ...] = HOLES + POINTS
    masks_a_frame: int = 4
    noise: float = 0.01
    cache: str = ""
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_masks(self.masks)
        if self.masks_a_frame < 1:
            raise InputError("masks_a_frame", self.masks_a_frame, "1 or more")
        if not 0 <= self.noise < 0.5:
            raise InputError("noise", self.noise, "0 to 0.5")


class RefinedObjective(Objective):
    """The network with its data and its loss, as the loop trains it."""

    name = "refined"

    def __init__(self, config: RefinedConfig):
        self.config = config
        self.frames, self.held_out = config.data.frames(), config.held_out.frames()
        self.solver = SolverInpainter(threads=1)
        self.cache = SolvedCache(config.cache, f"refined_v{GENERATION}")

    def build(self) -> nn.Module:
        """The network, which begins as no correction."""
        return RefiningNetwork(self.config.network)

    def example(self, seed: int, index: int) -> dict[str, Tensor]:
        """A solved view and its truth, perhaps mirrored and of other colours."""
        rng = np.random.default_rng((seed, 3, index))
        count = self.config.masks_a_frame
        frame, number = divmod(shuffled_position(len(self.frames) * count, seed, index), count)
        planes, truth = self._solved(frame, number)
        planes = recolored(planes, rng)
        if rng.random() < 0.5:
            planes, truth = mirrored(planes, truth)
        return {"planes": torch.from_numpy(planes), "truth": torch.from_numpy(truth)}

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Errors on hidden pixels, each example's divided by the solver's own."""
        change, expected = model(batch["planes"])
        return refining_loss(batch["planes"], batch["truth"], change, expected, self.config.loss)

    def validate(self, model: nn.Module, pictures: int) -> Validation:
        """AbsRel on held-out frames over the solver's, geometric means, by mask and over all masks."""
        device = next(model.parameters()).device
        ratios: dict[str, list[float]] = {name: [] for name in self.config.masks}
        shown: dict[str, NDArray[np.float32]] = {}
        for number, source in enumerate(self.held_out):
            frame = source.load()
            name = self.config.masks[number % len(self.config.masks)]
            planes, truth = self.solved_view(frame, name, derived_seed(7, number), 0.0)
            change, _ = model(torch.from_numpy(planes)[None].to(device))
            refined = planes[VALUE] + change[0].float().cpu().numpy()
            hidden = np.isfinite(truth) & (planes[KNOWN] == 0)
            if not hidden.any():
                continue
            before, after = (float(np.mean(np.abs(np.expm1(truth - log)[hidden]))) for log in (planes[VALUE], refined))
            ratios[name].append(np.log(max(after, 1e-6) / max(before, 1e-6)))
            if len(shown) < pictures:
                shown[f"{frame.name}_{name}"] = preview(frame.rgb, np.exp(-refined), planes[KNOWN] > 0, None)
        measures = {f"ratio_{name}": float(np.exp(np.mean(values))) for name, values in ratios.items() if values}
        everything = [value for values in ratios.values() for value in values]
        ratio = float(np.exp(np.mean(everything))) if everything else float("nan")
        return Validation({"ratio": ratio, **measures}, ratio, shown)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Writes ``refined.npz``."""
        assert isinstance(model, RefiningNetwork)
        save_network(folder / FILE, model)

    def solved_view(
        self, frame: DepthFrame, mask: str, seed: int, noise: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Description and true log inverse depth in its unit, NaN where there is no truth  # [C, h, w], [h, w]"""
        known = known_mask(mask, frame.truth, seed, rgb=frame.rgb, camera=frame.camera)
        inverse = 1.0 / np.where(frame.truth > 0, frame.truth, 1).astype(np.float64)
        given = inverse * np.exp(noise * np.random.default_rng(seed).standard_normal(known.shape))
        view = working_view(self.solver, frame.rgb, given, known)
        with np.errstate(invalid="ignore"):
            truth = np.where(frame.truth > 0, np.log(inverse / view.unit), np.nan)
        return view.planes, truth.astype(np.float32)

    def _solved(self, frame: int, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One training example, from the cache if it is there."""
        seed = derived_seed(11, frame, number)
        rng = np.random.default_rng(seed)
        mask = self.config.masks[int(rng.integers(len(self.config.masks)))]
        noise = float(rng.uniform(0, self.config.noise)) if rng.random() < 0.5 else 0.0
        source = self.frames[frame]

        def make() -> dict[str, NDArray[np.float32]]:
            planes, truth = self.solved_view(source.load(), mask, seed, noise)
            return {"planes": planes, "truth": truth}

        kept = self.cache.get(f"{source.name}_{mask}_{seed}_{noise:.5f}", make)
        return kept["planes"], kept["truth"]


def refining_loss(planes: Tensor, truth: Tensor, change: Tensor, expected: Tensor, weights: LossConfig) -> dict[str, Tensor]:
    """Errors of corrected log inverse depth on hidden pixels.

    Args:
        planes: Described views  # [B, C, h, w]
        truth: Log inverse depth, NaN where there is none  # [B, h, w]
        change, expected: Outputs of the network  # [B, h, w]

    Returns:
        "loss", "log" and "relative" (means over the batch), "ratio" to the solver's error.
    """
    hidden = torch.isfinite(truth) & (planes[:, KNOWN] < 0.5)
    target = torch.nan_to_num(truth)
    value = planes[:, VALUE]
    error = value + change - target
    solver = _mean_over((value - target).abs(), hidden)
    log, relative = _mean_over(error.abs(), hidden), _mean_over(torch.expm1(-error.clamp(-3, 3)).abs(), hidden)
    steps = _steps(error, hidden)
    likelihood = _mean_over(error.detach().abs() / expected + expected.log(), hidden)
    scale = 1 / (SOLVER_ERROR + solver)
    total = (log + weights.relative * relative + weights.gradient * steps) * scale + weights.error * likelihood
    return {
        "loss": total.mean(),
        "log": log.mean(),
        "relative": relative.mean(),
        "ratio": (log / (SOLVER_ERROR + solver)).mean(),
        "likelihood": likelihood.mean(),
    }


def recolored(planes: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Another exposure, contrast and white balance; now and then no picture at all."""
    planes = planes.copy()
    if rng.random() < 0.05:
        planes[RED:] = 0
        return planes
    color = np.clip(planes[RED:] + 0.5, 0, 1) ** float(np.exp(rng.uniform(-0.35, 0.35)))
    gains = np.exp(rng.uniform(-0.25, 0.25) + rng.uniform(-0.1, 0.1, (3, 1, 1))).astype(np.float32)
    planes[RED:] = np.clip(color * gains, 0, 1) - 0.5
    return planes


def mirrored(planes: NDArray[np.float32], truth: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Left and right exchanged; a slope changes its sign and belongs to the neighbour."""
    flipped = planes[..., ::-1].copy()
    flipped[SLOPE_X] = 0
    flipped[SLOPE_X, :, :-1] = -planes[SLOPE_X, :, -2::-1]
    return flipped, truth[..., ::-1].copy()


def _mean_over(values: Tensor, where: Tensor) -> Tensor:
    """Mean of each example  # [B]"""
    return (values * where).sum(dim=(1, 2)) / where.sum(dim=(1, 2)).clamp(min=1)


def _steps(error: Tensor, hidden: Tensor) -> Tensor:
    """Mean absolute difference of the error between neighbours, both hidden  # [B]"""
    across = _mean_over((error[:, :, 1:] - error[:, :, :-1]).abs(), hidden[:, :, 1:] & hidden[:, :, :-1])
    return across + _mean_over((error[:, 1:] - error[:, :-1]).abs(), hidden[:, 1:] & hidden[:, :-1])


_DEFAULT = RefinedConfig(
    train=TrainConfig(
        steps=6000,
        batch_size=16,
        learning_rate=2e-3,
        weight_decay=1e-4,
        schedule="cosine",
        warmup=100,
        average=0.998,
        validate_every=1000,
        checkpoint_every=500,
        log_every=50,
    ),
)
_TINY = procedural_source(count=6, width=48, height=32, samples=1)
PRESETS: Mapping[str, RefinedConfig] = MappingProxyType(
    {
        "default": _DEFAULT,
        "tiny": RefinedConfig(
            network=NetworkConfig(widths=(16, 16)),
            data=_TINY,
            held_out=procedural_source(seed=2, count=4, width=48, height=32, samples=1),
            masks=("rect", "outpaint"),
            masks_a_frame=2,
            train=TrainConfig(steps=20, batch_size=4, learning_rate=3e-3, validate_every=10, log_every=1),
        ),
    }
)
"""Ready configurations; all need no data."""

TRAINING = Training("refined", RefinedConfig, PRESETS, RefinedObjective)
