"""A photo against what the scene shows from the same place: blended, split or side by side."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scene_depth.cameras import Cameras

Comparison = Literal["off", "blend", "split", "side by side"]
Picture = NDArray[np.float32]
EMPTY = 0.1  # grey around pictures


def photo_seen_by(photo: Picture, photo_camera: Cameras, camera: Cameras) -> tuple[Picture, NDArray[np.bool_]]:
    """The photo as another camera at the same place would have taken it, and where it reaches.

    Two pinhole pictures from one centre are related by the homography K1 R1^T R2 K2^-1 (Hartley and Zisserman 2004, 8.4.2),
    so no depth is needed. Between pixels the photo is interpolated linearly.

    Args:
        photo: sRGB  # [h, w, 3]
        photo_camera: Its camera.
        camera: The other camera.

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
    """The scene's picture with the photo over it.

    Args:
        scene: Rendered  # [H, W, 3]
        photo: In the same view  # [H, W, 3]
        reaches: Where the photo reaches  # [H, W]
        how: "blend" mixes them, "split" shows the photo on the left; anything else shows the scene.
        share: Of the photo, 0 to 1: in the mix, or of the width.
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
    canvas = np.full((height, width, 3), EMPTY, dtype=np.float32)
    half = max(1, width // 2)
    for number, image in enumerate((left, right)):
        scale = min(half / image.shape[1], height / image.shape[0])
        size = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
        pixels = Image.fromarray(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
        x, y = min(number * half + (half - size[0]) // 2, width - size[0]), (height - size[1]) // 2
        canvas[y : y + size[1], x : x + size[0]] = np.asarray(pixels).astype(np.float32) / 255
    return canvas
