"""Density control: strategies as values, with the interface of gsplat's strategies, in torch operations for any device.

A strategy only says what is wanted. What it remembers of a fit lies in a dictionary that ``initialize_state`` makes and a
checkpoint holds. ``step_pre_backward`` is called before a loss is differentiated, ``step_post_backward`` once a step, after the
optimizers have stepped.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.fitting.relocation import (
    Optimizers,
    Parameters,
    add_copies,
    add_rows,
    edit_rows,
    opacities_of,
    relocate_dead,
    shake_faint,
    with_zeros,
)
from scene_depth.rotations import quaternions_to_matrices

State = dict[str, Any]  # as in gsplat
SMALL, LARGE = 0.01, 0.1  # scales in scene extents: below it "default" copies and does not split; above it, it removes
SHRINK = 1.6  # by which the halves of a split splat are narrower


def require(settings: object, names: str, accepted: str, good: Callable[[float], bool] = lambda value: value >= 0) -> None:
    """Checks fields of a settings class, given by their names with spaces between; None passes.

    Raises:
        InputError: Naming the first field that is not finite or not good.
    """
    for name in names.split():
        value = getattr(settings, name)
        if value is not None and not (math.isfinite(value) and good(value)):
            raise InputError(name, value, accepted)


@dataclass(frozen=True)
class Strategy(ABC):
    """What all strategies have."""

    refine_every: int = 100
    """Steps between changes of the number of splats."""
    refine_start: int = 300
    """Step after which the number of splats may change."""
    refine_stop: float = 0.85
    """Share of the steps after which it no longer changes."""
    min_opacity: float = 0.005
    """Opacity below which a splat is removed or moved."""

    name: ClassVar[str]
    needs_gradients: ClassVar[bool] = True
    """Whether ``step_post_backward`` reads the gradients by the projected means."""

    def __post_init__(self) -> None:
        require(self, "refine_every", "1 or more", lambda value: value >= 1)
        require(self, "refine_stop", "0 to 1", lambda value: 0 <= value <= 1)
        require(self, "min_opacity", "between 0 and 1", lambda value: 0 < value < 1)

    def check_sanity(self, params: Parameters, optimizers: Optimizers) -> None:
        """Checks that there is an optimizer with one group for each parameter, and the parameters that strategies change.

        Raises:
            InputError: Naming what is missing.
        """
        missing = {"means", "scales", "quats", "opacities"} - set(params)
        if missing or set(params) != set(optimizers) or any(len(it.param_groups) != 1 for it in optimizers.values()):
            found = f"{sorted(params)} and optimizers {sorted(optimizers)}"
            raise InputError("params", found, "means, scales, quats, opacities and one optimizer of one group for each")

    def initialize_state(self, scene_scale: float = 1.0, *, steps: int = 30_000, max_splats: int = 1_000_000) -> State:
        """What the strategy remembers before the first step.

        Args:
            scene_scale: Size of the scene, in scene units.
            steps: Steps of the whole fit.
            max_splats: Number of splats that may be reached.
        """
        return {"scene_scale": scene_scale, "last_step": round(self.refine_stop * steps), "max_splats": max_splats}

    def step_pre_backward(self, params: Parameters, optimizers: Optimizers, state: State, step: int, info: State) -> None:
        """Lets the gradient by the projected means be kept."""
        if self.needs_gradients:
            info["means2d"].retain_grad()

    @abstractmethod
    def step_post_backward(
        self, params: Parameters, optimizers: Optimizers, state: State, step: int, info: State, lr: float
    ) -> None:
        """Adds, moves and removes splats.

        Args:
            params, optimizers: By gsplat's names; changed in place.
            state: What ``initialize_state`` gave; changed in place.
            step: From 1.
            info: What rasterisation tells in gsplat: ``means2d`` with a gradient  # [C, N, 2], ``radii``  # [C, N] or
                [C, N, 2], ``width``, ``height`` and ``n_cameras``.
            lr: Learning rate of the means at this step.
        """

    def _remember(self, state: State, info: State, absgrad: bool = False) -> None:
        """Adds up how strongly the pictures pull at each splat, in half image sizes, and how many of them see it."""
        gradients = vars(info["means2d"])["absgrad"] if absgrad else info["means2d"].grad
        gradients = gradients * (0.5 * info["n_cameras"] * gradients.new_tensor([info["width"], info["height"]]))
        seen = info["radii"] > 0
        pull, sightings = gradients.norm(dim=-1).sum(0), (seen.all(-1) if seen.ndim == 3 else seen).sum(0).float()
        if "pull" in state:
            pull, sightings = state["pull"] + pull, state["sightings"] + sightings
        state.update(pull=pull, sightings=sightings)

    def _mean_pull(self, state: State) -> Tensor:
        """Mean over the sightings since the last call  # [N]"""
        pull: Tensor = state.pop("pull") / state.pop("sightings").clamp_min(1)
        return pull


@dataclass(frozen=True)
class MCMC(Strategy):
    """3DGS-MCMC (Kheradmand et al. 2024): splats of low opacity move onto others, drawn by opacity, and all wander.

    Example:
        >>> import scene_depth as sd
        >>> sd.FitConfig(density=sd.MCMC(noise=1e5)).density.noise
        100000.0
    """

    noise: float = 5e5
    """Size of the random moves, times the learning rate of the means."""
    opacity_penalty: float = 0.01
    """Weight of the mean opacity in the loss."""
    scale_penalty: float = 0.004
    """Weight of the mean scale, in scene extents, in the loss."""
    name: ClassVar[str] = "mcmc"
    needs_gradients: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "noise opacity_penalty scale_penalty", "a finite number, 0 or more")

    def step_post_backward(
        self, params: Parameters, optimizers: Optimizers, state: State, step: int, info: State, lr: float
    ) -> None:
        if self.refine_start < step < state["last_step"] and step % self.refine_every == 0:
            self._refine(params, optimizers, state, lambda: opacities_of(params))
        shake_faint(params, amount=lr * self.noise)

    def _refine(self, params: Parameters, optimizers: Optimizers, state: State, weights: Callable[[], Tensor]) -> None:
        """Moves the faint and adds 5 percent, as far as there is room, onto splats that are drawn by weight."""
        relocate_dead(params, optimizers, weights(), min_opacity=self.min_opacity)
        count = len(params["means"])
        number = min(state["max_splats"], int(1.05 * count)) - count
        add_copies(params, optimizers, weights(), number=number, min_opacity=self.min_opacity)


@dataclass(frozen=True)
class Guided(MCMC):
    """3DGS-MCMC, but splats that take in others are drawn by how strongly the pictures pull at them.

    The size of the gradient by the projected mean is where the reference trainer looks for missing detail; drawing by it, with
    the number of splats fixed, spends a small number of splats where they help most.

    Example:
        >>> import scene_depth as sd
        >>> sd.FitConfig().density == sd.Guided(refine_every=100)
        True
    """

    name: ClassVar[str] = "guided"
    needs_gradients: ClassVar[bool] = True

    def step_post_backward(
        self, params: Parameters, optimizers: Optimizers, state: State, step: int, info: State, lr: float
    ) -> None:
        if step <= state["last_step"]:
            self._remember(state, info)
            if step > self.refine_start and step % self.refine_every == 0:
                weights, alive = self._mean_pull(state), opacities_of(params) > self.min_opacity
                weights = torch.where(alive, weights, torch.zeros_like(weights))
                self._refine(params, optimizers, state, lambda: weights)
        shake_faint(params, amount=lr * self.noise)


@dataclass(frozen=True)
class Default(Strategy):
    """Density control of the reference trainer (Kerbl et al. 2023), which is gsplat's DefaultStrategy, within a number of splats.

    Splats that the pictures pull at are copied if they are small and split if they are large; faint and, after the first
    reset of the opacities, large ones are removed.

    Example:
        >>> import scene_depth as sd
        >>> sd.FitConfig(density=sd.Default(absgrad=True, grow_gradient=0.0008)).density.absgrad
        True
    """

    grow_gradient: float = 0.0002
    """Gradient of a splat's projected mean, in half image widths, above which it is copied or split."""
    absgrad: bool = False
    """Add up absolute gradients (AbsGS); wants grow_gradient about 0.0008."""
    reset_every: int = 3000
    """Steps between resets of all opacities."""
    name: ClassVar[str] = "default"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "grow_gradient", "a finite number, 0 or more")
        require(self, "reset_every", "1 or more", lambda value: value >= 1)

    def step_post_backward(
        self, params: Parameters, optimizers: Optimizers, state: State, step: int, info: State, lr: float
    ) -> None:
        if step >= state["last_step"]:
            return
        self._remember(state, info, self.absgrad)
        if step > self.refine_start and step % self.refine_every == 0:
            self._grow(params, optimizers, state)
            self._prune(params, optimizers, LARGE * state["scene_scale"] if step > self.reset_every else None)
        if step % self.reset_every == 0:
            top = torch.logit(torch.tensor(2 * self.min_opacity)).item()
            edit_rows(params, optimizers, lambda name, values: values.clamp(max=top), torch.zeros_like, ("opacities",))

    @torch.no_grad()
    def _grow(self, params: Parameters, optimizers: Optimizers, state: State) -> None:
        """Copies and splits, those with the strongest pull where there is not room for all."""
        pull, least, room = self._mean_pull(state), self.grow_gradient, state["max_splats"] - len(params["means"])
        if room < len(pull):
            least = max(least, float(pull.sort(descending=True).values[max(room, 0)]))
        grows, small = pull > least, params["scales"].exp().amax(-1) <= SMALL * state["scene_scale"]
        copied, split = (grows & small).nonzero()[:, 0], (grows & ~small).nonzero()[:, 0]
        if len(copied):
            add_rows(params, optimizers, copied)
        if len(split) == 0:
            return
        scales = params["scales"][split].exp()
        kept = torch.ones(len(params["means"]), dtype=torch.bool, device=pull.device)
        kept[split] = False
        noise = torch.randn(2, len(split), 3, device=pull.device)
        moves = torch.einsum("nij,nj,bnj->bni", quaternions_to_matrices(params["quats"][split]), scales, noise)

        def halves(name: str, values: Tensor) -> Tensor:
            new = values[split].repeat(2, *[1] * (values.ndim - 1))
            if name == "means":
                new += moves.flatten(0, 1)
            elif name == "scales":
                new = (scales / SHRINK).log().repeat(2, 1)
            return torch.cat([values[kept], new])

        edit_rows(params, optimizers, halves, lambda moments: with_zeros(moments[kept], 2 * len(split)))

    @torch.no_grad()
    def _prune(self, params: Parameters, optimizers: Optimizers, largest: float | None) -> None:
        """Removes faint splats, and those of a scale above ``largest``, in scene units."""
        kept = opacities_of(params) >= self.min_opacity
        if largest is not None:
            kept &= params["scales"].exp().amax(-1) <= largest
        if not bool(kept.all()):
            edit_rows(params, optimizers, lambda name, values: values[kept], lambda moments: moments[kept])


def views_info(seen: list[tuple[Tensor, Tensor]], absgrad: bool) -> State:
    """What the views of a step saw, as one ``info``.

    Args:
        seen: For each view the gradient by the projected means in half image sizes  # [1, N, 2], and radii  # [1, N]
        absgrad: Whether the gradients are absolute.
    """
    gradients, radii = (torch.cat(parts) for parts in zip(*seen, strict=True))
    means2d = torch.zeros_like(gradients)
    means2d.grad = gradients
    if absgrad:
        vars(means2d)["absgrad"] = gradients
    return {"means2d": means2d, "radii": radii, "width": 2, "height": 2, "n_cameras": 1}  # views differ in size, half of 2 is 1


@contextmanager
def seeded(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """torch's global generators set by seed and step inside the block and restored after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed((seed * 1_000_003 + step) & 0x7FFF_FFFF_FFFF_FFFF)
        yield
