"""Virtual KITTI 2 (Cabon et al. 2020) on its published layout.

In ``SceneXX/<variation>``: ``frames/rgb/Camera_C/rgb_IIIII.jpg``, ``frames/depth/Camera_C/depth_IIIII.png`` (16-bit
centimetres, the largest value is the sky), ``frames/instanceSegmentation/Camera_C/instancegt_IIIII.png`` (8-bit indices, 0 =
none), ``frames/classSegmentation/Camera_C/classgt_IIIII.png`` (colours, named in ``colors.txt``) and ``intrinsic.txt``. The
archives unpack into one folder, or each into its own (``vkitti_2.0.3_rgb``, ``vkitti_2.0.3_depth``, ...), where the others are
looked for beside the depth.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame, FileFrame, FrameSource, pinhole
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import opened_image, read_image

SCENE = re.compile(r"^Scene\d{2}$")
CENTIMETRE = 0.01
SKY = 655.35
HELD_OUT = ("Scene18",)  # as in the data set's TFDS release; the papers train on four of the five scenes
FAMILIES = ("vkitti_*_{0}", "vkitti2_{0}", "{0}")
UNDEFINED = "Undefined"
"""The class of pixels without one."""


def virtual_kitti_frames(folder: Path, split: str | None = None) -> list[FrameSource]:
    """The frames of a folder of scenes, or of the unpacked archives.

    Args:
        folder: The folder.
        split: "train" (four scenes) or "test" (Scene18); None takes all.
    """
    if split not in (None, "train", "val", "test"):
        raise InputError("split", repr(split), "train, test")
    places = {
        family: _roots(folder, family) for family in ("depth", "rgb", "instanceSegmentation", "classSegmentation", "textgt")
    }
    found: list[FrameSource] = []
    for root in places["depth"]:
        for scene in sorted(path for path in root.iterdir() if path.is_dir() and SCENE.match(path.name)):
            if split is None or (scene.name in HELD_OUT) == (split != "train"):
                for depth in sorted(scene.glob("*/frames/depth/Camera_[01]/depth_*.png")):
                    found.append(_frame(places, root, depth))
    return found


def _frame(places: dict[str, list[Path]], root: Path, depth: Path) -> FileFrame:
    camera, variation, scene = depth.parent.name, depth.parents[3].name, depth.parents[4].name
    number = depth.stem.removeprefix("depth_")

    def partner(family: str, relative: str) -> Path | None:
        paths = [place / scene / variation / relative for place in (root, *places[family])]
        return next((path for path in paths if path.is_file()), None)

    rgb = partner("rgb", f"frames/rgb/{camera}/rgb_{number}.jpg")
    if rgb is None:
        raise InputError("rgb", f"no rgb_{number}.jpg", "frames/rgb beside frames/depth, or vkitti_*_rgb beside", file=depth)
    read = partial(
        _read,
        depth=depth,
        rgb=rgb,
        instances=partner("instanceSegmentation", f"frames/instanceSegmentation/{camera}/instancegt_{number}.png"),
        classes=partner("classSegmentation", f"frames/classSegmentation/{camera}/classgt_{number}.png"),
        colors=partner("textgt", "colors.txt"),
        intrinsics=partner("textgt", "intrinsic.txt"),
        number=camera[-1],
    )
    return FileFrame(f"{scene}_{variation}_{camera}_{number}", read)


def _read(
    name: str,
    depth: Path,
    rgb: Path,
    instances: Path | None,
    classes: Path | None,
    colors: Path | None,
    intrinsics: Path | None,
    number: str,
) -> DepthFrame:
    """Reads a frame; depth is z. ``number`` is that of the camera, "0" (left) or "1"; files that are not there are None."""
    truth = read_depth(depth, format="kitti", unit=CENTIMETRE)
    truth[truth >= SKY - CENTIMETRE / 2] = 0
    height, width = truth.shape
    numbers, names = (None, ()) if classes is None or colors is None else _classes(classes, colors)
    return DepthFrame(
        name=name,
        truth=truth,
        rgb=read_image(rgb),
        camera=None if intrinsics is None else _camera(intrinsics, number, width, height),
        instances=None if instances is None else _indices(instances),
        classes=numbers,
        class_names=names,
        dataset="Virtual KITTI 2",
    )


def _camera(path: Path, number: str, width: int, height: int) -> Cameras:
    """Rows of ``frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]``, the same for all frames of a camera.

    The principal point (620.5, 187) of 1242 x 375 pixels counts from the centre of the first pixel.
    """
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        words = line.split()
        if len(words) >= 6 and words[1] == number:
            try:
                fx, fy, cx, cy = (float(word) for word in words[2:6])
            except ValueError as error:
                raise InputError("intrinsics", str(error), "numbers", file=path) from error
            return pinhole(fx, fy, cx, cy, width, height, first_center=0.0)
    raise InputError("intrinsics", "no row", f"a row of camera {number}", file=path)


def _roots(folder: Path, family: str) -> list[Path]:
    """The folder itself, if it holds scenes, and the folders of that archive in it."""
    roots = [folder, *(path for pattern in FAMILIES for path in sorted(folder.glob(pattern.format(family))) if path.is_dir())]
    return [root for root in roots if any(SCENE.match(path.name) for path in root.iterdir())]


def _indices(path: Path) -> NDArray[np.int32]:
    with opened_image(path) as image:
        return np.asarray(image if image.mode in ("P", "L") else image.convert("L")).astype(np.int32)


def _classes(path: Path, colors: Path) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Number of each pixel's class, 0 for a colour without a name  # [H, W]; and the names by number."""
    palette = _palette(colors)
    names = tuple(dict.fromkeys([UNDEFINED, *palette.values()]))
    codes = np.array(sorted(palette), np.int32)
    numbers = np.array([names.index(palette[code]) for code in codes.tolist()], np.int32)
    with opened_image(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    places = np.minimum(np.searchsorted(codes, pixels), len(codes) - 1)
    return np.where(codes[places] == pixels, numbers[places], 0).astype(np.int32), names


@lru_cache(maxsize=64)
def _palette(path: Path) -> dict[int, str]:
    """Class by colour, 65536 r + 256 g + b, from rows of ``Category r g b``. A name such as ``Car:3`` counts as its class."""
    found: dict[int, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        words = line.split()
        if not words:
            continue
        if len(words) != 4 or not all(word.isdigit() and int(word) < 256 for word in words[1:]):
            raise InputError("colors", repr(line), "a name and three numbers from 0 to 255", file=path)
        red, green, blue = (int(word) for word in words[1:])
        found[65536 * red + 256 * green + blue] = words[0].partition(":")[0]
    if not found:
        raise InputError("colors", "no row", "rows of a name and three numbers", file=path)
    return found
