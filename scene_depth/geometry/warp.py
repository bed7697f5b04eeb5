"""Surfaces that posed depth maps show, drawn into other cameras with a depth buffer.

The pixels of a depth map are the corners of a triangle mesh. Neighbours are joined unless their depth jumps, so that a surface
stays closed however near a camera comes, and nothing is stretched over what lies hidden behind an edge. A surface that is looked
at from behind hides what is there and shows nothing. Meshes are kept in tiles with their bounding boxes; drawing costs what the
camera sees, not what there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.arrays import Array, Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.kernels import EXACT, kernel

TILE = 32  # pixels along the side of a tile
FLAT = 0.01  # relative step of depth between neighbours that needs no slope to be a surface
BEND = 0.5  # of a larger step: how far it may lie outside the slopes on its two sides, between which it lies at a crease
STEEP_JUMP, STEEP = (
    0.05,
    10.0,
)  # a step beyond both, the second in pixels of the focal length (cosine to the ray < 0.1), is an edge
OUTLINE = 3  # pixels on the near side of an edge that count as its outline
NEAR = 1e-9
CLEARLY_NEARER = 1.005  # a surface of another view replaces one drawn before if it is nearer by this factor
CRACK, SAME_SURFACE = 3, 0.02  # pixels to look on both sides of a crack, and their largest relative difference in depth
LEAST_ISLAND = 9  # pixels

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Warp:
    """What a camera sees of known surfaces.

    Attributes:
        depth: z-depth, 0 where nothing is known  # [H, W]
        rgb: sRGB in [0, 1], 0 where nothing is known  # [H, W, 3]
        known: Pixels on known surfaces  # [H, W]
        outline: Known pixels at the near side of an edge in depth, where something else lies behind  # [H, W]
    """

    depth: NDArray[np.float32]
    rgb: Picture
    known: Mask
    outline: Mask


@dataclass(frozen=True)
class _Mesh:
    """Triangles of one view. Those of tile i are ``triangles[first[i] : first[i + 1]]``, its corners ``corner[i]`` to
    ``corner[i + 1]``.

    Attributes:
        points: Corners in the world  # [V, 3]
        values: Red, green, blue and outline, 0 to 255  # [V, 4]
        triangles: Indices of corners  # [T, 3]
        first, corner: Where tiles begin  # [tiles + 1]
        low, high: Bounding boxes of the tiles  # [tiles, 3]
    """

    points: Doubles
    values: NDArray[np.uint8]
    triangles: NDArray[np.int32]
    first: NDArray[np.int64]
    corner: NDArray[np.int64]
    low: Doubles
    high: Doubles


@dataclass
class Surfaces:
    """Known surfaces, to which views add theirs; earlier ones keep their place."""

    _meshes: list[_Mesh] = field(default_factory=list, init=False, repr=False)

    def __len__(self) -> int:
        """Number of views that were added."""
        return len(self._meshes)

    def add(self, camera: Cameras, depth: Array, rgb: NDArray[np.uint8], where: Mask) -> Mask:
        """Adds the surfaces that one view shows.

        Args:
            camera: One camera.
            depth: z-depth, 0 = unknown  # [H, W]
            rgb: sRGB  # [H, W, 3]
            where: Pixels that bring something new. They are joined to their neighbours beside them, which are not added else.

        Returns:
            New pixels that lie on a surface; the others stand alone between edges, in the air  # [H, W]
        """
        if len(camera) != 1 or depth.shape != (camera.height, camera.width) or where.shape != depth.shape:
            found = f"shapes {depth.shape}, {where.shape}"
            raise InputError("depth, where", found, f"({camera.height}, {camera.width}) and one camera")
        mesh, used = _mesh_of(camera, np.asarray(depth, np.float64), rgb, where)
        self._meshes.append(mesh)
        return used & where

    def warp(self, camera: Cameras, *, shrink: int = 1) -> Warp:
        """Draws all surfaces into a camera, closes cracks in surfaces, and gives up the rim of what is known.

        Args:
            camera: One camera.
            shrink: Pixels by which known areas lose their border to unknown ones, where colours and depth are least certain.
        """
        inverse, values, front = self.draw(camera)
        _close_cracks(inverse, values, front, CRACK, SAME_SURFACE)
        known = front & (inverse > 0)
        if shrink > 0:
            reach = np.ones((2 * shrink + 1, 2 * shrink + 1), dtype=bool)
            known = ndimage.binary_erosion(known, reach, border_value=1)
        labels, count = ndimage.label(known)
        if count:
            known &= (np.bincount(labels.ravel()) >= LEAST_ISLAND)[labels]
        depth = np.divide(1.0, inverse, out=np.zeros_like(inverse), where=known).astype(np.float32)
        rgb = np.where(known[..., None], np.clip(values[..., :3] / 255.0, 0.0, 1.0), 0.0).astype(np.float32)
        return Warp(depth, rgb, known, known & (values[..., 3] > 0.5))

    def draw(self, camera: Cameras, view: int | None = None) -> tuple[Doubles, Doubles, Mask]:
        """Draws the surfaces of all views, or of one, as they are.

        Args:
            camera: One camera.
            view: Which of the views that were added; None for all.

        Returns:
            Inverse z-depth of the nearest surface, 0 where there is none  # [H, W]
            Red, green, blue and outline, 0 to 255, of its front  # [H, W, 4]
            Whether the front of the surface is seen  # [H, W]
        """
        shape = camera.height, camera.width
        inverse, values, front = np.zeros(shape), np.zeros((*shape, 4)), np.zeros(shape, dtype=bool)
        owner = np.full(shape, -1, dtype=np.int64)
        pose, K = camera.world_to_camera[0].double().cpu().numpy(), camera.K[0].double().cpu().numpy()
        sides = sides_of_view(camera)
        for index, mesh in enumerate(self._meshes):
            if view is not None and index != view:
                continue
            tiles = np.nonzero(boxes_in_view(mesh.low, mesh.high, sides))[0]
            if len(tiles):
                tables = mesh.points, mesh.values, mesh.triangles, mesh.first, mesh.corner
                _draw(pose, K, *tables, tiles, index, inverse, values, front, owner)
        return inverse, values, front


def sides_of_view(camera: Cameras) -> Doubles:
    """The five planes that bound what a camera sees: in front, left, right, above, below.

    Returns:
        Weights of x, y, z and 1 whose sum is at least 0 inside  # [5, 4]
    """
    K, pose = camera.K[0].double().cpu().numpy(), camera.world_to_camera[0].double().cpu().numpy()[:3]
    u, v, z = K[0, 0] * pose[0] + K[0, 2] * pose[2], K[1, 1] * pose[1] + K[1, 2] * pose[2], pose[2]
    sides: Doubles = np.stack([z, u, camera.width * z - u, v, camera.height * z - v])
    return sides


def boxes_in_view(low: Doubles, high: Doubles, sides: Doubles) -> Mask:
    """Boxes that are not wholly outside one side of what a camera sees; a few that it does not see are among them  # [...]

    Args:
        low, high: Opposite corners of boxes along the world's axes  # [..., 3]
        sides: From ``sides_of_view``, of one camera or one a box  # [..., 5, 4]
    """
    normals, offsets = sides[..., :3], sides[..., 3]
    innermost = np.where(normals > 0, high[..., None, :], low[..., None, :])
    in_view: Mask = ((normals * innermost).sum(axis=-1) + offsets >= 0).all(axis=-1)
    return in_view


def joined_neighbours(depth: Doubles, usable: Mask, focal: float) -> tuple[Mask, Mask]:
    """Which neighbours lie on one surface.

    Neighbours with a small step of depth do; with a larger one if it goes on with the slopes on its sides, as on a floor that is
    seen at a slant or in the corner of a room; with one that is steep to the ray they do not.

    Args:
        depth: z-depth  # [H, W]
        usable: Pixels that have one  # [H, W]
        focal: Focal length in pixels.

    Returns:
        Each pixel with the next in its row  # [H, W - 1]
        Each pixel with the next in its column  # [H - 1, W]
    """
    u = np.divide(1.0, depth, out=np.zeros_like(depth), where=usable)
    return _joined_rows(u, usable, focal), _joined_rows(u.T, usable.T, focal).T


def _joined_rows(u: Doubles, usable: Mask, focal: float) -> Mask:
    step = u[:, 1:] - u[:, :-1]
    both = usable[:, 1:] & usable[:, :-1]
    size = np.abs(step)
    relative = np.divide(size, np.minimum(u[:, 1:], u[:, :-1]), out=np.full_like(size, np.inf), where=both)
    slope = np.where(both, step, np.nan)
    before, after = np.full_like(step, np.nan), np.full_like(step, np.nan)
    before[:, 1:], after[:, :-1] = slope[:, :-1], slope[:, 1:]
    low, high = np.fmin(before, after), np.fmax(before, after)
    goes_on = (step >= low - BEND * size) & (step <= high + BEND * size)
    steep = relative > max(STEEP_JUMP, STEEP / focal)
    return both & ~steep & ((relative <= FLAT) | goes_on)


def _mesh_of(camera: Cameras, depth: Doubles, rgb: NDArray[np.uint8], where: Mask) -> tuple[_Mesh, Mask]:
    height, width = depth.shape
    usable = np.isfinite(depth) & (depth > 0)
    row, column = joined_neighbours(depth, usable, float(camera.K[0, 0, 0]))
    place = np.arange(height * width).reshape(height, width)
    corners = place[:-1, :-1], place[:-1, 1:], place[1:, :-1], place[1:, 1:]
    new = [where[:-1, :-1], where[:-1, 1:], where[1:, :-1], where[1:, 1:]]
    first = row[:-1] & column[:, :-1] & (new[0] | new[1] | new[2])
    second = row[1:] & column[:, 1:] & (new[1] | new[2] | new[3])
    tile = (np.arange(height - 1) // TILE)[:, None] * (-(-width // TILE)) + np.arange(width - 1) // TILE
    triangles = np.concatenate(
        [np.stack([corners[i][first] for i in (0, 1, 2)], -1), np.stack([corners[i][second] for i in (1, 3, 2)], -1)]
    )
    tiles = np.concatenate([tile[first], tile[second]])
    order = np.argsort(tiles, kind="stable")
    triangles, tiles = triangles[order], tiles[order]
    starts = np.unique(tiles, return_index=True)[1]
    bounds = [*starts.tolist(), len(tiles)]
    places, local, corner = [np.zeros(0, np.int64)], [np.zeros((0, 3), np.int64)], [0]
    for start, end in pairwise(bounds):
        own, indices = np.unique(triangles[start:end], return_inverse=True)
        local.append(indices.reshape(-1, 3) + corner[-1])
        places.append(own)
        corner.append(corner[-1] + len(own))
    chosen = np.concatenate(places)
    points = _world_points(camera, depth, chosen)
    outline = _outline(depth, usable, row, column)
    values = np.concatenate([rgb, np.where(outline, np.uint8(255), np.uint8(0))[..., None]], axis=-1).reshape(-1, 4)[chosen]
    pairs = list(pairwise(corner))
    low = np.array([points[a:b].min(axis=0) for a, b in pairs]).reshape(-1, 3)
    high = np.array([points[a:b].max(axis=0) for a, b in pairs]).reshape(-1, 3)
    used = np.zeros(height * width, dtype=bool)
    used[chosen] = True
    tables = np.concatenate(local).astype(np.int32), np.array(bounds, np.int64), np.array(corner, np.int64)
    mesh = _Mesh(points, values, *tables, low, high)
    return mesh, used.reshape(height, width)


def _world_points(camera: Cameras, depth: Doubles, places: NDArray[np.int64]) -> Doubles:
    pose, K = camera.camera_to_world[0].double().cpu().numpy(), camera.K[0].double().cpu().numpy()
    row, column = np.divmod(places, camera.width)
    z = depth.ravel()[places]
    inside = np.stack([(column + 0.5 - K[0, 2]) / K[0, 0] * z, (row + 0.5 - K[1, 2]) / K[1, 1] * z, z], axis=-1)
    result: Doubles = inside @ pose[:3, :3].T + pose[:3, 3]
    return result


def _outline(depth: Doubles, usable: Mask, row: Mask, column: Mask) -> Mask:
    """Pixels near an edge, on its near side  # [H, W]"""
    near = np.zeros(depth.shape, dtype=bool)
    cut = ~row & usable[:, 1:] & usable[:, :-1]
    near[:, :-1] |= cut & (depth[:, :-1] < depth[:, 1:])
    near[:, 1:] |= cut & (depth[:, 1:] < depth[:, :-1])
    cut = ~column & usable[1:] & usable[:-1]
    near[:-1] |= cut & (depth[:-1] < depth[1:])
    near[1:] |= cut & (depth[1:] < depth[:-1])
    for _ in range(OUTLINE):
        before = near.copy()
        near[:, 1:] |= before[:, :-1] & row
        near[:, :-1] |= before[:, 1:] & row
        near[1:] |= before[:-1] & column
        near[:-1] |= before[1:] & column
    return near


@kernel(EXACT)
def _draw(pose, K, points, values, triangles, first, corner, tiles, index, inverse, out, front, owner):
    height, width = inverse.shape
    size = 0
    for tile in tiles:
        size = max(size, corner[tile + 1] - corner[tile])
    xs, ys, us = np.empty(size), np.empty(size), np.empty(size)
    for tile in tiles:
        base = corner[tile]
        for i in range(base, corner[tile + 1]):
            px, py, pz = points[i, 0], points[i, 1], points[i, 2]
            x = pose[0, 0] * px + pose[0, 1] * py + pose[0, 2] * pz + pose[0, 3]
            y = pose[1, 0] * px + pose[1, 1] * py + pose[1, 2] * pz + pose[1, 3]
            z = pose[2, 0] * px + pose[2, 1] * py + pose[2, 2] * pz + pose[2, 3]
            us[i - base] = 0.0
            if z > NEAR:
                us[i - base] = 1.0 / z
                xs[i - base] = K[0, 0] * x / z + K[0, 2] - 0.5
                ys[i - base] = K[1, 1] * y / z + K[1, 2] - 0.5
        for t in range(first[tile], first[tile + 1]):
            a, b, c = triangles[t, 0] - base, triangles[t, 1] - base, triangles[t, 2] - base
            if us[a] == 0.0 or us[b] == 0.0 or us[c] == 0.0:
                continue
            ax, ay, bx, by, cx, cy = xs[a], ys[a], xs[b], ys[b], xs[c], ys[c]
            lowest_x, highest_x = min(ax, bx, cx), max(ax, bx, cx)
            lowest_y, highest_y = min(ay, by, cy), max(ay, by, cy)
            if highest_x < 0 or highest_y < 0 or lowest_x > width - 1 or lowest_y > height - 1:
                continue
            area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
            if area == 0.0:
                continue
            for j in range(max(0, int(np.ceil(lowest_y - 1e-6))), min(height - 1, int(np.floor(highest_y + 1e-6))) + 1):
                for i in range(max(0, int(np.ceil(lowest_x - 1e-6))), min(width - 1, int(np.floor(highest_x + 1e-6))) + 1):
                    wb = ((i - ax) * (cy - ay) - (j - ay) * (cx - ax)) / area
                    wc = ((bx - ax) * (j - ay) - (by - ay) * (i - ax)) / area
                    wa = 1.0 - wb - wc
                    if wa < -1e-6 or wb < -1e-6 or wc < -1e-6:
                        continue
                    u = wa * us[a] + wb * us[b] + wc * us[c]
                    margin = 1.0 if owner[j, i] == index else CLEARLY_NEARER
                    if u <= margin * inverse[j, i]:
                        continue
                    inverse[j, i] = u
                    owner[j, i] = index
                    front[j, i] = area > 0
                    for k in range(4):
                        mixed = wa * us[a] * values[a + base, k] + wb * us[b] * values[b + base, k]
                        out[j, i, k] = (mixed + wc * us[c] * values[c + base, k]) / u


@kernel(EXACT)
def _close_cracks(inverse, values, front, reach, tolerance):
    """Interpolates where the same surface goes on at both sides, along the shortest of four directions."""
    height, width = inverse.shape
    before = inverse.copy()
    seen = front.copy()
    for j in range(height):
        for i in range(width):
            if before[j, i] > 0.0:
                continue
            shortest = 2 * reach + 1
            for direction in range(4):
                dx, dy = (1, 0) if direction == 0 else (0, 1) if direction == 1 else (1, 1) if direction == 2 else (1, -1)
                back, ahead = 0, 0
                for k in range(1, reach + 1):
                    x, y = i - k * dx, j - k * dy
                    if back == 0 and 0 <= x < width and 0 <= y < height and before[y, x] > 0.0:
                        back = k
                    x, y = i + k * dx, j + k * dy
                    if ahead == 0 and 0 <= x < width and 0 <= y < height and before[y, x] > 0.0:
                        ahead = k
                if back == 0 or ahead == 0 or back + ahead >= shortest or back + ahead > reach + 1:
                    continue
                y0, x0, y1, x1 = j - back * dy, i - back * dx, j + ahead * dy, i + ahead * dx
                u0, u1 = before[y0, x0], before[y1, x1]
                if not (seen[y0, x0] and seen[y1, x1]) or abs(u0 - u1) > tolerance * min(u0, u1):
                    continue
                shortest = back + ahead
                share = back / (back + ahead)
                inverse[j, i] = (1.0 - share) * u0 + share * u1
                front[j, i] = True
                for k in range(4):
                    values[j, i, k] = (1.0 - share) * values[y0, x0, k] + share * values[y1, x1, k]
