"""The flow from the noised image latent to the depth latent (Gui et al. 2024, section 3)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

SCHEDULE_STEPS = 1000


def signal_share(step: float) -> float:
    """Variance share of the signal on the cosine schedule, cos^2(pi u / 2) at u = step / 1000.

    In the form of the official code, sigmoid(-2 ln(tan(pi u / 2) + 1e-5)), which keeps away from the poles.
    """
    tangent = math.tan(0.5 * math.pi * step / SCHEDULE_STEPS)
    return 1.0 / (1.0 + (tangent + 1e-5) ** 2)


def noised(latent: Tensor, noise: Tensor | None, step: int) -> Tensor:
    """Start of the flow: sqrt(a) z + sqrt(1 - a) noise, with a the signal share.

    Args:
        latent: Image latent z  # [B, 4, h, w]
        noise: Standard normal, not read at step 0  # [B, 4, h, w]
        step: Noise level, 0 (none) to 1000.
    """
    if step == 0 or noise is None:
        return latent
    share = signal_share(step)
    return math.sqrt(share) * latent + math.sqrt(1.0 - share) * noise


def euler(velocity: Callable[[Tensor, float], Tensor], start: Tensor, steps: int) -> Tensor:
    """Integrates dx/dt = velocity(x, t) from t = 0 to 1 by explicit Euler steps of 1 / steps.

    Args:
        velocity: (x, t) -> dx/dt.
        start: x at t = 0  # [B, 4, h, w]
        steps: Number of steps, each calls ``velocity`` once, at 0, 1/steps, ...
    """
    x = start
    for index in range(steps):
        x = x + velocity(x, index / steps) / steps
    return x


def standard_normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Noise that depends on the seed alone: drawn on the CPU, whatever the device."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))
