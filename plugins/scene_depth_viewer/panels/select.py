"""The tab that selects: screen tools, what changes a selection, and the region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from scene_depth_viewer.panels.region import add_region_folder
from scene_depth_viewer.picking import Mode, flood, in_rectangle, screen_ray
from scene_depth_viewer.viser_versions import Corners, on_click, on_rectangle, stop_pointer

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer

MODES: dict[str, Mode] = {"Set": "set", "Add": "add", "Remove": "remove", "Intersect": "intersect"}
TOOLS = ("Off", "Rectangle", "Flood")


def add_select_panel(viewer: Viewer) -> None:
    """Adds the tab's contents."""
    controls, session = viewer.controls, viewer.session
    mode = controls.dropdown("Mode", list(MODES), "Set", hint="What a tool does to the selection")

    def chosen_mode() -> Mode:
        return MODES[mode.value]

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

    with controls.folder("Screen"):
        tool = controls.dropdown("Tool", TOOLS, "Off", arm, "Rectangle: drag. Flood: click")
        front = controls.checkbox("Front only", True, hint="Only the first surface, not what is behind it")
        tolerance = controls.slider("Tolerance", 0.15, 0.0, 1.0, 0.01, hint="Colour, for flood")
    add_region_folder(viewer, chosen_mode)
    _add_changes(viewer, chosen_mode)


def _add_changes(viewer: Viewer, chosen_mode: Any) -> None:
    controls, session = viewer.controls, viewer.session

    def resize(event: Any, what: str) -> None:
        session.grow_selection(1 if what == "Grow" else -1)

    def replace(event: Any, what: str) -> None:
        if what == "Invert":
            session.invert_selection()
        else:
            session.select(torch.full((len(session.splats),), what == "All"), "set", what.lower())

    controls.buttons("Extent", ["Grow", "Shrink"], resize, "By the splats that touch")
    controls.buttons("Change", ["All", "None", "Invert"], replace)
    if session.masks:
        controls.button(
            "Select by masks", lambda event: session.select_masked(chosen_mode()), hint="What the scene's own masks show"
        )
