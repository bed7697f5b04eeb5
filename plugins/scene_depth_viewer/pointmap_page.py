"""The page of a refined pointmap result: points of each view before and after, coloured by photo, flag or uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scene_depth_heal.hole import HealView
from scene_depth_heal.session import EditSession

from scene_depth.arrays import Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.depth.preview import color_depth
from scene_depth.errors import InputError
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth_viewer.page import Page, plain_text
from scene_depth_viewer.viewer import add_view_tab

if TYPE_CHECKING:
    from scene_depth_sparse.result import RefinedPointmaps, RefinedView

ALL = "All views"
REFINED, GIVEN, ONLY_CHANGED = "Refined", "As given", "Refined, what changed"
DEPTHS = (REFINED, GIVEN, ONLY_CHANGED)
PHOTO, FLAG, SIGMA = "Photo", "Flag", "Uncertainty"
LEAST_SIGMA, LARGEST_SIGMA = 0.01, 0.2  # relative; drawn as the nearest and the farthest depth are
CHANGED = 0.002  # relative change of depth from which a pixel is one that changed
MOST_POINTS = 300_000  # of all views together; every n-th pixel of each row and column, n odd, is drawn
SPREAD = 0.5  # pixels of what is drawn
HELP = (
    "Points of each view. *Before*, in the View tab, and its comparison with *As opened* show what the model gave. Flags: green "
    "matched by another view, yellow seen by one view alone, red contradicted, dark blue edge, light blue shell (sky). "
    "Uncertainty: red is sure, blue is 20 % or more."
)


class PointmapPage(Page):
    """Shows what was made of a pointmap result.

    Args:
        result: The refined result.
        pictures: What the model saw of each view, or None  # [H, W, 3]
        flags: Names of the flags that points can have.
        colors: sRGB of each flag  # [flags, 3]
        port: Port to listen on; the next free one is taken if it is in use.
        export_dir: Folder of the page's files.

    Raises:
        InputError: If no view has depth.
    """

    def __init__(
        self,
        result: RefinedPointmaps,
        pictures: Sequence[Picture | None],
        flags: Sequence[str],
        colors: NDArray[np.float32],
        port: int,
        export_dir: Path,
    ):
        self._result, self._colors = result, colors
        self._pictures = [_picture(*pair) for pair in zip(result.views, pictures, strict=True)]
        self._stride = point_stride(result)
        self._shown = dict.fromkeys(flags, True)
        photos = [
            HealView(view.name, view.camera, torch.from_numpy(picture))
            for view, picture in zip(result.views, self._pictures, strict=True)
        ]
        super().__init__(EditSession(self._points(ALL, GIVEN, PHOTO), photos, undo_bytes=1), port=port, export_dir=export_dir)
        self._draw()

    def add_panels(self) -> None:
        """Adds the tab that chooses what is shown, and the one that says how."""
        tabs = self.server.gui.add_tab_group()
        with tabs.add_tab("Pointmaps"):
            self._text = self.controls.gui.add_markdown("")
            self._view = self.controls.dropdown("Of", [ALL, *(view.name for view in self._result.views)], ALL, self._changed)
            self._depth = self.controls.dropdown("Points", DEPTHS, REFINED, self._changed)
            self._color = self.controls.dropdown("In colours of", (PHOTO, FLAG, SIGMA), FLAG, self._changed)
            with self.controls.folder("Flags"):
                for name in self._shown:
                    self.controls.checkbox(name, True, self._shower(name))
            self.controls.button("Stand there", self._stand, hint="Where the chosen view was taken")
            self.controls.gui.add_markdown(HELP)
        with tabs.add_tab("View"):
            add_view_tab(self)

    def _shower(self, name: str) -> Callable[[Any], None]:
        def change(event: Any) -> None:
            self._shown[name] = bool(event.target.value)
            self._draw()

        return change

    def _changed(self, event: Any) -> None:
        self._draw()

    def _stand(self, event: Any) -> None:
        names = [view.name for view in self._result.views]
        if self._view.value == ALL:
            raise InputError("Of", ALL, "one view, to stand where it was taken")
        number = names.index(self._view.value)
        self.view_of(event).jump(self._result.views[number].camera, number)

    def _draw(self) -> None:
        chosen = str(self._view.value)
        points = self._points(chosen, str(self._depth.value), str(self._color.value))
        self.session.replace(points, f"{chosen}, {self._depth.value}, {self._color.value}")
        self._text.content = "  \n".join(map(plain_text, [f"{len(points):,} points", *self._lines(chosen)]))

    def _points(self, chosen: str, depth: str, color: str) -> GaussianSplats:
        """The points as they are asked for.

        Raises:
            InputError: If nothing of what is chosen has such points.
        """
        parts = []
        for view, picture in zip(self._result.views, self._pictures, strict=True):
            if chosen in (ALL, view.name):
                where = self._where(view, depth)
                if where.any():
                    parts.append(points_of_view(view, self._colors_of(view, picture, color), where, self._stride, depth == GIVEN))
        if not parts:
            raise InputError("points", f"none of {chosen} that are {depth.lower()} and of the flags chosen", "another choice")
        return concatenate_splats(parts)

    def _where(self, view: RefinedView, depth: str) -> Mask:
        """Pixels that are drawn, among those that every stride meets  # [H, W]"""
        flags = [flag for flag, shown in enumerate(self._shown.values()) if shown]
        drawn = np.isin(view.flags, flags) & ((view.source.depth if depth == GIVEN else view.depth) > 0)
        if depth == ONLY_CHANGED:
            drawn &= np.abs(view.depth - view.source.depth) > CHANGED * view.source.depth
        met = np.zeros_like(drawn)
        met[_every(self._stride)] = True
        where: Mask = drawn & met
        return where

    def _colors_of(self, view: RefinedView, picture: Picture, color: str) -> NDArray[np.float32]:
        if color == FLAG:
            flags: NDArray[np.float32] = self._colors[view.flags]
            return flags
        if color == SIGMA:
            return color_depth(np.clip(view.sigma, LEAST_SIGMA, LARGEST_SIGMA), LEAST_SIGMA, LARGEST_SIGMA)
        return picture

    def _lines(self, chosen: str) -> list[str]:
        report = self._result.report
        rows = [row for row in report.views if chosen in (ALL, row["name"])]
        shares = {name: float(np.mean([row["shares"][name] for row in rows])) for name in self._shown}
        flags = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.005)
        return [flags, f"views agree within {report.tolerance:.1%}"]


def point_stride(result: RefinedPointmaps) -> int:
    """Every how many rows and columns pixels are drawn, so that there are not too many points."""
    pixels = sum(view.depth.size for view in result.views)
    stride = int(np.ceil((pixels / MOST_POINTS) ** 0.5))
    return stride + 1 - stride % 2  # the middle of an odd block of pixels is the middle of one of them


def points_of_view(view: RefinedView, colors: Picture, where: Mask, stride: int, given: bool) -> GaussianSplats:
    """Discs towards the camera, as wide as what they stand for, at every n-th pixel of a view.

    Args:
        view: The view.
        colors: What they show  # [H, W, 3]
        where: Pixels that may be drawn  # [H, W]
        stride: n, odd.
        given: Whether the model's depth is meant in place of the refined one.
    """
    source = view.source.depth * np.float32(view.depth_scale) if given else view.aligned_depth()
    place = _every(stride)
    depth, there = source[place], where[place]
    K = view.camera.K.double().clone()
    K[:, :2] /= stride  # the middle of the k-th block is that of its middle pixel
    small = Cameras(view.camera.camera_to_world.double(), K, depth.shape[1], depth.shape[0])
    towards = np.zeros((*depth.shape, 3), np.float32)
    towards[..., 2] = -1
    return splats_on_depth(colors[place], depth, there, small, spread=SPREAD, largest_jump=np.inf, normals=towards)


def _every(stride: int) -> tuple[slice, slice]:
    return slice(stride // 2, None, stride), slice(stride // 2, None, stride)


def _picture(view: RefinedView, picture: Picture | None) -> Picture:
    return np.full((*view.depth.shape, 3), np.float32(0.5)) if picture is None else picture
