"""Tools that a person points with: they select, repair what a brush passes over, or clone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from scene_depth_heal.clicks import Click, ClickSeries, select_by_clicks
from scene_depth_heal.picking import Mode, Place, Stroke, flood, hit, in_mask, in_polygon, in_rectangle, of_color, screen_ray
from scene_depth_heal.placement import SurfacePoint, surface_at
from scene_depth_heal.segmented import MOST_PICTURES, select_by_segments
from scene_depth_heal.stamp import stamp
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.splat_files import splat_origin
from scene_depth.splats import GaussianSplats
from scene_depth_viewer.page import Page
from scene_depth_viewer.viser_versions import Corners, notify, on_click, on_rectangle, stop_pointer

MODES: dict[str, Mode] = {"Set": "set", "Add": "add", "Remove": "remove", "Intersect": "intersect"}
OBJECT, BRUSH, REPAIR, CLONE, POLYGON = "Object", "Brush", "Repair brush", "Clone stamp", "Polygon"
TOOLS = ("Off", OBJECT, BRUSH, "Rectangle", POLYGON, "Flood", "Colour", REPAIR, CLONE)
HINT = (
    "Object: click it; then Add more of it, or Remove what is not. Brush, Flood, Colour: click. Rectangle: drag. Polygon: click "
    "its corners, and the first again. Repair brush: click what should go. Clone stamp: click where from, then where to"
)
CLOSE = 0.02  # of the screen's width, within which a click closes a polygon
SAME_PLACE = 1e-6  # of a camera, in scene units and in its rotation


class ScreenTools:
    """The tools and their fields; ``mode`` says what those that select do to the selection."""

    def __init__(self, page: Page):
        self._page, controls = page, page.controls
        self._started: tuple[int, Cameras] | None = None  # the browser that is at work on what follows, and its camera
        self._corners: list[Place] = []
        self._clicks = ClickSeries()
        self._sources: dict[int, SurfacePoint] = {}  # of the stamp, by browser
        self._mode = controls.dropdown("Mode", list(MODES), "Set", hint="What a tool does to the selection")
        with controls.folder("Screen"):
            self.tool = controls.dropdown("Tool", TOOLS, "Off", self.arm, HINT)
            self.segmented: Any = None
            if page.segment is not None:
                self.segmented = controls.checkbox("By pictures", True, hint="Object: a model segments the photos that see it")
            self.front = controls.checkbox("Front only", True, hint="Only the first surface, not what is behind it")
            self.radius = controls.slider(
                "Brush", 4.0, 0.5, 25.0, 0.5, hint="Radius in percent of the picture; of the stamp, too"
            )
            self.tolerance = controls.slider("Tolerance", 0.15, 0.0, 1.0, 0.01, hint="Of colour, for Flood and Colour")

    def mode(self) -> Mode:
        """What tools do to the selection."""
        return MODES[self._mode.value]

    def arm(self, event: Any = None) -> None:
        """Lets the mouse do what the chosen tool says; what was begun with another one is dropped."""
        scene, name = self._page.server.scene, self.tool.value
        self._started, self._corners, self._clicks, self._sources = None, [], ClickSeries(), {}
        stop_pointer(scene)
        tools: dict[str, Callable[[Any, Place], None]] = {
            OBJECT: self._object, BRUSH: self._brush, POLYGON: self._polygon, "Flood": self._flood, "Colour": self._color,
            REPAIR: self._repair, CLONE: self._clone,
        }  # fmt: skip
        if name == "Rectangle":
            on_rectangle(scene, self._page.guarded(self._rectangle))
        elif name in tools:
            on_click(scene, self._page.guarded(tools[name]))

    def choose(self, name: str) -> None:
        """Takes up a tool, as a key does."""
        self.tool.value = name
        self.arm()

    def _camera(self, event: Any) -> Cameras:
        return self._page.view_of(event).camera()

    def _select(self, choose: Callable[[GaussianSplats], Tensor], label: str, mode: Mode | None = None) -> None:
        self._page.session.select_by(choose, mode or self.mode(), label)

    def _goes_on(self, event: Any, camera: Cameras) -> bool:
        """Whether this click goes on with what the same browser began from the same place."""
        before, self._started = self._started, (event.client_id, camera)
        if before is None or before[0] != event.client_id:
            return False
        return float((before[1].camera_to_world - camera.camera_to_world).abs().max()) < SAME_PLACE

    def _stroke(self, event: Any, place: Place) -> Stroke:
        camera = self._camera(event)
        size = max(camera.width, camera.height)
        return Stroke(camera, [(place[0] * camera.width, place[1] * camera.height)], self.radius.value / 100 * size)

    def _rectangle(self, event: Any, corners: Corners) -> None:
        camera = self._camera(event)
        self._select(lambda splats: in_rectangle(splats, camera, corners, front_only=self.front.value), "rectangle")

    def _flood(self, event: Any, place: Place) -> None:
        origin, direction = screen_ray(self._camera(event), place)
        self._select(lambda splats: flood(splats, origin, direction, color_tolerance=self.tolerance.value), "flood")

    def _color(self, event: Any, place: Place) -> None:
        origin, direction = screen_ray(self._camera(event), place)

        def alike(splats: GaussianSplats) -> Tensor:
            found = hit(splats, origin, direction)
            if found is None:
                raise InputError("colour", "no surface there", "a click on a surface of the colour")
            return of_color(splats, splats.base_colors[found].detach().clamp(0, 1), self.tolerance.value)

        self._select(alike, "colour")

    def _brush(self, event: Any, place: Place) -> None:
        stroke = self._stroke(event, place)
        self._select(lambda splats: in_mask(splats, stroke.camera, stroke.mask(), front_only=self.front.value), "brush")

    def _polygon(self, event: Any, place: Place) -> None:
        camera = self._camera(event)
        self._corners = [*self._corners, place] if self._goes_on(event, camera) else [place]
        corners = self._corners
        if len(corners) < 4 or np.hypot(place[0] - corners[0][0], place[1] - corners[0][1]) > CLOSE:
            notify(event.client, "Polygon", f"{len(corners)} corners; the first one again closes it.")
            return
        self._corners, self._started = [], None
        self._select(lambda splats: in_polygon(splats, camera, corners[:-1], front_only=self.front.value), "polygon")

    def _object(self, event: Any, place: Place) -> None:
        """Selects what the clicks show."""
        camera, session = self._camera(event), self._page.session
        click = Click(camera, (place[0] * camera.width, place[1] * camera.height))
        clicks, mode = self._clicks.add(click, self.mode(), session.selection)
        self._select(partial(self._picked, event, clicks), "object", mode)
        self._clicks.led_to = session.selection

    def _picked(self, event: Any, clicks: Sequence[Click], splats: GaussianSplats) -> Tensor:
        segment = self._page.segment
        if segment is None or not self.segmented.value:
            return select_by_clicks(splats, clicks)
        notify(event.client, "Object", f"Up to {MOST_PICTURES} pictures are segmented, the first time each.")
        return select_by_segments(splats, clicks, self._page.session.views, segment)

    def _repair(self, event: Any, place: Place) -> None:
        stroke = self._stroke(event, place)
        removed = self._page.session.chosen_by(lambda splats: in_mask(splats, stroke.camera, stroke.mask()), "repair brush")
        self._page.repair(event, removed)

    def _clone(self, event: Any, place: Place) -> None:
        camera, session = self._camera(event), self._page.session
        column, row = (min(part * size, size - 1e-3) for part, size in zip(place, (camera.width, camera.height), strict=True))
        with session.lock:  # another browser does not change the scene meanwhile
            found = surface_at(session.history.present.visible[0], camera, column, row)
            here = SurfacePoint(found.point + np.array(splat_origin(session.splats)), found.normal)
            source = self._sources.pop(event.client_id, None)
            if source is None:
                self._sources[event.client_id] = here
                notify(event.client, "Clone stamp", "This is copied; now click where to.")
                return
            depth = float(torch.linalg.norm(camera.centers[0].double() - torch.from_numpy(found.point)))
            reach = self.radius.value / 100 * max(camera.width, camera.height) * depth / float(camera.K[0, 0, 0])
            session.change(*stamp(session.splats, source, here, reach), "clone")
