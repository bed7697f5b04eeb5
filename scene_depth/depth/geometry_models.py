"""Monocular models of packages of their own, imported when they are used: MoGe-2 and Depth Anything 3."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.depth.checkpoints import DEPTH_ANYTHING_3, MOGE, fetch_weights, find_cached
from scene_depth.depth.latent.devices import choose_device
from scene_depth.depth.latent.packages import package_class
from scene_depth.depth.prior import MonocularMap


@dataclass(frozen=True)
class PackageModel:
    """A network of a package that is installed beside this one.

    Attributes:
        checkpoint: Hub id or local folder.
        device: "auto" takes CUDA or MPS if there is any.
        download: Whether missing weights may be fetched.
    """

    checkpoint: str
    device: str = "auto"
    download: bool = True
    takes_seed: ClassVar[bool] = False
    network: ClassVar[tuple[str, str, str]]  # module, class, and how to install them

    def __post_init__(self) -> None:
        _ = self._network  # what is wrong with package or weights is said at once

    @cached_property
    def _network(self) -> Any:
        network_class = package_class(*self.network)
        return _loaded(network_class, self.checkpoint, self.download).to(choose_device(self.device)).eval()


@dataclass(frozen=True)
class MoGeModel(PackageModel):
    """MoGe-2 (Wang et al. 2025): metric depth of one picture. Pixels that it takes for sky have none and get the median."""

    checkpoint: str = MOGE
    name: ClassVar[str] = "moge"
    find_weights = staticmethod(partial(find_cached, MOGE, "model.pt"))
    network = "moge.model.v2", "MoGeModel", "pip install git+https://github.com/microsoft/MoGe.git"

    @torch.no_grad()
    def __call__(self, rgb: NDArray[np.float32]) -> MonocularMap:
        picture = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))).to(choose_device(self.device))
        depth = np.asarray(self._network.infer(picture)["depth"].float().cpu())
        return MonocularMap(np.where(np.isfinite(depth), depth, 0).astype(np.float32), "depth", metric=True)


@dataclass(frozen=True)
class DepthAnything3Model(PackageModel):
    """Depth Anything 3 (Lin et al. 2025) on one picture: relative depth, or with a METRIC checkpoint depth up to its scale.

    Metric depth of that checkpoint takes the focal length; the scale is fitted to known depth instead: by scale alone where
    METRIC is in the checkpoint's name.
    """

    checkpoint: str = DEPTH_ANYTHING_3
    name: ClassVar[str] = "da3"
    find_weights = staticmethod(partial(find_cached, DEPTH_ANYTHING_3, "config.json"))
    network = "depth_anything_3.api", "DepthAnything3", "pip install depth-anything-3"

    @torch.no_grad()
    def __call__(self, rgb: NDArray[np.float32]) -> MonocularMap:
        picture = np.rint(rgb * 255).astype(np.uint8)
        found = torch.as_tensor(np.asarray(self._network.inference([picture]).depth), dtype=torch.float32)[0]
        size = rgb.shape[0], rgb.shape[1]
        resized = torch.nn.functional.interpolate(found[None, None], size=size, mode="bilinear", align_corners=False)
        return MonocularMap(resized[0, 0].numpy(), "depth", metric="metric" in self.checkpoint.lower())


def _loaded(network_class: Any, checkpoint: str, download: bool) -> Any:
    """The network, from this machine or fetched; these packages pass ``local_files_only`` on to the hub's client."""
    single = Path(checkpoint).expanduser() / "model.pt"  # MoGe reads a file, Depth Anything 3 a folder
    source = str(single) if single.is_file() else checkpoint

    def load(local: bool) -> Any:
        return network_class.from_pretrained(source, local_files_only=local)

    return fetch_weights(checkpoint, load, download)
