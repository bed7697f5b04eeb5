"""The trainable splats, their and optimizers, in the shape that gsplat's strategies work on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scene_depth.fitting.config import SettledConfig
from scene_depth.fitting.relocation import Optimizers, Parameters
from scene_depth.splats import GaussianSplats

NAMES = ("means", "scales", "quats", "opacities", "sh0", "shN")  # gsplat's; scales and opacities before activation


@dataclass
class Trainable:
    """Splats that change, one row a splat.

    Attributes:
        parameters: By gsplat's names; sh0 [N, 1, 3], shN [N, K - 1, 3] of the bands in use so far.
        optimizers: One fused Adam each.
        antialiased: Kind of the splats.
    """

    parameters: Parameters
    optimizers: Optimizers
    antialiased: bool

    def __len__(self) -> int:
        return len(self.parameters["means"])

    def splats(self) -> GaussianSplats:
        """The splats, for rendering: gradients flow into the parameters."""
        p = self.parameters
        sh = torch.cat([p["sh0"], p["shN"]], dim=1) if p["shN"].shape[1] else p["sh0"]
        return GaussianSplats(p["means"], p["quats"], p["scales"], p["opacities"], sh, antialiased=self.antialiased)

    def raise_sh_degree(self, degree: int) -> None:
        """Adds bands of zeros up to a degree; does nothing if they are there."""
        old = self.parameters["shN"]
        missing = (degree + 1) ** 2 - 1 - old.shape[1]
        if missing <= 0:
            return
        optimizer = self.optimizers["shN"]
        remembered = optimizer.state.pop(old, {})
        new = torch.nn.Parameter(_with_bands(old.detach(), missing))
        if remembered:
            optimizer.state[new] = {k: v if k == "step" else _with_bands(v, missing) for k, v in remembered.items()}
        optimizer.param_groups[0]["params"] = [new]
        self.parameters["shN"] = new

    def set_learning_rates(self, rates: dict[str, float]) -> None:
        for name, rate in rates.items():
            self.optimizers[name].param_groups[0]["lr"] = rate

    def step(self) -> None:
        """One step of all optimizers; gradients are dropped."""
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


def trainable_splats(splats: GaussianSplats, config: SettledConfig) -> Trainable:
    """Parameters that start as copies of the given splats, with new optimizers."""
    copy = splats.detach().map(lambda values: values.float().clone().contiguous())
    if copy.sh_degree > config.sh_degree:
        copy = copy.with_sh_degree(config.sh_degree)
    values = (copy.means, copy.log_scales, copy.quats, copy.logit_opacities, copy.sh[:, :1].clone(), copy.sh[:, 1:].clone())
    return _trainable(dict(zip(NAMES, values, strict=True)), config.antialiased)


def save_parameters(parameters: Parameters, optimizers: Optimizers) -> dict[str, dict[str, Tensor]]:
    """Parameters and what their optimizers remember, as plain tensors that share memory with them."""
    return {
        name: {"value": parameter.detach(), **optimizers[name].state.get(parameter, {})} for name, parameter in parameters.items()
    }


def load_trainable(saved: dict[str, dict[str, Tensor]], antialiased: bool) -> Trainable:
    """Splats from what :func:`save_parameters` gave; continues bit for bit. The saved tensors are copied."""
    trainable = _trainable({name: saved[name]["value"].clone() for name in NAMES}, antialiased)
    restore_optimizers(saved, trainable.parameters, trainable.optimizers)
    return trainable


def restore_optimizers(saved: dict[str, dict[str, Tensor]], parameters: Parameters, optimizers: Optimizers) -> None:
    """Lets optimizers remember what was saved; the saved tensors are copied."""
    for name, parameter in parameters.items():
        remembered = {key: values.clone() for key, values in saved[name].items() if key != "value"}
        if remembered:
            optimizers[name].state[parameter] = remembered


def _trainable(values: dict[str, Tensor], antialiased: bool) -> Trainable:
    parameters = {name: torch.nn.Parameter(tensor) for name, tensor in values.items()}
    optimizers: Optimizers = {name: torch.optim.Adam([each], eps=1e-15, fused=True) for name, each in parameters.items()}
    return Trainable(parameters, optimizers, antialiased)


def _with_bands(values: Tensor, missing: int) -> Tensor:
    return torch.cat([values, values.new_zeros(len(values), missing, 3)], dim=1)
