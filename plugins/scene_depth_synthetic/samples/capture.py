"""Pictures of a sample scene: with the object and with it gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth_synthetic.procedural.exposure import develop, smoothed_radiance
from scene_depth_synthetic.procedural.renderer import PackedScene, render
from scene_depth_synthetic.samples.recipe import SampleScene


@dataclass(frozen=True)
class Picture:
    """One view.

    Attributes:
        image: sRGB, uint8  # [H, W, 3]
        depth: z-depth in metres, exact at the pixel centre, 0 = sky, float32  # [H, W]
        mask: The object to remove, bool  # [H, W]
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Capture:
    """A sample scene ready to be drawn, view by view.

    Attributes:
        sample: The scene.
        full: Its world, packed.
        cleared: Its world without the object, packed.
    """

    sample: SampleScene
    full: PackedScene
    cleared: PackedScene

    def picture(self, index: int, *, removed: bool, threads: int | None = None) -> Picture:
        """Draws one view with the object or without it; nothing else differs, the noise neither.

        Args:
            index: Of the view.
            removed: Whether the object is gone.
            threads: Worker threads; the result does not depend on them.
        """
        sample = self.sample
        rendering = render(
            self.cleared if removed else self.full,
            sample.cameras[index],
            samples=sample.samples,
            lit_samples=sample.lit_samples,
            seed=index,
            threads=threads,
        )
        rgb = develop(smoothed_radiance(rendering), sample.exposure)
        image = np.floor(rgb * 255.0 + 0.5).astype(np.uint8)
        return Picture(image, rendering.depth, np.isin(rendering.objects, sample.removed))


def capture(sample: SampleScene) -> Capture:
    """Packs both worlds of a sample scene."""
    return Capture(sample, sample.world.pack(), sample.world.without(sample.removed).pack())
