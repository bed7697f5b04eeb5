"""The ways in which people lay out a folder of RGB-D frames with poses: which file belongs to which frame."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.images import IMAGE_SUFFIXES, natural_key
from scene_depth.io.input_files import path_in_file, read_lines
from scene_depth.io.photo_files import PhotoFinder
from scene_depth.io.scene_notes import SceneNotes, shown
from scene_depth.io.trajectories import Trajectory, read_pose_matrix, read_trajectory

COLOR_FOLDERS = ("color", "colour", "rgb", "images", "image", "results")
DEPTH_FOLDERS = ("depth", "depths", "depth_images")
POSE_FOLDERS = ("pose", "poses")
POSE_FILES = ("poses.txt", "pose.txt", "traj.txt", "trajectory.txt", "groundtruth.txt", "trajectory.log", "traj.log", "poses.log")
DEPTH_SUFFIXES = (".png", ".npy", ".npz", ".exr", ".pfm", ".tif", ".tiff", ".pgm")
ASSOCIATIONS = ("associations.txt", "associated.txt", "associate.txt", "association.txt")
LONG_STAMP = 12  # digits of a time in milliseconds or finer since 1970, and of no frame number
LONGER = "max_time_difference=SECONDS (--scene-options) pairs times farther apart"
NUMBERED = re.compile(r"(.+)\.color\.\w+")


@dataclass(frozen=True, eq=False)
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


def find_frames(path: Path, notes: SceneNotes, *, max_time_difference: float = 0.02) -> RgbdLayout:
    """Pairs photos, depths and poses: by names, else by times where names are times, else by order where there are as many.

    Args:
        notes: What is left out, and why, is said there.
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
        return _tum(path, max_time_difference, notes)
    color, poses = _color_folder(path), _pose_source(path)
    if color is None or poses is None:
        accepted = (
            "NAME.color.png with NAME.pose.txt; rgb.txt with groundtruth.txt; or a folder color (rgb, images) with poses in"
        )
        found = f"no {'photos' if color is None else 'poses'}"
        raise InputError("RGB-D folder", found, f"{accepted} pose/NAME.txt, {', '.join(POSE_FILES)}", file=path)
    return _three_folders(path, color, poses, max_time_difference, notes)


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


def _tum(path: Path, max_time_difference: float, notes: SceneNotes) -> RgbdLayout:
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
        for i in sorted(set(range(len(colors))) - {i for i, _ in matches}):
            notes.leave_out(Path(colors[i][1]).name, f"no depth within {max_time_difference:g} s")
            notes.say(LONGER)
    posed = match_times([time for time, _, _ in pairs], trajectory.times.tolist(), max_time_difference)
    if not posed:
        accepted = f"a colour image, a depth image and a pose within {max_time_difference:g} s of each other; {LONGER}"
        raise InputError("time stamps", f"{len(pairs)} images, none with a pose", accepted, file=path)
    for i in sorted(set(range(len(pairs))) - {i for i, _ in posed}):
        notes.leave_out(Path(pairs[i][1]).name, f"no pose within {max_time_difference:g} s")
        notes.say(LONGER)
    frames, finder = [], PhotoFinder(path, notes, what="photos and depth images")
    for i, j in posed:
        image, depth = (finder.find(name) or path / name for name in pairs[i][1:])
        frames.append(RgbdFrame(image.name, image, depth, trajectory.camera_to_world[j]))
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


def _three_folders(path: Path, color: Path, poses: Path, max_time_difference: float, notes: SceneNotes) -> RgbdLayout:
    images = _files(color, IMAGE_SUFFIXES)
    depth_folder = next((path / name for name in DEPTH_FOLDERS if (path / name).is_dir()), None)
    depth_files = [] if depth_folder is None else _files(depth_folder, DEPTH_SUFFIXES)
    if depth_folder is None and any(image.name.startswith("depth") for image in images):  # Replica has both in one folder
        depth_folder, depth_files = color, [file for file in _files(color, DEPTH_SUFFIXES) if file.name.startswith("depth")]
        images = [image for image in images if image not in set(depth_files)]
    if not images:
        raise InputError("photos", "none", f"files that end in {', '.join(IMAGE_SUFFIXES)}", file=color)
    if poses.is_dir():
        files = pair_files(images, _files(poses, (".txt",)), "pose", poses, max_time_difference, notes)
        matrices = {image: read_pose_matrix(file) for image, file in files.items()}
    else:
        matrices = _poses_of_images(read_trajectory(poses), images, poses, max_time_difference, notes)
    depths: dict[Path, Path] | None = None
    if depth_folder is not None:
        depths = pair_files(images, depth_files, "depth", depth_folder, max_time_difference, notes)
    frames = []
    for image in images:
        if image not in matrices:
            notes.leave_out(image.name, "no pose of its name")
        elif depths is not None and image not in depths:
            notes.leave_out(image.name, "no depth of its name")
        else:
            frames.append(RgbdFrame(image.name, image, depths[image] if depths else None, matrices[image]))
    return RgbdLayout(tuple(frames), poses)


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    found = [file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    return sorted(found, key=lambda file: natural_key(file.name))


def pair_files(
    images: Sequence[Path], files: Sequence[Path], what: str, folder: Path, max_time_difference: float, notes: SceneNotes
) -> dict[Path, Path]:
    """The file of each photo: of the same name where any has one; of the same time, where names are times; of the same number,
    where most have one (frame0001 and depth0001); by order, where there are as many.

    Args:
        images: Photos.
        files: Depth images or poses.
        what: What they are, for messages.
        folder: Where they lie.
        max_time_difference: Seconds.
        notes: Files of no photo, and pairs by order, are said there.

    Raises:
        InputError: If names, times, numbers and counts all differ.
    """
    pairs = _pairs_by(_stem, images, files)
    if len(pairs) < len(images):
        image_times, file_times = _times(images), _times(files)
        if image_times and file_times:
            pairs = {images[i]: files[j] for i, j in match_times(image_times, file_times, max_time_difference)}
        elif not pairs:
            pairs = _pairs_by(_numbers, images, files)
            if 2 * len(pairs) < max(len(images), len(files)):
                pairs = {}
    if not pairs and len(files) == len(images):
        notes.say(f"names of {what} files differ from those of the photos; as many as photos, they are paired in order")
        return dict(zip(images, files, strict=True))
    if not pairs:
        found = f"{len(files)} files for {len(images)} photos, none of them with the name of a photo"
        raise InputError(what, found, f"{what} files named like the photos, or as many of them", file=folder)
    if unused := [file.name for file in files if file not in set(pairs.values())]:
        notes.say(f"{len(unused)} {what} files belong to no photo ({shown(unused)})")
    return pairs


def _pairs_by(key: Callable[[Path], Hashable], images: Sequence[Path], files: Sequence[Path]) -> dict[Path, Path]:
    """Photos and files of the same key; nothing if a key is there twice."""
    table = {key(file): file for file in files}
    keys = [key(image) for image in images]
    if len(table) < len(files) or len(set(keys)) < len(keys):
        return {}
    return {image: table[name] for image, name in zip(images, keys, strict=True) if name in table}


def _stem(file: Path) -> str:
    return re.sub(r"[._-](?:pose|depth|color|colour|rgb)$", "", file.stem, flags=re.IGNORECASE)


def _numbers(file: Path) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", file.stem))


def _times(files: Sequence[Path]) -> list[float] | None:
    """Time stamps that files are named by (numbers with a decimal point), or None."""
    stamps = [_number(file.stem) if "." in file.stem else None for file in files]
    return [stamp for stamp in stamps if stamp is not None] if None not in stamps else None


def _poses_of_images(
    trajectory: Trajectory, images: list[Path], source: Path, max_time_difference: float, notes: SceneNotes
) -> dict[Path, NDArray[np.float64]]:
    """The pose of each photo: by time where names are times, by number where the file's times are numbers too, else by order."""
    if trajectory.times is not None:
        times = trajectory.times
        stamps = _times(images) or _long_stamps(images, times)
        numbers = [int(image.stem) if image.stem.isdecimal() else None for image in images]
        if stamps is not None:
            pairs = match_times(stamps, times.tolist(), max_time_difference)
        elif None not in numbers and bool((times == np.round(times)).all()):
            rows = {int(time): row for row, time in enumerate(times)}
            pairs = [(index, rows[number]) for index, number in enumerate(numbers) if number in rows]
            pairs = pairs if 2 * len(pairs) >= len(images) else []
        else:
            pairs = []
        if pairs:
            return {images[i]: trajectory.camera_to_world[j] for i, j in pairs}
    if len(trajectory) != len(images):
        raise InputError("trajectory", f"{len(trajectory)} poses", f"{len(images)}, one for each photo", file=source)
    if trajectory.times is not None:
        notes.say(f"photos are not named by the times of {source.name}; it has as many poses, which go to them in order")
    return dict(zip(images, trajectory.camera_to_world, strict=True))


def _long_stamps(images: Sequence[Path], times: NDArray[np.float64]) -> list[float] | None:
    """Names in milliseconds, microseconds or nanoseconds as seconds, if that is where the times of the trajectory lie."""
    if not all(image.stem.isdecimal() and len(image.stem) >= LONG_STAMP for image in images):
        return None
    for digits in (3, 6, 9):
        stamps = [int(image.stem) / 10**digits for image in images]
        if min(stamps) <= times.max() + 1 and max(stamps) >= times.min() - 1:
            return stamps
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _time_list(path: Path) -> list[tuple[float, str]]:
    return [(float(row[0]), row[1]) for _, row in _words(path, 2)]


def _words(path: Path, count: int) -> list[tuple[int, list[str]]]:
    rows = []
    for number, line in enumerate(read_lines(path, "a list of time stamps and files"), start=1):
        words = re.split(r"[\s,]+", line.strip(), maxsplit=count - 1 if count == 2 else 0)  # one name may have blanks
        if not words or not words[0] or words[0].startswith("#"):
            continue
        if len(words) != count or not all(words) or any(_number(word) is None for word in words[::2]):
            raise InputError(f"line {number}", repr(line[:60]), f"{count // 2} x (time, file name)", file=path)
        for name in words[1::2]:
            path_in_file(name, file=path, field=f"line {number}")
        rows.append((number, words))
    return rows
