"""The editor among the custom elements of nerfstudio's own viewer: select, grow, delete, heal, undo, save.

nerfstudio calls the hooks of buttons with its train lock held, but not those of the mouse, which take it here. A heal runs
beside the page, on the splats as they are when it begins; training is paused meanwhile.

nerfstudio orders elements by the names of their attributes, and shows none whose name begins with an underscore.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from nerfstudio.viewer.viewer_elements import (
    ViewerButton,
    ViewerClick,
    ViewerControl,
    ViewerDropdown,
    ViewerRectSelect,
    ViewerSlider,
    ViewerText,
    ViewerVec3,
)
from scene_depth_heal.clicks import Click, ClickSeries, select_by_clicks
from scene_depth_heal.hole import HealView
from scene_depth_heal.picking import in_rectangle
from scene_depth_heal.selection import Box
from scene_depth_heal.session import EditSession
from scene_depth_heal.workflow import HealConfig, HealResult

from scene_depth.cameras import camera_from_fov, look_at
from scene_depth.errors import InputError
from scene_depth.io.splat_files import write_splats
from scene_depth.splat_transforms import transform_splats
from scene_depth.splats import PARAMETERS, GaussianSplats
from scene_depth.work import Progress
from scene_depth_nerfstudio.model import SceneSplatModel, to_cameras
from scene_depth_nerfstudio.scene_data import SceneDataParser

PICKED = 512  # pixels of the longer side of the view that a rectangle is looked up in
CLICK, RECTANGLE = "Select by click", "Select by rectangle"


class HealSettings(Protocol):
    """How heals of the page are made."""

    inpainter: str
    color: str
    heal_steps: int


class EditedPipeline(Protocol):
    """The pipeline whose splats are edited, as far as the editor asks it."""

    config: HealSettings

    @property
    def model(self) -> SceneSplatModel: ...

    @property
    def parser(self) -> SceneDataParser: ...

    def views_for_heals(self) -> list[HealView]: ...

    def show_in_photos(self, result: HealResult) -> None: ...


class SceneEditor(torch.nn.Module):
    """The elements, by attributes whose names give their order; a module, since nerfstudio looks for elements in these alone."""

    def __init__(self, pipeline: EditedPipeline):
        super().__init__()
        self._held = (pipeline,)  # in a tuple, so that it does not become a part of its own part
        self._session: EditSession | None = None
        self._heal: threading.Thread | None = None
        self._clicks = ClickSeries()
        self.control = ViewerControl()
        self.a_status = ViewerText("Status", "nothing selected", disabled=True)
        self.b_mode = ViewerDropdown("Selection", "set", ["set", "add", "remove", "intersect"])
        self.c_click = ViewerButton(CLICK, cb_hook=self._hook(lambda: self._arm("click")))
        self.d_rectangle = ViewerButton(RECTANGLE, cb_hook=self._hook(lambda: self._arm("rect-select")))
        means = pipeline.model.means.detach().cpu().numpy()
        x, y, z = np.median(means, axis=0).round(3).tolist()
        edge = round(float(0.2 * np.ptp(np.quantile(means, [0.1, 0.9], axis=0), axis=0).max()), 3)
        self.e_box_center = ViewerVec3("Box center", (x, y, z), step=0.01)
        self.f_box_size = ViewerVec3("Box size", (edge, edge, edge), step=0.01)
        self.g_box = ViewerButton("Select by box", cb_hook=self._hook(self._select_box))
        self.h_grow = ViewerButton("Grow", cb_hook=self._hook(lambda: self._grow(1)))
        self.i_shrink = ViewerButton("Shrink", cb_hook=self._hook(lambda: self._grow(-1)))
        self.j_delete = ViewerButton("Delete", cb_hook=self._hook(self._delete))
        self.k_steps = ViewerSlider("Heal steps", pipeline.config.heal_steps, 0, 1000, 10)
        self.l_heal = ViewerButton("Heal", cb_hook=self._hook(self._start_heal))
        self.m_cancel = ViewerButton("Cancel heal", cb_hook=lambda _: self._cancel())
        self.n_undo = ViewerButton("Undo", cb_hook=self._hook(lambda: self._step(back=True)))
        self.o_redo = ViewerButton("Redo", cb_hook=self._hook(lambda: self._step(back=False)))
        self.p_file = ViewerText("File", "edited.ply")
        self.q_save = ViewerButton("Save as .ply", cb_hook=self._hook(self._save))

    @property
    def _pipeline(self) -> EditedPipeline:
        return self._held[0]

    def session(self) -> EditSession:
        """What is edited: the splats as training has left them, with everything that was done before."""
        model = self._pipeline.model
        with torch.no_grad():
            now = model.splats().detach()
        if self._session is None:
            self._session = EditSession(now.map(lambda values: values.clone()), self._pipeline.views_for_heals())
        known = self._session.splats
        same = len(known) == len(now) and all(torch.equal(getattr(known, name), getattr(now, name)) for name in PARAMETERS)
        if not same and not self._session.busy:
            selection = self._session.selection
            self._session.replace(now.map(lambda values: values.clone()), "training")
            if len(selection) == len(now) and bool(selection.any()):
                self._session.select(selection, label="training")
        return self._session

    def save(self, path: Path) -> Path:
        """Writes the present splats in the frame and unit of the photos. The caller holds the train lock."""
        with torch.no_grad():
            splats = self._pipeline.model.splats().detach().to("cpu")
        write_splats(path, photos_frame(splats, self._pipeline.parser.photos_to_run))
        return path

    def _hook(self, act: Callable[[], None]) -> Callable[[Any], None]:
        """An act whose errors are said in the status, for elements that hold the train lock."""

        def hook(_: Any) -> None:
            try:
                act()
            except InputError as error:
                self._say(str(error))

        return hook

    def _arm(self, kind: str) -> None:
        """Lets the next click or rectangle in the scene select."""

        def picked(event: ViewerClick | ViewerRectSelect) -> None:
            self.control.unregister_pointer_cb()
            with self._locked():
                self._hook(lambda: self._pick(event))(None)
            self._rerender()

        with contextlib.suppress(Exception):  # nothing was armed
            self.control.unregister_pointer_cb()
        self.control.register_pointer_cb(kind, picked)
        self._say("click on the object in the scene" if kind == "click" else "draw a rectangle over the object in the scene")

    def _pick(self, event: ViewerClick | ViewerRectSelect) -> None:
        session = self.session()
        if isinstance(event, ViewerClick):
            clicks, mode = self._clicks.add(to_click(event), self.b_mode.value, session.selection)
            session.select_by(lambda splats: select_by_clicks(splats, clicks), mode, "select by click")
            self._clicks.led_to = session.selection
            self._show()
            return
        clients = list(self.control.viser_server.get_clients().values())
        aspect = float(clients[0].camera.aspect) if clients else 1.0
        width, height = (PICKED, max(1, round(PICKED / aspect))) if aspect >= 1 else (max(1, round(PICKED * aspect)), PICKED)
        camera = self.control.get_camera(height, width)
        if camera is None:
            raise InputError("page", "no one that looks at the scene", "an open page of the viewer")
        one = to_cameras(camera, camera.camera_to_worlds.float())
        corners = (event.min_bounds, event.max_bounds)
        self._select(in_rectangle(session.splats, one, corners, front_only=True), "select by rectangle")

    def _select_box(self) -> None:
        (x, y, z), (width, height, depth) = self.e_box_center.value, self.f_box_size.value
        splats = self.session().splats
        box = Box((float(x), float(y), float(z)), (float(width), float(height), float(depth)))
        self._select(box.contains(splats.means.double()).cpu(), "select by box")

    def _select(self, chosen: torch.Tensor, label: str) -> None:
        self.session().select(chosen, self.b_mode.value, label)
        self._show()

    def _grow(self, steps: int) -> None:
        self.session().grow_selection(steps)
        self._show()

    def _delete(self) -> None:
        self.session().delete()
        self._show()

    def _step(self, back: bool) -> None:
        session = self.session()
        if not (session.undo() if back else session.redo()):
            raise InputError("history", "nothing more", "an earlier state" if back else "a later state")
        self._show()

    def _save(self) -> None:
        folder = self._folder()
        name = Path(self.p_file.value).name or "edited.ply"
        path = folder / (name if name.endswith(".ply") else f"{name}.ply")
        self._say(f"written: {self.save(path)}")

    def _folder(self) -> Path:
        """The folder of the run; files from the page are written there alone."""
        viewer = getattr(self.control, "viewer", None)
        return Path() if viewer is None else Path(viewer.log_filename).parent

    def _start_heal(self) -> None:
        session, steps = self.session(), int(self.k_steps.value)
        if session.busy:
            raise InputError("heal", "another one that is still running", "one at a time")
        self._say("heal: begins")
        self._heal = threading.Thread(target=self._run_heal, args=(session, steps), daemon=True)
        self._heal.start()

    def _run_heal(self, session: EditSession, steps: int) -> None:
        config, said = self._pipeline.config, [0.0]

        def on_progress(now: Progress) -> None:
            if time.monotonic() - said[0] > 0.5 or now.done == now.total:
                said[0] = time.monotonic()
                self._say(f"heal: {now.stage}, {now.done} of {now.total}")

        with self._paused():
            try:
                result = session.heal(config.inpainter, config.color, HealConfig(steps=steps), on_progress)
            except Exception as error:  # of whatever inpainter: the page lives on
                self._say(f"heal: {error}")
                return
            if not result.report.finished:
                self._say("heal: cancelled")
                return
            with self._locked():
                self._show(result.new)
                self._pipeline.show_in_photos(result)
            self._say(f"healed: {result.new:,} new splats")
        self._rerender()

    def _cancel(self) -> None:
        if self._session is not None:
            self._session.cancel()

    def _show(self, new: int | None = None) -> None:
        """Puts the session's splats into the model, and marks the selection. The train lock is held.

        Args:
            new: How many of them, at the end, a heal has made: where splats are frozen, these alone are trained.
        """
        session, model = self._session, self._pipeline.model
        assert session is not None
        splats, selection = session.shown()
        with torch.no_grad():
            now = model.splats()
        if len(now) != len(splats) or not all(torch.equal(getattr(now, name), getattr(splats, name)) for name in PARAMETERS):
            frozen = min(model.frozen, len(splats) - 1) if new is None else len(splats) - new
            model.exchange_splats(splats, frozen=frozen if model.frozen else 0)
        chosen = 0 if selection is None else int(selection.sum())
        model.marked = selection if chosen else None
        self._say(f"{session.history.labels[-1]}: {chosen:,} of {len(splats):,} splats selected")

    def _say(self, text: str) -> None:
        if self.a_status.gui_handle is not None:
            self.a_status.gui_handle.value = text

    def _viewer(self) -> Any:
        return getattr(self.control, "viewer", None)

    def _locked(self) -> contextlib.AbstractContextManager[Any]:
        viewer = self._viewer()
        lock = None if viewer is None else viewer.train_lock
        return contextlib.nullcontext() if lock is None else lock

    @contextlib.contextmanager
    def _paused(self) -> Any:
        """Training rests inside the block."""
        viewer = self._viewer()
        trainer: Any = getattr(viewer, "trainer", None)
        runs = trainer is not None and trainer.training_state == "training"
        if runs:
            trainer.training_state = "paused"
        try:
            yield
        finally:
            if runs and trainer.training_state == "paused":
                trainer.training_state = "training"

    def _rerender(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer._trigger_rerender()


def to_click(event: ViewerClick) -> Click:
    """A click on nerfstudio's page, which tells its ray, as one in the middle of a camera that looks along it."""
    origin, direction = (torch.tensor(values, dtype=torch.float64) for values in (event.origin, event.direction))
    up = torch.eye(3, dtype=torch.float64)[direction.abs().argmin()]
    return Click(camera_from_fov(look_at(origin, origin + direction, up), 1.0, 2, 2), (1, 1))


def photos_frame(splats: GaussianSplats, photos_to_run: torch.Tensor) -> GaussianSplats:
    """Splats of a run in the frame and unit of its photos."""
    doubled = transform_splats(replace(splats, means=splats.means.double()), torch.linalg.inv(photos_to_run))
    return doubled.map(lambda values: values.float())
