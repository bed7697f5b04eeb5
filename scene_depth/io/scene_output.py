"""Putting the photos, masks and depths of views into an output folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from os import PathLike
from pathlib import Path, PurePosixPath

from scene_depth.errors import InputError
from scene_depth.io.images import IMAGE_SUFFIXES, ImageFile, MaskFile, write_image, write_mask
from scene_depth.scene import View


def safe_name(name: str, *, file: str | PathLike[str]) -> PurePosixPath:
    """A view's name as a path that stays below the output folder.

    Raises:
        InputError: If it is empty, absolute or climbs out with "..".
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in path.parts[0]:
        raise InputError("view name", repr(name), "a relative path with forward slashes and without ..", file=file)
    return path


def image_name(view: View, *, file: str | PathLike[str]) -> PurePosixPath:
    """File name of a view's photo: its own where the file is copied or there is no photo, else a PNG of the same name.

    Raises:
        InputError: If the view's name cannot be a file name.
    """
    name = safe_name(view.name, file=file)
    if view.load_image is None:
        return name
    suffix = view.load_image.path.suffix if isinstance(view.load_image, ImageFile) else ".png"
    if name.suffix.lower() == suffix.lower():
        return name
    if name.suffix.lower() in IMAGE_SUFFIXES:
        return name.with_suffix(suffix)
    return name.with_name(name.name + suffix)


def image_names(views: Sequence[View], *, file: str | PathLike[str]) -> list[PurePosixPath]:
    """File names of all views' photos.

    Raises:
        InputError: If one cannot be a file name, or two are the same.
    """
    names = [image_name(view, file=file) for view in views]
    check_distinct(names, file=file)
    return names


def check_distinct(names: Sequence[PurePosixPath], *, file: str | PathLike[str]) -> None:
    """Raises InputError if two files would have one name, on a disk that ignores case too."""
    folded = [str(name).casefold() for name in names]
    if len(set(folded)) != len(folded):
        repeated = next(name for name, key in zip(names, folded, strict=True) if folded.count(key) > 1)
        raise InputError("view names", f"two that become {repeated}", "names that differ in more than ending and case", file=file)


def put_image(view: View, path: Path) -> None:
    """Writes a view's photo: a copy of the file where its pixels are used as stored, else 8-bit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(view.load_image, ImageFile):
        _copy(view.load_image.path, path)
    else:
        write_image(path, view.image())


def put_mask(view: View, path: Path, *, inverted: bool) -> None:
    """Writes a view's mask as PNG, white where it is True, or black there if inverted; a copy where it is such a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = view.load_mask
    as_it_is = isinstance(mask, MaskFile) and not mask.ids and mask.inverted == inverted
    if isinstance(mask, MaskFile) and as_it_is and mask.path.suffix.lower() == path.suffix.lower():
        _copy(mask.path, path)
    else:
        write_mask(path, view.mask() ^ inverted)


def _copy(source: Path, path: Path) -> None:
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        raise InputError("image", error.strerror or str(error), "a file that can be copied", file=source) from error
