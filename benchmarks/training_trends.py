"""What small trainings of the learned inpainters show on procedural data: the papers' ablations as trends.

    python -m benchmarks.training_trends PART [--steps 400] [--seeds 3] [--output out/training_trends] [--record]

PART is ``depthlab`` (learning curve; steps of the diffusion against steps of the flow), ``auxiliary`` (B, B+I, B+I+S over seeds;
dropped points; distance ranges) or ``depthfm`` (start, normalisation, steps, noise level, members, known pixels). Every training
is the shared loop on frames that are rendered once into the cache; a run that was stopped goes on where it was. ``--record``
writes the part's section of RESULTS.md. The figures say what a budget of minutes shows, not what the models can do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks import training_trends_auxiliary, training_trends_depthfm, training_trends_depthlab
from benchmarks.results import machine, write_section
from benchmarks.training_trends_runs import Setting
from scene_depth.io.atomic import check_writable

PARTS: Mapping[str, Callable[[Setting], list[str]]] = {
    "depthlab": training_trends_depthlab.part,
    "auxiliary": training_trends_auxiliary.part,
    "depthfm": training_trends_depthfm.part,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains, measures and prints one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--vae-steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--held-out", type=int, default=24)
    parser.add_argument("--variants", type=int, default=5, help="how many of DepthFM's variants are trained, in their order")
    parser.add_argument("--frames", default="", help="folder of rendered frames; the user's cache folder if left out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("out/training_trends"))
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments)
    check_writable(options.output)
    torch.set_num_threads(options.threads)
    setting = Setting(
        options.output,
        steps=options.steps,
        vae_steps=options.vae_steps,
        seeds=options.seeds,
        batch=options.batch,
        held_out=options.held_out,
        variants=options.variants,
        cache=options.frames,
    )
    lines = section(options.part, setting, options.threads)
    print("\n".join(lines))
    if options.record:
        write_section(f"training trends of {options.part}", lines)
    return 0


def section(part: str, setting: Setting, threads: int = 1) -> list[str]:
    """The section of a part."""
    changed = "".join(
        f" --{name.replace('_', '-')} {getattr(setting, name)}"
        for name in ("steps", "vae_steps", "seeds", "batch", "held_out", "variants")
        if getattr(setting, name) != Setting.__dataclass_fields__[name].default
    )
    command = f"`python -m benchmarks.training_trends {part}{changed} --record`, {machine()}, threads: {threads}."
    return [command, "", *PARTS[part](setting)]


if __name__ == "__main__":
    sys.exit(main())
