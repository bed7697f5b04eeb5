"""The ways in which people lay out a folder of RGB-D frames with poses: which file belongs to which frame."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.images import IMAGE_SUFFIXES
from scene_depth.io.input_files import check_input_file
from scene_depth.io.trajectories import Trajectory, read_pose_matrix, read_trajectory

COLOR_FOLDERS = ("color", "colour", "rgb", "images", "image")
DEPTH_FOLDERS = ("depth", "depths", "depth_images")
POSE_FOLDERS = ("pose", "poses")
POSE_FILES = ("poses.txt", "pose.txt", "traj.txt", "trajectory.txt", "groundtruth.txt", "trajectory.log", "traj.log", "poses.log")
DEPTH_SUFFIXES = (".png", ".npy", ".npz", ".exr", ".pfm", ".tif", ".tiff", ".pgm")
ASSOCIATIONS = ("associations.txt", "associated.txt", "associate.txt", "association.txt")
NUMBERED = re.compile(r"(.+)\.color\.\w+")


@dataclass(frozen=True)
class RgbdFrame:
    """One frame: its name, files, and pose with OpenCV axes (not yet checked)."""

    name: str
    image: Path
    depth: Path | None
    camera_to_world: NDArray[np.float64]


@dataclass(frozen=True)
class RgbdLayout:
    """Frames of a folder.

    Attributes:
        frames: In the order of their names or times.
        source: File or folder that the poses come from, for errors.
        depth_format: Key of ``DEPTH_FORMATS`` that the layout stands for; None: by file name.
    """

    frames: tuple[RgbdFrame, ...]
    source: Path
    depth_format: str | None = None


def is_rgbd_folder(path: Path) -> bool:
    """Whether a folder looks like one of the layouts."""
    return bool(_numbered_folder(path) or _has_tum_lists(path) or (_color_folder(path) and _pose_source(path)))


def find_frames(path: Path, *, max_time_difference: float = 0.02) -> RgbdLayout:
    """Pairs photos, depths and poses.

    Args:
        path: Folder with ``NAME.color.png``, ``NAME.depth.png`` and ``NAME.pose.txt`` (7-Scenes, tsdf-fusion); or with
            TUM's rgb.txt, depth.txt and groundtruth.txt; or with a colour folder, a depth folder, and a pose folder of
            4 x 4 matrices (ScanNet) or a trajectory file (Redwood .log, TUM, matrices).
        max_time_difference: Seconds between frames that belong together, where files are paired by time.

    Raises:
        InputError: If it is none of these, or if a file that belongs to a frame is missing.
    """
    if not path.is_dir():
        raise InputError("RGB-D folder", "no such folder", "a folder of RGB-D frames", file=path)
    folder = _numbered_folder(path)
    if folder is not None:
        return _numbered(folder)
    if _has_tum_lists(path):
        return _tum(path, max_time_difference)
    color, poses = _color_folder(path), _pose_source(path)
    if color is None or poses is None:
        accepted = (
            "NAME.color.png with NAME.pose.txt; rgb.txt with groundtruth.txt; or a folder color (rgb, images) with poses in"
        )
        found = f"no {'photos' if color is None else 'poses'}"
        raise InputError("RGB-D folder", found, f"{accepted} pose/NAME.txt, {', '.join(POSE_FILES)}", file=path)
    return _three_folders(path, color, poses, max_time_difference)


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts 2.png before 10.png."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]


def _numbered_folder(path: Path) -> Path | None:
    for folder in (path, path / "rgbd-frames", path / "seq-01"):
        if folder.is_dir() and any(NUMBERED.fullmatch(file.name) for file in folder.iterdir()):
            return folder
    return None


def _numbered(folder: Path) -> RgbdLayout:
    frames = []
    for image in sorted(folder.iterdir(), key=lambda file: natural_key(file.name)):
        match = NUMBERED.fullmatch(image.name)
        if match is None:
            continue
        depths = [folder / f"{match[1]}.depth{kind}{suffix}" for kind in (".proj", "") for suffix in DEPTH_SUFFIXES]
        depth = next((file for file in depths if file.is_file()), None)
        if depth is None:
            raise InputError("depth", "no such file", f"the depth of {image.name}", file=folder / f"{match[1]}.depth.png")
        frames.append(RgbdFrame(image.name, image, depth, read_pose_matrix(folder / f"{match[1]}.pose.txt")))
    return RgbdLayout(tuple(frames), folder)


def _has_tum_lists(path: Path) -> bool:
    lists = (path / "rgb.txt").is_file() or any((path / name).is_file() for name in ASSOCIATIONS)
    return lists and (path / "groundtruth.txt").is_file()


def _tum(path: Path, max_time_difference: float) -> RgbdLayout:
    trajectory = read_trajectory(path / "groundtruth.txt")
    if trajectory.times is None:
        raise InputError("trajectory", "no time stamps", "lines of time tx ty tz qx qy qz qw", file=path / "groundtruth.txt")
    listed = next((path / name for name in ASSOCIATIONS if (path / name).is_file()), None)
    if listed is not None:
        rows = [row for _, row in _words(listed, 4)]
        depth_first = all("depth" in row[1] for row in rows)
        pairs = [(float(row[2]), row[3], row[1]) if depth_first else (float(row[0]), row[1], row[3]) for row in rows]
    else:
        colors, depths = _time_list(path / "rgb.txt"), _time_list(path / "depth.txt")
        matches = match_times([time for time, _ in colors], [time for time, _ in depths], max_time_difference)
        pairs = [(*colors[i], depths[j][1]) for i, j in matches]
    posed = match_times([time for time, _, _ in pairs], trajectory.times.tolist(), max_time_difference)
    if not posed:
        accepted = f"a colour image, a depth image and a pose within {max_time_difference:g} s of each other"
        raise InputError("time stamps", f"{len(pairs)} images, none with a pose", accepted, file=path)
    frames = []
    for i, j in posed:
        _, image, depth = pairs[i]
        frames.append(RgbdFrame(Path(image).name, path / image, path / depth, trajectory.camera_to_world[j]))
    return RgbdLayout(tuple(frames), path / "groundtruth.txt", "tum")


def match_times(first: Sequence[float], second: Sequence[float], max_difference: float) -> list[tuple[int, int]]:
    """Pairs of indices whose times differ least, each used once, closest pairs first (TUM's associate.py).

    Returns:
        Pairs in the order of ``first``.
    """
    order = sorted(range(len(second)), key=lambda j: second[j])
    times = [second[j] for j in order]
    candidates = []
    for i, time in enumerate(first):
        for position in range(bisect_left(times, time - max_difference), bisect_right(times, time + max_difference)):
            candidates.append((abs(times[position] - time), i, order[position]))
    pairs, taken_first, taken_second = [], set(), set()
    for _, i, j in sorted(candidates):
        if i not in taken_first and j not in taken_second:
            taken_first.add(i)
            taken_second.add(j)
            pairs.append((i, j))
    return sorted(pairs)


def _color_folder(path: Path) -> Path | None:
    return next((path / name for name in COLOR_FOLDERS if (path / name).is_dir()), None)


def _pose_source(path: Path) -> Path | None:
    folder = next((path / name for name in POSE_FOLDERS if (path / name).is_dir()), None)
    return folder or next((path / name for name in POSE_FILES if (path / name).is_file()), None)


def _three_folders(path: Path, color: Path, poses: Path, max_time_difference: float) -> RgbdLayout:
    images = _files(color, IMAGE_SUFFIXES)
    if not images:
        raise InputError("photos", "none", f"files that end in {', '.join(IMAGE_SUFFIXES)}", file=color)
    depth_folder = next((path / name for name in DEPTH_FOLDERS if (path / name).is_dir()), None)
    depths: dict[Path, Path] | None = None
    if depth_folder is not None:
        depths = _depths_of_images(images, _files(depth_folder, DEPTH_SUFFIXES), depth_folder, max_time_difference)
        images = [image for image in images if image in depths]
    matrices: list[NDArray[np.float64] | None]
    if poses.is_dir():
        files = {file.stem: file for file in _files(poses, (".txt",))}
        missing = next((image for image in images if _pose_file(files, image) is None), None)
        if missing is not None:
            raise InputError("pose", "no such file", f"the pose of {missing.name}", file=poses / f"{missing.stem}.txt")
        matrices = [read_pose_matrix(file) for image in images if (file := _pose_file(files, image))]
    else:
        matrices = _poses_of_images(read_trajectory(poses), images, poses, max_time_difference)
    frames = tuple(
        RgbdFrame(image.name, image, depths[image] if depths else None, matrix)
        for image, matrix in zip(images, matrices, strict=True)
        if matrix is not None
    )
    return RgbdLayout(frames, poses)


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    found = [file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    return sorted(found, key=lambda file: natural_key(file.name))


def _pose_file(files: dict[str, Path], image: Path) -> Path | None:
    return files.get(image.stem) or files.get(f"{image.stem}.pose")


def _depths_of_images(images: list[Path], depths: list[Path], folder: Path, max_time_difference: float) -> dict[Path, Path]:
    """The depth of each photo: of the same name; of the same time, if names are times; by order, if there are as many."""
    by_stem = {file.stem: file for file in depths}
    if all(image.stem in by_stem for image in images):
        return {image: by_stem[image.stem] for image in images}
    image_times, depth_times = _times(images), _times(depths)
    if image_times and depth_times:
        return {images[i]: depths[j] for i, j in match_times(image_times, depth_times, max_time_difference)}
    if len(depths) == len(images):
        return dict(zip(images, depths, strict=True))
    missing = next(image for image in images if image.stem not in by_stem)
    found = f"{len(depths)} files for {len(images)} photos, none named {missing.stem}"
    raise InputError("depth", found, "a depth image of the same name for each photo, or as many of them", file=folder)


def _times(files: list[Path]) -> list[float] | None:
    """Time stamps that files are named by (numbers with a decimal point), or None."""
    stamps = [_number(file.stem) if "." in file.stem else None for file in files]
    return [stamp for stamp in stamps if stamp is not None] if None not in stamps else None


def _poses_of_images(
    trajectory: Trajectory, images: list[Path], source: Path, max_time_difference: float
) -> list[NDArray[np.float64] | None]:
    stamps = [_number(image.stem) for image in images]
    if trajectory.times is not None and all(stamp is not None for stamp in stamps):
        pairs = dict(match_times([stamp or 0.0 for stamp in stamps], trajectory.times.tolist(), max_time_difference))
        if pairs:
            return [trajectory.camera_to_world[pairs[i]] if i in pairs else None for i in range(len(images))]
    if len(trajectory) != len(images):
        raise InputError("trajectory", f"{len(trajectory)} poses", f"{len(images)}, one for each photo", file=source)
    return list(trajectory.camera_to_world)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _time_list(path: Path) -> list[tuple[float, str]]:
    return [(float(row[0]), row[1]) for _, row in _words(path, 2)]


def _words(path: Path, count: int) -> list[tuple[int, list[str]]]:
    check_input_file(path, "a list of time stamps and files")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != count or any(_number(word) is None for word in words[::2]):
            raise InputError(f"line {number}", repr(line[:60]), f"{count // 2} x (time, file name)", file=path)
        rows.append((number, words))
    return rows
