"""The page: a server with its scene, the fields of its panel and the browsers that look at it."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import viser
from scene_depth_heal.segmented import Segment
from scene_depth_heal.session import EditSession
from torch import Tensor

from scene_depth.errors import InputError, disk_error_line
from scene_depth.splats import GaussianSplats
from scene_depth_viewer.client_view import ClientView, ViewSettings
from scene_depth_viewer.door import LARGEST, Door, ExportFolder, Rule, number, numbers, one_of, pressed, text, yes_or_no
from scene_depth_viewer.drawing import Drawing
from scene_depth_viewer.gate import Gate
from scene_depth_viewer.newest import NewestWorker
from scene_depth_viewer.page_frame import Axis, orbit_distance, page_frame, start_camera
from scene_depth_viewer.pictures import INVENTED_TINT, PhotoDepths, tinted
from scene_depth_viewer.viser_versions import (
    add_buttons,
    decode_message,
    dress,
    field_id,
    is_gone,
    make_server,
    notify,
    page_files,
    scene_html,
    stop_server,
)

log = logging.getLogger(__name__)
BRAND = (230, 110, 20)
PATIENCE = 30.0  # seconds until splats are drawn
Callback = Callable[..., None]
Vector = tuple[float, float, float]
Shown = tuple[GaussianSplats, Tensor | None]


def plain_text(value: object) -> str:
    """Text for a markdown of the page: names of files and what models say are shown as they are, never as markup or code."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line)


class Controls:
    """Makes fields of the page's panel, or of a window of one browser.

    Callbacks get the event of viser; without one, a field is only read.

    Args:
        gui: Where the fields go.
        door: What values pass through.
        guarded: Wraps callbacks, so that errors are shown on the page and changes that the program makes are ignored.
    """

    def __init__(self, gui: viser.GuiApi, door: Door, guarded: Callable[[Callback], Callback]):
        self.gui, self._door, self._guarded = gui, door, guarded

    def folder(self, label: str, open_at_first: bool = True) -> AbstractContextManager[Any]:
        """A folder for the fields that are made within it."""
        made: AbstractContextManager[Any] = self.gui.add_folder(label, expand_by_default=open_at_first)
        return made

    def button(self, label: str, clicked: Callback, **options: Any) -> Any:
        """A button; options are those of viser."""
        made = self.gui.add_button(label, **options)
        made.on_click(self._guarded(clicked))
        return self._ruled(made, pressed)

    def buttons(self, label: str, names: Sequence[str], clicked: Callback, hint: str | None = None) -> Any:
        """Buttons in a row; the callback gets the name of the one that was pressed, too."""
        return self._ruled(add_buttons(self.gui, label, names, self._guarded(clicked), hint), one_of(lambda: names))

    def dropdown(
        self, label: str, names: Sequence[str], value: str, changed: Callback | None = None, hint: str | None = None
    ) -> Any:
        """One of several names."""
        made: Any = self.gui.add_dropdown(label, options=tuple(names), initial_value=value, hint=hint)
        return self._ruled(made, one_of(lambda: made.options), changed)

    def checkbox(self, label: str, value: bool, changed: Callback | None = None, hint: str | None = None) -> Any:
        """Yes or no."""
        return self._ruled(self.gui.add_checkbox(label, initial_value=value, hint=hint), yes_or_no, changed)

    def slider(
        self,
        label: str,
        value: float,
        least: float,
        most: float,
        step: float,
        changed: Callback | None = None,
        hint: str | None = None,
    ) -> Any:
        """A number in a range, to drag."""
        made = self.gui.add_slider(label, min=least, max=most, step=step, initial_value=value, hint=hint)
        return self._ruled(made, number(least, most), changed)

    def number(
        self,
        label: str,
        value: float,
        least: float = -LARGEST,
        most: float = LARGEST,
        step: float | None = None,
        changed: Callback | None = None,
        hint: str | None = None,
    ) -> Any:
        """A number in a range, to type; whole if the value is an int."""
        bounds = {name: bound for name, bound in (("min", least), ("max", most)) if abs(bound) < LARGEST}
        made = self.gui.add_number(label, initial_value=value, step=step, hint=hint, **bounds)
        return self._ruled(made, number(least, most, whole=isinstance(value, int)), changed)

    def vector(self, label: str, value: Vector, step: float, changed: Callback | None = None, hint: str | None = None) -> Any:
        """Three numbers."""
        return self._ruled(self.gui.add_vector3(label, initial_value=value, step=step, hint=hint), numbers(3), changed)

    def text(self, label: str, value: str, hint: str | None = None) -> Any:
        """A line of text."""
        return self._ruled(self.gui.add_text(label, initial_value=value, hint=hint), text)

    def _ruled(self, made: Any, rule: Rule, changed: Callback | None = None) -> Any:
        self._door.rules[field_id(made)] = rule
        if changed is not None:
            made.on_update(self._guarded(changed))
        return made

    def remove(self, field: Any) -> None:
        """Takes a field away."""
        self._door.rules.pop(field_id(field), None)
        field.remove()


class Page:
    """Serves a session on a page. All browsers share the scene, the panels and the selection; each has its own camera.

    Args:
        session: The scene.
        host: Address to listen on.
        port: Port to listen on; the next free one is taken if it is in use.
        size: Longer side of pictures that are rendered here, in pixels.
        up: Upward axis of the scene, as for ``page_frame``.
        export_dir: The one folder that the page reads and writes files in.
        allow_origins: Further origins under which the page is reached, such as that of a proxy or a tunnel.
        inpainters: Depth inpainters with options, such as ``depthlab[weights=FOLDER]``, that the page offers first.
        colors: Image inpainters, likewise.
        segment: Says what clicks of the Object tool show in a picture; by default the splats tell.
    """

    def __init__(
        self,
        session: EditSession,
        host: str = "127.0.0.1",
        port: int = 8080,
        size: int = 960,
        up: Axis | None = None,
        *,
        export_dir: Path = Path("out/view"),
        allow_origins: Sequence[str] = (),
        inpainters: Sequence[str] = (),
        colors: Sequence[str] = (),
        segment: Segment | None = None,
    ):
        cameras = [view.camera for view in session.photos]
        self.session, self.settings = session, ViewSettings(size=size)
        self.frame = page_frame(session.original, cameras, up)
        self.start = start_camera(self.frame, cameras)
        self.photo_depths = PhotoDepths(session.original, cameras)
        self.clients: dict[int, ClientView] = {}
        self._lock = threading.Lock()
        self.folder = ExportFolder(export_dir)
        self.inpainters, self.colors, self.segment = tuple(inpainters), tuple(colors), segment
        self.gate, self._door = Gate(host, page_files(), allow_origins), Door(decode_message)
        self.server = make_server(port, self.gate, self._door)
        self.controls = Controls(self.server.gui, self._door, self.guarded)
        dress(self.server.gui, "scene-depth", BRAND)
        self.drawing = Drawing(self.server, self.frame)
        self._drawn: Shown | None = None
        self._splat_worker: NewestWorker[Shown] = NewestWorker(self._draw_splats, self._failed)
        self.photo_list: Any = None  # the field of the photo that one stands at
        self.repair: Callback = lambda event, removed: None  # heals what a brush passed over; the Edit tab knows how
        self.add_panels()
        session.listen(self.refresh)
        self.refresh()
        self.server.on_client_connect(self._connected)
        self.server.on_client_disconnect(self._disconnected)

    @property
    def address(self) -> str:
        """Where the page is, with the token if one is needed."""
        return self.gate.address

    def _repr_html_(self) -> str:
        """What a notebook shows: a link to the page, which no other page may frame, and its splats of now where viser can."""
        self._splat_worker.wait(PATIENCE)
        link = f'<p><a href="{self.address}" target="_blank">Open the editor</a></p>'
        pose = self.frame.pose(self.start)
        ahead = self.start.camera_to_world[0, :3, 2].cpu().double().numpy()
        aim = pose.position + orbit_distance(self.frame, self.start, self.session.shown()[0]) * self.frame.ratio * ahead
        document = scene_html(self.server, np.array(pose.position), aim, self.frame.up, pose.fov)
        if document is None:
            return link
        return f'{link}<iframe srcdoc="{escape(document)}" width="100%" height="480" style="border:0"></iframe>'

    def refresh(self) -> None:
        """Draws what the session shows now, in all browsers."""
        self.drawing.show_splats(self.settings.by_browser)
        self._splat_worker.submit(self.session.shown())
        self.redraw()

    def redraw(self) -> None:
        """Renders the pictures of all browsers again."""
        for view in self.views():
            view.redraw()

    def views(self) -> list[ClientView]:
        """All browsers that are connected."""
        with self._lock:
            return list(self.clients.values())

    def view_of(self, event: Any) -> ClientView:
        """The browser that an event comes from."""
        with self._lock:
            if event.client_id not in self.clients:
                raise InputError("browser", "one that is gone", "a browser that is connected")
            return self.clients[event.client_id]

    def guarded(self, callback: Callback) -> Callback:
        """The callback for acts of a person: errors are shown on the page; changes that the program makes are ignored."""

        def run(event: Any, *details: Any) -> None:
            if event.client_id is None:
                return
            try:
                callback(event, *details)
            except Exception as error:  # whatever an act raises, the page must go on and say so
                self.complain(error, event.client)

        return run

    def try_to(self, act: Callable[[], None]) -> None:
        """Does something that no event of a field leads to; errors are shown on all pages."""
        try:
            act()
        except Exception as error:  # whatever it raises, the page must go on and say so
            self.complain(error)

    def complain(self, error: Exception, client: viser.ClientHandle | None = None) -> None:
        """Shows an error on the page of a browser, or of all."""
        if isinstance(error, InputError):
            title, body = error.field, f"{error.sentence}."
        elif isinstance(error, OSError):  # of the disk, not of the program
            title, body = "file", f"{disk_error_line(error)}."
        else:
            log.error("the viewer failed", exc_info=error)
            title, body = type(error).__name__, str(error) or "no further message"
        clients = [client] if client is not None else list(self.server.get_clients().values())
        for one in clients:
            notify(one, title, body, "red")

    def write(self, event: Any, path: Path, write: Callable[[], None]) -> None:
        """Writes a file for a browser; where there is one already, a person has to say that it is to be replaced."""
        if not path.is_file():
            write()
            return
        gui = event.client.gui
        controls, modal = Controls(gui, self._door, self.guarded), gui.add_modal(f"Replace {path.name}?")
        fields: list[Any] = []

        def close() -> None:
            for field in fields:
                controls.remove(field)
            modal.close()

        def replace(_: Any) -> None:
            close()
            write()

        with modal:
            fields.append(controls.button("Replace", replace, color="red", hint=f"{path} is there already"))
            fields.append(controls.button("Keep", lambda _: close()))

    def stop(self) -> None:
        """Ends the server and all work."""
        self.session.cancel()
        self._splat_worker.stop()
        self._splat_worker.wait(5)  # or it would draw on a server that is gone
        with self._lock:
            for view in self.clients.values():
                view.stop()
        stop_server(self.server)

    def add_panels(self) -> None:
        """Fills the panel."""

    def _draw_splats(self, shown: Shown, outdated: Callable[[], bool]) -> None:
        splats, selection = shown
        if self._drawn is not None and splats is self._drawn[0] and selection is self._drawn[1]:
            return  # nothing is sent, and nothing blinks, when only another channel is shown
        invented, drawn = self.session.invented, splats
        if invented is not None and len(invented) == len(splats) and bool(invented.any()):
            drawn = tinted(drawn, invented, INVENTED_TINT)
        self.drawing.draw_splats(drawn if selection is None else tinted(drawn, selection))
        self._drawn = shown

    def _failed(self, error: Exception) -> None:
        self.complain(error)

    def _came(self, number: int) -> None:
        self.photo_list.value = self.session.photos[number].name

    def _connected(self, client: viser.ClientHandle) -> None:
        def failed(error: Exception) -> None:
            if not is_gone(self.server, client):  # what is drawn for a browser that leaves fails in many ways
                self._failed(error)

        view = ClientView(client, self.session, self.frame, self.settings, self.photo_depths, failed, self._came)
        with self._lock:
            self.clients[client.client_id] = view
        view.jump(self.start)
        if is_gone(self.server, client):  # since before this was called
            self._disconnected(client)

    def _disconnected(self, client: viser.ClientHandle) -> None:
        with self._lock:
            view = self.clients.pop(client.client_id, None)
        if view is not None:
            view.stop()
