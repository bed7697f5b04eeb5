"""The page: a server with its scene, its panels and the browsers that look at it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import viser
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.splats import GaussianSplats
from scene_depth_viewer.client_view import ClientView, ViewSettings
from scene_depth_viewer.controls import Controls
from scene_depth_viewer.door import Door
from scene_depth_viewer.drawing import Drawing
from scene_depth_viewer.export_folder import ExportFolder
from scene_depth_viewer.gate import Gate
from scene_depth_viewer.newest import NewestWorker
from scene_depth_viewer.page_frame import Axis, page_frame, start_camera
from scene_depth_viewer.panels.edit import add_edit_panel
from scene_depth_viewer.panels.path import add_path_panel
from scene_depth_viewer.panels.select import add_select_panel
from scene_depth_viewer.panels.status import add_status_panel
from scene_depth_viewer.panels.view import add_view_panel
from scene_depth_viewer.pictures import PhotoDepths, tinted
from scene_depth_viewer.session import EditSession
from scene_depth_viewer.viser_versions import decode_message, dress, make_server, page_files, stop_server

log = logging.getLogger(__name__)
BRAND = (230, 110, 20)
Callback = Callable[..., None]
Shown = tuple[GaussianSplats, Tensor | None]


class Viewer:
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
    ):
        cameras = [view.camera for view in session.photos]
        self.session, self.settings = session, ViewSettings(size=size)
        self.frame = page_frame(session.original, cameras, up)
        self.start = start_camera(self.frame, cameras)
        self.photo_depths = PhotoDepths(session.original, cameras)
        self.clients: dict[int, ClientView] = {}
        self._lock = threading.Lock()
        self.folder = ExportFolder(export_dir)
        self.inpainters, self.colors = tuple(inpainters), tuple(colors)
        self.gate, self._door = Gate(host, page_files(), allow_origins), Door(decode_message)
        self.server = make_server(port, self.gate, self._door)
        self.controls = Controls(self.server.gui, self._door, self.guarded)
        dress(self.server.gui, "scene-depth", BRAND)
        self.drawing = Drawing(self.server, self.frame)
        self._drawn: Shown | None = None
        self._splat_worker: NewestWorker[Shown] = NewestWorker(self._draw_splats, self._failed)
        self._add_panels()
        session.listen(self.refresh)
        self.refresh()
        self.server.on_client_connect(self._connected)
        self.server.on_client_disconnect(self._disconnected)

    @property
    def address(self) -> str:
        """Where the page is, with the token if one is needed."""
        return self.gate.address

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

    def complain(self, error: Exception, client: viser.ClientHandle | None = None) -> None:
        """Shows an error on the page of a browser, or of all."""
        if isinstance(error, InputError):
            title, body = error.field, f"Found {error.found}. Accepted: {error.accepted}."
        else:
            log.error("the viewer failed", exc_info=error)
            title, body = type(error).__name__, str(error) or "no further message"
        clients = [client] if client is not None else list(self.server.get_clients().values())
        for one in clients:
            one.add_notification(title, body, color="red")

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

    def _add_panels(self) -> None:
        add_status_panel(self)
        tabs = self.server.gui.add_tab_group()
        with tabs.add_tab("View"):
            self._photo = add_view_panel(self)
        with tabs.add_tab("Select"):
            add_select_panel(self)
        with tabs.add_tab("Edit"):
            add_edit_panel(self)
        with tabs.add_tab("Path"):
            add_path_panel(self)

    def _draw_splats(self, shown: Shown, outdated: Callable[[], bool]) -> None:
        splats, selection = shown
        if self._drawn is not None and splats is self._drawn[0] and selection is self._drawn[1]:
            return  # nothing is sent, and nothing blinks, when only another channel is shown
        self.drawing.draw_splats(splats if selection is None else tinted(splats, selection))
        self._drawn = shown

    def _failed(self, error: Exception) -> None:
        self.complain(error)

    def _came(self, number: int) -> None:
        self._photo.value = self.session.photos[number].name

    def _connected(self, client: viser.ClientHandle) -> None:
        view = ClientView(client, self.session, self.frame, self.settings, self.photo_depths, self._failed, self._came)
        with self._lock:
            self.clients[client.client_id] = view
        view.jump(self.start)

    def _disconnected(self, client: viser.ClientHandle) -> None:
        with self._lock:
            view = self.clients.pop(client.client_id, None)
        if view is not None:
            view.stop()
