"""Flow matching in DepthLab's dual branch: few straight steps from the filled depth, or from noise, to the completed depth.

Both papers behind this (DepthLab, section 5; DepthFM, section 3) name it as future work. The networks, conditions and
reference features are DepthLab's; what changes is the path: x_t = (1 - t) x0 + t x1, where x1 is the latent of the true depth
and x0 that of the coarse fill with noise of a fixed level (data-dependent coupling) or noise alone. The network predicts
x1 - x0 and is told the time step (1 - t) (T - 1), so that weights trained for diffusion see noise levels where they expect them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from scene_depth.depth.depthfm.flow import noised
from scene_depth.depth.depthlab.schedule import FLOW, NoiseSchedule
from scene_depth.errors import InputError


@dataclass(frozen=True)
class Flow:
    """Where the flow starts.

    Attributes:
        start: "fill": at the coarse fill; "noise": at noise alone.
        noising_step: Noise level of the fill, 0 (none) to 1000, on the cosine schedule of DepthFM.
    """

    start: Literal["fill", "noise"] = "fill"
    noising_step: int = 400

    def __post_init__(self) -> None:
        if self.start not in ("fill", "noise"):
            raise InputError("flow start", repr(self.start), "fill, noise")
        if not 0 <= self.noising_step <= 1000:
            raise InputError("noising_step", self.noising_step, "0 to 1000")

    def begin(self, fill: Tensor, noise: Tensor) -> Tensor:
        """x0  # [B, 4, h, w]"""
        return noise if self.start == "noise" else noised(fill, noise, self.noising_step)


def flow_of(config: Mapping[str, Any]) -> Flow | None:
    """The flow that a scheduler configuration names, or None for diffusion.

    Raises:
        InputError: If its values are of another kind.
    """
    values = config.get(FLOW)
    if values is None:
        return None
    try:
        return Flow(str(values["start"]), int(values["noising_step"]))  # type: ignore[arg-type]
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"scheduler {FLOW}", repr(values), "start and noising_step") from error


def network_step(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The time step that the network is told at times t in [0, 1]  # [B] -> [B]"""
    return (1 - t) * (len(schedule.signal) - 1)


def time_points(steps: int, device: torch.device) -> list[Tensor]:
    """The times at which Euler steps evaluate the network: 0, 1 / steps, ...  # [1] each"""
    return [torch.full((1,), index / steps, device=device) for index in range(steps)]
