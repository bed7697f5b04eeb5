"""The photos of a pointmap run: which belongs to which view, and where in it the processed picture lies."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.optimize import linear_sum_assignment

from scene_depth.errors import InputError
from scene_depth.io.images import IMAGE_SUFFIXES, exif_turn, image_size, images_named_like, opened_image
from scene_depth.io.pointmaps.conventions import StoredRun
from scene_depth.io.pointmaps.resizing import RULES, ResizeRule, Resizing, Size, matching_resizings

LOGGER = logging.getLogger("scene_depth.io")
LIKE = 0.95
"""Least correlation of the colours that a model saw with its photo under the right mapping."""
THUMBNAIL = 32

Photos = str | PathLike[str] | Sequence[str | PathLike[str]]


@dataclass(frozen=True)
class Photo:
    """A photo on disk.

    Attributes:
        path: The file.
        name: Path below the folder that was given.
        stored: Size of its pixels as stored.
        turn: Its EXIF entry, 1 = none.
    """

    path: Path
    name: str
    stored: Size
    turn: int

    def size(self, turned: bool) -> Size:
        """Width and height, as stored or as the EXIF entry turns it."""
        return self.stored[::-1] if turned and self.turn >= 5 else self.stored


@dataclass(frozen=True)
class Mapping:
    """The photos of a run in the order of its views, with what their loader did.

    Attributes:
        photos: One a view.
        resizings: One a view.
        rule: Name of the loader's rule.
        turned: Whether EXIF entries were followed.
        correlations: Of the colours that the model saw with the photo; NaN where either is uniform or the file has no pictures.
    """

    photos: tuple[Photo, ...]
    resizings: tuple[Resizing, ...]
    rule: str
    turned: bool
    correlations: tuple[float, ...] = ()

    @property
    def worst(self) -> float:
        """The least correlation, NaN if there is none."""
        known = [value for value in self.correlations if np.isfinite(value)]
        return min(known) if known else float("nan")


def list_photos(photos: Photos) -> tuple[list[Photo], Path | None]:
    """The photos that a user names: a folder, or files in the order of the views.

    Returns:
        The photos, those of a folder sorted by name as the loaders of the models sort them.
        The folder, if one was named.
    """
    folder = None
    if isinstance(photos, str | PathLike):
        folder = Path(photos)
        if not folder.is_dir():
            raise InputError(
                "photos", "not a folder", "the folder of the photos that the model saw, or a list of files", file=folder
            )
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != ".")
        if not paths:
            raise InputError("photos", "no image files", "the photos that the model saw", file=folder)
    else:
        paths = [Path(path) for path in photos]
    return [Photo(path, path.name, image_size(path), exif_turn(path)) for path in paths], folder


def map_photos(run: StoredRun, rules: Sequence[str], photos: Photos, path: Path, trust_file: bool) -> Mapping:
    """Finds the photo of every view and what the model's loader did to it.

    Args:
        run: The run; pictures that the model saw are compared with the photos where it has them.
        rules: Names of the rules that the model's loaders follow.
        photos: A folder, or files in the order of the views.
        path: The run's file, for errors.
        trust_file: Whether another rule, order or EXIF turn that fits the pictures is taken; else it is an error.

    Raises:
        InputError: If photos are missing or do not belong to the run, or no rule leads to the processed sizes.
    """
    every, folder = list_photos(photos)
    sizes = [view.size for view in run.views]
    seen = all(view.image is not None for view in run.views)
    names = [view.name for view in run.views]
    if all(names) and folder is not None:
        every = _by_names(folder, names, every)
    elif len(every) != len(sizes) and not (seen and len(every) > len(sizes)):
        hint = "a list of the files in the order of the run" if len(every) > len(sizes) else None
        accepted = f"{len(sizes)}, one for each view of the run"
        raise InputError("photos", f"{len(every)} files", accepted, file=folder or path, hint=hint)
    if run.photo_sizes is not None:
        return _stretched(every, sizes, run.photo_sizes, path)
    declared = [(RULES[name], RULES[name].turns) for name in rules]
    others = [(rule, turned) for rule in RULES.values() for turned in (rule.turns, not rule.turns)]
    if not seen:
        return _by_sizes(every, sizes, declared, others, run.model, path)
    pictures = _Pictures([view.image for view in run.views if view.image is not None])
    best = _best(pictures, every, sizes, declared)
    if best is not None and not best.worst < LIKE:
        return best
    orders = [tuple(every), *([order] if (order := pictures.order(every)) != tuple(every) else [])]
    if len(every) != len(sizes):  # a folder of more photos: their colours say which the model saw
        every, orders = list(orders[-1]), [orders[-1]]
        best = _best(pictures, every, sizes, declared)
        if best is not None and not best.worst < LIKE:
            return best
    found = [mapping for order in orders if (mapping := _best(pictures, order, sizes, [*declared, *others])) is not None]
    other = max(found, key=lambda mapping: -1 if np.isnan(mapping.worst) else mapping.worst, default=None)
    if other is None or not other.worst >= LIKE:
        raise _foreign(best or other, every, sizes, path)
    said = _difference(other, every, dict.fromkeys(rules))
    if not trust_file:
        accepted = f"those of {run.model}'s loader in the order of its views"
        raise InputError("photos", said, accepted, file=path, hint="trust_file (--trust-file)")
    run.notes.append(f"taken as the pictures say: {said}")
    return other


def _by_names(folder: Path, names: Sequence[str], every: Sequence[Photo]) -> list[Photo]:
    """The photos in the order of the names that the run has."""
    found = images_named_like(folder, names, what="photos")
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(f"view {missing[0]!r}", "no photo of that name", "the photos that the model saw", file=folder)
    known = {photo.path: photo for photo in every}
    paths = [found[name] for name in names]
    return [
        known.get(path) or Photo(path, path.relative_to(folder).as_posix(), image_size(path), exif_turn(path)) for path in paths
    ]


def whole_photo(photo: Size, size: Size) -> Resizing:
    """What a loader does that stretches the whole photo."""
    return Resizing(photo, size, (photo[0] / size[0], photo[1] / size[1]), (0.0, 0.0))


def _stretched(photos: Sequence[Photo], sizes: Sequence[Size], known: Sequence[Size], path: Path) -> Mapping:
    """The mapping of files that say the sizes of their photos."""
    resizings = tuple(whole_photo(*pair) for pair in zip(known, sizes, strict=True))
    for turned in (False, True):
        if all(photo.size(turned) == size for photo, size in zip(photos, known, strict=True)):
            return Mapping(tuple(photos), resizings, "whole photo", turned)
    photo, size = next((photo, size) for photo, size in zip(photos, known, strict=True) if photo.stored != size)
    found, wanted = ("{} x {}".format(*each) for each in (photo.stored, size))
    raise InputError("photo size", found, f"{wanted}, which the run says of it", file=photo.path)


def _by_sizes(
    photos: Sequence[Photo],
    sizes: Sequence[Size],
    declared: Sequence[tuple[ResizeRule, bool]],
    others: Sequence[tuple[ResizeRule, bool]],
    model: str,
    path: Path,
) -> Mapping:
    """The first rule of the model that leads from the photos to the processed sizes."""
    for rule, turned in declared:
        found = matching_resizings(rule, [photo.size(turned) for photo in photos], sizes)
        if found is not None:
            return Mapping(tuple(photos), tuple(found), rule.name, turned)
    fitting = [
        f"{rule.name}{' turned by EXIF' if turned else ''}"
        for rule, turned in others
        if matching_resizings(rule, [photo.size(turned) for photo in photos], sizes) is not None
    ]
    processed, original = ({"{} x {}".format(*size) for size in group} for group in (sizes, [photo.stored for photo in photos]))
    found_sizes = f"{', '.join(sorted(original))}, processed {', '.join(sorted(processed))}"
    hint = f"the rules that lead there: {', '.join(dict.fromkeys(fitting))}; is the model another?" if fitting else None
    raise InputError("photos", found_sizes, f"sizes to which {model}'s loader leads", file=path, hint=hint)


def _best(
    pictures: _Pictures, photos: Sequence[Photo], sizes: Sequence[Size], rules: Sequence[tuple[ResizeRule, bool]]
) -> Mapping | None:
    """Of the rules that lead to the processed sizes, the one under which colours fit best."""
    if len(photos) != len(sizes):
        return None
    found: list[Mapping] = []
    for rule, turned in rules:
        resizings = matching_resizings(rule, [photo.size(turned) for photo in photos], sizes)
        if resizings is None or any(known.resizings == tuple(resizings) and known.turned == turned for known in found):
            continue
        mapping = Mapping(tuple(photos), tuple(resizings), rule.name, turned)
        found.append(replace(mapping, correlations=pictures.correlations(mapping)))
        if found[-1].worst >= LIKE + 0.5 * (1 - LIKE) and len(found) == 1 and len(rules) == 1:
            break
    return max(found, key=lambda mapping: -1 if np.isnan(mapping.worst) else mapping.worst, default=None)


def _difference(found: Mapping, photos: Sequence[Photo], rules: dict[str, None]) -> str:
    """How the mapping that fits differs from what the model's rules say."""
    said = []
    swapped = next((i for i, (a, b) in enumerate(zip(found.photos, photos, strict=True)) if a != b), None)
    if swapped is not None:
        said.append(f"view {swapped} shows {found.photos[swapped].name}, not {photos[swapped].name}: another order")
    if found.turned != RULES[found.rule].turns:
        said.append("turned as their EXIF entry asks" if found.turned else "not turned, although their EXIF entry asks for it")
    if found.rule not in rules:
        said.append(f"resized as by the rule {found.rule!r}")
    return f"{'; '.join(said)} (colours correlate {found.worst:.3f})"


def _foreign(best: Mapping | None, photos: Sequence[Photo], sizes: Sequence[Size], path: Path) -> InputError:
    accepted = "the photos that the model saw"
    if best is None:
        original, processed = ("{} x {}".format(*size) for size in (photos[0].stored, sizes[0]))
        return InputError("photos", f"{photos[0].name} of {original} leads to no {processed}", accepted, file=path)
    index = int(np.nanargmin(best.correlations))
    found = f"{best.photos[index].name} correlates {best.correlations[index]:.2f} with what the model saw"
    return InputError(f"view {index}", f"{found}, by the best rule {best.rule!r}", f"{accepted}, at least {LIKE}", file=path)


class _Pictures:
    """The pictures that a model saw, compared with photos, each of which is read once and kept at a small size."""

    def __init__(self, pictures: Sequence[NDArray[np.float32]]) -> None:
        self._pictures = pictures
        self._side = max(max(picture.shape[:2]) for picture in pictures)
        self._kept: dict[tuple[Path, bool], Image.Image] = {}

    def _photo(self, photo: Photo, turned: bool) -> Image.Image:
        turned = turned and photo.turn != 1
        if (photo.path, turned) not in self._kept:
            with opened_image(photo.path) as image:
                least = 1.5 * self._side / min(1, max(photo.stored) / self._side)
                image.draft("RGB", (round(least), round(least)))
                shown = ImageOps.exif_transpose(image) if turned else image
                shown = shown.convert("RGB")
                factor = min(1.0, 2 * least / max(shown.size))
                kept = shown.resize((max(1, round(shown.width * factor)), max(1, round(shown.height * factor))), reducing_gap=2)
            self._kept[photo.path, turned] = kept
        return self._kept[photo.path, turned]

    def correlations(self, mapping: Mapping) -> tuple[float, ...]:
        """Of each view."""
        triples = zip(self._pictures, mapping.photos, mapping.resizings, strict=True)
        return tuple(self._correlation(*triple, mapping.turned) for triple in triples)

    def _correlation(self, picture: NDArray[np.float32], photo: Photo, resizing: Resizing, turned: bool) -> float:
        left, top, right, bottom = resizing.image_box
        if right - left < 2 or bottom - top < 2:
            return float("nan")
        kept = self._photo(photo, turned)
        factors = kept.width / resizing.photo[0], kept.height / resizing.photo[1]
        edges = ((left, top), (right, bottom))
        box = [(resizing.offset[i] + resizing.scale[i] * edge[i]) * factors[i] for edge in edges for i in (0, 1)]
        limits = kept.width, kept.height, kept.width, kept.height
        x0, y0, x1, y1 = (min(max(value, 0.0), limit) for value, limit in zip(box, limits, strict=True))
        expected = kept.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
        return correlation(np.asarray(expected), picture[top:bottom, left:right])

    def order(self, photos: Sequence[Photo]) -> tuple[Photo, ...]:
        """The photos in the order in which their colours fit the views best, whatever their loader did."""
        small = [_thumbnail(Image.fromarray(np.rint(picture * 255).astype(np.uint8))) for picture in self._pictures]
        scores = np.zeros((len(small), len(photos)))
        for (row, picture), (column, photo) in itertools.product(enumerate(self._pictures), enumerate(photos)):
            aspect = picture.shape[1] / picture.shape[0]
            ways = [_thumbnail(self._photo(photo, turned), box) for turned in (False, True) for box in (None, aspect)]
            scores[row, column] = max(np.nan_to_num(correlation(way, small[row]), nan=-1) for way in ways)
        _, columns = linear_sum_assignment(-scores)
        return tuple(photos[column] for column in columns)


def _thumbnail(image: Image.Image, aspect: float | None = None) -> NDArray[np.uint8]:
    """A small square of a picture, or of the middle of it that has an aspect."""
    width, height = image.size
    kept = (width, height) if aspect is None else (min(width, height * aspect), min(height, width / aspect))
    left, top = (width - kept[0]) / 2, (height - kept[1]) / 2
    box = (left, top, left + kept[0], top + kept[1])
    return np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR, box=box))


def view_correlation(
    image: NDArray[np.float32], path: Path, turned: bool, photo: Size, scale: tuple[float, float], offset: tuple[float, float]
) -> float:
    """Correlation of the colours that a model saw with a photo under a mapping; NaN if either is uniform."""
    resizing = Resizing(photo, (image.shape[1], image.shape[0]), scale, offset)
    mapping = Mapping((Photo(path, path.name, image_size(path), exif_turn(path)),), (resizing,), "", turned)
    return _Pictures([image]).correlations(mapping)[0]


def correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Correlation of two pictures over pixels and channels, each channel about its own mean; NaN if either is uniform."""
    a, b = (np.asarray(picture, np.float64).reshape(-1, 3) for picture in (first, second))
    a, b = a - a.mean(0), b - b.mean(0)
    lengths = float(np.sqrt((a**2).sum() * (b**2).sum()))
    uniform = min(np.ptp(picture) / (255 if picture.dtype == np.uint8 else 1) for picture in (first, second)) < 0.02
    return float("nan") if uniform or lengths == 0 else float((a * b).sum() / lengths)
