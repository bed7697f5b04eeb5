"""Photos and masks: sizes from file headers, lazy loading, writing without loss."""

from __future__ import annotations

import logging
import re
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.claims import DEFLATE_RATIO, OpenedFile, check_pixels
from scene_depth.io.input_files import check_input_file
from scene_depth.io.scene_notes import LOGGER, shown

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
EXIF_ORIENTATION = 0x0112
MaskWhite = Literal["object", "keep"]
"""What white in a mask is: the object, or what to keep, as in masks of nerfstudio and COLMAP, whose black is left out."""
MASK_WORD = re.compile(r"(?:^|[._ -])masks?(?=$|[._ -])", re.IGNORECASE)
LABELLED = 0.9  # share of the pixels of a coloured mask that must lie in flat areas
FLAT_PIXELS, FLAT_PIXELS_SHARE, FLAT_SHARE = 16, 5e-4, 0.7  # of a label: pixels at least, share of the picture and of its own
NEARLY_EVERY = 0.8  # share of masks that must be mostly white to ask whether white is meant
PACKING = {"PNG": DEFLATE_RATIO, "TIFF": 2 * DEFLATE_RATIO, "PPM": 1, "BMP": 2 * DEFLATE_RATIO}
"""Unpacked bytes that one byte of a file can hold at most, where its packing knows a bound."""
# Whatever Pillow's plugins let through on files cut short or altered.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError, struct.error)


def image_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Width and height from the header of an image file; its pixels are not read.

    Raises:
        InputError: If the file is missing or not an image.
    """
    with opened_image(path) as image:
        return image.size


def exif_turn(path: str | PathLike[str]) -> int:
    """How a photo's EXIF entry asks to show it: 1 as stored, 2 to 4 mirrored or upside down, 5 to 8 with its sides exchanged."""
    with opened_image(path) as image:
        entry = image.getexif().get(EXIF_ORIENTATION, 1)
        return entry if entry in range(1, 9) else 1


def check_image_size(path: str | PathLike[str], width: int, height: int, *, what: str, hint: str = "") -> None:
    """Compares an image file with what a camera says about it, by header alone.

    Args:
        path: Image file.
        width, height: Size that it must have.
        what: Who asks for that size, for the error: "camera 3 of frames.json".
        hint: What else could be done, for the error.

    Raises:
        InputError: If the file is missing, is not an image or has another size. Cameras describe the pixels as stored:
            an EXIF rotation is not applied, as in COLMAP and nerfstudio.
    """
    with opened_image(path) as image:
        if image.size == (width, height):
            return
        found = f"{image.width} x {image.height}"
        if image.getexif().get(EXIF_ORIENTATION, 1) >= 5:
            found += f" (stored; its EXIF rotation would show {image.height} x {image.width})"
    raise InputError("image size", found, f"{width} x {height}, which {what} says{hint}", file=path)


def read_image(path: str | PathLike[str]) -> NDArray[np.float32]:
    """Reads a photo.

    Grey images get three equal channels; 16-bit grey keeps its precision. Transparent images are shown over white, as
    the synthetic NeRF scenes are meant. An EXIF rotation is not applied, as in COLMAP and nerfstudio.

    Returns:
        sRGB in [0, 1]  # [H, W, 3]

    Raises:
        InputError: If the file is missing, cut short or not an image.
    """
    with opened_image(path) as image:
        if image.mode.startswith(("I", "F")):
            values = np.asarray(image)
            if image.mode == "F" or values.max(initial=0) > 65535:
                raise InputError("image mode", image.mode, "8- or 16-bit colours", file=path)
            return np.repeat((values / np.float32(65535)).astype(np.float32)[..., None], 3, axis=2)
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            rgba = np.asarray(image.convert("RGBA")).astype(np.float32) / np.float32(255)
            result: NDArray[np.float32] = rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])
            return result
        result = np.asarray(image.convert("RGB")).astype(np.float32) / np.float32(255)
        return result


def read_mask(path: str | PathLike[str], ids: Sequence[int] = ()) -> NDArray[np.bool_]:
    """Reads a mask: True where the file is white, or has the labels asked for.

    Of two values the larger one is white, whatever it is. Soft and compressed edges are cut at the middle. A palette means
    labels, unless its colours are black and white; so do colours, and more than two grey values that fill areas. Of labels,
    0 (black) is the background. An alpha channel that varies over a uniform picture is the mask; over another one, what is
    transparent is black.

    Args:
        path: Image file.
        ids: Labels that count: grey values, numbers in the palette, or 0xRRGGBB of colours; needed where there are several.

    Returns:
        Mask  # [H, W]

    Raises:
        InputError: If the file is missing, cut short or not an image, or holds several labels and none is asked for.
    """
    with opened_image(path) as image:
        values, are_labels = _mask_values(image)
        lossy = image.format in ("JPEG", "MPO") and not are_labels
    if len(ids):
        return np.isin(values, np.asarray(ids))
    if values.dtype.kind == "f":
        return values > (0.5 if values.max(initial=0) <= 1 else 127 if values.max() <= 255 else 32767)
    present = np.flatnonzero(Image.fromarray(values).histogram()) if values.dtype == np.uint8 else np.unique(values)
    half = 0 if are_labels or present[-1] <= 1 else 127 if present[-1] <= 255 else 32767
    if are_labels or (len(present) > 2 and not lossy):
        labels = present if are_labels else _flat_values(values)
        if len(labels) > 2 or (are_labels and len(labels) == 2 and labels[0] != 0):
            names = [f"#{label:06x}" if values.dtype == np.uint32 and are_labels else str(label) for label in labels.tolist()]
            names = [*names[:8], "..."] if len(names) > 8 else names
            accepted = "black and white, or the object's labels: --mask-id (ids) names them"
            raise InputError("mask", f"{len(labels)} labels ({', '.join(names)})", accepted, file=path)
        present = labels if len(labels) == 2 else present
    if len(present) >= 2 and present[-1] <= half:
        half = (int(present[0]) + int(present[-1])) // 2
    return values > half


def _mask_values(image: Image.Image) -> tuple[NDArray[Any], bool]:
    """The values of a mask, and whether they are labels: numbers of a palette, or colours as 0xRRGGBB  # [H, W]"""
    if image.mode == "P":
        indices = np.asarray(image)
        palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        colors = palette[[index for index in np.unique(indices) if index < len(palette)]]
        if "transparency" not in image.info and _is_black_and_white(colors):
            return np.asarray(image.convert("L")), False
        return indices, True
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8), False
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        return (values.astype(np.uint32) if values.dtype.kind == "i" and values.min(initial=0) >= 0 else values), False
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        rgba = np.asarray(image.convert("RGBA"))
        alpha, colors = rgba[..., 3], rgba[..., :3]
        if alpha.min() < alpha.max():
            opaque = colors[alpha > 127]
            uniform = not len(opaque) or (opaque == opaque[0]).all()
            if uniform or not _is_black_and_white(opaque):
                return alpha, False
            return np.where(alpha > 127, colors[..., 0], np.uint8(0)), False
        image = image.convert("RGB")
    if image.mode == "RGB" and image.format not in ("JPEG", "MPO", "WEBP"):
        colors = np.asarray(image).astype(np.uint32)
        if (colors.min(axis=-1) != colors.max(axis=-1)).any():
            packed = colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]
            flat = _flat_values(packed)
            if np.isin(packed, flat).mean() > LABELLED:
                return np.where(np.isin(packed, flat), packed, 0), True
    return np.asarray(image.convert("L")), False


def _is_black_and_white(colors: NDArray[np.uint8]) -> bool:
    return bool(np.isin(colors, (0, 255)).all() and (colors.min(axis=-1) == colors.max(axis=-1)).all())


def _flat_values(values: NDArray[Any]) -> NDArray[Any]:
    """Values that fill areas: most of their pixels have neighbours of the same value, as those of soft edges have not."""
    inner = values[:-1, :-1]
    flat = (inner == values[1:, :-1]) & (inner == values[:-1, 1:])
    found, counts = np.unique(inner[flat], return_counts=True)
    every, totals = np.unique(inner, return_counts=True)
    totals = totals[np.searchsorted(every, found)]
    return found[(counts >= max(FLAT_PIXELS, FLAT_PIXELS_SHARE * inner.size)) & (counts >= FLAT_SHARE * totals)]


def parse_mask_ids(texts: Sequence[str]) -> tuple[int, ...]:
    """Labels of a mask as typed: 3, or #ff0000 for a colour.

    Raises:
        InputError: If one is neither.
    """
    try:
        return tuple(int(text[1:], 16) if text.startswith("#") else int(text, 0) for text in texts)
    except ValueError:
        raise InputError("mask_id", " ".join(texts), "numbers of labels, or colours such as #ff0000") from None


def check_white_share(shares: Mapping[str, float], white: str | None, *, file: str | PathLike[str] | None) -> None:
    """Says how much of the pictures is the object, by default the white of masks, and stops where that cannot be meant.

    Args:
        shares: Share of each picture that is white, by view.
        white: What white means as the user said, "object" or "keep"; None if nothing was said.
        file: Where the masks are, for messages.

    Raises:
        InputError: If nothing was said and white is most of nearly every picture, or no mask has any white.
    """
    values = np.array(list(shares.values()))
    if not len(values):
        return
    if not values.any():
        accepted = "masks that are white somewhere, or --mask-id for the label of the object"
        raise InputError("masks", f"no white in any of {len(values)}", accepted, file=file)
    LOGGER.info(
        "the object is %.1f %% of the pictures with a mask, %.1f to %.1f",
        100 * values.mean(),
        100 * values.min(),
        100 * values.max(),
    )
    if white is None and (values > 0.5).mean() >= NEARLY_EVERY:
        found = f"white on {100 * np.median(values):.0f} % of nearly every picture"
        accepted = "white on the object; if black is the object, as in masks of nerfstudio and COLMAP, say --mask-white keep"
        raise InputError("masks", found, f"{accepted}; if white is, --mask-white object", file=file)


def write_image(path: str | PathLike[str], image: NDArray[Any]) -> None:
    """Writes a photo as 8-bit file of the type that the name says; PNG does not lose anything more.

    Args:
        path: File to write.
        image: sRGB in [0, 1]  # [H, W, 3]
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError("image", f"shape {image.shape}", "(H, W, 3)", file=path)
    pixels = np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    _save(path, Image.fromarray(pixels))


def write_mask(path: str | PathLike[str], mask: NDArray[np.bool_]) -> None:
    """Writes a mask, white (255) where True  # [H, W]"""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise InputError("mask", f"shape {mask.shape}, {mask.dtype}", "bool (H, W)", file=path)
    _save(path, Image.fromarray(mask.astype(np.uint8) * np.uint8(255)))


@dataclass(frozen=True)
class ImageFile:
    """Loader of a photo whose pixels are used as stored, so that the file itself can be copied or referenced."""

    path: Path

    def __call__(self) -> NDArray[np.float32]:
        return read_image(self.path)


@dataclass(frozen=True)
class TurnedImage:
    """Loader of a photo that is used as its EXIF entry turns it."""

    path: Path

    def __call__(self) -> NDArray[np.float32]:
        with opened_image(self.path) as image:
            turned = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        result: NDArray[np.float32] = turned.astype(np.float32) / np.float32(255)
        return result


@dataclass(frozen=True)
class MaskFile:
    """Loader of a mask whose pixels are used as stored.

    Attributes:
        path: The file.
        ids: Labels that count.
        inverted: Whether it is True where the file is black.
    """

    path: Path
    ids: tuple[int, ...] = ()
    inverted: bool = False

    def __call__(self) -> NDArray[np.bool_]:
        return read_mask(self.path, self.ids) ^ self.inverted


@dataclass(frozen=True)
class ResizedImage:
    """Loader that shows a photo in another size (area average when smaller)."""

    path: Path
    width: int
    height: int

    def __call__(self) -> NDArray[np.float32]:
        with opened_image(self.path) as image:
            filter_ = Image.Resampling.BOX if self.width <= image.width else Image.Resampling.BILINEAR
            resized = image.convert("RGB").resize((self.width, self.height), filter_)
            result: NDArray[np.float32] = np.asarray(resized).astype(np.float32) / np.float32(255)
            return result


def images_named_like(folder: str | PathLike[str], names: Iterable[str], *, what: str, in_order: bool = False) -> dict[str, Path]:
    """The files of a folder that belong to views; which are used, which are not and which are missing is said.

    A file belongs to a view by its path (cam0/a.png to cam0/a.jpg), else by its name, where one file and one view alone have
    it. Any image ending will do, or one more (a.jpg.png), and the words mask and masks do not count (a_mask.png).

    Args:
        folder: Where to look.
        names: Names of the views.
        what: Name of the option, for the error.
        in_order: Pair files and views by order in place of names; there must be as many.

    Returns:
        File of each view that has one, by view name.

    Raises:
        InputError: If there is no such folder, or no file of any view, or not as many as views.
    """
    folder, names = Path(folder), list(names)
    if not folder.is_dir():
        raise InputError(what, "no folder", "a folder of images named like the views", file=folder)
    files = [path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")]
    files.sort(key=lambda path: natural_key(str(path)))
    if in_order:
        if len(files) != len(names):
            raise InputError(what, f"{len(files)} files", f"{len(names)}, one for each view, to pair them in order", file=folder)
        return dict(zip(sorted(names, key=natural_key), files, strict=True))
    found: dict[str, Path] = {}
    for shorten in (lambda path: path, lambda path: PurePosixPath(path.name)):
        table: dict[str, list[Path]] = {}
        for file in files:
            table.setdefault(_mask_key(shorten(PurePosixPath(file.relative_to(folder).as_posix()))), []).append(file)
        keys = {name: [_mask_key(shorten(PurePosixPath(name + more))) for more in ("", ".png")] for name in names}
        views_of = Counter(key for options in keys.values() for key in dict.fromkeys(options))
        for name, options in keys.items():
            matches = [_one_mask(table.get(key, [])) for key in options if views_of[key] == 1]
            match = next((file for file in matches if file is not None), None)
            if match is not None:
                found.setdefault(name, match)
    if not found:
        example = f"files such as {Path(names[0]).stem}.png" if names else "views"
        raise InputError(what, "no file named like any view", f"{example}; or as many files, paired in order", file=folder)
    unused = [str(file.relative_to(folder)) for file in files if file not in set(found.values())]
    missing = [name for name in names if name not in found]
    sentence = f"{len(found)} of {len(names)} views have a file"
    sentence += f"; none has {shown(missing)}" if missing else ""
    sentence += f"; {len(unused)} files belong to no view ({shown(unused)})" if unused else ""
    LOGGER.log(logging.WARNING if missing or unused else logging.INFO, "%s: %s: %s", folder, what, sentence)
    return found


def _mask_key(path: PurePosixPath) -> str:
    """Path without ending and without the word mask."""
    return str(path.with_name(MASK_WORD.sub("", path.stem).strip("._ -") or path.stem)).casefold()


def _one_mask(files: Sequence[Path]) -> Path | None:
    """The only file, or the only one that says that it is a mask, beside the photo of its name."""
    masks = [file for file in files if MASK_WORD.search(file.stem)]
    return files[0] if len(files) == 1 else masks[0] if len(masks) == 1 else None


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts 2.png before 10.png."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def _opened(file: OpenedFile) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the check of claims knows the file's length too
        return Image.open(file)


@contextmanager
def opened_image(path: str | PathLike[str]) -> Iterator[Image.Image]:
    path = check_input_file(path, "an image file")
    try:
        with OpenedFile(path) as file, _opened(file) as image:
            bits = 16 if image.mode.startswith("I;16") else 32 if image.mode in ("I", "F") else 8 if image.mode != "1" else 1
            ratio = PACKING.get(image.format or "")
            check_pixels(path, image.width, image.height, len(image.getbands()) * bits / 8 if ratio else 1, ratio=ratio)
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError("image", "not an image, or cut short in its header", ", ".join(IMAGE_SUFFIXES), file=path) from error
    except Image.DecompressionBombError as error:
        raise InputError("image", str(error), "an image of reasonable size", file=path) from error
    except BROKEN as error:
        raise InputError("image", str(error) or type(error).__name__, "a whole, readable image file", file=path) from error


def _save(path: str | PathLike[str], image: Image.Image) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise InputError("image file name", Path(path).name, f"a name that ends in {', '.join(IMAGE_SUFFIXES)}", file=path)
    with atomic_path(path) as temporary:
        image.save(temporary, quality=95) if suffix in (".jpg", ".jpeg") else image.save(temporary)
