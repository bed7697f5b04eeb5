"""The one training loop: any objective, one device or many processes, stopped and gone on with at will."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from scene_depth.errors import InputError
from scene_depth.io.atomic import check_writable
from scene_depth.io.json_reports import plain
from scene_depth.training.checkpoints import CHECKPOINT, Checkpoint, check_same, load_checkpoint, save_checkpoint
from scene_depth.training.config import TrainConfig, write_config
from scene_depth.training.log import REPORT, TrainingLog, TrainingReport, last_values, read_log
from scene_depth.training.objective import Objective, Validation, derived_seed
from scene_depth.work import OnProgress, Progress

WEIGHTS, BEST = "weights", "best"


class WeightAverage:
    """A second module whose weights follow those of the first; all processes keep the same one.

    Args:
        model: The module that is trained, not wrapped.
        decay: Of the average once it has run in; at update n it is at most (1 + n) / (10 + n), so that the random start
            does not linger.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.module = copy.deepcopy(model).eval()
        self.module.requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the present weights; buffers are copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        trained = dict(model.named_parameters())
        for name, mean in self.module.named_parameters():
            now = trained[name].detach()
            if trained[name].requires_grad:
                mean.lerp_(now.to(mean.dtype), 1 - decay)
            else:
                mean.copy_(now)
        for buffer, latest in zip(self.module.buffers(), model.buffers(), strict=True):
            buffer.copy_(latest)


@dataclass
class _Run:
    """A training under way."""

    objective: Objective
    config: TrainConfig
    values: dict[str, Any]  # the whole configuration
    folder: Path
    accelerator: Any
    model: nn.Module  # wrapped where there are several processes
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    log: TrainingLog | None = None
    step: int = 0
    best: float | None = None
    seconds_before: float = 0.0
    between_steps: bool = True  # False while weights, optimiser and average are being changed
    started: float = field(default_factory=time.perf_counter)
    summed: dict[str, Tensor] = field(default_factory=dict)  # losses since the last line of the log
    counted: int = 0
    last_losses: dict[str, float] = field(default_factory=dict)
    last_measures: dict[str, float] = field(default_factory=dict)

    @property
    def main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    @property
    def bare(self) -> nn.Module:
        model: nn.Module = self.accelerator.unwrap_model(self.model)
        return model

    @property
    def result(self) -> nn.Module:
        """The weights to measure and keep."""
        return self.bare if self.average is None else self.average.module

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started


def train(
    objective: Objective,
    config: TrainConfig,
    output: Path,
    *,
    whole_config: Any = None,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> TrainingReport:
    """Trains a model.

    Under ``torchrun`` each process takes its share of every batch and all end with the same weights; the first one
    writes. The same seed gives the same result, and a training that was stopped and gone on with gives the losses of an
    uninterrupted one, as far as the device computes the same twice.

    The folder gets ``config.json``, ``log.jsonl``, ``validation/`` (pictures), ``checkpoint.pt``, ``weights/`` (the
    average, as inference loads it), ``best/`` (the same at the lowest validation score) and ``report.json``.

    Args:
        objective: What is trained.
        config: Parameters of the loop.
        output: Folder to write.
        whole_config: Dataclass with a field ``train``, saved and compared on resuming; by default ``config`` alone.
        resume: Go on from the checkpoint in the folder.
        on_progress: Called after every step, with mean losses as ``measures`` at lines of the log; if it returns False, or if
            Ctrl-C interrupts a step, the training saves and ends.

    Returns:
        The report; its ``finished`` is False if it was stopped.

    Raises:
        InputError: For bad input before anything is computed; if accelerate is not installed; if the loss is not finite.
    """
    check_writable(output)
    values = plain({"train": asdict(config)} if whole_config is None else asdict(whole_config))
    before = load_checkpoint(output) if resume else None
    if before is not None:
        check_same(before.config, values, output)
    elif (output / CHECKPOINT).exists():
        raise InputError("output folder", f"holds {CHECKPOINT} already", "a new folder, or --resume to go on", file=output)
    accelerator = _accelerator(config)
    config.part_size(accelerator.num_processes)
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        run = _begun(objective, config, values, output, accelerator, before)
        if run.main:
            write_config(output / "config.json", whole_config if whole_config is not None else config)
            run.log = TrainingLog(output, run.step, config.tensorboard)
        try:
            finished = _all_steps(run, on_progress)
        finally:
            if run.log is not None:
                run.log.close()
    return _reported(run, finished)


def _accelerator(config: TrainConfig) -> Any:
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise InputError("package accelerate", "not installed", "", hint="pip install 'scene-depth[diffusion]'") from error
    # Without being told so, accelerate takes several processes on a machine without a GPU for single ones.
    on_cpu = config.device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
    # Autocast and accumulation are done here, so that two trainings in one process may differ in them.
    return Accelerator(cpu=on_cpu, mixed_precision="no")


def _begun(
    objective: Objective, config: TrainConfig, values: dict[str, Any], folder: Path, accelerator: Any, before: Checkpoint | None
) -> _Run:
    torch.manual_seed(derived_seed(config.seed, 0))
    model = objective.build()
    if config.gradient_checkpointing:
        enable: Any = getattr(model, "enable_gradient_checkpointing", None)
        if enable is None:
            raise InputError("train.gradient_checkpointing", "true", f"false, {objective.name} has no such switch")
        enable()
    if before is not None:
        model.load_state_dict(before.model)
    objective.place(accelerator.device)
    model = model.to(accelerator.device)
    average = WeightAverage(model, config.average) if config.average else None
    optimizer = _optimizer(objective.groups(model), config)
    if before is not None:
        optimizer.load_state_dict(before.optimizer)
        if average is not None and before.average is not None:
            average.module.load_state_dict(before.average)
            average.updates = before.updates
    run = _Run(objective, config, values, folder, accelerator, accelerator.prepare_model(model), optimizer, average)
    if before is not None:
        run.step, run.best, run.seconds_before = before.step, before.best, before.seconds
        run.summed = {name: value.to(accelerator.device) for name, value in before.summed.items()}
        run.counted = before.counted
        run.last_losses, run.last_measures = last_values(folder, run.step)
    return run


def _optimizer(groups: list[dict[str, Any]], config: TrainConfig) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    prepared = []
    for group in groups:
        rate = config.learning_rate * group.get("factor", 1.0)
        decay = group.get("weight_decay", config.weight_decay)
        prepared.append({"params": list(group["params"]), "lr": rate, "full_lr": rate, "weight_decay": decay})
    return kind(prepared, betas=config.betas)


def _all_steps(run: _Run, on_progress: OnProgress | None) -> bool:
    """Runs the steps that are left; gives whether all were done."""
    config = run.config
    stopped = False
    saved_at = run.step if run.step == 0 or (run.folder / WEIGHTS).exists() else -1
    try:
        if run.step == 0 and config.validate_every:
            _validate(run)
        if _catch_up(run):
            saved_at = -1
        source = _batches(run)
        while run.step < config.steps and not stopped:
            _step(run, source)
            losses: dict[str, float] = {}
            if _due(config.log_every, run.step, config.steps):
                losses = _logged(run)
            now = Progress("train", run.step, config.steps, measures=losses)
            stopped = _any(run, on_progress is not None and on_progress(now) is False)
            if _due(config.validate_every, run.step, config.steps) and not stopped:
                _validate(run)
            if _due(config.checkpoint_every, run.step, config.steps):
                _save(run)
                saved_at = run.step
    except KeyboardInterrupt:  # the other processes, if there are any, may be anywhere: nobody waits for them
        if run.main and run.between_steps and saved_at != run.step:
            _write(run)
        return False
    if saved_at != run.step:
        _save(run)
    return run.step == config.steps


class _Examples(Dataset[dict[str, Tensor]]):
    """The endless row of examples as a data set that workers can read."""

    def __init__(self, objective: Objective, seed: int):
        self.objective, self.seed = objective, seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.objective.example(self.seed, index)


def part_indices(config: TrainConfig, start: int, rank: int, processes: int) -> Iterator[list[int]]:
    """Numbers of the examples of each forward pass of one process, from step ``start`` to the last.

    Step n takes examples n B to (n + 1) B - 1, whatever the number of processes and parts.
    """
    size = config.part_size(processes)
    for step in range(start, config.steps):
        first = step * config.batch_size + rank * config.accumulation * size
        for part in range(config.accumulation):
            yield list(range(first + part * size, first + (part + 1) * size))


def _batches(run: _Run) -> Iterator[dict[str, Tensor]]:
    """The batches of those examples that are left, in order, on the CPU."""
    config, accelerator = run.config, run.accelerator
    loader = DataLoader(
        _Examples(run.objective, config.seed),
        batch_sampler=_Listed(config, run.step, accelerator.process_index, accelerator.num_processes),
        num_workers=config.workers,
        generator=torch.Generator().manual_seed(0),  # or it would draw from the global generator
        persistent_workers=False,
        multiprocessing_context="spawn" if config.workers else None,  # threads of the parent do not survive a fork
    )
    return iter(loader)


class _Listed(Sampler[list[int]]):
    def __init__(self, config: TrainConfig, start: int, rank: int, processes: int):
        self.arguments = (config, start, rank, processes)

    def __iter__(self) -> Iterator[list[int]]:
        return part_indices(*self.arguments)

    def __len__(self) -> int:
        config, start, _, _ = self.arguments
        return (config.steps - start) * config.accumulation


def _catch_up(run: _Run) -> bool:
    """Writes what a training that goes on was stopped before: the line of its last step, and the validation.

    Returns:
        Whether that changed what its checkpoint holds.
    """
    config, before = run.config, (run.counted, run.best)
    lines = [line for line in read_log(run.folder) if run.step and line.get("step") == run.step]
    if run.counted and _due(config.log_every, run.step, config.steps):
        if any("loss" in line for line in lines):
            run.summed, run.counted = {}, 0
        else:
            _logged(run)
    validated = any("validation" in line for line in lines)
    if run.step and _due(config.validate_every, run.step, config.steps) and not validated:
        _validate(run)
    return (run.counted, run.best) != before


def _step(run: _Run, source: Iterator[dict[str, Tensor]]) -> None:
    """One optimiser step; adds the mean losses of this process to those that the next line of the log is about."""
    config, accelerator = run.config, run.accelerator
    rank, device = accelerator.process_index, accelerator.device
    factor = config.rate_factor(run.step)
    for group in run.optimizer.param_groups:
        group["lr"] = group["full_lr"] * factor
    torch.manual_seed(derived_seed(config.seed, 1, run.step, rank))  # of dropout; noise comes from the generators below
    run.model.train()
    means: dict[str, Tensor] = {}
    for part in range(config.accumulation):
        batch = {name: value.to(device, non_blocking=True) for name, value in next(source).items()}
        generator = torch.Generator().manual_seed(derived_seed(config.seed, 2, run.step, part, rank))
        last = part == config.accumulation - 1
        with nullcontext() if last else accelerator.no_sync(run.model):
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                losses = run.objective.loss(run.model, batch, generator)
            accelerator.backward(losses["loss"] / config.accumulation)
        for name, value in losses.items():
            share = value.detach().float() / config.accumulation
            means[name] = means[name] + share if name in means else share
    if config.max_gradient_norm:
        means["gradient_norm"] = accelerator.clip_grad_norm_(run.model.parameters(), config.max_gradient_norm).detach().float()
    run.between_steps = False
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if run.average is not None:
        run.average.update(run.bare)
    for name, value in means.items():
        run.summed[name] = run.summed[name] + value if name in run.summed else value
    run.counted += 1
    run.step += 1
    run.between_steps = True


def _logged(run: _Run) -> dict[str, float]:
    """Mean losses over steps and processes since the line before, checked and written."""
    names = sorted(run.summed)
    values = run.accelerator.reduce(torch.stack([run.summed[name] for name in names]), reduction="mean") / run.counted
    losses = dict(zip(names, values.tolist(), strict=True))
    if not math.isfinite(losses["loss"]):
        found = f"{losses['loss']} by step {run.step}"
        raise InputError("loss", found, "a finite loss; lower train.learning_rate or train.max_gradient_norm")
    rate = run.optimizer.param_groups[0]["lr"]
    if run.log is not None:
        run.log.losses(run.step, {**losses, "learning_rate": rate, "seconds": round(run.seconds, 3)})
    run.last_losses = losses
    run.summed, run.counted = {}, 0  # once the line is written: a training that stops before writes it when it goes on
    return losses


def _validate(run: _Run) -> None:
    """Measures on the first process while the others wait; the best weights are kept."""
    if run.main:
        run.result.eval()
        with torch.no_grad():
            found: Validation = run.objective.validate(run.result, run.config.pictures)
        if found.score is not None and math.isfinite(found.score) and (run.best is None or found.score < run.best):
            if run.step:
                run.objective.save(run.result, run.folder / BEST)
            run.best = found.score
        run.last_measures = found.measures
        if run.log is not None:
            run.log.validation(run.step, found)  # last: a training that goes on takes the validation for done by its line
    run.accelerator.wait_for_everyone()


def _save(run: _Run) -> None:
    if run.main:
        _write(run)
    run.accelerator.wait_for_everyone()


def _write(run: _Run) -> None:
    average = run.average
    checkpoint = Checkpoint(
        step=run.step,
        config=run.values,
        model=run.bare.state_dict(),
        optimizer=run.optimizer.state_dict(),
        average=None if average is None else average.module.state_dict(),
        updates=0 if average is None else average.updates,
        best=run.best,
        seconds=run.seconds,
        summed=run.summed,
        counted=run.counted,
    )
    run.objective.save(run.result, run.folder / WEIGHTS)
    save_checkpoint(run.folder, checkpoint)  # last: who goes on from it has its weights, or makes them again


def _any(run: _Run, flag: bool) -> bool:
    """Whether any process says so, so that all end at the same step."""
    if run.accelerator.num_processes == 1:
        return flag
    said = torch.tensor([float(flag)], device=run.accelerator.device)
    return bool(run.accelerator.reduce(said, reduction="sum").item() > 0)


def _due(every: int, step: int, steps: int) -> bool:
    return step == steps or (every > 0 and step % every == 0)


def _reported(run: _Run, finished: bool) -> TrainingReport:
    report = TrainingReport(
        model=run.objective.name,
        config=run.values,
        steps=run.step,
        finished=finished,
        losses=run.last_losses,
        measures=run.last_measures,
        best=run.best,
        parameters=sum(parameter.numel() for parameter in run.bare.parameters()),
        processes=run.accelerator.num_processes,
        device=run.accelerator.device.type,
        seconds=run.seconds,
    )
    if run.main:
        report.save(run.folder / REPORT)
    return report
