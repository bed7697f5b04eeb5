"""What differs between the viser versions that are supported (0.2.7, which nerfstudio 1.1.5 pins, to 1.x)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import io
import logging
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import viser
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth_viewer.door import MOST_BYTES, Door
from scene_depth_viewer.gate import OUTSIDE_SCRIPT, Gate

OLD = version("viser").startswith("0.")
_MAKING = threading.Lock()
log = logging.getLogger("scene_depth_viewer.websockets")  # broken and refused connections are no matter of the terminal
log.propagate = False
log.addHandler(logging.NullHandler())
Floats = NDArray[np.floating]
Corners = tuple[tuple[float, float], tuple[float, float]]


def page_files() -> Path:
    """Folder of the files of viser's page."""
    return Path(viser.__file__).parent / "client" / "build"


def decode_message(raw: bytes) -> object:
    """The message that viser reads from bytes of a browser."""
    messages: Any = importlib.import_module("viser._messages")
    return messages.Message.deserialize(raw)


def field_id(field: Any) -> str:
    """What browsers call a field of the panel by."""
    found: str = field._impl.id if OLD else field._impl.uuid
    return found


def make_server(port: int, gate: Gate, door: Door) -> viser.ViserServer:
    """A server whose every request passes the gate and whose every message passes the door.

    viser serves files and takes connections by itself, from anybody, so the one call is exchanged by which it begins to
    listen. What viser prints is left out, as the command says where the page is. A page that is there is not built: viser would
    look through all processes of the machine for its build tools, which fails when one of them ends meanwhile, and could
    fetch and run these tools.

    Raises:
        InputError: If this version of viser does not begin to listen that way; it is not let onto the network then.
    """
    warnings.filterwarnings("ignore", "Queued a .* on a closed connection")  # of browsers that went: no matter of the terminal
    infra: Any = importlib.import_module("viser.infra._infra")
    plain = infra.websockets
    begun: list[bool] = []

    def serve(handler: Callable[[Any], Awaitable[None]], host: str, port: int, **options: Any) -> Any:
        begun.append(True)
        gate.port = port
        asyncio.get_event_loop().set_exception_handler(lambda loop, context: log.debug("connection: %s", context))
        options |= {"max_size": MOST_BYTES, "logger": log, "process_request": None}

        async def guarded(connection: Any) -> None:
            await handler(_Connection(connection, door))

        if not OLD:
            return plain.asyncio.server.serve(guarded, host, port, **(options | {"process_request": partial(_answer, gate)}))
        legacy = importlib.import_module("websockets.legacy.server")

        class Checked(legacy.WebSocketServerProtocol):  # type: ignore[name-defined,misc]  # where this version is installed
            async def process_request(self, path: str, request_headers: Any) -> tuple[HTTPStatus, dict[str, str], bytes] | None:
                answer = gate.answer(path, request_headers, self.local_address[0])
                return None if answer is None else (answer.status, answer.headers, answer.body)

        return legacy.serve(guarded, host, port, create_protocol=Checked, **options)

    def quiet(inner: Callable[[], None]) -> Callable[[], None]:
        """What 0.2.7 does with a message; it fails when the browser is gone meanwhile, and printed so."""

        def run() -> None:
            try:
                inner()
            except Exception as error:  # our own callbacks are guarded, this is viser's
                log.debug("message: %r", error)

        return run

    if OLD:
        infra.error_print_wrapper = quiet
    ours: Any = SimpleNamespace(serve=serve)
    names = {"server": ours} if OLD else {"asyncio": SimpleNamespace(server=ours)}
    ours_for_theirs = mock.patch.object(infra, "websockets", SimpleNamespace(**(vars(plain) | names)))
    built = (page_files() / "index.html").is_file()
    building: Any = importlib.import_module("viser._client_autobuild")
    as_it_is = mock.patch.object(building, "ensure_client_is_built", return_value=None) if built else contextlib.nullcontext()
    with _MAKING, ours_for_theirs, as_it_is, _silence():
        server = viser.ViserServer(host=gate.host, port=port, verbose=False)
    if not begun:
        stop_server(server)
        raise InputError("viser", version("viser"), "a version whose requests can be checked, such as 0.2.7 or 1.1")
    gate.port = server.get_port()
    return server


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Leaves out what viser prints, in a notebook too, where rich prints past the standard output."""
    with contextlib.redirect_stdout(io.StringIO()), mock.patch("rich.print"):
        yield


class _Connection:
    """A websocket of a browser, of which viser receives only what the door admits."""

    def __init__(self, connection: Any, door: Door):
        self._connection, self._door = connection, door

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def recv(self) -> bytes:
        """The next message."""
        while True:
            raw: bytes = await self._connection.recv()
            if self._door.admits(raw):
                return raw


def _answer(gate: Gate, connection: Any, request: Any) -> Any:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    answer = gate.answer(request.path, request.headers, connection.local_address[0])
    if answer is None:
        return None
    headers = answer.headers | {"Content-Length": str(len(answer.body)), "Connection": "close"}
    return Response(answer.status, answer.status.phrase, Headers(headers), answer.body)


def stop_server(server: viser.ViserServer) -> None:
    """Ends a server without the line that viser prints."""
    with _silence():
        server.stop()


@contextlib.contextmanager
def sent_together(sender: viser.ViserServer | viser.ClientHandle) -> Iterator[None]:
    """All that is sent to the page meanwhile is applied there at once.

    An error is raised after viser's own block has ended: 0.2.7 would keep its lock, and no page would hear of anything again.
    """
    failure: BaseException | None = None
    with sender.atomic():
        try:
            yield
        except BaseException as error:
            failure = error
    if failure is not None:
        raise failure


def is_gone(server: viser.ViserServer, client: viser.ClientHandle) -> bool:
    """Whether a browser has left; if it did so before the callback of its coming ran, no callback of its leaving follows."""
    if not OLD:
        return client.client_id not in server.get_clients()
    private: Any = client  # 0.2.7 holds the lock of get_clients here, and forgets such browsers itself
    gone: bool = private._websock_connection._state.message_buffer.done
    if gone:
        private._viser_server._connected_clients.pop(client.client_id, None)
    return gone


def dress(gui: viser.GuiApi, title: str, brand: tuple[int, int, int]) -> None:
    """Sets title, colours and the panel's place beside the scene, where it hides nothing.

    It is as wide as it can be, since the page of 0.2.7 cuts the numbers of a vector off in narrower ones. The share button
    is left out where that works: without it, the page of 0.2.7 crashes.
    """
    options: dict[str, Any] = {} if OLD else {"show_share_button": False}
    panel: Any = getattr(gui, "main_panel", None)  # of newer 1.x
    if panel is None:
        options["control_layout"] = "collapsible"
    gui.configure_theme(dark_mode=True, show_logo=False, control_width="large", brand_color=brand, **options)
    if panel is not None:
        panel.dock_right()
    gui.set_panel_label(title)


def add_buttons(
    gui: viser.GuiApi, label: str, options: Sequence[str], clicked: Callable[[Any, str], None], hint: str | None = None
) -> Any:
    """Adds buttons in a row and calls ``clicked(event, option)``, also when the same one is clicked again.

    A group of 0.2.7 tells only of clicks that change its value, so the value is cleared after each.
    """
    group: Any = gui.add_button_group(label, options=tuple(options), hint=hint)

    def run(event: Any) -> None:
        if event.client_id is None:
            return
        option = group.value
        if OLD:
            group.value = ""
        clicked(event, option)

    if OLD:
        group.value = ""
    group.on_click(run)
    return group


def add_splats(
    scene: viser.SceneApi, name: str, centers: Floats, covariances: Floats, rgbs: Floats, opacities: Floats, visible: bool
) -> Any:
    """Draws splats, under a name that is not there yet: 0.2.7 keeps those of an earlier node. Private in 0.2.7, public in 1.x.

    Args:
        centers: In page units  # [N, 3]
        covariances: Positive definite  # [N, 3, 3]
        rgbs, opacities: In [0, 1]  # [N, 3], [N, 1]
    """
    add = getattr(scene, "add_gaussian_splats", None) or scene._add_gaussian_splats  # type: ignore[attr-defined,unused-ignore]
    return add(name, centers=centers, covariances=covariances, rgbs=rgbs, opacities=opacities, visible=visible)


def change_splats(node: Any, centers: Floats, covariances: Floats, rgbs: Floats, opacities: Floats) -> bool:
    """Puts others in place of the splats of a node, which does not blink as a new node does. Only newer 1.x can; False else."""
    if not hasattr(node, "set_gaussians"):
        return False
    node.set_gaussians(centers=centers, covariances=covariances, rgbs=rgbs, opacities=opacities)
    return True


def add_line(scene: viser.SceneApi, name: str, points: Floats, color: tuple[int, int, int]) -> Any:
    """Draws a smooth line through points, two or more  # [N, 3]"""
    add: Any = scene.add_spline_catmull_rom
    places = tuple(map(tuple, points.tolist()))
    return add(name, places, color=color)


def remove_tree(node: Any, *below: Any) -> None:
    """Removes a node with those below it; the page of 0.2.7 trips over a node that goes right after one below it.

    1.x removes what is below by itself. 0.2.7 does so on open pages only, and would show it to those that come later.
    """
    node.remove()
    if OLD:
        for lower in below:
            lower.remove()


def on_rectangle(scene: viser.SceneApi, callback: Callable[[Any, Corners], None]) -> None:
    """Calls ``callback(event, corners)`` when a rectangle is drawn; corners are fractions of the screen."""
    if hasattr(scene, "on_rect_select"):
        scene.on_rect_select()(lambda event: callback(event, (event.screen_min, event.screen_max)))
    else:
        scene.on_pointer_event("rect-select")(lambda event: callback(event, (event.screen_pos[0], event.screen_pos[1])))


def on_click(scene: viser.SceneApi, callback: Callable[[Any, tuple[float, float]], None]) -> None:
    """Calls ``callback(event, place)`` at a click; the place is a fraction of the screen."""
    if hasattr(scene, "on_click"):
        scene.on_click()(lambda event: callback(event, event.screen_pos))
    else:
        scene.on_pointer_event("click")(lambda event: callback(event, event.screen_pos[0]))


def stop_pointer(scene: viser.SceneApi) -> None:
    """Takes back ``on_rectangle`` and ``on_click``."""
    if hasattr(scene, "remove_click_callback"):
        scene.remove_click_callback()
        scene.remove_rect_select_callback()  # type: ignore[attr-defined,unused-ignore]
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns when there is nothing to remove
            scene.remove_pointer_callback()


def scene_html(server: viser.ViserServer, position: Floats, aim: Floats, up: Floats, fov: float) -> str | None:
    """The 3D scene as it is, without the panel, as one HTML file that needs no server; None before 1.x, which cannot make one.

    Args:
        position, aim, up: Where one stands at first and looks at, in page units, and the upward direction  # [3] each
        fov: Vertical field of view in radians.
    """
    if OLD or not hasattr(server.scene, "as_html"):
        return None
    camera = server.initial_camera
    camera.position, camera.look_at, camera.up, camera.fov = position, aim, up, fov
    return OUTSIDE_SCRIPT.sub(b"", server.scene.as_html().encode()).decode()


def notify(client: viser.ClientHandle, title: str, body: str, color: str | None = None) -> None:
    """Shows a notice that goes away by itself, an error later than others."""
    seconds = 12.0 if color == "red" else 5.0
    timed: dict[str, Any] = {"auto_close": int(1000 * seconds)}
    if "auto_close_seconds" in inspect.signature(client.add_notification).parameters:
        timed = {"auto_close_seconds": seconds}
    show: Any = client.add_notification
    show(title, body, color=color, **timed)


def add_key(gui: viser.GuiApi, label: str, key: str, modifier: str | None, callback: Callable[[Any], None]) -> bool:
    """Runs a callback when a key is pressed, where viser can: from 1.1 on; False else."""
    add: Any = getattr(gui, "add_command", None)
    if add is None:
        return False
    add(label, hotkey=key, modifier=modifier).on_trigger(callback)
    return True


def send_file(client: viser.ClientHandle, name: str, content: bytes) -> None:
    """Makes the browser save a file at once; 1.x would show a link first."""
    options: dict[str, Any] = {}
    if "save_immediately" in inspect.signature(client.send_file_download).parameters:
        options["save_immediately"] = True
    client.send_file_download(name, content, **options)
