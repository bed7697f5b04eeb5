"""DepthLab, by diffusion or flow (Liu et al. 2024).

The training of the paper, section 3, which was never released, and of a variant that needs few steps.

Both UNets and the mapping layer are trained. For every example known depth is normalised to [-beta, beta] with beta drawn
from [0.2, 1] and the range of the known part, so that depth in holes beyond the known range stays representable; holes are
drawn by one of several strategies. Diffusion: noise of a random time step on the latent of the normalised true depth,
v-prediction, mean squared error. Flow: see ``scene_depth.depth.depthlab.schedule``. Invalid pixels take the nearest valid depth,
and latent cells that hold any do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.streams import SourceConfig, ViewConfig
from scene_depth.depth.depthlab import DepthLabInpainter, DepthLabModel
from scene_depth.depth.depthlab.conditioning import MappingLayer, clip_crop, clip_input
from scene_depth.depth.depthlab.features import FeatureBank
from scene_depth.depth.depthlab.networks import REFERENCE_STEP, DualBranch, predict_v
from scene_depth.depth.depthlab.preparation import LEAST_SIDE, Preparation, prepare
from scene_depth.depth.depthlab.schedule import FLOW, Flow, network_step, noise_schedule
from scene_depth.depth.latent.vae import encode, pixels_per_latent
from scene_depth.depth.preview import preview
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import depth_errors
from scene_depth.training.checkpoints import replaced_folder
from scene_depth.training.config import TrainConfig
from scene_depth.training.depthlab_start import DepthLabStart, start_from
from scene_depth.training.latent import (
    SMALL,
    STRATEGIES,
    TINY,
    UNetShape,
    check_sides,
    check_strategies,
    drawn_known,
    filled_truth,
    masked_mean,
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


@dataclass(frozen=True)
class DepthLabConfig(FrameConfig):
    """Configuration of the training.

    Attributes:
        start: Weights to start from: a folder of Marigold or Stable Diffusion (with ``unet/`` and ``vae/``), or of DepthLab; ""
            for new UNets of ``shape``.
        shape: Of new UNets.
        vae: Folder of the autoencoder, in place of that of ``start``.
        clip: Folder of the image encoder; "" for that of DepthLab weights, else a small random one, which says next to nothing.
        objective: "diffusion" or "flow".
        flow: Where the flow starts.
        beta: Range of the normalisation scale.
        limit: Normalised depth is cut off at +- this, the range that the autoencoder knows.
        masks: Strategies of the holes: names of ``masks.MASKS`` or "objects".
        evaluation_steps: Steps of validation.
        evaluation_beta: Normalisation scale of validation.
    """

    start: str = ""
    shape: UNetShape = field(default_factory=UNetShape)
    vae: str = ""
    clip: str = ""
    objective: Literal["diffusion", "flow"] = "diffusion"
    flow: Flow = field(default_factory=Flow)
    beta: tuple[float, float] = (0.2, 1.0)
    limit: float = 1.0
    masks: tuple[str, ...] = STRATEGIES
    evaluation_steps: int = 10
    evaluation_beta: float = 0.6
    data: tuple[SourceConfig, ...] = (SourceConfig(layout="hypersim"), SourceConfig(layout="vkitti2"))
    view: ViewConfig = field(default_factory=lambda: ViewConfig(width=640, height=480))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strategies(self.masks)
        if not 0 < self.beta[0] <= self.beta[1] <= 1:
            raise InputError("beta", self.beta, "two rising numbers above 0, at most 1")
        if self.limit < self.beta[1]:
            raise InputError("limit", self.limit, f"at least {self.beta[1]}, the largest beta")
        if min(self.view.width, self.view.height) < LEAST_SIDE:
            raise InputError("view", f"{self.view.width} x {self.view.height}", f"at least {LEAST_SIDE} pixels each")


class DepthLabTrainee(nn.Module):
    """Everything that is trained, with one call for a training step."""

    def __init__(self, networks: DualBranch, mapping: MappingLayer):
        super().__init__()
        self.estimation, self.reference = networks.estimation, networks.reference
        self.mapping: MappingLayer = mapping

    def forward(self, rgb: Tensor, inputs: Tensor, step: Tensor, embedding: Tensor) -> Tensor:
        """Prediction of the estimation UNet.

        Args:
            rgb: Latents of the pictures  # [B, 4, h, w]
            inputs: Noisy depth, mask, masked depth  # [B, 12, h, w]
            step: Time steps  # [B]
            embedding: Of CLIP  # [B, D]
        """
        context = self.mapping(embedding)[:, None]
        bank = FeatureBank()
        seen = self.reference(rgb, REFERENCE_STEP, encoder_hidden_states=context, cross_attention_kwargs={"bank": bank}).sample
        predicted = predict_v(self.estimation, inputs, step, context, bank)
        # The reference UNet's layers behind its last self-attention reach no loss; several processes need a gradient of all.
        whole: Tensor = predicted + 0 * seen.mean()
        return whole

    def enable_gradient_checkpointing(self) -> None:
        """Computes activations of both UNets again in the backward pass."""
        self.estimation.enable_gradient_checkpointing()
        self.reference.enable_gradient_checkpointing()


class DepthLabObjective(FrameObjective[DepthLabConfig]):
    """DepthLab with its data and its loss."""

    name = "depthlab"

    def __init__(self, config: DepthLabConfig):
        self.begun: DepthLabStart = start_from(config.start, config.shape, config.vae, config.clip)
        self.schedule = noise_schedule(self.begun.scheduler)
        self.vae, self.image_encoder = self.begun.vae, self.begun.image_encoder
        self.cell = pixels_per_latent(self.vae)
        check_sides(config.view.width, config.view.height, self.cell)
        super().__init__(config)

    def __getstate__(self) -> dict[str, Any]:
        """Workers that prepare examples need no networks."""
        return {"config": self.config, "cell": self.cell, "stream": self.stream}

    def build(self) -> nn.Module:
        """Both UNets and the mapping layer, on the weights to start from."""
        networks, mapping = self.begun.networks()
        for module in (networks.estimation, networks.reference, mapping):
            module.requires_grad_(True).train()
        return DepthLabTrainee(networks, mapping)

    def place(self, device: torch.device) -> None:
        """Moves autoencoder and image encoder."""
        self.vae, self.image_encoder = self.vae.to(device), self.image_encoder.to(device)

    def example_of(self, view: DepthFrame, rng: np.random.Generator) -> dict[str, Tensor]:
        """Picture, conditions and normalised truth."""
        known, beta = drawn_known(view, self.config.masks, rng), float(rng.uniform(*self.config.beta))
        picture_map(view)  # refuses frames without a picture
        assert view.rgb is not None
        prepared = prepare(view.rgb, view.truth, known, None, Preparation(0, beta), self.cell)
        limit = self.config.limit
        target = np.clip(prepared.depth_range.normalized(filled_truth(view)), -limit, limit)
        return {
            "picture": prepared.rgb[0],
            "mask": 2 * prepared.mask[0] - 1,
            "masked": prepared.masked_depth[0],
            "fill": prepared.start[0],
            "target": as_map(target),
            "valid": as_map(view.valid),
            "clip": clip_input(clip_crop(prepared.picture))[0],
        }

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean squared error of v, or of the velocity, over latent cells with valid depth."""
        latents, embedding = self._encoded(batch)
        noise = torch.randn(latents["target"].shape, generator=generator).to(embedding.device)
        share = torch.rand(len(noise), generator=generator).to(embedding.device)
        state, step, wanted = self._path(latents, noise, share)
        inputs = torch.cat([state, latents["mask"], latents["masked"]], dim=1)
        predicted = model(latents["picture"], inputs, step, embedding)
        cells = whole_cells(batch["valid"], self.cell)
        return {"loss": masked_mean((predicted.float() - wanted).square(), cells)}

    def validate(self, model: nn.Module, pictures: int) -> Validation:
        """Errors inside the holes of held-out frames, and those of a constant fill (the median known depth) beside them."""
        device = next(model.parameters()).device
        inpainter = DepthLabInpainter(
            model=self._assembled(model, device),
            num_inference_steps=self.config.evaluation_steps,
            spacing="trailing",
            strength=1.0,
            processing_resolution=0,
            normalize_scale=self.config.evaluation_beta,
            tile=0,
        )
        rows, constants = [], []
        shown: dict[str, NDArray[np.float32]] = {}
        for number, view in self.held_out_views():
            known = drawn_known(view, self.config.masks, np.random.default_rng((7, number)))
            hidden = view.valid & ~known
            found = inpainter(view.rgb, view.truth, known, seed=derived_seed(8, number) % 2**31).depth
            if hidden.any():
                rows.append(depth_errors(found, view.truth, hidden))
                constants.append(depth_errors(np.full_like(view.truth, np.median(view.truth[known])), view.truth, hidden))
            if len(shown) < pictures:
                shown[view.name] = preview(view.rgb, found, known, None)
        measures = mean_errors(rows, ("abs_rel", "rmse", "delta1"))
        if constants:
            measures["abs_rel_constant"] = mean_errors(constants, ("abs_rel",))["abs_rel"]
        return Validation(measures, measures.get("abs_rel"), shown)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Writes a folder that ``DepthLabModel.from_pretrained`` reads."""
        with replaced_folder(folder) as new:
            self._assembled(model, next(model.parameters()).device).save_pretrained(new)

    @torch.no_grad()
    def _encoded(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Latents of the maps, and CLIP's embedding of the pictures; in fp32."""
        with torch.autocast(batch["picture"].device.type, enabled=False):
            names = ("picture", "mask", "masked", "fill", "target")
            latents = {name: encode(self.vae, batch[name]) for name in names}
            return latents, self.image_encoder(batch["clip"]).image_embeds.float()

    def _path(self, latents: Mapping[str, Tensor], noise: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """State, time step and what the network is to predict, at random places of the path.

        Args:
            latents: Encoded maps.
            noise: Standard normal  # [B, 4, h, w]
            share: Uniform in [0, 1]  # [B]
        """
        target = latents["target"]
        if self.config.objective == "flow":
            begin, t = self.config.flow.begin(latents["fill"], noise), share.view(-1, 1, 1, 1)
            return (1 - t) * begin + t * target, network_step(share, self.schedule), target - begin
        signal = self.schedule.signal.to(share.device)
        step = (share * len(signal)).long().clamp(max=len(signal) - 1)
        level = signal[step].view(-1, 1, 1, 1)
        return level.sqrt() * target + (1 - level).sqrt() * noise, step, level.sqrt() * noise - (1 - level).sqrt() * target

    def _assembled(self, model: nn.Module, device: torch.device) -> DepthLabModel:
        """The networks as inference takes them; they are shared, not copied."""
        assert isinstance(model, DepthLabTrainee)
        scheduler = dict(self.begun.scheduler)
        if self.config.objective == "flow":
            scheduler[FLOW] = asdict(self.config.flow)
        return DepthLabModel(
            networks=DualBranch(model.estimation, model.reference),
            vae=self.vae,
            image_encoder=self.image_encoder,
            mapping=model.mapping,
            schedule=replace(self.schedule, config=scheduler),
            unet_config=self.begun.unet_config,
            device=device,
            dtype=torch.float32,
        )


_PAPER = DepthLabConfig(
    train=TrainConfig(
        steps=30000, batch_size=32, accumulation=4, learning_rate=3e-5, average=0.999, precision="bf16", workers=8, log_every=20
    )
)
_SMALL = replace(
    _PAPER,
    shape=SMALL,
    data=(SourceConfig(),),
    view=ViewConfig(width=256, height=192),
    train=TrainConfig(steps=30000, batch_size=16, learning_rate=2e-4, schedule="cosine", warmup=200, workers=2, log_every=50),
)
PRESETS: Mapping[str, DepthLabConfig] = MappingProxyType(
    {
        "default": _SMALL,
        "flow": replace(_SMALL, objective="flow", evaluation_steps=2),
        "paper": _PAPER,
        "paper-flow": replace(_PAPER, objective="flow", evaluation_steps=2),
        "paper-completion": replace(
            _PAPER,
            masks=("points500",),
            data=(SourceConfig(layout="nyu-scenes"),),
            view=ViewConfig(width=304, height=224, scale=0.5, anchor="center"),
            train=replace(_PAPER.train, steps=10000),
        ),
        "tiny": with_tiny_frames(
            replace(_SMALL, shape=TINY, evaluation_steps=4),
            TrainConfig(steps=20, batch_size=4, learning_rate=1e-3, validate_every=0, log_every=1),
            height=64,
            held_out=3,
        ),
    }
)
"""Ready configurations. "paper": the published data and masks; its learning rate, printed as 1e-3, batch and number of steps are
Marigold's here, since DepthLab starts from Marigold and its own are not all given."""

TRAINING = Training("depthlab", DepthLabConfig, PRESETS, DepthLabObjective)
