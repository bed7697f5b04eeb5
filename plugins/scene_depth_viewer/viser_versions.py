"""What differs between the viser versions that are supported (0.2.7, which nerfstudio 1.1.5 pins, to 1.x)."""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import viser
from numpy.typing import NDArray

Corners = tuple[tuple[float, float], tuple[float, float]]


def make_server(host: str, port: int) -> viser.ViserServer:
    """A server; what viser prints is left out, as the command says where the page is."""
    with contextlib.redirect_stdout(io.StringIO()):
        return viser.ViserServer(host=host, port=port, verbose=False)


def stop_server(server: viser.ViserServer) -> None:
    """Ends a server without the line that viser prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()


def dress(gui: viser.GuiApi, title: str, brand: tuple[int, int, int]) -> None:
    """Sets title, colours and the panel's place beside the scene, where it hides nothing.

    It is as wide as it can be, since the page of 0.2.7 cuts the numbers of a vector off in narrower ones. The share button
    is left out where that works: without it, the page of 0.2.7 crashes.
    """
    options: dict[str, Any] = {} if version("viser").startswith("0.") else {"show_share_button": False}
    panel: Any = getattr(gui, "main_panel", None)  # of newer 1.x
    if panel is None:
        options["control_layout"] = "collapsible"
    gui.configure_theme(dark_mode=True, show_logo=False, control_width="large", brand_color=brand, **options)
    if panel is not None:
        panel.dock_right()
    gui.set_panel_label(title)


def add_buttons(
    gui: viser.GuiApi, label: str, options: Sequence[str], clicked: Callable[[Any, str], None], hint: str | None = None
) -> None:
    """Adds buttons in a row and calls ``clicked(event, option)``, also when the same one is clicked again.

    A group of 0.2.7 tells only of clicks that change its value, so the value is cleared after each.
    """
    group: Any = gui.add_button_group(label, options=tuple(options), hint=hint)
    old = version("viser").startswith("0.")

    def run(event: Any) -> None:
        if event.client_id is None:
            return
        option = group.value
        if old:
            group.value = ""
        clicked(event, option)

    if old:
        group.value = ""
    group.on_click(run)


def add_splats(
    scene: viser.SceneApi, name: str, centers: NDArray, covariances: NDArray, rgbs: NDArray, opacities: NDArray, visible: bool
) -> Any:
    """Draws splats, under a name that is not there yet: 0.2.7 keeps those of an earlier node. Private in 0.2.7, public in 1.x.

    Args:
        scene: Of the server or of a client.
        name: Of the node.
        centers: In page units  # [N, 3]
        covariances: Positive definite  # [N, 3, 3]
        rgbs: In [0, 1]  # [N, 3]
        opacities: In [0, 1]  # [N, 1]
        visible: Whether to show them.

    Returns:
        Handle of the node.
    """
    add = getattr(scene, "add_gaussian_splats", None) or scene._add_gaussian_splats  # type: ignore[attr-defined,unused-ignore]
    return add(name, centers=centers, covariances=covariances, rgbs=rgbs, opacities=opacities, visible=visible)


def change_splats(node: Any, centers: NDArray, covariances: NDArray, rgbs: NDArray, opacities: NDArray) -> bool:
    """Puts others in place of the splats of a node, which does not blink as a new node does. Only newer 1.x can.

    Args:
        node: Of ``add_splats``.
        centers, covariances, rgbs, opacities: As for ``add_splats``.

    Returns:
        False if this version cannot; nothing has happened then.
    """
    if not hasattr(node, "set_gaussians"):
        return False
    node.set_gaussians(centers=centers, covariances=covariances, rgbs=rgbs, opacities=opacities)
    return True


def add_line(scene: viser.SceneApi, name: str, points: NDArray, color: tuple[int, int, int]) -> Any:
    """Draws a smooth line through points, two or more  # [N, 3]"""
    add: Any = scene.add_spline_catmull_rom
    places = tuple(map(tuple, points.tolist()))
    return add(name, places, color=color)


def remove_tree(node: Any, *below: Any) -> None:
    """Removes a node with those below it; the page of 0.2.7 trips over a node that goes right after one below it.

    1.x removes what is below by itself. 0.2.7 does so on open pages only, and would show it to those that come later.

    Args:
        node: The upper node.
        below: Those below it.
    """
    node.remove()
    if version("viser").startswith("0."):
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


def send_file(client: viser.ClientHandle, name: str, content: bytes) -> None:
    """Makes the browser save a file at once; 1.x would show a link first."""
    options: dict[str, Any] = {}
    if "save_immediately" in inspect.signature(client.send_file_download).parameters:
        options["save_immediately"] = True
    client.send_file_download(name, content, **options)
