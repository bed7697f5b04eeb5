"""Weights of the auxiliary network in one file, with the shape that they belong to."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict
from pathlib import Path

import torch

from scene_depth.depth.auxiliary.network import AuxiliaryNetwork, NetworkConfig
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.input_files import check_input_file

FILE = "auxiliary.pt"
KIND = "scene_depth auxiliary network"


def save_network(path: Path, network: AuxiliaryNetwork) -> None:
    """Writes the network as it is used at test time, without what only training needs."""
    lean = network.without_image()
    state = {name: value.detach().cpu() for name, value in lean.state_dict().items()}
    with atomic_path(path) as temporary:
        torch.save({"kind": KIND, "config": asdict(lean.config), "state": state}, temporary)


def load_network(path: str | os.PathLike[str] | None = None) -> AuxiliaryNetwork:
    """Reads a network for test time, on the CPU.

    Args:
        path: File, or folder with ``auxiliary.pt``; None looks in the default places (``default_paths``).

    Raises:
        InputError: If there is no such file, or it holds something else.
    """
    file = check_input_file(find_network(path), "weights of the auxiliary network")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        if content["kind"] != KIND:
            raise InputError("kind", repr(content["kind"]), KIND, file=file)
        config = NetworkConfig(**content["config"])
        network = AuxiliaryNetwork(config, image_decoder=False).eval()
        if config.variant == "B+I":
            network.image_branch = None
        network.load_state_dict(content["state"])
    except InputError:
        raise
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError("weights", reason, "a file that scene-depth train auxiliary wrote", file=file) from error
    return network


def default_paths() -> list[Path]:
    """Where weights are looked for: the folder SCENE_DEPTH_WEIGHTS, this package, the user's cache folder."""
    named = os.environ.get("SCENE_DEPTH_WEIGHTS")
    base = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(base) if base else Path.home() / ".cache") / "scene_depth" / "weights"
    folders = [*([Path(named)] if named else []), Path(__file__).parent, cache]
    return [folder / FILE for folder in folders]


def find_network(path: str | os.PathLike[str] | None = None) -> Path:
    """Where the weights are; argument and errors as in ``load_network``."""
    if path is not None:
        return Path(path) / FILE if Path(path).is_dir() else Path(path)
    places = default_paths()
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        accepted = f"weights=FILE, or {FILE} in the folder that SCENE_DEPTH_WEIGHTS names; scene-depth train auxiliary makes it"
        raise InputError("weights of auxiliary", "none in " + ", ".join(str(place.parent) for place in places), accepted)
    return found
