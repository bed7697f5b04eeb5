"""Time and memory of DepthFM at full size, with random weights: a function evaluation, and an ensemble in one batch.

    python -m benchmarks.depthfm [--height 256 --width 320] [--record]
    python -m benchmarks.depthfm --weights depthfm-v1.ckpt --frames FOLDER [--limit 100] [--steps 1 2 4 10 --members 1 2 5 10]

The network is that of Stable Diffusion 2.1 as the published weights have it; time does not depend on the values of the
weights. With real weights and frames with truth, of any layout that ``scene-depth eval depth`` reads, the second form prints
the table of steps and members.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.device_time import PeakDeviceMemory, wait_for_device
from benchmarks.monocular_sweep import ENSEMBLES, STEPS, sweep, sweep_table
from benchmarks.results import machine, write_section
from scene_depth.datasets.frames import find_frames
from scene_depth.depth.depthfm.inference import predict_log_depth, sample
from scene_depth.depth.depthfm.ldm import unet_config
from scene_depth.depth.depthfm.network import DepthFM, load_depthfm, set_attention
from scene_depth.depth.latent.packages import diffusers_class
from scene_depth.depth.prior import MonocularMap

HPARAMS: dict[str, Any] = {
    "image_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 320,
    "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2,
    "channel_mult": [1, 2, 4, 4],
    "num_head_channels": 64,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "transformer_depth": 1,
    "context_dim": 1024,
}
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
MEMBERS = 4


def random_model(seed: int = 0, device: str = "cpu") -> DepthFM:
    """DepthFM at full size with random weights, in fp32."""
    torch.manual_seed(seed)
    unet = diffusers_class("UNet2DConditionModel").from_config(unet_config(HPARAMS)).eval().requires_grad_(False)
    vae = diffusers_class("AutoencoderKL")(**VAE).eval().requires_grad_(False)
    set_attention(unet, "plain")
    return DepthFM(unet.to(device), vae.to(device), torch.randn(1, 77, 1024).to(device), noising_step=400)


@torch.no_grad()
def measured(call: Callable[[], object], repeats: int) -> tuple[float, float | None]:
    """Least wall seconds of some calls, and the most memory on top of what was in use, in MiB."""
    seconds, peaks = [], []
    for _ in range(repeats):
        with PeakDeviceMemory() as peak:
            wait_for_device()
            started = time.perf_counter()
            call()
            wait_for_device()
            seconds.append(time.perf_counter() - started)
        peaks.append(peak.megabytes)
    known = [value for value in peaks if value is not None]
    return min(seconds), max(known) if known else None


def time_table(model: DepthFM, height: int, width: int, repeats: int) -> list[str]:
    """Function evaluations, parts and whole predictions."""
    latent = torch.randn(MEMBERS, 4, height // 8, width // 8).to(model.device)
    image = (torch.rand(1, 3, height, width) * 2 - 1).to(model.device)
    rows: dict[str, tuple[float, float | None]] = {}

    def row(name: str, call: Callable[[], object], times: int = repeats) -> None:
        rows[name] = measured(call, times)
        print(f"{name}: {rows[name][0]:.2f} s", file=sys.stderr, flush=True)

    def singles() -> None:
        for seed in range(MEMBERS):
            sample(model, image, num_inference_steps=1, seed=seed)

    row("warm-up", lambda: model.velocity(latent[:1], 0.0, latent[:1]), 1)
    for variant in ("plain", "official"):
        set_attention(model.unet, variant)
        row(f"one function evaluation, attention {variant}", lambda: model.velocity(latent[:1], 0.0, latent[:1]))
    set_attention(model.unet, "plain")
    row(f"one function evaluation of {MEMBERS} members", lambda: model.velocity(latent, 0.0, latent))
    row(
        f"ensemble of {MEMBERS} in one batch, 1 step",
        lambda: sample(model, image, num_inference_steps=1, ensemble_size=MEMBERS),
        1,
    )
    row(
        "the same, member by member (batch 1)",
        lambda: sample(model, image, num_inference_steps=1, ensemble_size=MEMBERS, batch=1),
        1,
    )
    row(f"{MEMBERS} single predictions, 1 step", singles, 1)
    del rows["warm-up"]
    alone = rows[f"{MEMBERS} single predictions, 1 step"][0]
    lines = ["| what | wall s | memory on top of the weights, MiB | single predictions / this |", "| --- | ---: | ---: | ---: |"]
    for name, (seconds, memory) in rows.items():
        ratio = f"{alone / seconds:.2f}" if "member by" in name or "one batch" in name or "single" in name else ""
        lines.append(f"| {name} | {seconds:.2f} | {'' if memory is None else f'{memory:.0f}'} | {ratio} |")
    return lines


def ablation(options: argparse.Namespace) -> list[str]:
    """The table of steps and members on frames with truth."""
    model = load_depthfm(options.weights, options.vae)

    def predict(rgb: Any, steps: int, members: int) -> MonocularMap:
        found = predict_log_depth(
            model, rgb, num_inference_steps=steps, ensemble_size=members, processing_resolution=options.resolution
        )
        return MonocularMap(found.values, "log", found.uncertainty)

    frames = [source.load() for source in find_frames(options.frames)[: options.limit]]
    pictured = [(frame.rgb, frame.truth, frame.valid) for frame in frames if frame.rgb is not None]
    return sweep_table(sweep(predict, pictured, options.steps, options.members))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; records it with ``--record``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--members", type=int, nargs="+", default=ENSEMBLES)
    parser.add_argument("--resolution", type=int, default=512)
    parser.add_argument("--device", default="cpu", help="of the first form")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments)
    if (options.weights is None) != (options.frames is None):
        parser.error("--weights and --frames go together")
    if options.weights is not None:
        print("\n".join(ablation(options)))
        return 0
    torch.set_num_threads(options.threads)
    model = random_model(device=options.device)
    parameters = sum(value.numel() for value in model.unet.parameters())
    size = f"{options.width}x{options.height}, latent {options.width // 8}x{options.height // 8}"
    lines = [
        f"DepthFM at full size ({parameters / 1e6:.0f} million parameters, {4 * parameters / 2**30:.1f} GiB in fp32), random "
        f"weights, picture {size}, {options.threads} threads, least of {options.repeats} runs for the evaluations; {machine()}.",
        f"`python -m benchmarks.depthfm --height {options.height} --width {options.width} --threads {options.threads}"
        f"{' --record' if options.record else ''}`",
        "",
        *time_table(model, options.height, options.width, options.repeats),
    ]
    print("\n".join(lines))
    if options.record:
        write_section("DepthFM at full size", lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
