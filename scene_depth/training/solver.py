"""The solver's gate: which candidate to believe.

It learns from procedural frames with real-world faults.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.frames.faults import enlarged_frame, imperfect_depth
from scene_depth.datasets.streams import SourceConfig, procedural_source, shuffled_position
from scene_depth.depth.masks import check_masks, known_mask
from scene_depth.depth.solver import SolverInpainter
from scene_depth.depth.solver.candidates import CANDIDATES, FEATURES, find_candidates
from scene_depth.depth.solver.gate import FILE, LARGEST_ERROR, LEAST_ERROR, Gate, load_gate, save_gate
from scene_depth.depth.solver.problem import color_guide, make_problem
from scene_depth.errors import InputError
from scene_depth.training.config import TrainConfig
from scene_depth.training.objective import Batch, Objective, Validation, derived_seed
from scene_depth.training.registry import Training
from scene_depth.training.solved_cache import SolvedCache

HOLES = ("silhouette", "rect", "patch5", "patch30", "outpaint", "sensor", "segment", "strokes", "squares")
SCATTERED = ("rand2", "rand5", "rand10", "rand30", "rand50", "points150", "points500", "lidar16", "lidar32", "lidar64")
LEAST_ERROR_OF_PLANES = 1e-4  # mean relative error below which an example counts no more than one with this error
NO_ERROR = 1e-7  # smallest error that is told apart
QUANTILES = ((0.5, math.log(math.log(2))), (0.9, math.log(math.log(10))))  # of a Laplace distribution, as logs of times its mean
GENERATION = 5  # of kept examples; counts up when the energy, the candidates or the features change


@dataclass(frozen=True)
class GateConfig:
    """Configuration of the training.

    Attributes:
        width: Units of the two inner layers.
        error: Weight of the loss of the expected error; does not act on the shares.
        start: A gate, as the solver's option, whose shares are kept, so that only its expected error is learnt; "" for a new one.
        data, held_out: Frames.
        masks: Names of ``masks.MASKS``, drawn with equal probability.
        masks_a_frame: Different masks that each frame gets.
        enlarged: Share of the examples that are solved at a larger size (``enlarged_frame``).
        largest: Factor of the sides of the largest of them.
        faults: Share of the frames whose depth gets faults (``imperfect_depth``).
        without_picture: Share of the examples that are solved without the picture.
        pixels: Hidden pixels of an example that are learnt from, drawn with replacement where there are fewer.
        cache: Folder of solved examples; "" for the user's cache folder, "none" for no cache.
        train: Parameters of the loop.
    """

    width: int = 64
    error: float = 0.05
    start: str = ""
    data: tuple[SourceConfig, ...] = (
        procedural_source(count=180, width=320, height=240, samples=1),
        procedural_source(seed=4, count=60, width=240, height=320, samples=1),
        procedural_source(seed=5, count=60, width=384, height=160, samples=1),
        procedural_source(seed=6, count=60, width=512, height=384, samples=1),
    )
    held_out: tuple[SourceConfig, ...] = (procedural_source(seed=2, count=24, width=320, height=240, samples=1),)
    masks: tuple[str, ...] = HOLES + SCATTERED
    masks_a_frame: int = 4
    enlarged: float = 0.5
    largest: float = 2.5
    faults: float = 0.85
    without_picture: float = 0.08
    pixels: int = 1500
    cache: str = ""
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_masks(self.masks)
        for name in ("width", "masks_a_frame", "pixels"):
            if getattr(self, name) < 1:
                raise InputError(name, getattr(self, name), "1 or more")
        if self.largest < 1:
            raise InputError("largest", self.largest, "1 or more")
        for name in ("enlarged", "faults", "without_picture"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(name, getattr(self, name), "0 to 1")


class GateNetwork(nn.Module):
    """The gate as torch trains it; at the start it believes the energy.

    Args:
        width: Units of the inner layers.
    """

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = nn.Linear(len(FEATURES), width), nn.Linear(width, width)
        self.shares, self.error = nn.Linear(width, len(CANDIDATES)), nn.Linear(width, 1)
        with torch.no_grad():
            for layer, start in ((self.shares, [1.0] + [0.0] * (len(CANDIDATES) - 1)), (self.error, [-4.0])):
                layer.weight.mul_(0.1)
                layer.bias.copy_(torch.tensor(start))

    @classmethod
    def with_shares_of(cls, gate: Gate) -> GateNetwork:
        """A network that learns the expected error alone, from what the gate looks at."""
        network, count = cls(gate.first.shape[1]), len(CANDIDATES)
        parts = (
            (network.first, gate.first, gate.first_bias),
            (network.second, gate.second, gate.second_bias),
            (network.shares, gate.last[:, :count], gate.last_bias[:count]),
            (network.error, gate.last[:, count:], gate.last_bias[count:]),
        )
        for layer, weights, bias in parts:
            layer.load_state_dict({"weight": torch.from_numpy(weights.T.copy()), "bias": torch.from_numpy(bias.copy())})
            layer.requires_grad_(layer is network.error)
        return network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of the candidates  # [..., K]; log of the expected error  # [...]"""
        inner = torch.relu(self.second(torch.relu(self.first(features))))
        return torch.softmax(self.shares(inner), dim=-1), self.error(inner)[..., 0].clamp(LEAST_ERROR, LARGEST_ERROR)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """As the gate takes them."""
        last = [(layer.weight, layer.bias) for layer in (self.shares, self.error)]
        inner = (("first", self.first), ("second", self.second))
        layers: dict[str, tuple[Tensor, Tensor]] = {name: (layer.weight, layer.bias) for name, layer in inner}
        layers["last"] = torch.cat([weight for weight, _ in last]), torch.cat([bias for _, bias in last])
        named = {}
        for name, (weight, bias) in layers.items():
            named[name] = weight.detach().cpu().numpy().T.astype(np.float32)
            named[f"{name}_bias"] = bias.detach().cpu().numpy().astype(np.float32)
        assert set(named) == {field.name for field in fields(Gate)}
        return named


class GateObjective(Objective):
    """The gate with its data and its loss, as the loop trains it."""

    name = "solver"

    def __init__(self, config: GateConfig):
        self.config = config
        self.frames, self.held_out = (
            [frame for source in sources for frame in source.frames()] for sources in (config.data, config.held_out)
        )
        self.solver = SolverInpainter(threads=1, gate="none")
        self.cache = SolvedCache(config.cache, f"gate_v{GENERATION}")

    def build(self) -> nn.Module:
        """The network."""
        return GateNetwork.with_shares_of(load_gate(self.config.start)) if self.config.start else GateNetwork(self.config.width)

    def example(self, seed: int, index: int) -> dict[str, Tensor]:
        """Some hidden pixels of a solved view, and their truth."""
        count = self.config.masks_a_frame
        frame, number = divmod(shuffled_position(len(self.frames) * count, seed, index), count)
        return _tensors(self._solved(self.frames[frame], derived_seed(11, frame, number)))

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Relative errors, each example's divided by that of the energy."""
        shares, expected = model(batch["features"])
        return gate_loss(shares, expected, batch["candidates"], batch["truth"], self.config.error)

    def validate(self, model: nn.Module, pictures: int) -> Validation:
        """Error on held-out frames over that of the energy, geometric means, by mask and over all; loss of the error."""
        device = next(model.parameters()).device
        ratios: dict[str, list[float]] = {}
        quantiles = []
        for number, source in enumerate(self.held_out):
            for position, mask in enumerate(self.config.masks[number % 3 :: 3]):  # a third for each frame, to save time
                example = self._solved(source, derived_seed(7, number, position), mask)
                tensors = {name: value[None].to(device) for name, value in _tensors(example).items()}
                shares, expected = model(tensors["features"])
                found = gate_loss(shares, expected, tensors["candidates"], tensors["truth"], 0.0)
                ratios.setdefault(mask, []).append(float(torch.log(found["ratio"])))
                quantiles.append(float(found["quantiles"]))
        by_mask = {f"ratio_{mask}": float(np.exp(np.mean(values))) for mask, values in ratios.items()}
        ratio = float(np.exp(np.mean([np.mean(values) for values in ratios.values()])))
        told = float(np.mean(quantiles))
        return Validation({"ratio": ratio, "quantiles": told, **by_mask}, told if self.config.start else ratio)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Writes ``gate.npz``."""
        assert isinstance(model, GateNetwork)
        folder.mkdir(parents=True, exist_ok=True)
        save_gate(folder / FILE, model.arrays())

    def _solved(self, source: Any, seed: int, mask: str | None = None) -> dict[str, NDArray[np.float32]]:
        """One example, from the cache if it is there."""
        rng = np.random.default_rng(seed)
        name = mask or self.config.masks[int(rng.integers(len(self.config.masks)))]
        config, chances = self.config, rng.random(3)
        factor = round(rng.uniform(1, config.largest), 2) if chances[0] < config.enlarged else 1.0
        faults, picture = chances[1] < config.faults, chances[2] >= config.without_picture
        key = f"{source.name}_{name}_{seed}_x{factor}_{int(faults)}{int(picture)}_{config.pixels}"

        def make() -> dict[str, NDArray[np.float32]]:
            frame = enlarged_frame(source.load(), factor, seed)
            if faults:
                frame = replace(frame, truth=imperfect_depth(frame.truth, seed))
            return self._view(frame, name, seed, picture, rng)

        return self.cache.get(key, make)

    def _view(
        self, frame: DepthFrame, mask: str, seed: int, picture: bool, rng: np.random.Generator
    ) -> dict[str, NDArray[np.float32]]:
        depth = frame.truth
        known = known_mask(mask, depth, seed, rgb=frame.rgb, camera=frame.camera)
        inverse = 1.0 / np.where(depth > 0, depth, 1).astype(np.float64)
        problem = make_problem(inverse, known, color_guide(frame.rgb if picture else None, known.shape))
        hidden = (depth > 0) & ~known
        asked = hidden if hidden.any() else depth > 0
        found, pixels = find_candidates(problem, self.solver.solve(problem), asked), int(asked.sum())
        chosen = rng.choice(pixels, self.config.pixels, replace=pixels < self.config.pixels)
        values = found.values[:, chosen]
        truth = np.log(inverse[asked][chosen] / problem.unit)
        return {
            "features": found.features[:, chosen],
            "offsets": values[1:] - values[0],
            "truth": (truth - values[0]).astype(np.float32),
        }


def gate_loss(shares: Tensor, expected: Tensor, candidates: Tensor, truth: Tensor, weight: float) -> dict[str, Tensor]:
    """Errors of the mixture.

    Args:
        shares, expected: Outputs of the network  # [B, N, K], [B, N]
        candidates: Log inverse depth less that of the energy  # [B, N, K]
        truth: The same of the truth  # [B, N]
        weight: Of the loss of the expected error.

    Returns:
        "loss", "relative" (mean error), "ratio" to the error of the energy, "quantiles": how badly ln 2 and ln 10 times the
        expected error, as of a Laplace distribution, are the median and the 90 % quantile of the log of the errors. A mean would
        tell of the few large ones alone.
    """
    error = (shares * candidates).sum(dim=-1) - truth
    relative = torch.expm1(-error.clamp(-3, 3)).abs().mean(dim=-1)
    energy = torch.expm1(truth.clamp(-3, 3)).abs().mean(dim=-1)
    ratio = (relative / energy.clamp(min=LEAST_ERROR_OF_PLANES)).mean()
    beyond = torch.log(error.detach().abs().clamp(min=NO_ERROR)) - expected
    pinballs = [torch.maximum(q * (beyond - c), (q - 1) * (beyond - c)) for q, c in QUANTILES]
    quantiles = sum(pinballs, torch.zeros_like(beyond)).mean()
    return {"loss": ratio + weight * quantiles, "relative": relative.mean(), "ratio": ratio, "quantiles": quantiles}


def _tensors(example: dict[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """Pixels first, and the candidates with the energy's own, 0."""
    offsets = np.concatenate([np.zeros_like(example["offsets"][:1]), example["offsets"]])
    return {
        "features": torch.from_numpy(np.ascontiguousarray(example["features"].T)),
        "candidates": torch.from_numpy(np.ascontiguousarray(offsets.T)),
        "truth": torch.from_numpy(example["truth"]),
    }


_TINY = procedural_source(count=4, width=48, height=32, samples=1)
PRESETS: Mapping[str, GateConfig] = MappingProxyType(
    {
        "default": GateConfig(
            train=TrainConfig(
                steps=12000,
                batch_size=8,
                learning_rate=2e-3,
                schedule="cosine",
                average=0.995,
                validate_every=2000,
                checkpoint_every=1000,
                log_every=100,
            )
        ),
        "tiny": GateConfig(
            data=(_TINY,),
            held_out=(procedural_source(seed=2, count=3, width=48, height=32, samples=1),),
            masks=("rect", "rand10", "outpaint"),
            pixels=64,
            train=TrainConfig(steps=20, batch_size=4, learning_rate=3e-3, validate_every=10, log_every=1),
        ),
    }
)
"""Ready configurations; all need no data."""

TRAINING = Training("solver", GateConfig, PRESETS, GateObjective)
"""The gate of the embedded solver."""
