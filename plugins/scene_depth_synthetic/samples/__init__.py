"""Small ray-traced captures with an object in them and with it gone, for demonstrations, tests and measures."""

from __future__ import annotations

from collections.abc import Callable

from scene_depth_synthetic.samples.scenes import SampleScene, room_scene, street_scene, table_scene

SAMPLE_SCENES: dict[str, Callable[[], SampleScene]] = {"table": table_scene, "room": room_scene, "street": street_scene}

__all__ = ["SAMPLE_SCENES", "SampleScene"]
