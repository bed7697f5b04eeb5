"""``scene-depth train``: trains depth models. Its help names all trainings and imports none of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from scene_depth.cli.app import summarize_target
from scene_depth.cli.progress import end_if_stopped, print_json, report_console, say_first, watch_progress
from scene_depth.io.output_folder import claim_folder
from scene_depth.training.registry import TRAININGS, find_training, training_config

if TYPE_CHECKING:
    from scene_depth.training.log import TrainingReport


def _describe_trainings() -> str:
    lines = [f"{name}: {summarize_target(target)}" for name, target in TRAININGS.targets().items()]
    return "\n".join(["What to train, by name, module:attribute or file.py:attribute.", *lines])


NAMES = ("config.json", "log.jsonl", "checkpoint.pt", "weights", "best", "validation", "report.json", "events")


@dataclass(frozen=True)
class Train:
    """Train a depth model. Ctrl-C saves; the same command with --resume goes on from there.

    On several devices: torchrun --nproc-per-node N -m scene_depth.cli.app train ...
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL", help=_describe_trainings())]
    output: Path
    """Folder for config.json, log.jsonl, checkpoint.pt, weights/, best/, validation/ and report.json."""
    config: str | None = None
    """JSON file or name of a preset; the preset "default" if left out, the folder's config.json with --resume."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE [KEY=VALUE ...]")] = ()
    """Values to replace, such as train.steps=2000 data.0.path=/data/kitti; values are JSON or else text."""
    resume: bool = False
    """Go on from checkpoint.pt in the output folder."""
    overwrite: bool = False
    """Replace files in the output folder that something else wrote; never those that are read."""
    json: bool = False
    """Print the report as JSON."""

    def run(self) -> TrainingReport:
        """Runs the command.

        Raises:
            InputError: For bad input, before anything is computed.
            KeyboardInterrupt: After saving, if Ctrl-C was pressed.
        """
        from scene_depth.training.loop import train

        training = find_training(self.model)
        saved = self.output / "config.json"
        source = str(saved) if self.config is None and self.resume and saved.is_file() else self.config
        config = training_config(training, source, self.set)
        claim_folder(self.output, f"train {self.model}", NAMES, overwrite=self.overwrite)
        if os.environ.get("RANK", "0") == "0":
            say_first(f"{config.train.steps:,} steps of {config.train.batch_size} examples; Ctrl-C saves, and --resume goes on")
        with watch_progress("train") as on_progress:
            objective = training.make(config)
            report = train(objective, config.train, self.output, whole_config=config, resume=self.resume, on_progress=on_progress)
        if os.environ.get("RANK", "0") == "0":  # of several processes, the first one speaks
            self._show(report, config.train.steps)
        end_if_stopped(report)
        return report

    def _show(self, report: TrainingReport, steps: int) -> None:
        if self.json:
            print_json(report)
            return
        console = report_console()
        console.print(f"{report.steps} steps in {report.seconds:.0f} s, {report.parameters:,} parameters on {report.device}")
        for what, values in (("loss", report.losses), ("validation", report.measures)):
            if values:
                console.print(f"{what}: " + ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in values.items()))
        if report.finished:
            console.print(f"The training is complete; its weights are in {self.output / 'weights'}.")
        else:
            console.print(f"Stopped after {report.steps} of {steps} steps; the same command with --resume goes on.")


def train_command(arguments: Annotated[Train, tyro.conf.arg(name="")]) -> None:
    """Train a depth model, on one device or many."""
    arguments.run()
