"""Density control: gsplat's strategies, on the CPU and on CUDA, with randomness that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from scene_depth.fitting.config import SettledConfig
from scene_depth.fitting.parameters import Trainable
from scene_depth.fitting.relocation import add_copies, relocate_dead, shake_faint


@dataclass(frozen=True)
class Seen:
    """What the views of a step saw of the trainable splats.

    Attributes:
        gradients: Of the loss by the projected means, absolute ones where asked for, in half image sizes  # [C, N, 2]
        radii: Reach of each footprint as a share of the longer side of the picture; 0 = not seen  # [C, N]
    """

    gradients: Tensor
    radii: Tensor


@dataclass
class DensityControl:
    """Changes how many splats there are and where, after each step.

    Attributes:
        config: Strategy and its numbers.
        extent: Size of the scene, which scale limits are in.
        seed: Of all randomness; together with the step it decides every draw, whatever was drawn before.
        state: What the strategy remembers, tensors with one row a splat among it.
    """

    config: SettledConfig
    extent: float
    seed: int
    state: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._strategy: Any = None
        if self.config.density == "default":
            self._strategy = default_strategy(self.config)
            self.state = {**self._strategy.initialize_state(scene_scale=self.extent), **self.state}
        elif self.config.density == "mcmc":
            self._strategy = mcmc_strategy(self.config)

    @property
    def wants_gradients(self) -> bool:
        """Whether :meth:`after_step` needs what the views saw."""
        return self.config.density in ("guided", "default")

    def after_step(self, trainable: Trainable, step: int, means_lr: float, seen: Seen | None) -> None:
        """Adds, moves and removes splats; to be called once the optimizers have stepped.

        Args:
            trainable: Changed in place, with its optimizers.
            step: From 1.
            means_lr: Learning rate of the means at this step.
            seen: What the views saw, if :attr:`wants_gradients`.
        """
        parameters, optimizers = trainable.parameters, trainable.optimizers
        with seeded(self.seed, step, parameters["means"].device):
            if self.config.density == "mcmc":
                self._strategy.step_post_backward(parameters, optimizers, self.state, step, {}, lr=means_lr)
            elif self.config.density == "default" and seen is not None:
                self._grow_and_prune(trainable, step, seen)
            elif self.config.density == "guided" and seen is not None:
                self._guide(trainable, step, means_lr, seen)

    def _grow_and_prune(self, trainable: Trainable, step: int, seen: Seen) -> None:
        strategy, config = self._strategy, self.config
        strategy.grow_grad2d = config.grow_gradient
        if step % config.refine_every == 0:  # gsplat knows no limit, but adds one splat for each gradient above this
            strategy.grow_grad2d = max(config.grow_gradient, self._threshold(seen, config.max_splats - len(trainable)))
        strategy.step_post_backward(trainable.parameters, trainable.optimizers, self.state, step, _info(seen))
        if _resets_never() and step % config.reset_every == 0 and step < strategy.refine_stop_iter:
            from gsplat.strategy.ops import reset_opa

            reset_opa(trainable.parameters, trainable.optimizers, self.state, value=2 * config.min_opacity)

    def _threshold(self, seen: Seen, room: int) -> float:
        """Gradient that at most ``room`` splats are above, on average over what was seen of them up to this step."""
        sightings, pull = seen.radii > 0, seen.gradients.norm(dim=-1)
        total, count = torch.where(sightings, pull, torch.zeros_like(pull)).sum(0), sightings.sum(0)
        if self.state["grad2d"] is not None:
            total, count = total + self.state["grad2d"], count + self.state["count"]
        if room >= len(total):
            return 0.0
        return float((total / count.clamp_min(1)).sort(descending=True).values[max(room, 0)])

    def _guide(self, trainable: Trainable, step: int, means_lr: float, seen: Seen) -> None:
        """3DGS-MCMC, but splats that take in others are drawn by how strongly the pictures pull at them.

        The size of the gradient by the projected mean is where the reference trainer looks for missing detail; drawing
        by it, with the number of splats fixed, spends a small number of splats where they help most.
        """
        parameters, optimizers, config = trainable.parameters, trainable.optimizers, self.config
        if step <= round(config.refine_stop * config.steps):
            self._add_up(seen)
            if step > config.refine_start and step % config.refine_every == 0:
                weights = self.state["pull"] / self.state["sightings"].clamp_min(1)
                alive = parameters["opacities"].sigmoid().flatten() > config.min_opacity
                weights = torch.where(alive, weights, torch.zeros_like(weights))
                relocate_dead(parameters, optimizers, weights, min_opacity=config.min_opacity)
                number = growth(len(trainable), config.max_splats)
                add_copies(parameters, optimizers, weights, number=number, min_opacity=config.min_opacity)
                self.state.clear()
        shake_faint(parameters, amount=means_lr * config.noise)

    def _add_up(self, seen: Seen) -> None:
        pull, sightings = seen.gradients.norm(dim=-1).sum(0), (seen.radii > 0).sum(0).float()
        if self.state:
            pull, sightings = self.state["pull"] + pull, self.state["sightings"] + sightings
        self.state.update(pull=pull, sightings=sightings)


def growth(count: int, limit: int) -> int:
    """How many splats are added at once: 5 percent, as in 3DGS-MCMC, as far as the limit allows."""
    return max(0, min(limit, int(1.05 * count)) - count)


def default_strategy(config: SettledConfig) -> Any:
    """gsplat's DefaultStrategy, which is the density control of the reference trainer."""
    from gsplat import DefaultStrategy

    return DefaultStrategy(
        prune_opa=config.min_opacity,
        grow_grad2d=config.grow_gradient,
        refine_start_iter=config.refine_start,
        refine_stop_iter=round(config.refine_stop * config.steps),
        reset_every=config.reset_every,
        refine_every=config.refine_every,
        absgrad=config.absgrad,
    )


def mcmc_strategy(config: SettledConfig) -> Any:
    """gsplat's MCMCStrategy with the parts that call CUDA done in torch, so that it runs on any device."""
    from gsplat import MCMCStrategy

    class PortableMCMCStrategy(MCMCStrategy):
        def initialize_state(self) -> dict[str, Any]:
            return {}

        def step_post_backward(
            self, params: Any, optimizers: Any, state: dict[str, Any], step: int, info: dict[str, Any], lr: float
        ) -> None:
            if self.refine_start_iter < step < self.refine_stop_iter and step % self.refine_every == 0:
                relocate_dead(params, optimizers, _opacities(params), min_opacity=self.min_opacity)
                number = growth(len(params["means"]), self.cap_max)
                add_copies(params, optimizers, _opacities(params), number=number, min_opacity=self.min_opacity)
            shake_faint(params, amount=lr * self.noise_lr)

    return PortableMCMCStrategy(
        cap_max=config.max_splats,
        noise_lr=config.noise,
        refine_start_iter=config.refine_start,
        refine_stop_iter=round(config.refine_stop * config.steps),
        refine_every=config.refine_every,
        min_opacity=config.min_opacity,
    )


@contextmanager
def seeded(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """torch's global generators, which gsplat draws from, set by seed and step inside the block and restored after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed((seed * 1_000_003 + step) & 0x7FFF_FFFF_FFFF_FFFF)
        yield


def _opacities(parameters: Any) -> Tensor:
    return parameters["opacities"].detach().sigmoid().flatten()


def _info(seen: Seen) -> dict[str, Any]:
    """What gsplat's strategies read; sizes of 2 as gradients and radii are in shares of the picture already."""
    means2d = torch.zeros_like(seen.gradients)
    means2d.grad = means2d.absgrad = seen.gradients  # type: ignore[attr-defined]
    radii = 2 * seen.radii
    if _gsplat_version() >= (1, 5):
        radii = radii[..., None].expand(*radii.shape, 2)
    return {"width": 2, "height": 2, "n_cameras": 1, "radii": radii, "gaussian_ids": None, "means2d": means2d}


def _gsplat_version() -> tuple[int, ...]:
    return tuple(int(part) for part in version("gsplat").split("+")[0].split(".")[:2])


def _resets_never() -> bool:
    """gsplat 1.5 compares ``step % reset_every == 0 & step > 0``, which python reads as a chain that is never true."""
    return _gsplat_version() >= (1, 5)
