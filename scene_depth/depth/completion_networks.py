"""Completion networks of packages of their own as depth inpainters, imported when they are used: PriorDA and Any2Full.

They move known depth; the one call around every inpainter puts it back and takes the seam out of the hole.
"""

from __future__ import annotations

import argparse
import sys
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.checkpoints import ANY2FULL, COMPLETION_CHECKPOINTS, PRIORDA, find_cached, say_before_fetch
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.latent.devices import choose_device
from scene_depth.depth.latent.packages import package_class
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.errors import InputError, first_line
from scene_depth.io.torch_files import read_torch

FILES = {checkpoint.hub: checkpoint.file for checkpoint in COMPLETION_CHECKPOINTS}
FEWEST = 5  # known pixels; PriorDA looks at so many neighbours, Any2Full fits scale and shift
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, with which encoders of DINOv2 are fed
ENCODERS = {384: "vits", 768: "vitb", 1024: "vitl"}  # by the length of their tokens


class CompletionNetwork(DepthModel):
    """A network that completes known depth along a picture. Depth is given to it with a median of about 1, in any unit."""

    name: ClassVar[str]
    hub: ClassVar[str]  # id of its weights

    def __post_init__(self) -> None:
        _ = self._network  # what is wrong with code or weights is said at once

    @classmethod
    def find_weights(cls) -> str:
        """The network's file in the hub's local cache.

        Raises:
            InputError: If it is not there.
        """
        return find_cached(cls.hub, FILES[cls.hub])

    def check(self, rgb: ArrayLike | None, depth: ArrayLike, known: ArrayLike | None, camera: Cameras | None) -> InpaintingInput:
        """Checks the input of a direct call; a picture is needed."""
        view = super().check(rgb, depth, known, camera)
        self._check(view)
        return view

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view; the network's own random numbers follow the seed."""
        self._check(view)
        unit = 2.0 ** float(np.round(np.log2(np.median(view.depth[view.known]))))
        sparse = np.where(view.known, view.depth / unit, 0).astype(np.float32)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            found = self._complete(np.rint(np.asarray(view.rgb) * 255).astype(np.uint8), sparse)
        return DepthPrediction(np.squeeze(found).astype(np.float64) * unit)

    def _check(self, view: InpaintingInput) -> None:
        if view.rgb is None:
            raise InputError("rgb", "no picture", f"the picture of the view, which {self.name} completes depth along")
        if view.known.sum() < FEWEST:
            raise InputError("known", f"{int(view.known.sum())} known pixels", f"at least {FEWEST}, or the solver for fewer")

    @cached_property
    @abstractmethod
    def _network(self) -> Any:
        """The network with its weights."""

    @abstractmethod
    def _complete(self, picture: NDArray[np.uint8], sparse: NDArray[np.float32]) -> NDArray[Any]:
        """Depth of every pixel from a picture and known depth, 0 = unknown  # [H, W, 3], [H, W] -> [H, W]"""


@dataclass(frozen=True)
class PriorDAInpainter(CompletionNetwork):
    """Prior Depth Anything (Wang et al., arXiv 2505.10565), version 1.1 by default.

    Attributes:
        weights: Folder with depth_anything_v2_SIZE.pth and prior_depth_anything_SIZE.pth; by default those of the hub's cache.
        frozen, conditioned: Sizes of the network that is aligned and of the one that corrects it.
        version: Of the published weights.
        device: "auto" takes CUDA or MPS if there is any.
        download: Whether the package may fetch what is missing.
    """

    weights: str | None = None
    frozen: Literal["vits", "vitb", "vitl"] = "vitb"
    conditioned: Literal["vits", "vitb"] = "vitb"
    version: Literal["1.0", "1.1"] = "1.1"
    device: str = "auto"
    download: bool = True
    name: ClassVar[str] = "priorda"
    hub: ClassVar[str] = PRIORDA

    @cached_property
    def _network(self) -> Any:
        hint = "pip install git+https://github.com/SpatialVision/Prior-Depth-Anything.git"
        made = package_class("prior_depth_anything", "PriorDepthAnything", hint)
        suffix = "" if self.version == "1.0" else "_1_1"
        names = f"depth_anything_v2_{self.frozen}.pth", f"prior_depth_anything_{self.conditioned}{suffix}.pth"
        folder = None if self.weights is None else Path(self.weights).expanduser()
        for name in names:
            if folder is None:
                _find_or_announce(self.hub, name, self.download)
            elif not (folder / name).is_file():
                raise InputError("weights", f"no file {name}", "a folder with both networks", file=folder)
        place = None if folder is None else str(folder)
        return made(
            device=str(choose_device(self.device)), version=self.version, mde_dir=place, ckpt_dir=place,
            frozen_model_size=self.frozen, conditioned_model_size=self.conditioned,
        )  # fmt: skip

    def _complete(self, picture: NDArray[np.uint8], sparse: NDArray[np.float32]) -> NDArray[Any]:
        return np.asarray(self._network.infer_one_sample(image=picture, prior=sparse, visualize=False).float().cpu())


@dataclass(frozen=True)
class Any2FullInpainter(CompletionNetwork):
    """Any2Full (Zhou et al., arXiv 2603.05711): Depth Anything V2, prompted with known depth.

    Attributes:
        weights: File Any2Full_SIZE.pth.tar; by default the large one of the hub's cache. Its size is seen from it.
        code: Checkout of github.com/zhiyuandaily/Any2Full, which is no package; by default what PYTHONPATH has.
        device: "auto" takes CUDA or MPS if there is any.
    """

    weights: str | None = None
    code: str | None = None
    device: str = "auto"
    name: ClassVar[str] = "any2full"
    hub: ClassVar[str] = ANY2FULL

    @cached_property
    def _network(self) -> Any:
        network_class = _any2full(self.code)
        file = self.find_weights() if self.weights is None else Path(self.weights).expanduser()
        content = read_torch(file, "checkpoint of Any2Full", allowed=[argparse.Namespace])
        accepted = "the weights of Any2Full, with the tensor pretrained.cls_token"
        try:
            state = {name.removeprefix("module."): value for name, value in content.get("state_dict", content).items()}
            encoder = ENCODERS[state["pretrained.cls_token"].shape[-1]]
            options = argparse.Namespace(init_scailing=True, stage=1, max_depth=1e3, min_depth=1e-6)  # spelt as there
            network = network_class(encoder=encoder, da_ckpt_path=None, args=options)
            network.load_state_dict(state, strict=True)
        except (AttributeError, KeyError, IndexError, RuntimeError) as error:
            raise InputError("weights", first_line(error), accepted, file=file) from error
        return network.to(choose_device(self.device)).eval()

    def _complete(self, picture: NDArray[np.uint8], sparse: NDArray[np.float32]) -> NDArray[Any]:
        device = choose_device(self.device)
        mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        rgb = (torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - mean) / deviation
        known = torch.from_numpy(sparse)[None, None]
        return np.asarray(self._network({"rgb": rgb.to(device), "dep": known.to(device)})["pred"].float().cpu())


def _any2full(code: str | None) -> Any:
    """The class of the network; its modules are called ``model``, so that what is imported must lie in the checkout."""
    hint = "git clone https://github.com/zhiyuandaily/Any2Full, then code=Any2Full"
    module = "model.ours.any2full"
    if code is None:
        return package_class(module, "Any2Full", hint)
    folder = Path(code).expanduser().resolve()
    if not (folder / "model" / "ours" / "any2full.py").is_file():
        raise InputError("code", "no model/ours/any2full.py", "a checkout of Any2Full", file=code, hint=hint)
    sys.path.insert(0, str(folder))
    try:
        found = package_class(module, "Any2Full", hint)
    finally:
        sys.path.remove(str(folder))
    loaded = Path(str(sys.modules[module].__file__)).resolve()
    if folder not in loaded.parents:
        raise InputError("code", f"another module named model is loaded, from {loaded}", "one checkout a process", file=code)
    return found


def _find_or_announce(hub: str, file: str, download: bool) -> None:
    try:
        find_cached(hub, file)
    except InputError:
        if not download:
            raise
        say_before_fetch(hub, file)
