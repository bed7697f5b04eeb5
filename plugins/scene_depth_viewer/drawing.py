"""What stands in the page's 3D scene for all browsers: splats, the key frames of a path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import viser
from numpy.typing import NDArray

from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splats import GaussianSplats
from scene_depth_viewer.camera_path import Key
from scene_depth_viewer.page_frame import PageFrame
from scene_depth_viewer.viser_versions import add_line, add_splats, change_splats

LARGEST_SIGMA = 200.0  # page units; its square still is a float16, in which viser sends covariances
LEAST_OPACITY = 1 / 255
KEY_COLOR = (255, 140, 0)
KEY_RADIUS = 0.04  # page units
PATH_PRECISION = 200  # points at most of the path's line


@dataclass(frozen=True)
class PageSplats:
    """Splats as viser draws them, SH degree 0.

    Attributes:
        centers: In page units  # [N, 3]
        covariances: # [N, 3, 3]
        rgbs: sRGB in [0, 1]  # [N, 3]
        opacities: # [N, 1]
    """

    centers: NDArray[np.float32]
    covariances: NDArray[np.float64]
    rgbs: NDArray[np.float32]
    opacities: NDArray[np.float32]


def page_splats(splats: GaussianSplats, ratio: float) -> PageSplats:
    """Splats for the page; those that are not finite or cannot be seen are left out.

    Args:
        splats: In the scene's frame.
        ratio: Page units a scene unit.
    """
    plain = splats.detach().to("cpu")
    values = torch.cat([plain.means, plain.quats, plain.log_scales, plain.logit_opacities[:, None], plain.sh[:, 0]], dim=1)
    good = torch.isfinite(values).all(1) & (plain.quats.norm(dim=1) > 0) & (plain.opacities >= LEAST_OPACITY)
    kept = plain.select(good)
    sigmas = (kept.scales.double() * ratio).clamp(1e-6, LARGEST_SIGMA)
    axes = quaternions_to_matrices(kept.quats.double()) * sigmas[:, None]
    covariances = axes @ axes.transpose(1, 2) + 1e-9 * torch.eye(3, dtype=torch.float64)
    return PageSplats(
        centers=(kept.means.double() * ratio).float().numpy(),
        covariances=covariances.numpy(),
        rgbs=kept.base_colors.clamp(0, 1).float().numpy(),
        opacities=kept.opacities[:, None].float().numpy(),
    )


class Drawing:
    """The nodes of the page's scene.

    Args:
        server: The page.
        frame: Its frame.
    """

    def __init__(self, server: viser.ViserServer, frame: PageFrame):
        self._server, self._scene, self._frame = server, server.scene, frame
        self._drawn = 0
        self._splats: Any = None
        self._keys: list[Any] = []
        self._visible = True
        self._scene.set_up_direction(tuple(frame.up.tolist()))

    def draw_splats(self, splats: GaussianSplats) -> None:
        """Puts splats in place of those drawn before."""
        page = page_splats(splats, self._frame.ratio)
        if not len(page.centers):
            if self._splats is not None:
                self._splats.visible = False
            return
        arrays = (page.centers, page.covariances, page.rgbs, page.opacities)
        if self._splats is not None and change_splats(self._splats, *arrays):
            self._splats.visible = self._visible
            return
        former, self._drawn = self._splats, self._drawn + 1
        with self._server.atomic():
            self._splats = add_splats(self._scene, f"/splats{self._drawn}", *arrays, visible=self._visible)
            if former is not None:
                former.remove()

    def show_splats(self, visible: bool) -> None:
        """Shows or hides the splats, which the browser draws."""
        self._visible = visible
        if self._splats is not None:
            self._splats.visible = visible

    def draw_path(self, keys: list[Key], frames: list[Key]) -> None:
        """Draws key frames as balls, which do not hide the view from inside, and the path as a line."""
        for node in self._keys:
            node.remove()
        self._keys = []
        for number, place in enumerate(self._frame.to_page(_places(keys))):
            node = self._scene.add_icosphere(f"/path/key{number}", radius=KEY_RADIUS, color=KEY_COLOR, position=place)
            self._keys.append(node)
        line = frames[:: max(1, len(frames) // PATH_PRECISION)]
        if len(line) >= 2:
            points = self._frame.to_page(_places(line)).astype(np.float32)
            if np.ptp(points, axis=0).max() > 1e-4:
                self._keys.append(add_line(self._scene, "/path/line", points, KEY_COLOR))


def _places(keys: list[Key]) -> NDArray[np.float64]:
    return np.array([key.camera_to_world[:3, 3] for key in keys]).reshape(-1, 3)
