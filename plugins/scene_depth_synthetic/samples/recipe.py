"""What a sample scene is, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from scene_depth.cameras import Cameras
from scene_depth_synthetic.procedural.world import World

HELD_OUT_EVERY = 4  # of the views in order of their names


@dataclass(frozen=True)
class SampleScene:
    """A posed capture of a world with an object that is to be removed.

    Attributes:
        name: Of its folder.
        world: All things, the object among them.
        removed: Numbers of the things that make up the object.
        object_name: What the object is, in words.
        cameras: All views in order; each ``HELD_OUT_EVERY``-th is held out.
        exposure: Factor on the radiance, the same for all views.
        depth_unit: Metres a step of the depth images.
        samples: Rays a pixel for colour.
        lit_samples: How many of them look for light.
    """

    name: str
    world: World
    removed: tuple[int, ...]
    object_name: str
    cameras: Cameras
    exposure: float
    depth_unit: float
    samples: int = 32
    lit_samples: int = 16

    def view_names(self) -> list[str]:
        """Names of the views without extension, in order."""
        return [f"frame_{i:02d}" for i in range(len(self.cameras))]

    def held_out(self) -> list[int]:
        """Indices of the views that are not for training."""
        return list(range(0, len(self.cameras), HELD_OUT_EVERY))
