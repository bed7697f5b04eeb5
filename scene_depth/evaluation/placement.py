"""Whether splats stand where the cameras of the photos look: their likeness, and what is wrong where there is none.

Likeness is the correlation of render and photo at 96 pixels, each less its own blur over a tenth of the picture, so that neither
exposure nor the usual order of things (light above, dark below) counts. Means over five views, of seven scenes (three ray-traced,
four photographed, fits of 1500 steps at 240 pixels):

- splats of that scene: 0.86 to 0.95; after 400 steps at 160 pixels 0.86 to 0.93, after 150 0.69 to 0.87, after 50 0.50 to 0.81;
- at half or double the scale, turned by 90 or 180 degrees, seen by cameras with the axes of OpenGL, or of another scene: -0.2 to
  0.28, save for one scene whose cameras stand close to the origin, where half the scale gives 0.55 and double 0.71;
- 5 % too large, or moved by a fiftieth of what the cameras span: 0.29 to 0.9, which no limit tells from a poor fit.

So likeness below 0.4 is no likeness; up to 0.75 it is, unless a wrong scale or turn is found that explains what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.fitting.training_views import TrainingViews, fitted_camera
from scene_depth.io.scene_notes import LOGGER
from scene_depth.rendering import render
from scene_depth.scene import Scene
from scene_depth.splat_transforms import euler_rotation
from scene_depth.splats import GaussianSplats

VIEWS = 5
SIZE = 96  # longer side in pixels
BLUR = 0.1  # of the longer side
UNLIKE, DOUBTFUL = 0.4, 0.75  # likeness below which it is none, or for which a cause is sought
EXPLAINS = 0.15  # likeness that a cause must win
COVERED = 0.02  # share of a picture that the splats must show to be compared
TEXTURED = 0.01  # standard deviation of a photo less its blur, from which it can be compared
SAMPLE = 10_000  # splats that a cause is sought with
SCALES = tuple(2 ** (step / 8) for step in range(-80, 81))
"""Steps of 9 %: a scale that is 5 % off still has half of the likeness."""


@dataclass(frozen=True)
class Photo:
    """A photo to compare with, at the size of its camera.

    Attributes:
        camera: One camera.
        rgb: sRGB  # [H, W, 3]
        counts: Pixels that are compared; None for all  # [H, W] bool
    """

    camera: Cameras
    rgb: Tensor
    counts: Tensor | None = None

    def small(self) -> Photo:
        """The photo at the size of comparison."""
        camera = fitted_camera(self.camera, SIZE)
        size = (camera.height, camera.width)
        pool = torch.nn.functional.adaptive_avg_pool2d
        rgb = pool(self.rgb.float().cpu().movedim(-1, 0), size).movedim(0, -1)
        counts = None if self.counts is None else pool(self.counts.float().cpu()[None], size)[0] > 0.5
        return Photo(camera, rgb, counts)


def compared_places(count: int) -> list[int]:
    """Places of the views that are compared, evenly over all of them."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(count, VIEWS)).round().astype(int))]


def photos_of(scene: Scene) -> list[Photo]:
    """The photos of a scene that are compared."""
    chosen = [scene.views[place] for place in compared_places(len(scene.views)) if scene.views[place].load_image is not None]
    if not chosen:
        return []
    sized = TrainingViews(chosen, SIZE)
    return [Photo(sized.camera(index), sized.target(index).image) for index in range(len(chosen))]


def check_likeness(splats: GaussianSplats, photos: Sequence[Photo], *, stop: bool = True) -> float | None:
    """Measures whether splats look as photos do from their cameras.

    Args:
        splats: Splats of a scene.
        photos: Photos of it; see ``photos_of``.
        stop: Whether to raise where they do not; else it is said and work goes on.

    Returns:
        Their likeness, at most 1; None where no photo has anything to compare.

    Raises:
        InputError: If the splats do not look like the photos; the message names the cause where one is found.
    """
    compared = [photo.small() for photo in photos]
    splats = splats.detach()
    likeness = measure_likeness(splats, compared)
    if likeness is None or likeness >= DOUBTFUL:
        return likeness
    cause = find_cause(splats, compared, likeness)
    if cause is None and likeness >= UNLIKE:
        return likeness
    found = f"splats that do not look like the photos from their cameras (likeness {likeness:.2f} of 1)"
    accepted = "splats in the frame and unit of the cameras"
    if cause is None:
        accepted += "; they may be of another scene, or moved: no scale and no turn by 90 degrees brings them there"
    else:
        found, accepted = f"{found}: {cause.words}", f"{accepted}: {cause.remedy}"
    if stop:
        raise InputError("splats", found, f"{accepted}; --no-check-placement (check_placement=False) goes on all the same")
    LOGGER.warning("%s; expected %s", found, accepted)
    return likeness


def measure_likeness(
    splats: GaussianSplats, photos: Sequence[Photo], move: Callable[[Cameras], Cameras] | None = None
) -> float | None:
    """Mean correlation of render and photo without their low frequencies, where the splats show; None without texture."""
    found = []
    for photo in photos:
        image = render(splats, photo.camera if move is None else move(photo.camera))
        shown = (image.alpha[0] > 0.5).cpu()
        weight = (shown if photo.counts is None else shown & photo.counts).numpy().astype(np.float64)
        grey = photo.rgb.mean(dim=-1).numpy()
        if _detail(grey, np.ones_like(weight)).std() < TEXTURED:
            continue
        if weight.mean() < COVERED:
            found.append(0.0)
            continue
        drawn = image.rgb[0].clamp(0, 1).mean(dim=-1).cpu().numpy()
        ours, theirs = _detail(drawn, weight), _detail(grey, weight)
        found.append(float((ours * theirs).sum() / (np.sqrt((ours**2).sum() * (theirs**2).sum()) + 1e-6)))
    return float(np.mean(found)) if found else None


@dataclass(frozen=True)
class Cause:
    """What makes splats and cameras disagree.

    Attributes:
        words: What the splats are.
        remedy: What to do about it.
    """

    words: str
    remedy: str


def find_cause(splats: GaussianSplats, photos: Sequence[Photo], likeness: float) -> Cause | None:
    """The wrong scale, turn or convention of poses that explains why splats look unlike their photos; None if none does."""
    if len(splats) > SAMPLE:
        chosen = torch.randperm(len(splats), generator=torch.Generator().manual_seed(0))[:SAMPLE]
        larger = 0.5 * float(np.log(len(splats) / SAMPLE))  # so that surfaces stay closed
        splats = splats.select(chosen.to(splats.device))
        splats = replace(splats, log_scales=splats.log_scales + larger)
    few = [photos[place] for place in compared_places(len(photos))[::3]]

    def score(move: Callable[[Cameras], Cameras], compared: Sequence[Photo] = few) -> float:
        return measure_likeness(splats, compared, move) or 0.0

    best = max(SCALES, key=lambda scale: score(partial(_scaled, factor=scale)))
    for step in (1 / 16, 1 / 32, 1 / 64):
        best = max((best * 2**side for side in (-step, 0.0, step)), key=lambda scale: score(partial(_scaled, factor=scale)))
    size, factor = (f"{float(f'{value:.3g}'):g}" for value in (best, 1 / best))
    remedy = f"scene-depth convert SPLATS OUT --scale {factor}"
    causes: list[tuple[Callable[[Cameras], Cameras], Cause]] = [
        (partial(_scaled, factor=best), Cause(f"they are {size} times as large as they should be", remedy))
    ]
    for angles, turn in _turns():
        words = " and ".join(f"{angle:g} degrees about {axis}" for angle, axis in zip(angles, "xyz", strict=True) if angle)
        remedy = "scene-depth convert SPLATS OUT --rotate {:g} {:g} {:g}".format(*angles)
        causes.append((partial(_turned, turn=turn), Cause(f"they fit when turned by {words}, as y-up to z-up", remedy)))
    remedy = "poses from camera to world with the axes that their format names"
    causes.append((_flipped, Cause("the poses of the cameras have the axes of OpenGL (y up, z backward), not of OpenCV", remedy)))
    causes.append((_inverted, Cause("the poses of the cameras are from world to camera", remedy)))
    move, cause = max(causes, key=lambda each: score(each[0]))
    explained = score(move, photos)
    return cause if explained >= max(likeness + EXPLAINS, UNLIKE + EXPLAINS) else None


def _turns() -> Iterator[tuple[tuple[int, int, int], Tensor]]:
    """The 23 turns by right angles, as angles about the fixed axes x, y, z, the fewest first, and matrices  # [3, 3]"""
    seen: list[Tensor] = [torch.eye(3, dtype=torch.float64)]
    steps = (0, 90, -90, 180)
    for angles in sorted(product(steps, steps, steps), key=lambda each: sum(angle != 0 for angle in each)):
        turn = euler_rotation(*angles).double().round()
        if not any(torch.equal(turn, other) for other in seen):
            seen.append(turn)
            yield angles, turn


def _posed(camera: Cameras, pose: Tensor) -> Cameras:
    return replace(camera, camera_to_world=pose)


def _scaled(camera: Cameras, factor: float) -> Cameras:
    """The camera as it stands to splats that are to become 1 / factor as large."""
    pose = camera.camera_to_world.double().clone()
    pose[:, :3, 3] *= factor
    return _posed(camera, pose)


def _turned(camera: Cameras, turn: Tensor) -> Cameras:
    """The camera as it stands to splats that are to be turned."""
    whole = torch.eye(4, dtype=torch.float64)
    whole[:3, :3] = turn.T
    return _posed(camera, whole @ camera.camera_to_world.double())


def _flipped(camera: Cameras) -> Cameras:
    return _posed(camera, camera.camera_to_world.double() @ torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)))


def _inverted(camera: Cameras) -> Cameras:
    return _posed(camera, camera.world_to_camera.double())


def _detail(grey: NDArray[np.floating], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """A picture less its own blur, both of pixels that have weight alone; 0 elsewhere  # [H, W]"""
    sigma = BLUR * max(grey.shape)
    blurred = gaussian_filter(grey * weight, sigma) / np.maximum(gaussian_filter(weight, sigma), 1e-6)
    detail: NDArray[np.float64] = (grey - blurred) * weight
    return detail
