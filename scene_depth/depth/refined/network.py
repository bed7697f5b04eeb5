"""The network that corrects the solver, a small residual U-Net on blocks of pixels, and its weights.

The weights are one .npz of half-precision arrays, small enough to come with the package.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad, pixel_shuffle, silu

from scene_depth.errors import InputError, first_line
from scene_depth.io.atomic import atomic_path
from scene_depth.io.numpy_files import read_arrays

CHANNELS = 11
# Planes of the description of a view (``inpainter.describe``), in this order
VALUE, NEAREST, KNOWN, DISTANCE, SLOPE_X, SLOPE_Y, PATH, MOVEMENT, RED, GREEN, BLUE = range(CHANNELS)

BLOCK = 4  # pixels of the side of a block that becomes one cell
GROUPS = 8
FADE = 4.0  # pixels from known depth over which the correction sets in
START = (0.0, -4.0, -3.0)  # of the outputs: no offset, 2 % of the way to the neighbour, an error of 5 %
FILE = "refined.npz"
CONFIG = "config.json"  # name of the array that holds the network's shape
LEAST_ERROR, LARGEST_ERROR = -7.0, 1.0  # limits of the logarithm of the error


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
        widths: Channels of the levels, each at half the resolution of the one before; multiples of 8.
    """

    widths: tuple[int, ...] = (48, 64, 96, 128)


class RefiningNetwork(nn.Module):
    """Predicts how far the solver's log inverse depth is off, and how far off it remains.

    With the value u of the solver, the geodesic neighbour's v, and outputs (d, s, e): the corrected log inverse depth is
    u + g (d + sigmoid(s) (v - u)), where g is 0 at known pixels and rises to 1 away from them. At the start d is 0 and
    sigmoid(s) small, so that training begins at the solver.
    """

    def __init__(self, config: NetworkConfig | None = None):
        super().__init__()
        self.config = config or NetworkConfig()
        widths = self.config.widths
        inner = range(len(widths) - 1)
        self.enter = nn.Conv2d((CHANNELS + 2) * BLOCK**2, widths[0], 1)
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 1) for i in inner)
        self.encode = nn.ModuleList(_Residual(width) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(widths[i + 1] + widths[i], widths[i], 1) for i in inner)
        self.decode = nn.ModuleList(_Residual(widths[i]) for i in inner)
        self.leave = nn.Conv2d(widths[0], 3 * BLOCK**2, 1)
        nn.init.zeros_(self.leave.weight)
        self.leave.bias = nn.Parameter(torch.tensor(START).repeat_interleave(BLOCK**2))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Corrections of described views.

        Args:
            planes: ``inpainter.describe``  # [B, CHANNELS, h, w]

        Returns:
            What to add to the solver's log inverse depth, 0 at known pixels  # [B, h, w]
            Expected absolute error in log depth after that  # [B, h, w]
        """
        height, width = planes.shape[-2:]
        offset, share, error = self._outputs(planes)[..., :height, :width].unbind(1)
        gate = (1 - planes[:, KNOWN]) * (1 - torch.exp(-torch.expm1(4 * planes[:, DISTANCE]) / FADE))
        change = gate * (offset + torch.sigmoid(share) * planes[:, NEAREST])
        return change, error.clamp(LEAST_ERROR, LARGEST_ERROR).exp()

    def _outputs(self, planes: Tensor) -> Tensor:
        """The three raw outputs of every pixel of the padded view  # [B, 3, H, W]"""
        unit = BLOCK * 2 ** len(self.down)
        height, width = planes.shape[-2:]
        whole = torch.cat([planes, _positions(planes)], dim=1)
        whole = pad(whole, (0, -width % unit, 0, -height % unit), mode="replicate")
        x = self.encode[0](self.enter(nn.functional.pixel_unshuffle(whole, BLOCK)))
        levels = [x]
        for narrow, block in zip(self.down, list(self.encode)[1:], strict=True):
            x = block(narrow(avg_pool2d(x, 2)))
            levels.append(x)
        for i in reversed(range(len(self.down))):
            x = torch.cat([interpolate(x, scale_factor=2.0, mode="nearest"), levels[i]], dim=1)
            x = self.decode[i](self.up[i](x))
        return pixel_shuffle(self.leave(silu(x)), BLOCK)


def save_network(path: str | os.PathLike[str], network: RefiningNetwork) -> None:
    """Writes the network, its weights in half precision."""
    arrays = {name: value.detach().cpu().numpy().astype(np.float16) for name, value in network.state_dict().items()}
    arrays[CONFIG] = np.frombuffer(json.dumps(asdict(network.config)).encode(), dtype=np.uint8)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def find_network(path: str | os.PathLike[str] | None = None) -> Path:
    """Where the weights are; argument and errors as in ``load_network``."""
    file = Path(path) if path is not None else Path(__file__).parent / FILE
    file = file / FILE if file.is_dir() else file
    if not file.is_file():
        accepted, hint = (
            f"weights= with a {FILE}; none is published",
            "scene-depth train refined --output FOLDER, which makes one",
        )
        raise InputError("weights of refined", "no such file", accepted, file=file, hint=hint)
    return file


def load_network(path: str | os.PathLike[str] | None = None) -> RefiningNetwork:
    """Reads a network on the CPU in single precision.

    Args:
        path: File, or folder with ``refined.npz``; from ``scene-depth train refined``; none comes with the package.

    Raises:
        InputError: If there is none, or it holds something else.
    """
    file = find_network(path)
    try:
        content = read_arrays(file)
        config = json.loads(content.pop(CONFIG).tobytes())
        network = RefiningNetwork(NetworkConfig(tuple(config["widths"])))
        state = {name: torch.from_numpy(values.astype(np.float32)) for name, values in content.items()}
        network.load_state_dict(state)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            "weights of refined", first_line(error), f"a {FILE} that scene-depth train refined wrote", file=file
        ) from error
    return network.eval().requires_grad_(False)


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside a short cut; nothing at the start of training."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        self.second = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        last: Any = self.second[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.second(self.first(x))
        return changed


def _positions(planes: Tensor) -> Tensor:
    """Place in the picture from -1 to 1  # [B, 2, h, w]"""
    batch, _, height, width = planes.shape
    y = _line(height, planes).view(1, 1, height, 1).expand(batch, 1, height, width)
    x = _line(width, planes).view(1, 1, 1, width).expand(batch, 1, height, width)
    return torch.cat([y, x], dim=1)


def _line(count: int, like: Tensor) -> Tensor:
    return (2 * torch.arange(count, device=like.device, dtype=like.dtype) + 1) / count - 1
