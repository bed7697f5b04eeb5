"""Weights of the refining network: one .npz of half-precision arrays, small enough to come with the package."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import torch

from scene_depth.depth.refined.network import NetworkConfig, RefiningNetwork
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path

FILE = "refined.npz"
CONFIG = "config.json"  # name of the array that holds the network's shape


def save_network(path: str | os.PathLike[str], network: RefiningNetwork) -> None:
    """Writes the network, its weights in half precision."""
    arrays = {name: value.detach().cpu().numpy().astype(np.float16) for name, value in network.state_dict().items()}
    arrays[CONFIG] = np.frombuffer(json.dumps(network.config.as_dict()).encode(), dtype=np.uint8)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def find_network(path: str | os.PathLike[str] | None = None) -> Path:
    """Where the weights are; argument and errors as in ``load_network``."""
    file = Path(path) if path is not None else Path(__file__).parent / FILE
    file = file / FILE if file.is_dir() else file
    if not file.is_file():
        accepted = f"a {FILE} that scene-depth train refined wrote, named by weights="
        raise InputError("weights of refined", "no such file", accepted, file=file)
    return file


def load_network(path: str | os.PathLike[str] | None = None) -> RefiningNetwork:
    """Reads a network on the CPU in single precision.

    Args:
        path: File, or folder with ``refined.npz``; None takes the one that comes with the package.

    Raises:
        InputError: If there is none, or it holds something else.
    """
    file = find_network(path)
    try:
        with np.load(file, allow_pickle=False) as content:
            config = json.loads(content[CONFIG].tobytes())
            network = RefiningNetwork(NetworkConfig(tuple(config["widths"])))
            state = {name: torch.from_numpy(content[name].astype(np.float32)) for name in content.files if name != CONFIG}
        network.load_state_dict(state)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError("weights of refined", reason, f"a {FILE} that scene-depth train refined wrote", file=file) from error
    return network.eval().requires_grad_(False)
