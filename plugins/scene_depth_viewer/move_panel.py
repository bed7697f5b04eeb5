"""The folder that moves, copies, hides and locks the selection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scene_depth_heal.history import HIDDEN, LOCKED, Step
from scene_depth_heal.selection import Box

from scene_depth.errors import InputError
from scene_depth.rotations import matrices_to_quaternions
from scene_depth.splat_transforms import euler_rotation, similarity_matrix
from scene_depth_viewer.gizmo import Gizmo, as_vector
from scene_depth_viewer.page import Page, Vector

COLOR = (0, 190, 255)  # as selected splats are tinted
BULK = (0.02, 0.98)  # quantiles of the places of the selected splats between which the outline lies
THINNEST = 1e-3  # side of the outline, of its longest one
NOWHERE = (0.0, 0.0, 0.0)


class MoveFolder:
    """The folder. Its typed numbers are the move; the gizmo writes them and is placed by them."""

    def __init__(self, page: Page):
        self._page, controls = page, page.controls
        power = math.floor(math.log10(page.frame.radius) - 2)
        self._digits = 1 - power
        self._gizmo = Gizmo(page, "/selection", COLOR, self._dragged)
        self._drawn: Step | None = None  # the state whose selection the gizmo stands at
        with controls.folder("Move", open_at_first=False):
            hint = "Arrows and rings at the selection; Move or Duplicate does what they say"
            self.shown = controls.checkbox("Gizmo", False, self.draw, hint)
            self.by = controls.vector("By", NOWHERE, 10.0**power, self.draw, "In scene units")
            self.turn = controls.vector("Turn by", NOWHERE, 1.0, self.draw, "Degrees about x, then y, then z, around its middle")
            self.size = controls.number("Scale", 1.0, 0.01, 100.0, 0.05, self.draw)
            controls.buttons("Selection", ["Move", "Duplicate"], self.change, "Duplicate moves the copy")
            controls.buttons("Visible", ["Hide", "Show all"], self.mark)
            controls.buttons("Editable", ["Lock", "Unlock all"], self.mark, "What is locked or hidden is never selected")
        page.session.listen(self._follow)

    def draw(self, event: Any = None) -> None:
        """Draws the gizmo anew where the numbers put the selection."""
        self._gizmo.show(self._place)

    def change(self, event: Any, what: str) -> None:
        """Moves the selection, or a copy of it, as the numbers say, which are then those of no move."""
        middle, turn = torch.from_numpy(self._bulk()[0]), euler_rotation(*self.turn.value)
        shift = middle + middle.new_tensor(self.by.value) - self.size.value * turn @ middle
        matrix = similarity_matrix(turn, shift, self.size.value)
        self._page.session.transform(matrix, copy=what == "Duplicate")
        self.by.value = self.turn.value = NOWHERE
        self.size.value = 1.0
        self.draw()

    def mark(self, event: Any, what: str) -> None:
        """Hides or locks the selection, or takes that from all splats."""
        session = self._page.session
        if what in ("Hide", "Lock"):
            session.mark(HIDDEN if what == "Hide" else LOCKED, what.lower())
        else:
            session.unmark(HIDDEN if what == "Show all" else LOCKED, what.lower())

    def _place(self) -> Box | None:
        self._drawn = self._page.session.history.present
        if not self.shown.value or not bool(self._drawn.selection.any()):
            return None
        middle, size = self._bulk()
        size = float(self.size.value) * np.maximum(size, max(THINNEST * float(size.max()), 1e-9))
        quat = matrices_to_quaternions(euler_rotation(*self.turn.value))
        return Box(as_vector(middle + self.by.value), as_vector(size), tuple(quat.tolist()))

    def _bulk(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Middle and size of the selection, in scene units  # [3], [3]"""
        state = self._page.session.history.present
        chosen = state.splats.means.detach()[state.selection.to(state.splats.device)].cpu().double().numpy()
        if not len(chosen):
            raise InputError("selection", "no splat", "some splats to move")
        low, high = np.quantile(chosen, BULK, axis=0)
        return 0.5 * (low + high), high - low

    def _follow(self) -> None:
        if self.shown.value and self._page.session.history.present is not self._drawn:
            self._page.try_to(self.draw)

    def _dragged(self, center: Vector, turn: Vector) -> None:
        self.by.value = as_vector(np.array(center) - self._bulk()[0], self._digits)
        self.turn.value = turn
