"""The tab that selects: screen tools, what changes a selection, and the region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from scene_depth_viewer.panels.region import add_region_folder
from scene_depth_viewer.picking import Mode, flood, in_rectangle, screen_ray
from scene_depth_viewer.viser_versions import Corners, add_buttons, on_click, on_rectangle, stop_pointer

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer

MODES: dict[str, Mode] = {"Set": "set", "Add": "add", "Remove": "remove", "Intersect": "intersect"}
TOOLS = ("Off", "Rectangle", "Flood")


def add_select_panel(viewer: Viewer) -> None:
    """Adds the tab's contents."""
    gui, session = viewer.server.gui, viewer.session
    mode = gui.add_dropdown("Mode", options=list(MODES), initial_value="Set", hint="What a tool does to the selection")

    def chosen_mode() -> Mode:
        return MODES[mode.value]

    with gui.add_folder("Screen"):
        tool = gui.add_dropdown("Tool", options=list(TOOLS), initial_value="Off", hint="Rectangle: drag. Flood: click")
        front = gui.add_checkbox("Front only", initial_value=True, hint="Only the first surface, not what is behind it")
        tolerance = gui.add_slider("Tolerance", min=0.0, max=1.0, step=0.01, initial_value=0.15, hint="Colour, for flood")

    def rectangle(event: Any, corners: Corners) -> None:
        camera = viewer.view_of(event).camera()
        session.select(in_rectangle(session.splats, camera, corners, front_only=front.value), chosen_mode(), "rectangle")

    def click(event: Any, place: tuple[float, float]) -> None:
        origin, direction = screen_ray(viewer.view_of(event).camera(), place)
        patch = flood(session.splats, origin, direction, color_tolerance=tolerance.value)
        session.select(patch, chosen_mode(), "flood")

    def arm(event: Any) -> None:
        scene = viewer.server.scene
        stop_pointer(scene)
        if tool.value == "Rectangle":
            on_rectangle(scene, viewer.guarded(rectangle))
        elif tool.value == "Flood":
            on_click(scene, viewer.guarded(click))

    tool.on_update(viewer.guarded(arm))
    add_region_folder(viewer, chosen_mode)
    _add_changes(viewer, chosen_mode)


def _add_changes(viewer: Viewer, chosen_mode: Any) -> None:
    gui, session = viewer.server.gui, viewer.session

    def resize(event: Any, what: str) -> None:
        session.grow_selection(1 if what == "Grow" else -1)

    def replace(event: Any, what: str) -> None:
        if what == "Invert":
            session.invert_selection()
        else:
            session.select(torch.full((len(session.splats),), what == "All"), "set", what.lower())

    add_buttons(gui, "Extent", ["Grow", "Shrink"], viewer.guarded(resize), "By the splats that touch")
    add_buttons(gui, "Change", ["All", "None", "Invert"], viewer.guarded(replace))
    if session.masks:
        masks = gui.add_button("Select by masks", hint="What the scene's own masks show")
        masks.on_click(viewer.guarded(lambda event: session.select_masked(chosen_mode())))
