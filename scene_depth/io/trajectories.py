"""Camera trajectories in text files: matrices, TUM's timestamped quaternions, Redwood's ``.log``.

Every pose read here is camera to world with OpenCV axes, as these formats define it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.input_files import check_input_file
from scene_depth.rotations import quaternions_to_matrices

NOT_A_NUMBER = re.compile(r"-?1\.#(?:IND|QNAN|INF)\d*")  # as the C library of Windows writes the poses of lost frames
ACCEPTED = "a 4 x 4 matrix a line, TUM's 'time tx ty tz qx qy qz qw', or Redwood's .log"


@dataclass(frozen=True)
class Trajectory:
    """Poses in file order.

    Attributes:
        camera_to_world: Poses, OpenCV axes; not yet checked to be rigid or finite  # [N, 4, 4]
        times: Time stamps in seconds, if the file has them  # [N]
    """

    camera_to_world: NDArray[np.float64]
    times: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.camera_to_world)


def read_pose_matrix(path: str | PathLike[str]) -> NDArray[np.float64]:
    """One pose from a file of 16 (or 12) numbers, row by row  # [4, 4]

    Raises:
        InputError: If the file is missing or holds something else.
    """
    rows = read_number_rows(path)
    numbers = [value for row in rows for value in row]
    if len(numbers) not in (12, 16):
        raise InputError("pose", f"{len(numbers)} numbers", "the 16 numbers of a 4 x 4 matrix", file=path)
    return _matrix(numbers)


def read_trajectory(path: str | PathLike[str]) -> Trajectory:
    """All poses of a trajectory file; its kind is seen from the number of numbers in each line.

    Raises:
        InputError: If the file is missing, empty or of no known kind, or if a quaternion is zero.
    """
    rows = read_number_rows(path)
    lengths = [len(row) for row in rows]
    if not rows:
        raise InputError("trajectory", "no poses", ACCEPTED, file=path)
    if set(lengths) == {8}:
        return _timestamped(np.array(rows), path)
    if set(lengths) in ({16}, {12}):
        return Trajectory(np.stack([_matrix(row) for row in rows]))
    if len(rows) % 5 == 0 and lengths == [3, 4, 4, 4, 4] * (len(rows) // 5):
        return Trajectory(np.stack([np.array(rows[i + 1 : i + 5]) for i in range(0, len(rows), 5)]))
    if len(rows) % 4 == 0 and set(lengths) == {4}:
        return Trajectory(np.array(rows).reshape(-1, 4, 4))
    raise InputError("trajectory", f"lines of {sorted(set(lengths))} numbers, {len(rows)} of them", ACCEPTED, file=path)


def read_number_rows(path: str | PathLike[str]) -> list[list[float]]:
    """The numbers of each line of a text file, apart from comments; separated by blanks or commas.

    Raises:
        InputError: If the file is missing or a line holds something else.
    """
    path = check_input_file(path, "a text file of numbers")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        content = NOT_A_NUMBER.sub("nan", line).partition("#")[0]
        try:
            values = [float(word) for word in content.replace(",", " ").split()]
        except ValueError:
            raise InputError(f"line {number}", repr(line[:60]), "numbers", file=path) from None
        if values:
            rows.append(values)
    return rows


def _matrix(numbers: list[float]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3] = np.array(numbers[:12]).reshape(3, 4)
    if len(numbers) == 16:
        matrix[3] = numbers[12:]
    return matrix


def _timestamped(table: NDArray[np.float64], path: str | PathLike[str]) -> Trajectory:
    lengths = np.linalg.norm(table[:, 4:], axis=1)
    if not (np.abs(lengths - 1) < 0.01).all():
        index = int(np.argmax(~(np.abs(lengths - 1) < 0.01)))
        raise InputError(f"pose {index}: quaternion", table[index, 4:].tolist(), "qx qy qz qw of length 1", file=path)
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3, :3] = quaternions_to_matrices(torch.from_numpy(table[:, [7, 4, 5, 6]])).numpy()
    poses[:, :3, 3] = table[:, 1:4]
    return Trajectory(poses, table[:, 0].copy())
