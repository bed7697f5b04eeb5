"""Pictures that the server renders for the page: colour, depth, alpha, what no photo has seen, and photos over the scene."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scene_depth_heal.drawings import opaque_depth
from scene_depth_heal.hole import TOLERANCE, as_array
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.depth.preview import color_depth
from scene_depth.fitting.training_views import fitted_camera
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import Render, render
from scene_depth.spherical_harmonics import C0
from scene_depth.splats import GaussianSplats

Channel = Literal["colour", "depth", "alpha", "unseen"]
Comparison = Literal["off", "blend", "split", "side by side"]
Picture = NDArray[np.float32]

TINT = (0.0, 0.75, 1.0)  # of selected splats
INVENTED_TINT = (1.0, 0.0, 1.0)  # of those that no photo vouches for, until they are confirmed: that of what is unseen
TINT_SHARE = 0.65
UNSEEN = np.array([1.0, 0.0, 1.0], dtype=np.float32)
UNSEEN_SHARE = 0.75
BACKGROUND = 0.10  # grey behind the splats, and around pictures
PHOTO_SIZE = 256  # longer side of the depth maps that say what photos have seen


class PhotoDepths:
    """What the photos have seen: the depth of the scene as it was captured, rendered once, when it is asked for."""

    def __init__(self, splats: GaussianSplats, cameras: Sequence[Cameras]):
        self._splats = splats
        self._cameras = [fitted_camera(camera, PHOTO_SIZE) for camera in cameras]
        self._depths: list[Tensor] = []
        self._lock = threading.Lock()

    def unseen(self, depth: Tensor, camera: Cameras) -> Tensor:
        """Pixels whose surface no photo shows, by the scene's z-depth now, and those without a surface, 0  # [H, W] bool"""
        self._render()
        unseen = torch.ones_like(depth, dtype=torch.bool)
        surface = depth > 0
        points = camera.unproject(depth[None])[0][surface]
        seen = torch.zeros(len(points), dtype=torch.bool, device=points.device)
        for photo, photo_depth in zip(self._cameras, self._depths, strict=True):
            seen |= sight(points, photo, photo_depth, None, TOLERANCE).seen
        unseen[surface] = ~seen
        return unseen

    def _render(self) -> None:
        with self._lock, torch.no_grad():
            while len(self._depths) < len(self._cameras):
                self._depths.append(opaque_depth(render(self._splats, self._cameras[len(self._depths)])).cpu())


def picture(
    splats: GaussianSplats, selection: Tensor | None, camera: Cameras, channel: Channel, photos: PhotoDepths | None = None
) -> Picture:
    """A picture of the scene as it is shown, sRGB in [0, 1]  # [H, W, 3]

    Chosen splats are tinted; in the unseen channel, which needs ``photos``, they are left out, so that it shows what a deletion
    would open.
    """
    chosen = selection is not None and bool(selection.any()) and not bool(selection.all())
    with torch.no_grad():
        if channel == "unseen" and photos is not None:
            image = _drawn(splats.select(~selection) if chosen and selection is not None else splats, camera)
            unseen = photos.unseen(opaque_depth(image).cpu(), camera).numpy()[..., None]
            colors = as_array(image.rgb[0].clamp(0, 1))
            return np.where(unseen, (1 - UNSEEN_SHARE) * colors + UNSEEN_SHARE * UNSEEN, colors).astype(np.float32)
        image = _drawn(tinted(splats, selection) if chosen and selection is not None else splats, camera)
    if channel == "alpha":
        return np.repeat(as_array(image.alpha[0])[..., None], 3, axis=2)
    if channel == "depth":
        return _depth_picture(as_array(torch.where(image.depth_valid[0], image.depth[0], 0.0)))
    return as_array(image.rgb[0].clamp(0, 1))


def tinted(splats: GaussianSplats, selection: Tensor, color: tuple[float, float, float] = TINT) -> GaussianSplats:
    """The splats with the chosen ones blended towards a colour, by default that of selections."""
    tint = splats.sh.new_tensor([(value - 0.5) / C0 for value in color])
    toward = splats.sh * (1 - TINT_SHARE)
    toward[:, 0] += TINT_SHARE * tint
    return replace(splats, sh=torch.where(selection.to(splats.device)[:, None, None], toward, splats.sh))


def coarse_to_fine(
    camera: Cameras, draw: Callable[[Cameras], Picture], show: Callable[[Picture], None], outdated: Callable[[], bool]
) -> None:
    """Shows a quick picture of a quarter of the size, then the full one, unless a newer request waits by then."""
    width, height = max(1, camera.width // 4), max(1, camera.height // 4)
    show(draw(camera.resized(width, height)))
    if not outdated():
        show(draw(camera))


def to_bytes(picture: Picture) -> NDArray[np.uint8]:
    """8-bit values of a picture  # [H, W, 3]"""
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def photo_seen_by(photo: Picture, photo_camera: Cameras, camera: Cameras) -> tuple[Picture, NDArray[np.bool_]]:
    """The photo as another camera at the same place would have taken it, and where it reaches.

    Two pinhole pictures from one centre are related by the homography K1 R1^T R2 K2^-1 (Hartley and Zisserman 2004, 8.4.2),
    so no depth is needed. Between pixels the photo is interpolated linearly.

    Returns:
        The picture, 0 where the photo does not reach  # [H, W, 3]
        Where it reaches  # [H, W]
    """
    directions = camera.ray_directions()[0].double() @ photo_camera.camera_to_world[0, :3, :3].double()
    in_photo = (directions @ photo_camera.K[0].double().T).cpu().numpy()
    front = in_photo[..., 2] > 1e-9
    xy = in_photo[..., :2] / np.where(front, in_photo[..., 2], 1.0)[..., None]
    inside = front & (xy >= 0).all(axis=-1) & (xy < [photo_camera.width, photo_camera.height]).all(axis=-1)
    x = np.clip(np.where(inside, xy[..., 0], 0) - 0.5, 0, photo.shape[1] - 1)
    y = np.clip(np.where(inside, xy[..., 1], 0) - 0.5, 0, photo.shape[0] - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, photo.shape[1] - 1), np.minimum(top + 1, photo.shape[0] - 1)
    u, v = (x - left)[..., None], (y - top)[..., None]
    above = photo[top, left] * (1 - u) + photo[top, right] * u
    below = photo[bottom, left] * (1 - u) + photo[bottom, right] * u
    return np.where(inside[..., None], above * (1 - v) + below * v, 0).astype(np.float32), inside


def compared(scene: Picture, photo: Picture, reaches: NDArray[np.bool_], how: Comparison, share: float) -> Picture:
    """The scene's picture  # [H, W, 3] with the photo, or what was before, over it where it reaches.

    "blend" mixes them, "split" shows the photo on the left, anything else the scene. ``share`` is that of the photo, 0 to 1, in
    the mix or of the width.
    """
    if how == "blend":
        return np.where(reaches[..., None], (1 - share) * scene + share * photo, scene).astype(np.float32)
    if how == "split":
        edge = round(share * scene.shape[1])
        split = np.where(reaches[:, :edge, None], photo[:, :edge], scene[:, :edge])
        line = np.ones((scene.shape[0], min(1, scene.shape[1] - edge), 3))
        return np.concatenate([split, line, scene[:, edge + line.shape[1] :]], axis=1).astype(np.float32)
    return scene


def side_by_side(left: Picture, right: Picture, width: int, height: int) -> Picture:
    """Two pictures beside each other, each as large as fits into its half of a canvas  # [height, width, 3]"""
    canvas = np.full((height, width, 3), BACKGROUND, dtype=np.float32)
    half = max(1, width // 2)
    for number, image in enumerate((left, right)):
        scale = min(half / image.shape[1], height / image.shape[0])
        size = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
        pixels = Image.fromarray(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
        x, y = min(number * half + (half - size[0]) // 2, width - size[0]), (height - size[1]) // 2
        canvas[y : y + size[1], x : x + size[0]] = np.asarray(pixels).astype(np.float32) / 255
    return canvas


def _drawn(splats: GaussianSplats, camera: Cameras) -> Render:
    return render(splats, camera, background=torch.full((3,), BACKGROUND))


def _depth_picture(depth: NDArray[np.float32]) -> Picture:
    known = depth > 0
    if not known.any():
        return color_depth(depth, 1.0, 2.0)
    near, far = (float(np.quantile(depth[known], share)) for share in (0.02, 0.98))
    return color_depth(depth, near, max(far, 1.001 * near))
