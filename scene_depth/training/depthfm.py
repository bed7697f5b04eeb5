"""DepthFM, depth by flow matching (Gui et al. 2024).

The training of the paper, section 3, which was never released.
x_t = t x1 + (1 - t) x0 with uniform t, and the network learns x1 - x0. x1 is the latent of normalised depth, x0 that of the
picture with noise of a fixed level on the cosine schedule ("image", data-dependent coupling) or noise alone ("noise", the naive
baseline). The clean picture's latent is the condition. Invalid pixels take the nearest valid depth before encoding, and latent
cells that hold any of them do not count. The completion model sees known depth too (``scene_depth.depth.depthfm.encoding``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.streams import MixedStream, ShuffledStream, SourceConfig, ViewConfig
from scene_depth.depth.alignment import apply_fit, fit_globally
from scene_depth.depth.depthfm.checkpoint import empty_text
from scene_depth.depth.depthfm.encoding import QUANTILES, ConditionEncoding, condition_maps, depth_range, normalized_log_depth
from scene_depth.depth.depthfm.flow import SCHEDULE_STEPS, euler, noised
from scene_depth.depth.depthfm.network import (
    COMPLETION_CHANNELS,
    DEPTH_CHANNELS,
    DepthFM,
    build_unet,
    completion_model,
    read_weights,
)
from scene_depth.depth.latent.state_dicts import find_state_file, read_state_dict
from scene_depth.depth.latent.vae import WEIGHTS, decode, encode, pixels_per_latent, read_config
from scene_depth.depth.preview import preview
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import depth_errors
from scene_depth.training.checkpoints import replaced_folder
from scene_depth.training.config import TrainConfig
from scene_depth.training.latent import (
    SMALL,
    TINY,
    UNetShape,
    add_low_rank,
    check_sides,
    check_strategies,
    drawn_known,
    filled_truth,
    frozen_vae,
    masked_mean,
    merged_state,
    new_unet,
    picture_map,
    whole_cells,
)
from scene_depth.training.objective import (
    Batch,
    FrameConfig,
    FrameObjective,
    Validation,
    as_map,
    derived_seed,
    mean_errors,
    with_tiny_frames,
)
from scene_depth.training.registry import Training
from scene_depth.training.teacher import DATASET as TEACHER
from scene_depth.training.teacher import TeacherConfig, teacher_frames

RANGE_FRAMES = 32
BEYOND = 2.0  # normalised depth is cut off at +- this, far outside what the autoencoder knows


@dataclass(frozen=True)
class DepthFMConfig(FrameConfig):
    """Configuration of the training.

    Attributes:
        start: Weights to start from: DepthFM (``depthfm-v1.ckpt`` or a folder), or a folder of Stable Diffusion 2 with ``unet/``;
            "" for a new network of ``shape``.
        shape: Of a new network.
        vae: Folder of the autoencoder.
        coupling: "image": the flow starts at the noised picture; "noise": at noise alone.
        noising_step: Noise level of the start, 0 (none) to 1000; 400 in the paper.
        normalization: "log" or "linear" depth between the quantiles. Linear is there to be compared with:
            inference takes log depth alone.
        depth_range: Depths that become -1 and 1; () takes the 2 % and 98 % quantiles of the first training frames.
        completion: Train the completion model; from a depth model its first convolution is widened.
        masks: Strategies of known pixels for completion; the paper keeps 2 % of the pixels.
        low_rank: Rank of LoRA on the attention layers; 0 trains everything.
        teacher: Photos with depth by another model, as further frames.
        evaluation_steps: Euler steps of validation.
    """

    start: str = ""
    shape: UNetShape = field(default_factory=UNetShape)
    vae: str = ""
    coupling: Literal["image", "noise"] = "image"
    noising_step: int = 400
    normalization: Literal["log", "linear"] = "log"
    depth_range: tuple[float, ...] = ()
    completion: bool = False
    masks: tuple[str, ...] = ("rand2",)
    low_rank: int = 0
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    evaluation_steps: int = 2
    data: tuple[SourceConfig, ...] = (SourceConfig(layout="hypersim"), SourceConfig(layout="vkitti2"))
    view: ViewConfig = field(default_factory=lambda: ViewConfig(width=512, height=384))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strategies(self.masks)
        if not 0 <= self.noising_step <= 1000:
            raise InputError("noising_step", self.noising_step, "0 to 1000")
        ends = self.depth_range
        if ends and not (len(ends) == 2 and 0 < ends[0] < ends[1] < float("inf")):
            raise InputError("depth_range", ends, "two rising positive depths, or none")
        if self.low_rank < 0 or self.evaluation_steps < 1:
            raise InputError("low_rank, evaluation_steps", f"{self.low_rank}, {self.evaluation_steps}", "0 or more, 1 or more")
        if self.completion and self.normalization != "log":
            raise InputError("normalization", repr(self.normalization), "log, for the completion model")


class DepthFMObjective(FrameObjective[DepthFMConfig]):
    """DepthFM with its data and its loss."""

    name = "depthfm"

    def __init__(self, config: DepthFMConfig):
        self.vae = frozen_vae(config.vae)
        check_sides(config.view.width, config.view.height, pixels_per_latent(self.vae))
        super().__init__(config)
        self.encoding = ConditionEncoding() if config.completion else None
        self.network, self.text = _start(config)
        self.ends = (config.depth_range[0], config.depth_range[1]) if config.depth_range else self._measured_range()
        if config.teacher.model:
            taught = ShuffledStream(teacher_frames(config.teacher))
            self.stream = MixedStream((self.stream, taught), (1.0, config.teacher.share))

    def __getstate__(self) -> dict[str, Any]:
        """Workers that prepare examples need no networks."""
        return {"config": self.config, "encoding": self.encoding, "ends": self.ends, "stream": self.stream}

    def build(self) -> nn.Module:
        """The U-Net, on its weights to start from."""
        unet: nn.Module = self.network()
        unet.requires_grad_(True).train()
        if self.config.low_rank:
            add_low_rank(unet, self.config.low_rank)
        return unet

    def place(self, device: torch.device) -> None:
        """Moves autoencoder and text embedding."""
        self.vae, self.text = self.vae.to(device), self.text.to(device)

    def example_of(self, view: DepthFrame, rng: np.random.Generator) -> dict[str, Tensor]:
        """Picture, normalised depth, valid pixels, and for completion the maps of known depth."""
        found = {
            "picture": picture_map(view),
            "depth": as_map(self._normalized(filled_truth(view), self._ends_of(view))),
            "valid": as_map(view.valid),
        }
        if self.encoding is not None:
            known = drawn_known(view, self.config.masks, rng)
            maps = condition_maps(view.truth, known, view.truth.shape, self.encoding)
            found |= {"known": maps[0], "distance": maps[1]}
            # What is learnt is normalised as at inference, by the known depth of the view.
            ends = depth_range(view.truth[known], self.encoding)
            found["depth"] = as_map(np.clip(normalized_log_depth(filled_truth(view), ends), -BEYOND, BEYOND))
        return found

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean squared error of the velocity over latent cells with valid depth."""
        image, target, condition = self._latents(batch)
        noise, mix = torch.randn(image.shape, generator=generator), torch.rand(len(image), generator=generator)
        begin, t = self._begin(image, noise.to(image.device)), mix.to(image.device)
        between = t.view(-1, 1, 1, 1)
        state = between * target + (1 - between) * begin
        velocity = self._velocity(model, state, t, condition)
        cells = whole_cells(batch["valid"], pixels_per_latent(self.vae))
        return {"loss": masked_mean((velocity.float() - (target - begin)).square(), cells)}

    def validate(self, model: nn.Module, pictures: int) -> Validation:
        """AbsRel and δ1 on held-out frames after a robust fit of scale and shift to the truth, in the space of training."""
        device, rows = next(model.parameters()).device, []
        shown: dict[str, NDArray[np.float32]] = {}
        for number, view in self.held_out_views():
            example = self.example_of(view, np.random.default_rng((7, number)))
            batch = {name: value[None].to(device) for name, value in example.items()}
            values = self._sampled(model, batch, derived_seed(8, number))
            space: Literal["log", "depth"] = "log" if self.config.normalization == "log" else "depth"
            fit = fit_globally(values, view.truth, view.valid, space)
            depth = np.maximum(apply_fit(fit, values, view.truth[view.valid]), 1e-6)
            rows.append(depth_errors(depth, view.truth, view.valid))
            if len(shown) < pictures:
                shown[view.name] = preview(view.rgb, depth, view.valid, None)
        measures = mean_errors(rows, ("abs_rel", "delta1", "rmse"))
        return Validation(measures, measures["abs_rel"], shown)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Writes a folder that ``load_depthfm`` reads."""
        bare: Any = model
        unet = new_unet(dict(bare.config))
        unet.load_state_dict({name: value.cpu() for name, value in merged_state(model).items()})
        # The highest level leaves nothing of the picture, which is how inference is told to start from noise.
        level = SCHEDULE_STEPS if self.config.coupling == "noise" else self.config.noising_step
        trained = DepthFM(unet, self.vae, self.text.cpu(), level, self.encoding, self.config.normalization)
        with replaced_folder(folder) as new:
            trained.save_pretrained(new)

    def _ends_of(self, view: DepthFrame) -> tuple[float, float]:
        """Depths that become -1 and 1: of the data set, or of the view itself where its scale means nothing."""
        if view.dataset == TEACHER and not self.config.teacher.metric:
            return depth_range(view.truth[view.valid], ConditionEncoding())
        return self.ends

    def _normalized(self, depth: NDArray[np.float64], ends: tuple[float, float]) -> NDArray[np.float64]:
        near, far = ends
        if self.config.normalization == "log":
            return np.clip(normalized_log_depth(depth, (near, far)), -BEYOND, BEYOND)
        return np.clip(2 * (depth - near) / (far - near) - 1, -BEYOND, BEYOND)

    @torch.no_grad()
    def _latents(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Latents of picture and depth, and the condition of the network."""
        with torch.autocast(batch["picture"].device.type, enabled=False):
            image, target = encode(self.vae, batch["picture"]), encode(self.vae, batch["depth"])
            extra = [encode(self.vae, batch[name]) for name in ("known", "distance") if name in batch]
        return image, target, torch.cat([image, *extra], dim=1)

    def _begin(self, image: Tensor, noise: Tensor) -> Tensor:
        return noise if self.config.coupling == "noise" else noised(image, noise, self.config.noising_step)

    def _velocity(self, model: nn.Module, state: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        rows = torch.cat([state, condition], dim=1)
        velocity: Tensor = model(rows, t, encoder_hidden_states=self.text.expand(len(rows), -1, -1)).sample
        return velocity

    def _sampled(self, model: nn.Module, batch: Batch, seed: int) -> NDArray[np.float64]:
        """Normalised depth of one picture  # [H, W]"""
        image, _, condition = self._latents(batch)
        noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)).to(image.device)

        def velocity(x: Tensor, t: float) -> Tensor:
            return self._velocity(model, x, torch.full((len(x),), t, device=x.device), condition).float()

        latent = euler(velocity, self._begin(image, noise), self.config.evaluation_steps)
        return decode(self.vae, latent)[0, 0].double().cpu().numpy()

    def _measured_range(self) -> tuple[float, float]:
        """The 2 % and 98 % quantiles of valid depth over the first frames of the stream."""
        if self.config.completion:
            return (1.0, 2.0)  # not read: completion normalises by the known depth of each view
        count = min(RANGE_FRAMES, len(self.stream))
        frames = [self.stream.sample(self.config.train.seed, index) for index in range(count)]
        values = np.concatenate([frame.truth[frame.valid][::16] for frame in frames])
        if not values.size:
            raise InputError("data", "no valid depth", "frames with depth")
        near, far = np.quantile(values, QUANTILES)
        return float(near), float(max(far, near * 1.01))


def _start(config: DepthFMConfig) -> tuple[Callable[[], Any], Tensor]:
    """What gives the U-Net to start from, and the embedding of the empty text."""
    channels = COMPLETION_CHANNELS if config.completion else DEPTH_CHANNELS
    if not config.start:
        shape = config.shape.config(channels)
        return (lambda: new_unet(shape)), torch.zeros(1, 1, config.shape.context)
    path = Path(config.start)
    if path.is_dir() and (path / "unet").is_dir() and not any(path.glob("empty_text_embedding.*")):
        return _from_stable_diffusion(path, channels)
    weights = read_weights(config.start)
    model = DepthFM(build_unet(weights), None, weights.text.float(), weights.noising_step, weights.encoding)
    if config.completion and weights.encoding is None:
        model = completion_model(model)
    if not config.completion and weights.encoding is not None:
        raise InputError("start", "a completion model", "a depth model, or completion=true", file=path)
    return (lambda: model.unet), model.text


def _from_stable_diffusion(folder: Path, channels: int) -> tuple[Callable[[], Any], Tensor]:
    """Stable Diffusion's U-Net with its first convolution repeated along the channels and divided by how often (section 4)."""
    config = {name: value for name, value in read_config(folder / "unet").items() if not name.startswith("_")}
    state = dict(read_state_dict(find_state_file(folder / "unet", WEIGHTS)))
    kernel = state["conv_in.weight"].float()
    if kernel.shape[1] != 4:
        raise InputError("start", f"a U-Net of {kernel.shape[1]} channels", "Stable Diffusion, with 4", file=folder)
    repeats = channels // 4
    state["conv_in.weight"] = kernel.repeat(1, repeats, 1, 1) / repeats
    unet = new_unet({**config, "in_channels": channels})
    unet.load_state_dict({name: value.float() for name, value in state.items()})
    return (lambda: unet), empty_text(folder)


_PAPER = DepthFMConfig(
    train=TrainConfig(steps=20000, batch_size=128, learning_rate=3e-5, average=0.999, precision="bf16", workers=8, log_every=20)
)
_SMALL = replace(
    _PAPER,
    shape=SMALL,
    data=(SourceConfig(),),
    view=ViewConfig(width=256, height=192),
    train=TrainConfig(steps=20000, batch_size=16, learning_rate=2e-4, schedule="cosine", warmup=200, workers=2, log_every=50),
)
PRESETS: Mapping[str, DepthFMConfig] = MappingProxyType(
    {
        "default": _SMALL,
        "paper": _PAPER,
        "paper-completion": replace(
            _PAPER, completion=True, data=(SourceConfig(layout="hypersim"),), train=replace(_PAPER.train, steps=10000)
        ),
        "paper-completion-nyu": replace(
            _PAPER, completion=True, data=(SourceConfig(layout="nyu-scenes"),), train=replace(_PAPER.train, steps=8000)
        ),
        "tiny": with_tiny_frames(
            replace(_SMALL, shape=TINY),
            TrainConfig(steps=20, batch_size=4, learning_rate=1e-3, validate_every=0, log_every=1),
        ),
    }
)
"""Ready configurations: "paper" and its two completion stages need data and weights; "default" is small and procedural."""

TRAINING = Training("depthfm", DepthFMConfig, PRESETS, DepthFMObjective)
