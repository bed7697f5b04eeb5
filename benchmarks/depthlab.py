"""DepthLab at full size: a denoising step and a hole fill, as the official code does them and as it is done here.

    python -m benchmarks.depthlab [--height 48] [--width 56] [--repeats 3] [--record]

Both UNets of Stable Diffusion 2.1 with random weights on the CPU in fp32; nothing is downloaded. The official way runs an
unconditional row beside the conditional one and multiplies their difference by a guidance of 1, computes attention to the
stored features for both rows and then again without them for the unconditional one, and projects the stored features at
every step. It is written here on the same stock classes, so that only the work differs. Peak memory is resident memory on
top of the weights, of the reference pass and the steps together.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scene_depth_synthetic.procedural import generate_frame
from torch import Tensor, nn

from benchmarks.device_time import PeakDeviceMemory, wait_for_device
from benchmarks.results import machine, write_section
from scene_depth.depth.depthlab.features import SELF_ATTENTION, connect
from scene_depth.depth.depthlab.networks import DualBranch, build_unets, predict_v, reference_features
from scene_depth.depth.depthlab.preparation import fill_linear
from scene_depth.depth.masks import strokes

CONFIG = {
    "sample_size": 96,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "norm_num_groups": 32,
    "use_linear_projection": True,
}
"""Of Stable Diffusion 2.1 and Marigold."""
FILL_SIZE = (640, 480)
STEP = 501


@dataclass(frozen=True)
class Measured:
    """Seconds of one step, the least of some; MiB on top of the weights; the conditional prediction."""

    seconds: float
    megabytes: float | None
    output: Tensor


def stock_attention() -> Callable[..., Tensor]:
    """Attention as diffusers has it, whose constructor has no types."""
    from diffusers.models import attention_processor

    make: Callable[[], Callable[..., Tensor]] = attention_processor.AttnProcessor2_0
    return make()


class OfficialAttention:
    """Self-attention of one row pair as the official code does it: first all rows with features, then one without.

    Args:
        name: Name of the transformer block.
        bank: Where the reference pass stores and the estimation pass finds features.
        writes: Whether this is the reference UNet.
    """

    def __init__(self, name: str, bank: dict[str, Tensor], writes: bool):
        self.name, self.bank, self.writes, self.stock = name, bank, writes, stock_attention()

    def __call__(self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any) -> Tensor:
        if self.writes:
            self.bank[self.name] = hidden_states.clone()
            return self.stock(attn, hidden_states)
        both = torch.cat([hidden_states, self.bank[self.name]], dim=1)
        result = self.stock(attn, hidden_states, encoder_hidden_states=both)
        unconditional = slice(0, len(result) // 2)
        replaced = result.clone()
        replaced[unconditional] = self.stock(attn, hidden_states[unconditional])
        return replaced


def full_size_networks(seed: int = 0, device: str = "cpu") -> DualBranch:
    """Both UNets with random weights of usual size, 1.73 thousand million parameters."""
    networks = build_unets(CONFIG, "meta")
    generator = torch.Generator().manual_seed(seed)
    for unet in (networks.estimation, networks.reference):
        unet.to_empty(device="cpu").eval().requires_grad_(False)
        for name, parameter in unet.named_parameters():
            if parameter.ndim > 1:
                bound = (3 / parameter[0].numel()) ** 0.5  # keeps the variance from layer to layer
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
            else:
                nn.init.constant_(parameter, float(name.endswith("weight")))
        unet.to(device)
    return networks


def official_steps(networks: DualBranch, rgb: Tensor, inputs: Tensor, context: Tensor, repeats: int) -> Measured:
    """Two rows, guidance 1."""
    bank: dict[str, Tensor] = {}
    for unet, writes in ((networks.estimation, False), (networks.reference, True)):
        unet.set_attn_processor(
            {
                name: OfficialAttention(name.removesuffix(SELF_ATTENTION), bank, writes)
                if name.endswith(SELF_ATTENTION)
                else stock_attention()
                for name in unet.attn_processors
            }
        )
    pair = torch.cat([torch.zeros_like(context), context])

    def prepare() -> None:
        networks.reference(torch.cat([rgb, rgb]), 0, encoder_hidden_states=pair)

    def step() -> Tensor:
        output = networks.estimation(torch.cat([inputs, inputs]), STEP, encoder_hidden_states=pair).sample
        unconditional, conditional = output.chunk(2)
        guided: Tensor = unconditional + 1.0 * (conditional - unconditional)
        return guided

    return _measured(prepare, step, repeats)


def our_steps(networks: DualBranch, rgb: Tensor, inputs: Tensor, context: Tensor, repeats: int) -> Measured:
    """One row."""
    connect(networks.estimation, networks.reference)
    banks = []

    def prepare() -> None:
        banks.append(reference_features(networks.reference, rgb, context))

    def step() -> Tensor:
        return predict_v(networks.estimation, inputs, STEP, context, banks[-1])

    return _measured(prepare, step, repeats)


def _measured(prepare: Callable[[], None], step: Callable[[], Tensor], repeats: int) -> Measured:
    """The first step is not timed: it fills caches, and here projects the stored features."""
    with torch.inference_mode(), PeakDeviceMemory() as memory:
        prepare()
        output = step()
        seconds = []
        for _ in range(repeats):
            wait_for_device()
            started = time.perf_counter()
            output = step()
            wait_for_device()
            seconds.append(time.perf_counter() - started)
    return Measured(min(seconds), memory.megabytes, output)


def step_table(height: int, width: int, repeats: int, device: str = "cpu") -> list[str]:
    """A denoising step, official and ours."""
    networks = full_size_networks(device=device)
    generator = torch.Generator().manual_seed(1)
    shapes = ((1, 4, height, width), (1, 1, 1024), (1, 12, height, width))
    rgb, context, inputs = (torch.randn(shape, generator=generator).to(device) for shape in shapes)
    official = official_steps(networks, rgb, inputs, context, repeats)
    ours = our_steps(networks, rgb, inputs, context, repeats)
    apart = float((official.output - ours.output).abs().max())
    lines = [
        f"One denoising step at {8 * width} x {8 * height} pixels, both UNets in fp32:",
        "",
        "| | s a step | MiB on top of the weights |",
        "| --- | ---: | ---: |",
        f"| two rows, as the official code | {official.seconds:.2f} | {_whole(official.megabytes)} |",
        f"| one row, here | {ours.seconds:.2f} | {_whole(ours.megabytes)} |",
        "",
        f"{official.seconds / ours.seconds:.2f} times faster a step; the predictions differ by {apart:.1e} at most.",
    ]
    return lines


def fill_table() -> list[str]:
    """The fill of the masked depth: all known pixels triangulated, or those at the rim of holes."""
    frame = generate_frame("room", 3, *FILL_SIZE)
    known = frame.known & strokes((FILL_SIZE[1], FILL_SIZE[0]), 3)
    depth = frame.depth.astype(np.float32)
    seconds, filled = {}, {}
    for official in (True, False):
        started = time.perf_counter()
        filled[official] = fill_linear(depth, known, official=official)
        seconds[official] = time.perf_counter() - started
    apart = np.abs(filled[True] - filled[False])[~known]
    span = float(depth[known].max() - depth[known].min())
    return [
        f"Hole fill at {FILL_SIZE[0]} x {FILL_SIZE[1]} pixels, {100 * known.mean():.0f} % known, holes by strokes:",
        "",
        "| | s |",
        "| --- | ---: |",
        f"| Delaunay over all known pixels, as the official code | {seconds[True]:.2f} |",
        f"| over the known pixels at the rim of holes, here | {seconds[False]:.2f} |",
        "",
        f"{seconds[True] / seconds[False]:.1f} times faster; inside holes they differ by {apart.mean() / span:.1e} of the depth "
        f"range on the mean and {apart.max() / span:.1e} at most, where points on one circle leave the triangulation open.",
    ]


def _whole(value: float | None) -> str:
    return "not told" if value is None else f"{value:.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=48, help="of the latent")
    parser.add_argument("--width", type=int, default=56, help="of the latent")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    lines = [
        "`python -m benchmarks.depthlab`: the network at its full size with random weights, so that time and memory are "
        "those of the real model and quality is not measured.",
        f"{machine()}, {torch.get_num_threads()} threads.",
        "",
        *fill_table(),
        "",
        *step_table(chosen.height, chosen.width, chosen.repeats, chosen.device),
    ]
    print("\n".join(lines))
    if chosen.record:
        write_section("depthlab inference", lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
