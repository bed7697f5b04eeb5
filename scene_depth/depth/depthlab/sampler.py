"""Denoises depth latents: reference pass, steps, guidance, blending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from scene_depth.depth.depthlab.networks import DualBranch, predict_v, reference_features
from scene_depth.depth.depthlab.schedule import NoiseSchedule, Spacing, add_noise, ddim_step, flow_of, network_step, time_steps
from scene_depth.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How latents are denoised.

    Attributes:
        num_inference_steps: Number of steps at strength 1.
        spacing: Which time steps; see ``time_steps``.
        strength: How much of the starting depth may change: 1 begins from pure noise.
        guidance_scale: Weight of classifier-free guidance; 1 is none and needs no unconditional row.
        blend: After each step put back the known depth, with noise of that step.
        half_features: Round the reference features to fp16 as the official code does.
    """

    num_inference_steps: int = 50
    spacing: Spacing = "leading"
    strength: float = 0.8
    guidance_scale: float = 1.0
    blend: bool = True
    half_features: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.num_inference_steps <= 1000:
            raise InputError("num_inference_steps", self.num_inference_steps, "1 to 1000")
        if self.spacing not in ("leading", "trailing"):
            raise InputError("spacing", repr(self.spacing), "leading or trailing")
        if not 0 < self.strength <= 1:
            raise InputError("strength", self.strength, "above 0, at most 1")
        if not self.guidance_scale >= 1:
            raise InputError("guidance_scale", self.guidance_scale, "at least 1")


@dataclass(frozen=True)
class Conditions:
    """What a prediction is made from, all in scaled latents of one size, in fp32; contexts in the networks' type.

    Attributes:
        rgb: The pictures  # [B, 4, h, w]
        mask: 2 M - 1 with M = 1 in holes  # [B, 4, h, w]
        masked_depth: Normalised depth with holes interpolated  # [B, 4, h, w]
        start: Normalised depth that denoising starts from and that known cells are blended with  # [B, 4, h, w]
        holes: 1 where a latent cell is predicted, 0 where it is blended  # [B, 1, h, w]
        context: Embedding of the pictures  # [B, 1, D]
        unconditional: Embedding of no picture; None if guidance_scale is 1  # [1, 1, D]
    """

    rgb: Tensor
    mask: Tensor
    masked_depth: Tensor
    start: Tensor
    holes: Tensor
    context: Tensor
    unconditional: Tensor | None = None


@dataclass(frozen=True)
class StepTrace:
    """What happened in one step, for those who watch: its number, time step, input, network output and result."""

    index: int
    step: int
    inputs: Tensor
    output: Tensor
    latents: Tensor


def sample(
    networks: DualBranch,
    schedule: NoiseSchedule,
    conditions: Conditions,
    noise: Tensor,
    fresh_noise: Tensor,
    sampling: Sampling,
    on_step: Callable[[StepTrace], None] | None = None,
) -> Tensor:
    """Depth latents of B views with E members each, view by view.

    Weights that were trained for a flow (``flow``) take that many Euler steps; spacing, strength and blending are not theirs.

    Args:
        networks: The two UNets.
        schedule: Noise levels.
        conditions: Of B views.
        noise: Draw for the start at strength below 1 and for blending  # [B E, 4, h, w]
        fresh_noise: Draw for the start at strength 1  # [B E, 4, h, w]
        sampling: How.
        on_step: Called after every step.

    Returns:
        # [B E, 4, h, w]

    Raises:
        InputError: If guidance_scale is above 1 and there is no unconditional embedding.
    """
    flow = flow_of(schedule.config)
    members = len(noise) // len(conditions.rgb)
    rgb = conditions.rgb.to(conditions.context.dtype)
    bank = reference_features(networks.reference, rgb, conditions.context, sampling.half_features)
    guided = sampling.guidance_scale != 1
    if guided and conditions.unconditional is None:
        raise InputError("guidance_scale", sampling.guidance_scale, "1, the embedding of an empty text is not there")
    mask, masked, start, holes, context = (
        value.repeat_interleave(members, dim=0)
        for value in (conditions.mask, conditions.masked_depth, conditions.start, conditions.holes, conditions.context)
    )
    if guided and conditions.unconditional is not None:
        bank.plain_rows = len(noise)
        context = torch.cat([conditions.unconditional.expand_as(context), context])

    def evaluated(latents: Tensor, step: int | Tensor) -> tuple[Tensor, Tensor]:
        """Input and output of the network; latents stay in fp32, whose steps would round in the 16 bits of a network."""
        inputs = torch.cat([latents, mask, masked], dim=1)
        rows = (torch.cat([inputs, inputs]) if guided else inputs).to(context.dtype)
        step = step.expand(len(rows)) if isinstance(step, Tensor) else step
        return inputs, predict_v(networks.estimation, rows, step, context, bank).float()

    if flow is not None:
        latents, count = flow.begin(start, noise), sampling.num_inference_steps
        for index in range(count):
            t = torch.full((1,), index / count, device=latents.device)
            _, output = evaluated(latents, network_step(t, schedule))
            latents = latents + _guided(output, sampling.guidance_scale) / count
        return latents
    pairs = time_steps(schedule, sampling.num_inference_steps, sampling.spacing, sampling.strength)
    # At strength 1 the start is pure noise, a draw of its own; the other draw also serves blending.
    latents = fresh_noise.clone() if sampling.strength >= 1 else add_noise(schedule, start, noise, pairs[0][0])
    for index, (step, following) in enumerate(pairs):
        inputs, output = evaluated(latents, step)
        latents = ddim_step(schedule, latents, _guided(output, sampling.guidance_scale), step, following)
        if sampling.blend and index + 1 < len(pairs):
            known = add_noise(schedule, start, noise, pairs[index + 1][0])
            latents = holes * latents + (1 - holes) * known
        if on_step is not None:
            on_step(StepTrace(index, step, inputs, output, latents))
    return latents


def _guided(output: Tensor, guidance: float) -> Tensor:
    """v_u + g (v_c - v_u) of unconditional and conditional rows."""
    if guidance == 1:
        return output
    unconditional, conditional = output.chunk(2)
    return unconditional + guidance * (conditional - unconditional)
