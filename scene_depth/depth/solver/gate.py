"""A small network that says which candidate to believe: a mixture of experts with learnt weights.

It sees one pixel at a time, through features that have no unit, and gives the shares of a weighted mean of the candidates. So
the result always lies between them, whatever the network has never seen. See ``scene_depth.training.solver`` for how it
learns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.solver.candidates import CANDIDATES, FEATURES, Candidates
from scene_depth.errors import InputError, first_line
from scene_depth.io.atomic import atomic_path
from scene_depth.io.numpy_files import read_arrays
from scene_depth.kernels import BARE, REORDERED, inlined, kernel, run_rows
from scene_depth.kernels.simd import LANES, maximum, minimum, vector_of
from scene_depth.kernels.simd_functions import exp
from scene_depth.kernels.simd_memory import broadcast_load, load, store

FILE = "gate.npz"
EMBEDDED = "embedded"
DESCRIPTION = "description.json"  # name of the array that holds what the weights are for
LEAST_ERROR, LARGEST_ERROR = -9.0, 0.5  # limits of the log of the expected error
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Gate:
    """Three layers with rectifiers between them: features -> shares of the candidates and the log of the expected error.

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
        width, outputs = self.first.shape[-1], len(CANDIDATES) + 1
        shapes = ((len(FEATURES), width), (width,), (width, width), (width,), (width, outputs), (outputs,))
        for field, shape in zip(fields(self), shapes, strict=True):
            value = getattr(self, field.name)
            if value.shape != shape or value.dtype != np.float32 or not np.isfinite(value).all():
                raise InputError(field.name, f"shape {value.shape} of {value.dtype}", f"finite float32 of shape {shape}")

    def mix(self, candidates: Candidates, threads: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The candidates, weighted.

        Args:
            candidates: What to choose from, at N pixels.
            threads: Number of threads, at most; None for ``kernels.thread_count()``.

        Returns:
            Log of relative inverse depth  # [N]
            Expected error of it: half of the pixels err by less than ln 2 times that, 90 % by less than ln 10 times  # [N]
        """
        count = candidates.values.shape[1]
        mixed, error = np.empty(count, dtype=np.float32), np.empty(count, dtype=np.float32)
        layers = [np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)]
        arrays = (candidates.values, candidates.features, *layers, mixed, error)
        run_rows(_mix_pixels, 0, count, 1, *arrays, threads=threads)
        return mixed, error


def load_gate(path: str | os.PathLike[str] = EMBEDDED) -> Gate:
    """Reads a gate.

    Args:
        path: File, or folder with ``gate.npz``; "embedded" for the one of this package.

    Raises:
        InputError: If there is none, it holds something else, or it was trained for other candidates or features.
    """
    file = Path(__file__).parent / FILE if path == EMBEDDED else Path(path)
    file = file / FILE if file.is_dir() else file
    if not file.is_file():
        raise InputError("gate", "no such file", f"{EMBEDDED!r}, or a {FILE} that scene-depth train solver wrote", file=file)
    accepted = f"a {FILE} that scene-depth train solver of this version wrote"
    try:
        content = read_arrays(file)
        told = json.loads(content[DESCRIPTION].tobytes())
        arrays = {field.name: content[field.name].astype(np.float32) for field in fields(Gate)}
    except InputError:
        raise
    except (ValueError, KeyError, RecursionError) as error:
        raise InputError("gate", first_line(error), accepted, file=file) from error
    if told != _description():
        raise InputError("gate", "weights for other candidates and features", accepted, file=file)
    return Gate(**arrays)


def save_gate(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Writes the arrays of a gate, named as its attributes."""
    gate = Gate(**{name: np.asarray(value, dtype=np.float32) for name, value in arrays.items()})
    content = {field.name: getattr(gate, field.name) for field in fields(gate)}
    content[DESCRIPTION] = np.frombuffer(json.dumps(_description()).encode(), dtype=np.uint8)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **content)


def _description() -> dict[str, list[str]]:
    return {"candidates": list(CANDIDATES), "features": list(FEATURES)}


@kernel(REORDERED)
def _mix_pixels(first, end, candidates, features, w1, b1, w2, b2, w3, b3, mixed, error):
    """Layer by layer for as many pixels as a vector has lanes."""
    width, outputs = w1.shape[1], w3.shape[1]
    values, inputs = np.zeros((outputs - 1, LANES), np.float32), np.zeros((w1.shape[0], LANES), np.float32)
    one, two = np.empty((width, LANES), np.float32), np.empty((width, LANES), np.float32)
    scores, results = np.empty((outputs, LANES), np.float32), np.empty((2, LANES), np.float32)
    for start in range(first, end, LANES):
        stop = min(start + LANES, end)
        values[:, : stop - start], inputs[:, : stop - start] = candidates[:, start:stop], features[:, start:stop]
        _layer(inputs, w1, b1, np.float32(0), one)
        _layer(one, w2, b2, np.float32(0), two)
        _layer(two, w3, b3, np.float32(-np.inf), scores)
        _weigh(outputs - 1, values, scores, results)
        mixed[start:stop], error[start:stop] = results[0, : stop - start], results[1, : stop - start]


@inlined(BARE)
def _layer(inputs, weights, bias, least, out):
    for j in range(out.shape[0]):
        total = vector_of(bias[j])
        for i in range(inputs.shape[0]):
            total = total + broadcast_load(weights, i * out.shape[0] + j) * load(inputs, i * LANES)
        store(out, j * LANES, maximum(total, least))


@inlined(BARE)
def _weigh(count, candidates, scores, results):
    """Mean of the candidates with the softmax of the scores; differences are summed, so that equal candidates stay."""
    largest = load(scores, 0)
    for k in range(1, count):
        largest = maximum(largest, load(scores, k * LANES))
    total = value = vector_of(np.float32(0))
    for k in range(count):
        share = exp(load(scores, k * LANES) - largest)
        total = total + share
        value = value + share * (load(candidates, k * LANES) - load(candidates, 0))
    store(results, 0, load(candidates, 0) + value / total)
    log_error = minimum(maximum(load(scores, count * LANES), np.float32(LEAST_ERROR)), np.float32(LARGEST_ERROR))
    store(results, LANES, exp(log_error))
