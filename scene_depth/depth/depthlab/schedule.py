"""Noise levels and deterministic DDIM steps (Song et al. 2021) for a network that predicts v (Salimans & Ho 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from scene_depth.depth.latent.vae import diffusers_class
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
    return level**0.5 * latents + (1 - level) ** 0.5 * noise


def ddim_step(schedule: NoiseSchedule, latents: Tensor, v: Tensor, step: int, following: int) -> Tensor:
    """The latents at the next time step, without new noise.

    x0 = sqrt(abar) z - sqrt(1 - abar) v and e = sqrt(abar) v + sqrt(1 - abar) z, then z' = sqrt(abar') x0 + sqrt(1 - abar') e.
    """
    level, next_level = schedule.level(step), schedule.level(following)
    clean = level**0.5 * latents - (1 - level) ** 0.5 * v
    noise = level**0.5 * v + (1 - level) ** 0.5 * latents
    return next_level**0.5 * clean + (1 - next_level) ** 0.5 * noise


def initial_latents(
    schedule: NoiseSchedule, start: Tensor, noise: Tensor, fresh_noise: Tensor, step: int, strength: float
) -> Tensor:
    """What the first step begins from: pure noise, a draw of its own, at strength 1; else the noised starting depth.

    Args:
        schedule: The schedule.
        start: Latents of the filled depth  # [B, 4, h, w]
        noise: The draw that also serves blending  # [B, 4, h, w]
        fresh_noise: The second draw  # [B, 4, h, w]
        step: The first time step that is done.
        strength: As in ``time_steps``.
    """
    return torch.clone(fresh_noise) if strength >= 1 else add_noise(schedule, start, noise, step)
