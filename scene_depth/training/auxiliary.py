"""Completion of sparse depth, by Lu et al. (2020).

Auxiliary image learning, on procedural frames, KITTI or NYUv2 as in section 4 of the paper (CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.streams import SourceConfig, ViewConfig
from scene_depth.depth.auxiliary.losses import LossConfig, auxiliary_loss, gray_image
from scene_depth.depth.auxiliary.network import FILE, AuxiliaryNetwork, NetworkConfig, save_network
from scene_depth.depth.masks import check_masks, known_mask
from scene_depth.depth.preview import preview
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import depth_errors
from scene_depth.training.config import TrainConfig
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

NATIVE = "native"


@dataclass(frozen=True)
class AuxiliaryConfig(FrameConfig):
    """Configuration of the training.

    Attributes:
        network: Shape of the network.
        loss: Weights of the loss.
        sampling: What is measured, drawn for every example: "native" (the sensor's own points, where the frame has any) or names
            of ``masks.MASKS`` such as "lidar64" and "points500".
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    sampling: tuple[str, ...] = ("lidar64", "points500")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_masks(self.sampling, field="sampling", also=(NATIVE,))


class AuxiliaryObjective(FrameObjective[AuxiliaryConfig]):
    """The network with its data and its loss, as the loop trains it."""

    name = "auxiliary"

    def build(self) -> nn.Module:
        """The network with its image decoder."""
        return AuxiliaryNetwork(self.config.network)

    def example_of(self, view: DepthFrame, rng: np.random.Generator) -> dict[str, Tensor]:
        """Sparse depth, truth and picture."""
        sampling = self.config.sampling[int(rng.integers(len(self.config.sampling)))]
        if view.rgb is None and self.config.network.variant != "B":
            raise InputError("data", f"{view.name} without a picture", "frames with pictures, or network.variant B")
        sparse = measured_depth(view, sampling, int(rng.integers(2**31)))
        found = {"sparse": as_map(sparse), "truth": as_map(view.truth)}
        if view.rgb is not None:
            found["rgb"] = torch.from_numpy(np.ascontiguousarray(view.rgb)).permute(2, 0, 1).contiguous()
        return found

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Depth, image and uncertainty losses."""
        output = model(batch["sparse"])
        gray = gray_image(batch["rgb"]) if "rgb" in batch else None
        return auxiliary_loss(output, batch["truth"], gray, self._unit(batch["sparse"]), self.config.loss)

    def validate(self, model: nn.Module, pictures: int) -> Validation:
        """Errors on held-out frames, each with every sampling; pixels with truth that were not measured count."""
        device = next(model.parameters()).device
        rows = []
        shown: dict[str, NDArray[np.float32]] = {}
        for number, view in self.held_out_views():
            for sampling in self.config.sampling:
                sparse = measured_depth(view, sampling, derived_seed(7, number))
                output = model(torch.from_numpy(sparse)[None, None].to(device))
                predicted = output.depth[0, 0].float().cpu().numpy()
                hidden = view.valid & (sparse == 0)
                if hidden.any():
                    rows.append(depth_errors(predicted, view.truth, hidden))
                if len(shown) < pictures and sampling == self.config.sampling[number % len(self.config.sampling)]:
                    shown[f"{view.name}_{sampling}"] = preview(view.rgb, predicted, sparse > 0, None)
        measures = mean_errors(rows, ("abs_rel", "rmse", "mae", "irmse", "imae", "delta1"))
        score = measures.get("abs_rel" if self.config.network.relative else "rmse")
        return Validation(measures, score, shown)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Writes ``auxiliary.pt``."""
        assert isinstance(model, AuxiliaryNetwork)
        save_network(folder / FILE, model)

    def _unit(self, sparse: Tensor) -> Tensor:
        """Depth that counts as 1 in the loss: a metre, or the mean known depth."""
        shape = (len(sparse), 1, 1, 1)
        if not self.config.network.relative:
            return torch.ones(shape, device=sparse.device)
        count = (sparse > 0).sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
        return (sparse.sum(dim=(1, 2, 3), keepdim=True) / count).clamp(min=1e-6)


def measured_depth(frame: DepthFrame, sampling: str, seed: int) -> NDArray[np.float32]:
    """What a sensor gives of a frame, 0 = nothing  # [H, W]

    Args:
        frame: The frame.
        sampling: "native" or a name of ``masks.MASKS``.
        seed: Seed of the choice.

    Raises:
        InputError: If the frame has no measurement of its own and "native" is asked for, or has no valid depth at all.
    """
    if sampling == NATIVE:
        if not frame.measured:
            raise InputError("sampling", f"{NATIVE}, but {frame.name} has no measured depth", "frames with a sensor's own points")
        return next(iter(frame.measured.values()))
    known = known_mask(sampling, frame.truth, seed, rgb=frame.rgb, camera=frame.camera)
    return np.where(known, frame.truth, 0).astype(np.float32)


KITTI_FRAMES = 85898
KITTI_BATCH = 16
KITTI_EPOCHS = 20  # the paper does not say how many

_KITTI = AuxiliaryConfig(
    data=(SourceConfig(layout="kitti-tree", split="train"),),
    held_out=(SourceConfig(layout="kitti", split=""),),
    held_out_count=1000,
    view=ViewConfig(width=1216, height=352, scale=1.0, anchor="bottom"),
    sampling=(NATIVE,),
    train=TrainConfig(
        steps=KITTI_EPOCHS * KITTI_FRAMES // KITTI_BATCH,
        batch_size=KITTI_BATCH,
        optimizer="adam",
        learning_rate=1e-3,
        schedule="step",
        decay_every=5 * KITTI_FRAMES // KITTI_BATCH,
        decay_factor=0.5,
        max_gradient_norm=0.0,
        average=0.0,
        workers=8,
        validate_every=5000,
        checkpoint_every=5000,
        log_every=50,
    ),
)
_PROCEDURAL = AuxiliaryConfig(
    network=NetworkConfig(norm="group", width=8, depth_scale=2.0, relative=True, uncertainty=True),
    loss=LossConfig(depth="l1", image_weight=0.05, image_range=1.0),
    train=TrainConfig(
        steps=20000, batch_size=8, optimizer="adam", learning_rate=1e-3, schedule="cosine", warmup=200, workers=2, log_every=50
    ),
)
PRESETS: Mapping[str, AuxiliaryConfig] = MappingProxyType(
    {
        "default": _PROCEDURAL,
        "kitti": _KITTI,
        "kitti-l1": replace(_KITTI, loss=LossConfig(depth="l1")),
        "nyu": replace(
            _KITTI,
            network=NetworkConfig(depth_scale=10.0),
            data=(SourceConfig(layout="nyu-scenes", split="train"),),
            held_out=(SourceConfig(layout="nyu-scenes", split="val"),),
            held_out_count=654,
            view=ViewConfig(width=304, height=228, scale=0.5, anchor="center"),
            sampling=("points500",),
            train=replace(_KITTI.train, steps=20 * 47584 // 16, decay_every=5 * 47584 // 16),
        ),
        "tiny": with_tiny_frames(
            replace(_PROCEDURAL, network=replace(_PROCEDURAL.network, width=2), sampling=("points150",)),
            TrainConfig(steps=20, batch_size=4, optimizer="adam", learning_rate=3e-3, validate_every=10, log_every=1),
            held_out=3,
        ),
    }
)
"""Ready configurations: "kitti" is the paper's (l2; "kitti-l1" its variant), "nyu" its indoor one, "default" needs no data."""

TRAINING = Training("auxiliary", AuxiliaryConfig, PRESETS, AuxiliaryObjective)
