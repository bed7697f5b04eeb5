"""Clicks that pick an object: its connected surface, up to changes of colour, gaps in depth, and what it stands on.

The surface is a graph of opaque splats, linked where they are near and alike. A walk that starts at the clicks and stops now and
then (personalised PageRank) reaches what is well linked to them; of the sets of what it reaches best, one is taken whose border
has few links for its size (after the sweep cut of Andersen, Chung and Lang, "Local graph partitioning using PageRank vectors",
FOCS 2006). Large planes that the clicks lie before, such as floors and walls, end the walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.splats import GaussianSplats
from scene_depth_heal.picking import FAINT, Mode, hit, screen_ray

Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]

MOST_NODES = 30_000  # opaque splats around the clicks that are looked at
LINKS, SURROUNDINGS = 12, 24  # neighbours that are linked, and those that give a splat's normal
NEAR = 2.0  # standard deviation of the length of links, in local spacings
ALIKE = 6.0  # that of differences of colour, in the median difference around the clicks
LEAST_DIFFERENCE = 0.02  # of that median
AROUND = 500  # splats around each click that say how much the colour of its surface varies
STOPPING = 1e-3  # share of the walks that stop at each step
LEAST_OBJECT = 30  # splats
CROWD = 0.75  # power of a set's size that its border is measured by: 1 joins objects alike, 0.5 takes parts of one
LEAKIER, LARGER = 1.7, 1.5  # than the tightest: how leaky sets may be, and how much larger than the smallest one of these
TIGHT = 0.02  # leak that is none
CONTACT = 0.25  # share of links to what the object stands on that counts as its border
PLANES, PROPOSALS, VOTERS = 6, 150, 2000  # most planes, how many are proposed for each, by how many splats they are judged
LEAST_PLANE = 0.03  # share of the nodes that makes a plane one to stand on
FLAT = 0.15  # thickness over width of the surroundings up to which their normal proposes a plane
ALIGNED = 0.8  # cosine between a splat's normal and the plane's
BEYOND = 2.0  # how much farther than its nearest part a plane reaches from the clicks
REFUSED = 8  # splats around a click on what does not belong to the object


@dataclass(frozen=True)
class Click:
    """A place in a picture that belongs to an object, or does not.

    Attributes:
        camera: The camera of the picture, in the frame and unit of the scene's files.
        pixel: Column and row, continuous; the middle of the first pixel is (0.5, 0.5).
        belongs: Whether what shows there is part of the object.

    Example:
        >>> import scene_depth as sd
        >>> scene, splats = sd.read_scene("scenes/table"), sd.read_splats("scenes/table/splats.spz")
        >>> vase = sd.select(splats, sd.Click(scene.views[0].camera, (156, 130)))
        >>> 1500 < int(vase.sum()) < 4000
        True
    """

    camera: Cameras
    pixel: tuple[float, float]
    belongs: bool = True

    def __post_init__(self) -> None:
        size = (self.camera.width, self.camera.height)
        if not all(0 <= place <= most for place, most in zip(self.pixel, size, strict=True)):
            raise InputError("click.pixel", self.pixel, f"a place in the picture, 0 to {size[0]} and 0 to {size[1]}")


class ClickSeries:
    """The clicks of a person: each counts with the ones before, until one sets the selection anew or something else changes it.

    Attributes:
        led_to: The selection that they led to, which the caller sets.
    """

    def __init__(self) -> None:
        self._clicks: list[Click] = []
        self.led_to: Tensor | None = None

    def add(self, click: Click, mode: Mode, selection: Tensor) -> tuple[list[Click], Mode]:
        """The clicks that count now, and what the object that they show does to the selection.

        Args:
            click: The new one; whether it belongs to the object is the mode's to say.
            mode: What the person has chosen.
            selection: The present one, the same tensor as ``led_to`` where nothing else has changed it.
        """
        goes_on = mode in ("add", "remove") and selection is self.led_to
        clicks = [*(self._clicks if goes_on else []), replace(click, belongs=mode != "remove")]
        if not any(each.belongs for each in clicks):
            return [replace(click, belongs=True)], mode
        self._clicks = clicks
        return clicks, "set" if goes_on else mode


def select_by_clicks(splats: GaussianSplats, clicks: Sequence[Click]) -> Tensor:
    """The object that clicks show  # [N] bool

    Args:
        splats: The scene, in the frame of the clicks' cameras.
        clicks: On the object, one at least, and on what it is not.

    Raises:
        InputError: If no click belongs to the object, or one of them shows no surface.
    """
    numbers = struck(splats, clicks)
    on, off = ([n for n, click in zip(numbers, clicks, strict=True) if click.belongs is kind] for kind in (True, False))
    eyes = np.stack([click.camera.centers[0].cpu().double().numpy() for click in clicks if click.belongs])
    return _grown(splats, on, off, eyes)


def struck(splats: GaussianSplats, clicks: Sequence[Click]) -> list[int]:
    """The splat that each click shows.

    Raises:
        InputError: If no click belongs to the object, or one of them shows no surface.
    """
    if not any(click.belongs for click in clicks):
        raise InputError("clicks", f"{len(clicks)}, none on the object", "one or more that belong to it")
    numbers = []
    for click in clicks:
        place = (click.pixel[0] / click.camera.width, click.pixel[1] / click.camera.height)
        found = hit(splats, *screen_ray(click.camera, place))
        if found is None:
            raise InputError("click", f"no surface at {click.pixel}", "a place that shows splats")
        numbers.append(found)
    return numbers


def _grown(splats: GaussianSplats, seeds: list[int], refused: list[int], eyes: Doubles) -> Tensor:
    """The object around splats that belong to it, seen from ``eyes``  # [N] bool"""
    means = splats.means.detach().cpu().double().numpy()
    nodes = _nodes(splats, means, [*seeds, *refused])
    number = np.full(len(splats), -1)
    number[nodes] = np.arange(len(nodes))
    chosen = np.zeros(len(nodes), dtype=bool)
    surface = _surface(splats, means, nodes)
    if surface is None:
        chosen[:] = True
    else:
        ends = _stood_on(surface, number[seeds], eyes)
        links = _links(surface, number[seeds], ends)
        score = _reached(links, number[seeds], ends)
        if refused:
            score[_reached(links, number[refused], ends) > score] = 0
        chosen = _cut(links, score, number[seeds], ends)
    return _with_faint(means, nodes, chosen)


def _nodes(splats: GaussianSplats, means: Doubles, seeds: list[int]) -> NDArray[np.int64]:
    """The opaque splats around the clicked ones, in order, these included."""
    opaque = splats.opacities.detach().cpu().numpy() > FAINT
    opaque[seeds] = True
    found = np.flatnonzero(opaque)
    if len(found) > MOST_NODES:
        distance, _ = cKDTree(means[seeds]).query(means[found])
        found = np.sort(found[np.argpartition(distance, MOST_NODES)[:MOST_NODES]])
    return found


@dataclass(frozen=True)
class _Surface:
    """Splats as points of a surface, each with its nearest others, itself first.

    Attributes:
        points: # [P, 3]
        colors: Smoothed over the nearest  # [P, 3]
        neighbours, distances: # [P, K]
        spacing: Mean distance to the nearest  # [P]
        normals, offsets: Planes through the surroundings: normal . x = offset  # [P, 3], [P]
        thickness, flatness: Of the surroundings: a length, and over their width  # [P]
    """

    points: Doubles
    colors: Doubles
    neighbours: NDArray[np.int64]
    distances: Doubles
    spacing: Doubles
    normals: Doubles
    offsets: Doubles
    thickness: Doubles
    flatness: Doubles


def _surface(splats: GaussianSplats, means: Doubles, nodes: NDArray[np.int64]) -> _Surface | None:
    """The surface of some splats; None if they are too few to be one."""
    if len(nodes) <= LEAST_OBJECT:
        return None
    points = means[nodes]
    distances, neighbours = cKDTree(points).query(points, k=min(SURROUNDINGS + 1, len(nodes)))
    weights = splats.opacities.detach().cpu().double().numpy()[nodes][neighbours]
    weights /= weights.sum(axis=1, keepdims=True)
    near = points[neighbours]
    middle = (weights[..., None] * near).sum(axis=1)
    centred = near - middle[:, None]
    spread, axes = np.linalg.eigh(np.einsum("pk,pki,pkj->pij", weights, centred, centred))
    normals = axes[:, :, 0]
    colors = splats.base_colors.detach().cpu().double().numpy()[nodes].clip(0, 1)
    return _Surface(
        points=points,
        colors=colors[neighbours[:, :6]].mean(axis=1),
        neighbours=neighbours,
        distances=distances,
        spacing=distances[:, 1:5].mean(axis=1).clip(1e-12),
        normals=normals,
        offsets=(normals * middle).sum(axis=1),
        thickness=np.sqrt(spread[:, 0].clip(0)),
        flatness=spread[:, 0].clip(0) / spread[:, 1].clip(1e-30),
    )


def _stood_on(surface: _Surface, seeds: NDArray[np.int64], eyes: Doubles) -> Booleans:
    """Splats of large planes, such as floors and walls, that all clicks lie before and that reach on beyond  # [P] bool

    An object's own faces are none: seen from where they were clicked at, they turn away from each other.
    """
    points, rng = surface.points, np.random.default_rng(0)
    tolerance = 2 * float(np.median(surface.thickness)) + 1e-12
    left, ends = np.ones(len(points), dtype=bool), np.zeros(len(points), dtype=bool)
    flat = surface.flatness < FLAT

    def on(normal: Doubles, offset: float) -> Booleans:
        near = np.abs(points @ normal - offset) < tolerance
        return left & near & (np.abs(surface.normals @ normal) > ALIGNED)

    for _ in range(PLANES):
        candidates = np.flatnonzero(left & flat)
        if len(candidates) < LEAST_OBJECT:
            break
        voters = rng.choice(candidates, min(VOTERS, len(candidates)), replace=False)
        proposals = rng.choice(candidates, min(PROPOSALS, len(candidates)), replace=False)
        away = np.abs(points[voters] @ surface.normals[proposals].T - surface.offsets[proposals]) < tolerance
        aligned = np.abs(surface.normals[voters] @ surface.normals[proposals].T) > ALIGNED
        best = proposals[int((away & aligned).sum(axis=0).argmax())]
        normal, offset = surface.normals[best], float(surface.offsets[best])
        members = on(normal, offset)
        for _ in range(3):
            if members.sum() < 3:
                break
            middle = points[members].mean(axis=0)
            normal = np.linalg.eigh(np.cov((points[members] - middle).T))[1][:, 0]
            offset = float(normal @ middle)
            members = on(normal, offset)
        if members.sum() < max(LEAST_OBJECT, LEAST_PLANE * len(points)):
            break
        side = np.sign(eyes @ normal - offset)
        before = (points[seeds] @ normal - offset) * side
        apart = np.linalg.norm(points[members][:, None] - points[seeds][None], axis=2).min(axis=1)
        nearest, farthest = np.quantile(apart, [0.02, 0.95])
        if (before > 1.5 * tolerance).all() and farthest > BEYOND * nearest:
            ends |= members
        left &= np.abs(points @ normal - offset) >= 1.5 * tolerance
    return ends


def _links(surface: _Surface, seeds: NDArray[np.int64], ends: Booleans) -> csr_matrix:
    """Weights of the links between near and similar splats  # [P, P]"""
    count = len(surface.points)
    most = min(LINKS, surface.neighbours.shape[1] - 1)
    start = np.repeat(np.arange(count), most)
    end, length = surface.neighbours[:, 1 : most + 1].ravel(), surface.distances[:, 1 : most + 1].ravel()
    spacing = np.sqrt(surface.spacing[start] * surface.spacing[end])
    difference = np.abs(surface.colors[start] - surface.colors[end]).max(axis=1)
    _, around = cKDTree(surface.points).query(surface.points[seeds], k=min(AROUND, count))
    local = np.zeros(count, dtype=bool)
    local[around] = True
    local &= ~ends
    usual = difference[local[start] & local[end]]
    scale = ALIKE * max(LEAST_DIFFERENCE, float(np.median(usual)) if len(usual) else 0.0)
    weight = np.exp(-((length / (NEAR * spacing)) ** 2) - (difference / scale) ** 2) + 1e-6
    one_way = coo_matrix((weight, (start, end)), shape=(count, count)).tocsr()
    return one_way.maximum(one_way.T)


def _reached(links: csr_matrix, seeds: NDArray[np.int64], ends: Booleans) -> Doubles:
    """How often a walk from the seeds, that stops now and then and at ``ends``, passes each splat, for its links  # [P]"""
    degree = np.asarray(links.sum(axis=1)).ravel()
    free = np.flatnonzero(~ends)
    system = (diags(degree * (1 + STOPPING)) - links).tocsr()[free][:, free]
    source = np.zeros(len(degree))
    source[seeds] = 1
    score = np.zeros(len(degree))
    score[free] = cg(system, source[free], rtol=1e-6, maxiter=2000, M=diags(1 / system.diagonal()))[0]
    return score


def _cut(links: csr_matrix, score: Doubles, seeds: NDArray[np.int64], ends: Booleans) -> Booleans:
    """Of the sets of best reached splats that hold all seeds, a small one with few links across its border  # [P] bool"""
    order = np.argsort(-score, kind="stable")
    order = order[score[order] > 0]
    rank = np.full(len(score), len(order))
    rank[order] = np.arange(len(order))
    pairs = links.tocoo()
    first, last = np.minimum(rank[pairs.row], rank[pairs.col]), np.maximum(rank[pairs.row], rank[pairs.col])
    weights = np.where(ends[pairs.row] | ends[pairs.col], CONTACT, 1.0) * pairs.data
    opened = np.bincount(first, weights, len(order) + 1) - np.bincount(last, weights, len(order) + 1)
    border = np.cumsum(opened)[: len(order)]
    degree = np.asarray(links.sum(axis=1)).ravel()
    volume = np.cumsum(degree[order])
    least = min(max(LEAST_OBJECT, int(rank[seeds].max())), len(order) - 1)
    leak = (border / volume.clip(1e-12) ** CROWD)[least:]
    good = np.flatnonzero(leak <= max(LEAKIER * leak.min(), TIGHT))
    within = good[volume[least:][good] <= LARGER * volume[least + good[0]]]
    chosen = np.zeros(len(score), dtype=bool)
    chosen[order[: least + 1 + int(within[-1])]] = True
    return chosen


def _with_faint(means: Doubles, nodes: NDArray[np.int64], chosen: Booleans) -> Tensor:
    """All splats: those that were not looked at follow the nearest ones that were, where they lie among them  # [N] bool"""
    selected = np.zeros(len(means), dtype=bool)
    selected[nodes] = chosen
    others = np.ones(len(means), dtype=bool)
    others[nodes] = False
    others = np.flatnonzero(others)
    if len(others) and chosen.any():
        tree = cKDTree(means[nodes])
        spacing = tree.query(means[nodes[chosen]], k=min(5, len(nodes)))[0].max(axis=1)
        count = min(5, len(nodes))
        distance, near = tree.query(means[others], k=count)
        distance, near = distance.reshape(len(others), count), near.reshape(len(others), count)
        selected[others] = (chosen[near].mean(axis=1) > 0.5) & (distance[:, 0] < 2 * float(np.quantile(spacing, 0.9)))
    return torch.from_numpy(selected)
