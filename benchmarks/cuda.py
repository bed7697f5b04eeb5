"""What to run on a machine with a GPU, in one go and within some minutes: the CUDA path, and its times beside the CPU's.

    python -m benchmarks.cuda [--minutes 10] [--parts NAME ...] [--device cuda] [--quick] [--record]

Each part is a command of its own, in the order of what matters most, with a limit of seconds, so that one that fails or hangs
takes nothing from the others. Its seconds go to out/cuda/parts.jsonl as soon as it has ended, what it printed to a log
beside it. Parts of nerfstudio run where ``ns-train`` is installed; stock splatfacto asks the network for AlexNet if torch has
not got it, and fails without either; nothing else is downloaded. ``--device cpu --quick`` shows on any machine that the commands
are right. ``--record`` writes the section "CUDA" of RESULTS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.results import machine, write_section

ROOT = Path(__file__).resolve().parents[1]
TABLE, OUTPUT = ROOT / "scenes" / "table", ROOT / "out" / "cuda"


@dataclass(frozen=True)
class Part:
    """A command.

    Attributes:
        what: In a few words.
        limit: Seconds after which it is stopped; the first call compiles gsplat's kernels, which takes minutes.
        command: Its arguments.
    """

    what: str
    limit: float
    command: Sequence[str]


@dataclass(frozen=True)
class Outcome:
    """How a part ended; ``end`` is "ok", "failed (CODE)", "stopped after its limit" or "no time left"."""

    name: str
    what: str
    end: str
    seconds: float


def parts(device: str, quick: bool) -> dict[str, Part]:
    """The parts by name, in their order."""
    python = sys.executable
    ours = [python, "-c", "import sys; from scene_depth.cli.app import main; sys.exit(main(sys.argv[1:]))"]
    steps, size = (4, "64") if quick else (2000, "320")
    fit = [str(TABLE), "--steps", str(steps), "--max-size", size, "--overwrite"]
    heal = [str(TABLE), "--splats", str(TABLE / "splats.spz"), "--max-size", size, "--steps", str(steps // 4), "--overwrite"]

    def command_of(name: str, *options: str, on: str = device) -> list[str]:
        return [*ours, name, *options, "--output", str(OUTPUT / f"{name}_{on}"), "--device", on]

    found = {
        "tests": Part("tests marked cuda", 300, [python, "-m", "pytest", "-q", "-m", "cuda", "tests"]),
        "fit": Part(f"fit of table, {steps} steps", 120, command_of("fit", *fit)),
        "heal": Part("heal of table", 120, command_of("heal", *heal)),
        "heal on the CPU": Part("the same on the CPU", 120, command_of("heal", *heal, on="cpu")),
    }
    trainer = shutil.which("ns-train", path=str(Path(python).parent)) or shutil.which("ns-train")
    if trainer is not None:
        for method in ("splatfacto", "scene-splat"):
            options = ["--max-num-iterations", str(4 if quick else 1000), "--vis", "tensorboard", "--output-dir", str(OUTPUT)]
            data = ["nerfstudio-data", "--load-3D-points", "False"] if method == "splatfacto" else ["scene-data"]
            command = [trainer, method, "--data", str(TABLE), *options, *data]
            found[method] = Part(f"ns-train {method}, {options[1]} iterations", 120, command)
    latent = ["--height", "8", "--width", "8"] if quick else []
    picture = ["--height", "64", "--width", "64"] if quick else ["--height", "480", "--width", "640"]
    for name, shape in (("depthlab", latent), ("depthfm", picture)):
        command = [python, "-m", f"benchmarks.{name}", *shape, "--repeats", "1" if quick else "5", "--device", device]
        found[name] = Part(f"{name} at full size, random weights", 120, command)
    return found


def run(name: str, part: Part, limit: float) -> Outcome:
    """Runs a part; what it prints goes to a log of its name. After the limit it is ended with all that it has started."""
    started = time.perf_counter()
    with (OUTPUT / f"{name.replace(' ', '_')}.log").open("w") as log:
        process = subprocess.Popen(part.command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            code = process.wait(limit)
            end = "ok" if code == 0 else f"failed ({code})"
        except subprocess.TimeoutExpired:
            end = "stopped after its limit"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Outcome(name, part.what, end, time.perf_counter() - started)


def table(outcomes: Sequence[Outcome], device: str) -> list[str]:
    """Lines of RESULTS.md."""
    where = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    return [
        f"`python -m benchmarks.cuda --device {device}` on {where}, {machine()}. Seconds are those of whole commands, with "
        "imports and the compilation of kernels.",
        "",
        "| part | end | s |",
        "| --- | --- | ---: |",
        *(f"| {outcome.what} | {outcome.end} | {outcome.seconds:.1f} |" for outcome in outcomes),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--parts", nargs="+", default=None, metavar="NAME")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args(arguments)
    known = parts(chosen.device, chosen.quick)
    unknown = [name for name in chosen.parts or [] if name not in known]
    if unknown:
        parser.error(f"parts: {', '.join(unknown)}; there are {', '.join(known)}")
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("device: no CUDA device is there; --device cpu --quick tries the commands on the CPU")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    ends, outcomes = time.perf_counter() + 60 * chosen.minutes, []
    with (OUTPUT / "parts.jsonl").open("w") as log:
        for name, part in known.items():
            if chosen.parts and name not in chosen.parts:
                continue
            left = ends - time.perf_counter()
            outcomes.append(run(name, part, min(left, part.limit)) if left > 1 else Outcome(name, part.what, "no time left", 0.0))
            print(json.dumps(asdict(outcomes[-1])), file=log, flush=True)
            print(f"{outcomes[-1].end:>24} {outcomes[-1].seconds:7.1f} s  {part.what}", flush=True)
    if chosen.record:
        write_section("CUDA", table(outcomes, chosen.device))
    return int(any(outcome.end != "ok" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
