"""The paths from noise to depth.

Diffusion: noise levels and deterministic DDIM steps (Song et al. 2021) for a network that predicts v (Salimans & Ho 2022).

Flow matching: few straight steps from the filled depth, or from noise. Both papers behind this (DepthLab, section 5; DepthFM,
section 3) name it as future work. Networks, conditions and reference features are DepthLab's; what changes is the path:
x_t = (1 - t) x0 + t x1, where x1 is the latent of the true depth and x0 that of the coarse fill with noise of a fixed level
(data-dependent coupling) or noise alone. The network predicts x1 - x0 and is told the time step (1 - t) (T - 1), so that weights
trained for diffusion see noise levels where they expect them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from scene_depth.depth.depthfm.flow import noised
from scene_depth.depth.latent.packages import diffusers_class
from scene_depth.errors import InputError

Spacing = Literal["leading", "trailing"]
FLOW = "flow"
"""Name under which ``scheduler_config.json`` says that weights were trained for a flow; nothing that a scheduler reads."""


@dataclass(frozen=True)
class NoiseSchedule:
    """Levels of the diffusion process.

    Attributes:
        signal: abar of each time step, fp32  # [T]
        final: abar after the last step.
        offset: Added to leading time steps.
        config: The configuration of ``DDIMScheduler`` that it was made from.
    """

    signal: Tensor
    final: float
    offset: int
    config: Mapping[str, Any]

    def level(self, step: int) -> float:
        """abar at a time step; below 0 that after the last step."""
        return float(self.signal[step]) if step >= 0 else self.final


def noise_schedule(config: Mapping[str, Any]) -> NoiseSchedule:
    """The schedule of a ``DDIMScheduler`` configuration.

    Raises:
        InputError: If the configuration asks for something that this sampler does not do.
    """
    wrong = {"prediction_type": "v_prediction", "clip_sample": False, "thresholding": False}
    for key, accepted in wrong.items():
        if config.get(key, accepted) != accepted:
            raise InputError(f"scheduler {key}", config[key], str(accepted))
    try:
        scheduler = diffusers_class("DDIMScheduler").from_config({name: value for name, value in config.items() if name != FLOW})
    except (NotImplementedError, TypeError, ValueError) as error:  # the first for a beta_schedule that diffusers lacks
        raise InputError("scheduler configuration", f"refused ({error})", "that of a DDIMScheduler") from error
    final = float(scheduler.final_alpha_cumprod)
    return NoiseSchedule(scheduler.alphas_cumprod, final, scheduler.config.steps_offset, dict(config))


def time_steps(schedule: NoiseSchedule, count: int, spacing: Spacing, strength: float = 1.0) -> list[tuple[int, int]]:
    """Pairs of a time step and the next one, from noise to depth; the last next one is below 0.

    Leading spacing is t = (n-1, ..., 0) (T // n) + offset, the official one. With few steps from pure noise it tells the
    network a noise level below the true one; trailing spacing starts at T - 1 (Lin et al. 2024).

    Args:
        schedule: The schedule.
        count: Number n of steps at strength 1.
        spacing: "leading" or "trailing".
        strength: Share of the steps that are done: the first n - min(int(n strength), n) are left out.

    Raises:
        InputError: If nothing is left to do.
    """
    total = len(schedule.signal)
    if spacing == "leading":
        stride = total // count
        steps = [min(index * stride + schedule.offset, total - 1) for index in reversed(range(count))]
        following = [step - stride for step in steps]
    else:
        steps = [round(total - index * total / count) - 1 for index in range(count)]
        following = [*steps[1:], -1]
    done = min(int(count * strength), count)
    if done < 1:
        raise InputError("strength", strength, f"at least {1 / count:g}, so that one of {count} steps is left")
    return list(zip(steps, following, strict=True))[count - done :]


def add_noise(schedule: NoiseSchedule, latents: Tensor, noise: Tensor, step: int) -> Tensor:
    """sqrt(abar) x + sqrt(1 - abar) noise at a time step."""
    level = schedule.level(step)
    mixed: Tensor = level**0.5 * latents + (1 - level) ** 0.5 * noise
    return mixed


def ddim_step(schedule: NoiseSchedule, latents: Tensor, v: Tensor, step: int, following: int) -> Tensor:
    """The latents at the next time step, without new noise.

    x0 = sqrt(abar) z - sqrt(1 - abar) v and e = sqrt(abar) v + sqrt(1 - abar) z, then z' = sqrt(abar') x0 + sqrt(1 - abar') e.
    """
    level, next_level = schedule.level(step), schedule.level(following)
    clean = level**0.5 * latents - (1 - level) ** 0.5 * v
    noise = level**0.5 * v + (1 - level) ** 0.5 * latents
    following_latents: Tensor = next_level**0.5 * clean + (1 - next_level) ** 0.5 * noise
    return following_latents


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
