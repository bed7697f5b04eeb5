"""What all views know of the room before new surfaces: where they look through, nothing new may stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_opening
from torch import Tensor

from scene_depth.arrays import MAD_TO_SIGMA
from scene_depth.cameras import Cameras
from scene_depth.geometry.visibility import sight
from scene_depth_heal.hole import Hole, as_array

LOOK_THROUGH = 2  # views that must look through a point: one alone may be wrong in its pose or its depth
LEAST_TOLERANCE, MOST_TOLERANCE = 0.05, 0.15  # of the depth by which a point must stand before the surface
SPREADS = 3.0  # times the scene's own disagreement, as a robust standard deviation
STEP = 0.02  # of the depth, by which a point that views look through goes on along its ray
MOST_STEPS = 100  # seven times the depth
PROBES = 2000  # pixels of a view that measure the disagreement
AREA = 5  # pixels along a side of the smallest patch that is moved
COMPARED = 6  # pairs of views that do


@dataclass(frozen=True)
class FreeSpace:
    """What the views of a scene look through after a deletion.

    Attributes:
        hole: The deletion, and all views.
        tolerance: Relative depth by which a point must stand before a surface to be told from it.
    """

    hole: Hole
    tolerance: float

    def looks_through(self, points: Tensor) -> Tensor:
        """Points that several views look through, and more than see a surface there  # [P] bool

        Args:
            points: In the scene  # [P, 3]
        """
        through = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        on_it = torch.zeros_like(through)
        for place in self.hole.witnesses(points):
            if self.hole.can_tell(place, points):
                found = sight(points, self.hole.views[place].camera, self.hole.surface(place), None, self.tolerance)
                through += found.floating
                on_it += found.seen
        return (through >= LOOK_THROUGH) & (through > on_it)

    def behind(self, depth: NDArray[Any], hole: NDArray[np.bool_], camera: Cameras) -> NDArray[Any]:
        """The depth with those pixels of the hole moved back that would stand where views look through  # [H, W]

        Each goes along its ray to the first place where that ends. Pixels for which there is none stay.

        Args:
            depth: Complete z-depth of a view  # [H, W]
            hole: Pixels that were invented  # [H, W]
            camera: Of that view.
        """
        center = camera.centers[0]
        rays = camera.unproject(torch.ones(1, *hole.shape))[0] - center
        z = torch.from_numpy(depth.astype(np.float32)).to(rays)

        def looks_through(rows: NDArray[np.intp], columns: NDArray[np.intp], z: Tensor) -> NDArray[np.bool_]:
            return as_array(self.looks_through((center + rays[rows, columns] * z[:, None]).float()))

        rows, columns = np.nonzero(hole)
        astray = np.zeros_like(hole)
        astray[hole] = looks_through(rows, columns, z[rows, columns])
        rows, columns = np.nonzero(binary_opening(astray, np.ones((AREA, AREA))))  # lines of them are edges that hardly differ
        moved, waiting = z[rows, columns], np.arange(len(rows))
        for _ in range(MOST_STEPS):
            moved[waiting] *= 1 + STEP
            waiting = waiting[looks_through(rows[waiting], columns[waiting], moved[waiting])]
            if not len(waiting):
                break
        ended = np.ones(len(rows), dtype=bool)
        ended[waiting] = False
        result: NDArray[Any] = depth.copy()
        result[rows[ended], columns[ended]] = moved[torch.from_numpy(ended)].cpu().numpy()
        return result


def free_space_of(hole: Hole) -> FreeSpace:
    """What the views look through; the tolerance is taken from how far their depth differs on surfaces that two of them show.

    Rough poses and thick surfaces leave more room than exact ones.
    """
    count = len(hole.views)
    neighbours = list(zip(range(count), range(1, count), strict=False))[:: count // COMPARED + 1]
    found = [_differences(hole.views[i].camera, hole.surface(i), hole.views[j].camera, hole.surface(j)) for i, j in neighbours]
    differences = torch.cat([*found, torch.zeros(0)])
    spread = SPREADS * MAD_TO_SIGMA * float(differences.abs().median()) if len(differences) else 0.0
    return FreeSpace(hole, float(np.clip(spread, LEAST_TOLERANCE, MOST_TOLERANCE)))


def _differences(first: Cameras, depth: Tensor, second: Cameras, other: Tensor) -> Tensor:
    """Relative differences of two views' depth on surfaces that both show, at some pixels of the first  # [P]"""
    valid = (depth > 0).nonzero()
    chosen = valid[:: len(valid) // PROBES + 1]
    points = first.unproject(depth[None])[0].to(depth.device)[chosen[:, 0], chosen[:, 1]]
    pixels, z = (values[0].to(depth.device) for values in second.project(points))
    column, row = pixels.floor().long().unbind(-1)
    inside = (z > 0) & (column >= 0) & (row >= 0) & (column < second.width) & (row < second.height)
    met = other[row[inside], column[inside]]
    relative = (met / z[inside] - 1)[met > 0]
    return relative[relative.abs() < MOST_TOLERANCE].float().cpu()  # beyond that they see different surfaces
