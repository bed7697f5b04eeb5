"""Poses and focal lengths that are refined while splats are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.fitting.config import CameraRefinement
from scene_depth.fitting.parameters import restore_optimizers, save_parameters
from scene_depth.fitting.relocation import Optimizers, Parameters


class RefinedCameras:
    """The cameras of a fit under way.

    Args:
        settings: How they are refined.
        cameras: As they are given, one a view.
        extent: Size of the scene, in scene units.
        anchored: Whether something else, such as frozen splats, holds the frame.
        saved: What ``state`` gave, to go on from.
    """

    def __init__(
        self,
        settings: CameraRefinement,
        cameras: Sequence[Cameras],
        extent: float,
        *,
        anchored: bool = False,
        saved: dict[str, dict[str, Tensor]] | None = None,
    ) -> None:
        self.settings, self.extent = settings, extent
        focals = {"keep": 0, "shared": 1, "each": len(cameras)}[settings.focal]
        start = {"increments": torch.zeros(len(cameras), 6).double(), "log_focals": torch.zeros(focals).double()}
        values = {name: saved[name]["value"].clone() for name in start} if saved else start
        self.parameters: Parameters = {name: torch.nn.Parameter(value) for name, value in values.items()}
        decays = {"increments": settings.camera_decay, "log_focals": 0.0}
        self.optimizers: Optimizers = {
            name: torch.optim.Adam([each], eps=1e-15, weight_decay=decays[name]) for name, each in self.parameters.items()
        }
        if saved:
            restore_optimizers(saved, self.parameters, self.optimizers)
        self._common = None if anchored else common_motions(cameras, extent)

    def camera(self, index: int, given: Cameras) -> Cameras:
        """A view's camera at any size, refined; gradients flow into the parameters."""
        increment, log_focals = self.parameters["increments"][index], self.parameters["log_focals"]
        pose = given.camera_to_world[0].double()
        rotation = pose[:3, :3] @ torch.linalg.matrix_exp(_cross_matrix(increment[:3]))
        center = pose[:3, 3] + self.extent * increment[3:]
        upper = torch.cat([rotation, center[:, None]], dim=1)
        K = given.K.double()
        if len(log_focals):
            factor = log_focals[index if len(log_focals) > 1 else 0].exp()
            K = torch.cat([K[..., :2, :2] * factor, K[..., :2, 2:]], dim=-1)
            K = torch.cat([K, given.K[:, 2:].double()], dim=1)
        return replace(given, camera_to_world=torch.cat([upper, pose[3:]])[None], K=K)

    def step(self, progress: float) -> None:
        """One step of the optimizers; gradients are dropped.

        Args:
            progress: Share of the steps, up to 1 at the last one.
        """
        fall = self.settings.camera_lr_final**progress
        rates = {"increments": self.settings.camera_lr * fall, "log_focals": self.settings.focal_lr * fall}
        for name, optimizer in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = rates[name]
            if progress > self.settings.camera_start:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self._common is not None:
            with torch.no_grad():
                flat = self.parameters["increments"].view(-1)
                flat -= self._common @ (self._common.T @ flat)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Where the refinement stands; shares memory with it."""
        return save_parameters(self.parameters, self.optimizers)

    @torch.no_grad()
    def finished(self, given: Sequence[Cameras]) -> list[Cameras]:
        """The refined cameras at the sizes of the given ones, float64."""
        return [self.camera(index, camera) for index, camera in enumerate(given)]

    def measures(self) -> dict[str, Any]:
        """How far cameras were turned and moved, and by which factors focal lengths changed, for the report."""
        increments = self.parameters["increments"].detach().numpy()
        turned = np.degrees(np.linalg.norm(increments[:, :3], axis=1))
        moved = self.extent * np.linalg.norm(increments[:, 3:], axis=1)
        return {
            "turned_degrees": {"median": float(np.median(turned)), "largest": float(turned.max())},
            "moved": {"median": float(np.median(moved)), "largest": float(moved.max())},
            "focal_factors": self.parameters["log_focals"].detach().exp().tolist(),
        }


def common_motions(cameras: Sequence[Cameras], extent: float) -> Tensor:
    """Orthonormal directions, in the increments of all cameras, of motions and scalings of the whole that no photo can tell.

    Returns:
        At most seven, a column each; of N cameras 6 rows each, rotation in the camera's axes, then shift in extents  # [6 N, 7]
    """
    poses = torch.cat([camera.camera_to_world for camera in cameras]).double().cpu()
    offsets = (poses[:, :3, 3] - poses[:, :3, 3].mean(dim=0)) / extent
    directions = torch.zeros(len(poses), 6, 7, dtype=torch.float64)
    for axis, unit in enumerate(torch.eye(3, dtype=torch.float64)):
        directions[:, 3 + axis, axis] = 1  # shift
        directions[:, :3, 3 + axis] = poses[:, axis, :3]  # rotation about a world axis, in the camera's axes
        directions[:, 3:, 3 + axis] = torch.linalg.cross(unit.expand_as(offsets), offsets)
    directions[:, 3:, 6] = offsets  # scale
    columns, sizes, _ = torch.linalg.svd(directions.reshape(-1, 7), full_matrices=False)
    independent: Tensor = columns[:, sizes > 1e-6 * sizes[0]]
    return independent


def _cross_matrix(vector: Tensor) -> Tensor:
    """The matrix whose product with another vector is the cross product  # [3, 3]"""
    x, y, z = vector.unbind()
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
