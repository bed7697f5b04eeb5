"""3D Gaussian splatting as Markov chain Monte Carlo (Kheradmand et al. 2024) in torch operations, for any device.

gsplat's MCMCStrategy has the same steps but calls CUDA for two of them. Parameters and optimizers are dictionaries with gsplat's
names: means, scales (logarithms), quats, opacities (logits), and any others.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

LARGEST_COUNT = 51  # of splats that share one place, as in gsplat
NOISY_OPACITY = 0.1  # above it, the noise of eq. 8 is below 1e-4 of its size at opacity 0

Parameters = dict[str, torch.nn.Parameter]
Optimizers = dict[str, torch.optim.Optimizer]


def share_opacity_and_scale(opacities: Tensor, scales: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity and scale of each of ``counts`` splats that together look like one (eq. 9).

    The paper's double sum over i and k of binomial(i - 1, k) adds up to binomial(count, k + 1).

    Args:
        opacities: Between 0 and 1  # [N]
        scales: Standard deviations  # [N, 3]
        counts: Into how many each is divided, itself included, at most 51  # [N]

    Returns:
        New opacities  # [N]
        New scales  # [N, 3]
    """
    counts = counts.clamp(1, LARGEST_COUNT).double()
    new = 1 - (1 - opacities.double()) ** (1 / counts)
    k = torch.arange(int(counts.max()) if len(counts) else 1, dtype=torch.float64, device=opacities.device)
    n = counts[:, None]
    possible = k < n
    binomials = torch.exp(torch.lgamma(n + 1) - torch.lgamma(k + 2) - torch.lgamma((n - k).clamp_min(1)))
    terms = binomials * (-1) ** k * new[:, None] ** (k + 1) / torch.sqrt(k + 1)
    total = torch.where(possible, terms, torch.zeros_like(terms)).sum(1)
    return new.to(opacities), scales * (opacities.double() / total).to(scales)[:, None]


@torch.no_grad()
def relocate_dead(parameters: Parameters, optimizers: Optimizers, weights: Tensor, *, min_opacity: float) -> int:
    """Moves splats of low opacity onto others, that then share their look.

    Args:
        parameters, optimizers: Changed in place.
        weights: How likely a splat is drawn, 0 or more, for those of low opacity without meaning  # [N]
        min_opacity: Opacity up to which a splat is moved.

    Returns:
        How many were moved.
    """
    opacities = opacities_of(parameters)
    dead, alive = (opacities <= min_opacity).nonzero()[:, 0], (opacities > min_opacity).nonzero()[:, 0]
    if len(dead) == 0 or not bool((weights[alive] > 0).any()):
        return 0
    sources = alive[torch.multinomial(weights[alive], len(dead), replacement=True)]
    _divide(parameters, sources, min_opacity)

    def moved(name: str, values: Tensor) -> Tensor:
        values[dead] = values[sources]
        return values

    def forgotten(moments: Tensor) -> Tensor:
        moments[sources] = 0  # of the dead nothing needs forgetting: their moments have faded with their gradients
        return moments

    edit_rows(parameters, optimizers, moved, forgotten)
    return len(dead)


@torch.no_grad()
def add_copies(parameters: Parameters, optimizers: Optimizers, weights: Tensor, *, number: int, min_opacity: float) -> None:
    """Adds splats on top of others, that then share their look.

    Args:
        parameters, optimizers: Changed in place.
        weights: How likely a splat is drawn, 0 or more  # [N]
        number: How many are added; none if all weights are 0.
        min_opacity: Opacity that none of the sharing splats falls below.
    """
    if number <= 0 or not bool((weights > 0).any()):
        return
    sources = torch.multinomial(weights, number, replacement=True)
    _divide(parameters, sources, min_opacity)
    add_rows(parameters, optimizers, sources)


@torch.no_grad()
def shake_faint(parameters: Parameters, *, amount: float) -> None:
    """Moves faint splats at random, further along their long axes (eq. 8), so that they explore.

    Args:
        parameters: Changed in place.
        amount: Learning rate of the means times the noise rate.
    """
    opacities = opacities_of(parameters)
    faint = (opacities < NOISY_OPACITY).nonzero()[:, 0]
    if len(faint) == 0:
        return
    faintness = torch.sigmoid(100 * (1 - opacities[faint] - 0.995))
    noise = torch.randn(len(faint), 3, device=faint.device) * (amount * faintness)[:, None]
    quats, variances = normalize(parameters["quats"][faint], dim=-1), (2 * parameters["scales"][faint]).exp()
    inverse = quats * quats.new_tensor([1.0, -1.0, -1.0, -1.0])
    parameters["means"][faint] += _rotate(quats, variances * _rotate(inverse, noise))


def edit_rows(
    parameters: Parameters,
    optimizers: Optimizers,
    change: Callable[[str, Tensor], Tensor],
    change_moments: Callable[[Tensor], Tensor],
    names: tuple[str, ...] = (),
) -> None:
    """Replaces parameters by changed ones, and with them what their optimizers remember of them.

    Args:
        parameters: Changed in place, one splat a row.
        optimizers: One of the same name for each, with one parameter.
        change: Gives the new values of a parameter from its name and its values.
        change_moments: Gives the new values of a running moment.
        names: Of the parameters to change; none for all.
    """
    for name in names or list(parameters):
        old, optimizer = parameters[name], optimizers[name]
        remembered = optimizer.state.pop(old, {})
        new = torch.nn.Parameter(change(name, old.detach()))
        for key, value in remembered.items():
            if key != "step":
                remembered[key] = change_moments(value)
        if remembered:
            optimizer.state[new] = remembered
        optimizer.param_groups[0]["params"] = [new]
        parameters[name] = new


def add_rows(parameters: Parameters, optimizers: Optimizers, sources: Tensor) -> None:
    """Adds copies of the splats with these numbers, of which optimizers remember nothing."""
    edit_rows(
        parameters,
        optimizers,
        lambda name, values: torch.cat([values, values[sources]]),
        lambda moments: with_zeros(moments, len(sources)),
    )


def with_zeros(moments: Tensor, number: int) -> Tensor:
    """The rows and after them ``number`` rows of zeros."""
    return torch.cat([moments, moments.new_zeros(number, *moments.shape[1:])])


def opacities_of(parameters: Parameters) -> Tensor:
    """Opacities, 0 to 1  # [N]"""
    return parameters["opacities"].detach().sigmoid().flatten()


def _divide(parameters: Parameters, sources: Tensor, min_opacity: float) -> None:
    """Gives the drawn splats the opacity and scale of one share; a splat drawn m times has m + 1 shares."""
    counts = torch.bincount(sources, minlength=len(parameters["means"]))[sources] + 1
    logits, log_scales = parameters["opacities"], parameters["scales"]
    opacities, scales = share_opacity_and_scale(logits[sources].sigmoid().flatten(), log_scales[sources].exp(), counts)
    opacities = opacities.clamp(min_opacity, 1 - torch.finfo(torch.float32).eps)
    logits[sources] = torch.logit(opacities).reshape(logits[sources].shape)
    log_scales[sources] = scales.log()


def _rotate(quats: Tensor, vectors: Tensor) -> Tensor:
    """Vectors turned by unit quaternions, w first  # [N, 3]"""
    w, axis = quats[:, :1], quats[:, 1:]
    across = torch.linalg.cross(axis, vectors)
    turned: Tensor = vectors + 2 * (w * across + torch.linalg.cross(axis, across))
    return turned
