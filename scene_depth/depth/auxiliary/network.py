"""The network of Lu et al., "From Depth What Can You See? Depth Completion via Auxiliary Image Reconstruction" (CVPR 2020).

What the paper says: one input channel, sparse depth with zeros where there is none; an encoder of parallel kernels 3, 5, 7, 9
whose maps, all at 1/16, are joined to f0; a depth and an image branch of the same structure with N_t layers of transposed
convolutions from 1/16 to 1/2 and a sharing branch s (equations 8 to 11):

    n = 1:        f_r(1) = Φ(f0),  f_d(1) = Φ(f0),  f_s(1) = f_r(1) + f_d(1)
    1 < n < N_t:  f_r(n) = Φ(f_r(n-1)),  f_d(n) = Φ(f_d(n-1)),  f_s(n) = f_r(n) + f_d(n) + Φ(f_s(n-1))
    n = N_t:      convolutions only, f_s(N_t) = Φ(f_s(N_t-1)), no sum

and two decoders, depth from [f_d(N_t), f_s(N_t)] and grey image from [f_r(N_t), f_s(N_t)]. After training the image decoder
is dropped; image and sharing branch stay, they feed the depth.

The paper's table of layers is not published. Everything in the right column of this one is our reading (c = ``width``):

    part              resolution    layers
    encoder, per k    1/1 to 1/16   four convolutions k x k of stride 2 to c, 2c, 4c, 8c channels; four branches join to 32c
    branches n = 1    1/16 to 1/8   transposed convolution 4 x 4 of stride 2 to 16c
    branches n = 2    1/8 to 1/4    the same to 8c
    branches n = 3    1/4 to 1/2    the same to 4c
    branches n = 4    1/2           convolution 3 x 3 to 4c
    decoders          1/2 to 1/1    transposed convolution 4 x 4 of stride 2 to 2c, convolution 3 x 3 to the output

Every layer but the last of a decoder is followed by a norm and ReLU (that is Φ). Depth is ``depth_scale`` times softplus of the
last layer, so that it is positive; the input is divided by ``depth_scale``. Variants: "B" has the depth branch alone, "B+I" the
image branch beside it, joined by the encoder only, "B+I+S" the sharing branch too.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import LAPLACE, DepthPrediction
from scene_depth.errors import InputError, first_line
from scene_depth.io.torch_files import BROKEN, read_torch, write_torch
from scene_depth.io.user_cache import user_cache

Variant = Literal["B", "B+I", "B+I+S"]
KERNELS = (3, 5, 7, 9)
LAYERS = 4
"""N_t of the paper."""
MULTIPLE = 16
FILE = "auxiliary.pt"
KIND = "scene_depth auxiliary network"
SMALLEST_LOG = -9.0  # of the learnt uncertainty, relative to the depth scale
LARGEST_LOG = 3.0


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
        variant: "B", "B+I" or "B+I+S".
        width: Channels c of the layer table.
        norm: "batch", "group" (8 channels a group; does not depend on the batch) or "none".
        depth_scale: Depth that the network sees as 1, in metres, or in mean known depths if ``relative``.
        relative: Divide the depth of every frame by the mean of its known depth, so that the result does not depend on the unit.
        uncertainty: Predict the scale of the error as a second channel.
    """

    variant: Variant = "B+I+S"
    width: int = 16
    norm: Literal["batch", "group", "none"] = "batch"
    depth_scale: float = 80.0
    relative: bool = False
    uncertainty: bool = False

    def __post_init__(self) -> None:
        if self.variant not in ("B", "B+I", "B+I+S"):
            raise InputError("variant", repr(self.variant), "B, B+I, B+I+S")
        if self.norm not in ("batch", "group", "none"):
            raise InputError("norm", repr(self.norm), "batch, group, none")
        if self.width < 1:
            raise InputError("width", self.width, "1 or more")
        if not 0 < self.depth_scale < float("inf"):
            raise InputError("depth_scale", self.depth_scale, "a finite number above 0")


@dataclass(frozen=True)
class NetworkOutput:
    """What the network predicts.

    Attributes:
        depth: z-depth in the unit of the input, positive  # [B, 1, H, W]
        image: Grey image, dark 0 to bright 1, not limited; None without an image decoder  # [B, 1, H, W]
        error: Expected absolute error of the depth, in its unit; None if not asked for  # [B, 1, H, W]
    """

    depth: Tensor
    image: Tensor | None
    error: Tensor | None


class AuxiliaryNetwork(nn.Module):
    """Sparse depth to depth and, in training, the grey image.

    Args:
        config: Its shape.
        image_decoder: False leaves the image decoder out, as after training.
    """

    def __init__(self, config: NetworkConfig, *, image_decoder: bool = True):
        super().__init__()
        self.config = config
        width, norm = config.width, config.norm
        has_image, shares = config.variant != "B", config.variant == "B+I+S"
        channels = (32 * width, 16 * width, 8 * width, 4 * width, 4 * width)
        self.encoder = nn.ModuleList(_encoder_branch(kernel, width, norm) for kernel in KERNELS)
        self.depth_branch = _branch(channels, norm)
        self.image_branch = _branch(channels, norm) if has_image else None
        self.sharing_branch = _branch(channels[1:], norm) if shares else None  # starts at n = 2
        joined = channels[-1] * (2 if shares else 1)
        self.depth_decoder = _decoder(joined, 2 * width, norm, 2 if config.uncertainty else 1)
        self.image_decoder = _decoder(joined, 2 * width, norm, 1) if has_image and image_decoder else None

    def forward(self, depth: Tensor) -> NetworkOutput:
        """Predicts dense depth.

        Args:
            depth: z-depth, 0 = none; sides of any length  # [B, 1, H, W]
        """
        height, width = depth.shape[-2:]
        pad = (0, -width % MULTIPLE, 0, -height % MULTIPLE)  # right and below, so that pixels stay where they are
        unit = self._unit(depth)
        sparse = F.pad(depth / unit, pad)
        f0 = torch.cat([branch(sparse) for branch in self.encoder], dim=1)
        to_depth, to_image = self.features(f0)
        raw = self.depth_decoder(to_depth)[..., :height, :width].float()
        image = None
        if self.image_decoder is not None and to_image is not None:
            image = self.image_decoder(to_image)[..., :height, :width].float()
        error = raw[:, 1:].clamp(SMALLEST_LOG, LARGEST_LOG).exp() * unit if self.config.uncertainty else None
        return NetworkOutput(F.softplus(raw[:, :1]) * unit, image, error)

    def features(self, f0: Tensor) -> tuple[Tensor, Tensor | None]:
        """Equations 8 to 11: what the depth and the image decoder see  # [B, 32c, h, w] -> [B, 4c or 8c, 8h, 8w]"""
        f_d = self.depth_branch[0](f0)
        f_r = None if self.image_branch is None else self.image_branch[0](f0)
        f_s = None if self.sharing_branch is None or f_r is None else f_r + f_d
        for n in range(1, LAYERS):
            f_d = self.depth_branch[n](f_d)
            if self.image_branch is not None:
                f_r = self.image_branch[n](f_r)
            if self.sharing_branch is not None and f_s is not None:
                f_s = self.sharing_branch[n - 1](f_s)
                if n < LAYERS - 1:
                    f_s = f_r + f_d + f_s
        if f_s is None or f_r is None:
            return f_d, f_r
        return torch.cat([f_d, f_s], dim=1), torch.cat([f_r, f_s], dim=1)

    def without_image(self) -> AuxiliaryNetwork:
        """This network for test time: no image decoder, and no image branch where the depth does not need it."""
        keeps_branch = self.config.variant == "B+I+S"
        lean = AuxiliaryNetwork(self.config, image_decoder=False)
        if not keeps_branch:
            lean.image_branch = None
        wanted = lean.state_dict()
        lean.load_state_dict({name: value for name, value in self.state_dict().items() if name in wanted})
        return lean.eval()

    def _unit(self, depth: Tensor) -> Tensor | float:
        if not self.config.relative:
            return self.config.depth_scale
        known = depth > 0
        count = known.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
        mean = depth.float().sum(dim=(1, 2, 3), keepdim=True) / count
        return self.config.depth_scale * torch.where(mean > 0, mean, torch.ones_like(mean))


def save_network(path: Path, network: AuxiliaryNetwork) -> None:
    """Writes the network as it is used at test time, without what only training needs."""
    lean = network.without_image()
    state = {name: value.detach().cpu() for name, value in lean.state_dict().items()}
    write_torch(path, {"kind": KIND, "config": asdict(lean.config), "state": state})


def load_network(path: str | os.PathLike[str] | None = None) -> AuxiliaryNetwork:
    """Reads a network for test time, on the CPU.

    Args:
        path: File, or folder with ``auxiliary.pt``; None looks in the default places (``default_paths``).

    Raises:
        InputError: If there is no such file, or it holds something else.
    """
    file = find_network(path)
    content = read_torch(file, "file of weights of the auxiliary network")
    try:
        if content["kind"] != KIND:
            raise InputError("kind", repr(content["kind"]), KIND, file=file)
        config = NetworkConfig(**content["config"])
        network = AuxiliaryNetwork(config, image_decoder=False).eval()
        if config.variant == "B+I":
            network.image_branch = None
        network.load_state_dict(content["state"])
    except InputError:
        raise
    except BROKEN as error:
        raise InputError("weights", first_line(error), "a file that scene-depth train auxiliary wrote", file=file) from error
    return network


def default_paths() -> list[Path]:
    """Where weights are looked for: the folder SCENE_DEPTH_WEIGHTS, this package, the user's cache folder."""
    named = os.environ.get("SCENE_DEPTH_WEIGHTS")
    folders = [*([Path(named)] if named else []), Path(__file__).parent, user_cache() / "weights"]
    return [folder / FILE for folder in folders]


def find_network(path: str | os.PathLike[str] | None = None) -> Path:
    """Where the weights are; argument and errors as in ``load_network``."""
    if path is not None:
        return Path(path) / FILE if Path(path).is_dir() else Path(path)
    places = default_paths()
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        accepted = f"weights=FILE, or {FILE} in the folder that SCENE_DEPTH_WEIGHTS names; none are published"
        looked = "none in " + ", ".join(str(place.parent) for place in places)
        hint = "scene-depth train auxiliary --output FOLDER, which makes them"
        raise InputError("weights of auxiliary", looked, accepted, hint=hint)
    return found


@dataclass(frozen=True)
class AuxiliaryInpainter(DepthModel):
    """Completes sparse depth without looking at the picture (Lu et al., CVPR 2020).

    Made for points all over the view, such as LiDAR lines; large holes are not what it was trained for.

    Attributes:
        weights: File, or folder with ``auxiliary.pt``; None looks in the default places.
        device: "cpu", "cuda", ...; None takes CUDA where it is.
        network: A loaded network in place of ``weights``.
    """

    weights: str | os.PathLike[str] | None = None
    device: str | None = None
    network: AuxiliaryNetwork | None = field(default=None, repr=False)
    name: ClassVar[str] = "auxiliary"
    find_weights = staticmethod(find_network)

    def __post_init__(self) -> None:
        _ = self._placed  # what is wrong with weights or device is said at once

    @cached_property
    def _placed(self) -> AuxiliaryNetwork:
        """The network for test time, where it runs."""
        network = self.network.without_image() if self.network is not None else load_network(self.weights)
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            return network.to(device).eval()
        except RuntimeError as error:
            raise InputError("device", repr(device), "cpu, or a device that torch has") from error

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view; nothing is random."""
        config = self._placed.config
        sparse = np.where(view.known, view.depth, 0).astype(np.float32)
        device = next(self._placed.parameters()).device
        with torch.no_grad():
            output = self._placed(torch.from_numpy(sparse)[None, None].to(device))
        predicted = output.depth[0, 0].cpu().numpy()
        uncertainty = None
        if output.error is not None:
            uncertainty = (LAPLACE * output.error[0, 0].cpu().numpy() / np.maximum(predicted, 1e-9)).astype(np.float32)
        details = {"variant": config.variant, "width": config.width, "image": "not used"}
        return DepthPrediction(predicted, uncertainty, details=details)


def _encoder_branch(kernel: int, width: int, norm: str) -> nn.Sequential:
    sizes = (1, width, 2 * width, 4 * width, 8 * width)
    layers = [
        _phi(nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2, bias=norm == "none"), after, norm)
        for before, after in pairwise(sizes)
    ]
    return nn.Sequential(*layers)


def _branch(channels: tuple[int, ...], norm: str) -> nn.ModuleList:
    """Layers of a branch, the last one a convolution, the others transposed convolutions that double the size."""
    pairs = list(pairwise(channels))
    bias = norm == "none"
    layers = [_phi(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=bias), b, norm) for a, b in pairs[:-1]]
    layers.append(_phi(nn.Conv2d(*pairs[-1], 3, padding=1, bias=bias), pairs[-1][1], norm))
    return nn.ModuleList(layers)


def _decoder(inputs: int, middle: int, norm: str, outputs: int) -> nn.Sequential:
    up = _phi(nn.ConvTranspose2d(inputs, middle, 4, stride=2, padding=1, bias=norm == "none"), middle, norm)
    return nn.Sequential(up, nn.Conv2d(middle, outputs, 3, padding=1))


def _phi(convolution: nn.Module, channels: int, norm: str) -> nn.Sequential:
    if norm == "batch":
        return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())
    if norm == "group":
        return nn.Sequential(convolution, nn.GroupNorm(max(1, channels // 8), channels), nn.ReLU())
    return nn.Sequential(convolution, nn.ReLU())
