"""Masks that are drawn from a seed alone: scattered points, scan lines, patches, and holes of many shapes.

Each function takes the shape (H, W) of the picture and the seed of all its random choices, and gives the known pixels as True
# [H, W].
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from scene_depth.arrays import Mask
from scene_depth.cameras import Cameras
from scene_depth.errors import InputError

NOMINAL_FOV_X = math.radians(60.0)  # used where no intrinsics are given; a common RGB-D camera
HDL64_AZIMUTH_STEP = math.radians(0.2)  # a 64-beam scanner at about 10 turns a second
SIDES = ("left", "right", "top", "bottom")


def random_share(shape: tuple[int, int], seed: int, share: float = 0.1) -> Mask:
    """Independent random pixels; exactly ``round(share * pixels)`` of them, at least one.

    Args:
        share: Share of pixels that are known, in (0, 1].
    """
    _check_share("share", share)
    return random_points(shape, seed, max(1, round(share * shape[0] * shape[1])))


def random_points(shape: tuple[int, int], seed: int, count: int = 500, valid: Mask | None = None) -> Mask:
    """A number of random pixels, as in the 500-point protocol of NYUv2 (Ma and Karaman 2018).

    Args:
        count: Number of known pixels; all eligible ones if there are fewer.
        valid: Pixels that may be chosen; all by default  # [H, W]
    """
    if count < 1:
        raise InputError("count", count, "at least 1")
    eligible = np.arange(shape[0] * shape[1]) if valid is None else np.flatnonzero(valid)
    chosen = np.random.default_rng(seed).permutation(eligible)[:count]
    known = np.zeros(shape, dtype=bool)
    known.flat[chosen] = True
    return known


def sparse_points(shape: tuple[int, int], seed: int, lowest: float = 0.001, highest: float = 0.02) -> Mask:
    """Random pixels of a random share, by default the 0.1 to 2 % of DepthLab's training masks.

    Args:
        lowest, highest: Range of the share.
    """
    _check_share("lowest", lowest)
    _check_share("highest", highest)
    rng = np.random.default_rng(seed)
    return random_share(shape, int(rng.integers(2**31)), float(rng.uniform(lowest, highest)))


def lidar_lines(
    shape: tuple[int, int],
    seed: int,
    beams: int = 64,
    camera: Cameras | None = None,
    azimuth_step: float = HDL64_AZIMUTH_STEP,
    largest_roll: float = math.radians(2.0),
    dropout: float = 0.1,
) -> Mask:
    """The pixels that a spinning LiDAR beside the camera would hit: ``beams`` lines in equal steps of elevation.

    The lines cover the whole height of the picture. Away from the optical axis they bend, as real scan lines do, since
    a beam sweeps a cone and not a plane.

    Args:
        beams: Number of scan lines.
        camera: Intrinsics; a centred camera of 60 degrees horizontal field of view by default.
        azimuth_step: Angle between two measurements of one line in radians.
        largest_roll: Largest rotation about the optical axis in radians.
        dropout: Share of beams that return nothing.
    """
    if beams < 1 or azimuth_step <= 0 or not 0 <= dropout < 1:
        raise InputError(
            "lidar_lines",
            f"beams {beams}, azimuth_step {azimuth_step}, dropout {dropout}",
            "beams >= 1, step > 0, dropout in [0, 1)",
        )
    rng = np.random.default_rng(seed)
    fx, fy, cx, cy = intrinsics(shape, camera)
    roll = rng.uniform(-largest_roll, largest_roll)
    half_x = max(cx, shape[1] - cx) / fx
    half_y = max(cy, shape[0] - cy) / fy
    reach = math.atan(math.hypot(half_x, half_y))  # lines must still fill the corners after the roll
    top, bottom = math.atan(cy / fy), -math.atan((shape[0] - cy) / fy)
    step = (top - bottom) / beams
    first = bottom + step * rng.uniform(0.2, 0.8)
    outside = math.ceil(half_x * math.tan(abs(roll)) / step) + beams  # bent and rolled lines enter from beyond the picture
    elevation = first + step * np.arange(-outside, beams + outside)
    elevation = elevation[np.abs(elevation) < math.radians(89.0)]
    azimuth = np.arange(-reach, reach, azimuth_step) + rng.uniform(0, azimuth_step)
    azimuth, elevation = np.meshgrid(azimuth, elevation)
    ray = np.stack([np.tan(azimuth), -np.tan(elevation) / np.cos(azimuth)])
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    x, y = np.einsum("ij,jbn->ibn", turn, ray)
    column, row = np.floor(x * fx + cx).ravel(), np.floor(y * fy + cy).ravel()
    inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0]) & (rng.random(column.size) >= dropout)
    known = np.zeros(shape, dtype=bool)
    known[row[inside].astype(int), column[inside].astype(int)] = True
    return known


def patches(shape: tuple[int, int], seed: int, share: float = 0.05, smallest: float = 0.04, largest: float = 0.1) -> Mask:
    """Known squares at random places until a share of the image is known: the contiguous reading of "known ratio".

    Args:
        share: Share of known pixels to reach, in (0, 1]; the last square may pass it.
        smallest, largest: Side of a square relative to the height.
    """
    _check_share("share", share)
    rng = np.random.default_rng(seed)
    known = np.zeros(shape, dtype=bool)
    while known.mean() < share:
        side = max(1, round(rng.uniform(smallest, largest) * shape[0]))
        row = int(rng.integers(0, max(1, shape[0] - side + 1)))
        column = int(rng.integers(0, max(1, shape[1] - side + 1)))
        known[row : row + side, column : column + side] = True
    return known


def intrinsics(shape: tuple[int, int], camera: Cameras | None) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels; nominal ones without a camera."""
    if camera is None:
        focal = 0.5 * shape[1] / math.tan(0.5 * NOMINAL_FOV_X)
        return focal, focal, 0.5 * shape[1], 0.5 * shape[0]
    if len(camera) != 1 or (camera.height, camera.width) != tuple(shape):
        raise InputError(
            "camera", f"{len(camera)} cameras of {camera.width} x {camera.height}", f"one of {shape[1]} x {shape[0]}"
        )
    K = camera.K[0].tolist()
    return K[0][0], K[1][1], K[0][2], K[1][2]


def strokes(
    shape: tuple[int, int], seed: int, count: tuple[int, int] = (1, 6), width: tuple[float, float] = (0.03, 0.12)
) -> Mask:
    """Holes along brush strokes: wandering lines with round joints.

    Args:
        count: Range of the number of strokes.
        width: Range of the brush's width relative to the shorter side.
    """
    rng = np.random.default_rng(seed)
    size = min(shape)
    picture = Image.new("1", (shape[1], shape[0]), 1)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(count[0], count[1] + 1))):
        brush = max(1, round(rng.uniform(*width) * size))
        point = rng.uniform(0, 1, 2) * (shape[1], shape[0])
        heading = rng.uniform(0, 2 * math.pi)
        for _ in range(int(rng.integers(4, 12))):
            heading += rng.normal(0, 0.9)
            following = point + rng.uniform(0.05, 0.2) * size * np.array([math.cos(heading), math.sin(heading)])
            draw.line([*point, *following], fill=0, width=brush)
            draw.ellipse([*(following - brush / 2), *(following + brush / 2)], fill=0)
            point = following
    return _with_both(np.array(picture, dtype=bool))


def circles(
    shape: tuple[int, int], seed: int, count: tuple[int, int] = (1, 8), radius: tuple[float, float] = (0.04, 0.25)
) -> Mask:
    """Round holes.

    Args:
        count: Range of the number of circles.
        radius: Range of the radius relative to the shorter side.
    """
    rng = np.random.default_rng(seed)
    known = np.ones(shape, dtype=bool)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for _ in range(int(rng.integers(count[0], count[1] + 1))):
        row, column = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        reach = max(0.5, rng.uniform(*radius) * min(shape))
        known &= (rows + 0.5 - row) ** 2 + (columns + 0.5 - column) ** 2 > reach**2
    return _with_both(known)


def squares(shape: tuple[int, int], seed: int, count: tuple[int, int] = (1, 8), side: tuple[float, float] = (0.08, 0.4)) -> Mask:
    """Square holes with sides along the axes.

    Args:
        count: Range of the number of squares.
        side: Range of the side relative to the shorter side of the image.
    """
    rng = np.random.default_rng(seed)
    known = np.ones(shape, dtype=bool)
    for _ in range(int(rng.integers(count[0], count[1] + 1))):
        length = max(1, round(rng.uniform(*side) * min(shape)))
        row = int(rng.integers(1 - length // 2, max(2 - length // 2, shape[0] - length // 2)))
        column = int(rng.integers(1 - length // 2, max(2 - length // 2, shape[1] - length // 2)))
        known[max(row, 0) : row + length, max(column, 0) : column + length] = False
    return _with_both(known)


def mixture(shape: tuple[int, int], seed: int) -> Mask:
    """One, two or three of strokes, circles and squares together, as DepthLab trains with."""
    rng = np.random.default_rng(seed)
    kinds: list[Callable[[tuple[int, int], int], Mask]] = [strokes, circles, squares]
    chosen = rng.permutation(3)[: int(rng.integers(1, 4))]
    known = np.ones(shape, dtype=bool)
    for kind in chosen:
        known &= kinds[kind](shape, int(rng.integers(2**31)))
    return _with_both(known)


def silhouette(shape: tuple[int, int], seed: int, smallest: float = 0.1, largest: float = 0.4) -> Mask:
    """One hole with a smooth random outline, as if an object were removed.

    The outline is r(angle) = exp of a random Fourier series of order 6 about a centre inside the image, stretched and
    turned; the level whose area is the drawn share is cut out.

    Args:
        smallest, largest: Range of the hole's share of the image.
    """
    _check_range(smallest, largest)
    rng = np.random.default_rng(seed)
    share = rng.uniform(smallest, largest)
    center = rng.uniform(0.25, 0.75, 2) * shape
    turn, stretch = rng.uniform(0, math.pi), math.exp(rng.uniform(-0.5, 0.5))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    y, x = rows + 0.5 - center[0], columns + 0.5 - center[1]
    along, across = x * math.cos(turn) + y * math.sin(turn), (y * math.cos(turn) - x * math.sin(turn)) * stretch
    angle = np.arctan2(across, along)
    outline = sum(
        rng.normal(0, 0.25 / order) * np.cos(order * angle) + rng.normal(0, 0.25 / order) * np.sin(order * angle)
        for order in range(1, 7)
    )
    level = np.hypot(along, across) / np.exp(outline)
    known = np.ones(shape, dtype=bool)
    known.flat[np.argsort(level, axis=None, kind="stable")[: round(share * level.size)]] = False
    return _with_both(known)


def rectangle(shape: tuple[int, int], seed: int, smallest: float = 0.1, largest: float = 0.4) -> Mask:
    """One rectangular hole of a random share and aspect somewhere inside the image.

    Args:
        smallest, largest: Range of the hole's share of the image.
    """
    _check_range(smallest, largest)
    rng = np.random.default_rng(seed)
    share = rng.uniform(smallest, largest)
    aspect = math.exp(rng.uniform(-0.5, 0.5))
    relative_height = min(0.95, math.sqrt(share * aspect))
    relative_width = min(0.95, share / relative_height)
    height, width = max(1, round(relative_height * shape[0])), max(1, round(relative_width * shape[1]))
    row = int(rng.integers(0, shape[0] - height + 1))
    column = int(rng.integers(0, shape[1] - width + 1))
    known = np.ones(shape, dtype=bool)
    known[row : row + height, column : column + width] = False
    return _with_both(known)


def half_image(shape: tuple[int, int], seed: int, side: str | None = None, share: float = 0.5) -> Mask:
    """One side of the image is known, the other is to be outpainted.

    Args:
        side: The known side: left, right, top or bottom; random by default (of those along which there is room).
        share: Share of the image that is known, in (0, 1).
    """
    if side is not None and side not in SIDES:
        raise InputError("side", repr(side), f"one of {', '.join(SIDES)}")
    if not 0 < share < 1:
        raise InputError("share", share, "a share in (0, 1)")
    possible = SIDES if min(shape) > 1 else (SIDES[:2] if shape[1] > 1 else SIDES[2:])
    side = side or possible[int(np.random.default_rng(seed).integers(len(possible)))]
    known = np.zeros(shape, dtype=bool)
    rows, columns = max(1, round(share * shape[0])), max(1, round(share * shape[1]))
    window: tuple[slice, slice] = {
        "left": np.s_[:, :columns],
        "right": np.s_[:, shape[1] - columns :],
        "top": np.s_[:rows, :],
        "bottom": np.s_[shape[0] - rows :, :],
    }[side]
    known[window] = True
    return _with_both(known)


def training_mask(shape: tuple[int, int], seed: int) -> Mask:
    """One mask of DepthLab's training distribution: strokes, circles, squares, a mixture, random points or a silhouette.

    The paper names the strategies and not their shares; here each is as likely as the others. Where instance labels
    exist, ``instances`` replaces the silhouette.
    """
    rng = np.random.default_rng(seed)
    strategies = (strokes, circles, squares, mixture, sparse_points, silhouette)
    return strategies[int(rng.integers(len(strategies)))](shape, int(rng.integers(2**31)))


def _with_both(known: Mask) -> Mask:
    """Strokes can miss the picture and large holes can swallow it; then the centre pixel, or a corner, is turned over."""
    if known.all():
        known[known.shape[0] // 2, known.shape[1] // 2] = False
    if not known.any():
        known[0, 0] = True
    return known


def _check_range(smallest: float, largest: float) -> None:
    if not 0 < smallest <= largest < 1:
        raise InputError("smallest, largest", f"{smallest}, {largest}", "shares with 0 < smallest <= largest < 1")


def _check_share(name: str, share: float) -> None:
    if not 0 < share <= 1:
        raise InputError(name, share, "a share in (0, 1]")
