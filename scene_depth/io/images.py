"""Photos and masks: sizes from file headers, lazy loading, writing without loss."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.input_files import check_input_file

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
EXIF_ORIENTATION = 0x0112


def image_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Width and height from the header of an image file; its pixels are not read.

    Raises:
        InputError: If the file is missing or not an image.
    """
    with opened_image(path) as image:
        return image.size


def is_turned(path: str | PathLike[str], width: int, height: int) -> bool:
    """Whether a photo has that size only after the turn that its EXIF entry asks for, and another as stored."""
    with opened_image(path) as image:
        turned = image.getexif().get(EXIF_ORIENTATION, 1) >= 5
        return turned and image.size != (width, height) and image.size == (height, width)


def check_image_size(path: str | PathLike[str], width: int, height: int, *, what: str) -> None:
    """Compares an image file with what a camera says about it, by header alone.

    Args:
        path: Image file.
        width, height: Size that it must have.
        what: Who asks for that size, for the error: "camera 3 of frames.json".

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
    raise InputError("image size", found, f"{width} x {height}, which {what} says", file=path)


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


def read_mask(path: str | PathLike[str]) -> NDArray[np.bool_]:
    """Reads a mask: True where the file is white (brighter than half of what its type holds).

    Files whose largest value is 1 are taken as 0 = black, 1 = white.

    Returns:
        Mask  # [H, W]

    Raises:
        InputError: If the file is missing, cut short or not an image.
    """
    with opened_image(path) as image:
        deep = image.mode.startswith(("I", "F"))
        values = np.asarray(image if deep else image.convert("L"))
        largest = values.max(initial=0)
        return values > (0.5 if largest <= 1 else 127 if largest <= 255 else 32767)


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
    """Loader of a mask whose pixels are used as stored."""

    path: Path

    def __call__(self) -> NDArray[np.bool_]:
        return read_mask(self.path)


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


def images_named_like(folder: str | PathLike[str], names: Iterable[str], *, what: str) -> dict[str, Path]:
    """The files of a folder that belong to views: of the image's name with any image extension, or one more (a.jpg.png).

    Args:
        folder: Where to look.
        names: Names of the views; their folders are not looked at.
        what: Name of the option, for the error.

    Returns:
        File of each view that has one, by view name.

    Raises:
        InputError: If there is no such folder, or no file of any view.
    """
    folder, names, found = Path(folder), list(names), {}
    if not folder.is_dir():
        raise InputError(what, "no folder", "a folder of images named like the views", file=folder)
    for name in names:
        bases = (Path(name).stem, Path(name).name)
        files = [folder / f"{base}{suffix}" for base in bases for suffix in IMAGE_SUFFIXES]
        match = next((file for file in files if file.is_file()), None)
        if match is not None:
            found[name] = match
    if not found:
        raise InputError(what, "no file named like any view", f"files such as {Path(names[0]).stem}.png", file=folder)
    return found


@contextmanager
def opened_image(path: str | PathLike[str]) -> Iterator[Image.Image]:
    path = check_input_file(path, "an image file")
    try:
        with Image.open(path) as image:
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError("image", "not an image, or cut short in its header", ", ".join(IMAGE_SUFFIXES), file=path) from error
    except Image.DecompressionBombError as error:
        raise InputError("image", str(error), "an image of reasonable size", file=path) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:  # whatever Pillow's plugins let through
        raise InputError("image", str(error), "a whole, readable image file", file=path) from error


def _save(path: str | PathLike[str], image: Image.Image) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise InputError("image file name", Path(path).name, f"a name that ends in {', '.join(IMAGE_SUFFIXES)}", file=path)
    with atomic_path(path) as temporary:
        image.save(temporary, quality=95) if suffix in (".jpg", ".jpeg") else image.save(temporary)
