"""A small network that says which answer to believe: a mixture of experts with learnt weights.

It sees one pixel at a time, through signs that have no unit, and gives the shares of a weighted mean of the answers. So
the result always lies between them, whatever the network has never seen. See ``scene_depth.training.solver`` for how it
learns.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.solver.bands import RowBands
from scene_depth.depth.solver.opinions import ANSWERS, SIGNS, Opinions
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path

FILE = "gate.npz"
EMBEDDED = "embedded"
DESCRIPTION = "description.json"  # name of the array that holds what the weights are for
LEAST_ERROR, LARGEST_ERROR = -9.0, 0.5  # limits of the log of the expected error
_kernel = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp", "reassoc"})
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Gate:
    """Three layers with rectifiers between them: signs -> shares of the answers and the log of the expected error.

    Attributes:
        first, second, last: Weights, transposed  # [F, C], [C, C], [C, K + 1]
        first_bias, second_bias, last_bias: # [C], [C], [K + 1]
    """

    first: Weights
    first_bias: Weights
    second: Weights
    second_bias: Weights
    last: Weights
    last_bias: Weights

    def __post_init__(self) -> None:
        width = self.first.shape[-1]
        shapes = ((len(SIGNS), width), (width,), (width, width), (width,), (width, len(ANSWERS) + 1), (len(ANSWERS) + 1,))
        for field, shape in zip(fields(self), shapes, strict=True):
            value = getattr(self, field.name)
            if value.shape != shape or value.dtype != np.float32 or not np.isfinite(value).all():
                raise InputError(field.name, f"shape {value.shape} of {value.dtype}", f"finite float32 of shape {shape}")

    def mix(
        self, opinions: Opinions, known: NDArray[np.bool_], bands: RowBands
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The answers, weighted, where depth is hidden; the first one elsewhere.

        Returns:
            Log of relative inverse depth  # [H, W]
            Expected absolute error of it, 0 where known  # [H, W]
        """
        height, width = known.shape
        mixed = opinions.answers[0].copy()
        error = np.zeros((height, width), dtype=np.float32)
        layers = [np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)]
        bands.run(_mix_rows, 0, height, width, opinions.answers, opinions.signs, known, *layers, mixed, error)
        return mixed, error


def load_gate(path: str | os.PathLike[str] = EMBEDDED) -> Gate:
    """Reads a gate.

    Args:
        path: File, or folder with ``gate.npz``; "embedded" for the one of this package.

    Raises:
        InputError: If there is none, it holds something else, or it was trained for other answers or signs.
    """
    file = Path(__file__).parent / FILE if path == EMBEDDED else Path(path)
    file = file / FILE if file.is_dir() else file
    if not file.is_file():
        raise InputError("gate", "no such file", f"{EMBEDDED!r}, or a {FILE} that scene-depth train solver wrote", file=file)
    accepted = f"a {FILE} that scene-depth train solver of this version wrote"
    try:
        with np.load(file, allow_pickle=False) as content:
            told = json.loads(content[DESCRIPTION].tobytes())
            arrays = {field.name: content[field.name].astype(np.float32) for field in fields(Gate)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("gate", str(error).splitlines()[0] or type(error).__name__, accepted, file=file) from error
    if told != _description():
        raise InputError("gate", "weights for other answers and signs", accepted, file=file)
    return Gate(**arrays)


def save_gate(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Writes the arrays of a gate, named as its attributes."""
    gate = Gate(**{name: np.asarray(value, dtype=np.float32) for name, value in arrays.items()})
    content = {field.name: getattr(gate, field.name) for field in fields(gate)}
    content[DESCRIPTION] = np.frombuffer(json.dumps(_description()).encode(), dtype=np.uint8)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **content)


def _description() -> dict[str, list[str]]:
    return {"answers": list(ANSWERS), "signs": list(SIGNS)}


@_kernel
def _mix_rows(first_row, end, answers, signs, known, w1, b1, w2, b2, w3, b3, mixed, error):
    count, width = answers.shape[0], w1.shape[1]
    one, two, out = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(count + 1, np.float32)
    for y in range(first_row, end):
        for x in range(known.shape[1]):
            if known[y, x]:
                continue
            _layer(signs[:, y, x], w1, b1, one)
            _rectify(one)
            _layer(one, w2, b2, two)
            _rectify(two)
            _layer(two, w3, b3, out)
            mixed[y, x] = _weighted(answers[:, y, x], out)
            error[y, x] = np.exp(min(max(out[count], np.float32(LEAST_ERROR)), np.float32(LARGEST_ERROR)))


@_kernel
def _layer(values, weights, bias, out):
    """Row by row, so that the inner loop runs along memory; rectified values are often 0 and cost nothing."""
    for j in range(out.size):
        out[j] = bias[j]
    for i in range(values.size):
        value = values[i]
        if value != 0:
            row = weights[i]
            for j in range(out.size):
                out[j] += value * row[j]


@_kernel
def _rectify(values):
    for i in range(values.size):
        values[i] = max(values[i], np.float32(0))


@_kernel
def _weighted(answers, scores):
    """Mean of the answers with the softmax of the scores, summed as differences from the first, so that equal answers stay."""
    largest = scores[0]
    for k in range(1, answers.size):
        largest = max(largest, scores[k])
    total, value = np.float32(0), np.float32(0)
    for k in range(answers.size):
        share = np.exp(scores[k] - largest)
        total += share
        value += share * (answers[k] - answers[0])
    return answers[0] + value / total
