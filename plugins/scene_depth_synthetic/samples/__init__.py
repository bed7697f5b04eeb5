"""Small ray-traced captures with an object in them and with it gone, for demonstrations, tests and measures."""

from __future__ import annotations

from collections.abc import Callable

from scene_depth_synthetic.samples.recipe import SampleScene
from scene_depth_synthetic.samples.room import room_scene
from scene_depth_synthetic.samples.street import street_scene
from scene_depth_synthetic.samples.table import table_scene

SAMPLE_SCENES: dict[str, Callable[[], SampleScene]] = {"table": table_scene, "room": room_scene, "street": street_scene}

__all__ = ["SAMPLE_SCENES", "SampleScene"]
