"""What stands in the page's 3D scene for all browsers: splats, the key frames of a path, and the outline of a region.

Outlines are plain meshes of thin bars, since every viser version has those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import viser
from numpy.typing import NDArray
from scene_depth_heal.selection import Box, Region

from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splats import GaussianSplats
from scene_depth_viewer.camera_path import Key
from scene_depth_viewer.page_frame import PageFrame
from scene_depth_viewer.viser_versions import add_line, add_splats, change_splats, sent_together

LARGEST_SIGMA = 200.0  # page units; its square still is a float16, in which viser sends covariances
LEAST_OPACITY = 1 / 255
KEY_COLOR = (255, 140, 0)
KEY_RADIUS = 0.04  # page units
PATH_PRECISION = 200  # points at most of the path's line
SEGMENTS = 48  # of a sphere's rings
THICKNESS = 0.006  # of the bars that show a region, in sizes of it

Mesh = tuple[NDArray[np.float32], NDArray[np.uint32]]

_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_FACES = np.array(
    [
        [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5]],
        [[0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]],
        [[0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]],
    ]
).reshape(12, 3)


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
    """Splats for the page, of ``ratio`` units a scene unit; those that are not finite or cannot be seen are left out."""
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
    """The nodes of the page's scene."""

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
        with sent_together(self._server):
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


def region_mesh(region: Region, ratio: float) -> Mesh:
    """Vertices and triangles of a region's outline, around its own centre and along its own axes.

    Returns:
        Vertices in page units, ``ratio`` of them a scene unit  # [V, 3]
        Triangles  # [T, 3]
    """
    if isinstance(region, Box):
        return _box_edges(np.array(region.size) * ratio)
    return _rings(region.radius * ratio)


def _box_edges(size: NDArray[np.float64]) -> Mesh:
    thick = THICKNESS * float(size.mean())
    bars = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        for signs in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)):
            center, extent = np.zeros(3), np.full(3, thick)
            extent[axis] = size[axis] + thick
            center[others] = np.array(signs) * size[others]
            bars.append(_CORNERS * extent + center)
    return _joined(bars, _FACES)


def _rings(radius: float) -> Mesh:
    angles = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    bars = []
    for axis in range(3):
        for angle in angles:
            along, out = np.zeros(3), np.zeros(3)
            out[(axis + 1) % 3], out[(axis + 2) % 3] = np.cos(angle), np.sin(angle)
            along[(axis + 1) % 3], along[(axis + 2) % 3] = -np.sin(angle), np.cos(angle)
            normal = np.eye(3)[axis]
            thick = 2 * THICKNESS * radius
            basis = np.stack([along * 2 * np.pi * radius / SEGMENTS * 1.05, out * thick, normal * thick])
            bars.append(_CORNERS @ basis + radius * out)
    return _joined(bars, _FACES)


def _joined(bars: list[NDArray[np.float64]], faces: NDArray[np.int64]) -> Mesh:
    vertices = np.concatenate(bars).astype(np.float32)
    offsets = (np.arange(len(bars)) * len(_CORNERS))[:, None, None]
    return vertices, (faces[None] + offsets).reshape(-1, 3).astype(np.uint32)
