"""The training loop: resumed runs, several processes, averages, logs, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_objective import ToyObjective, toy_config

from scene_depth.errors import InputError
from scene_depth.training import loop
from scene_depth.training.checkpoints import CHECKPOINT, load_checkpoint
from scene_depth.training.log import read_log
from scene_depth.training.loop import WeightAverage, part_indices, train


def losses(folder: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in read_log(folder) if "loss" in line]


def weights(folder: Path, place: str = "weights") -> dict[str, torch.Tensor]:
    return torch.load(folder / place / "line.pt", weights_only=True)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_same_seed_gives_the_same_run_and_another_one_does_not(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(ToyObjective(), toy_config(seed=seed), tmp_path / name)
    assert losses(tmp_path / "a") == losses(tmp_path / "b") != losses(tmp_path / "c")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert torch.equal(before, torch.random.get_rng_state()), "the caller's random numbers are left alone"


def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(tmp_path: Path) -> None:
    config = toy_config(steps=12, accumulation=2, schedule="cosine", warmup=3, validate_every=4)
    whole = train(ToyObjective(), config, tmp_path / "whole")
    stopped = train(ToyObjective(), config, tmp_path / "parts", on_progress=lambda now: now.done < 5)
    assert not stopped.finished
    assert stopped.steps == 5
    resumed = train(ToyObjective(), config, tmp_path / "parts", resume=True)
    assert resumed.finished
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert [step for step, _ in losses(tmp_path / "whole")] == list(range(1, 13))
    assert same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert resumed.best == whole.best
    assert resumed.measures == whole.measures


@pytest.mark.parametrize("last", [5, 6])
def test_a_line_of_several_steps_is_of_all_of_them_after_a_stop_too(tmp_path: Path, last: int, monkeypatch) -> None:
    """A stop between two lines, and one between a step and its line."""
    config = toy_config(steps=12, log_every=3)
    train(ToyObjective(), config, tmp_path / "whole")
    line, waiting = loop._logged, [last == 6]

    def interrupted(run):
        if run.step == 6 and waiting and waiting.pop():
            raise KeyboardInterrupt
        return line(run)

    monkeypatch.setattr(loop, "_logged", interrupted)
    try:
        train(ToyObjective(), config, tmp_path / "parts", on_progress=lambda now: now.done < last)
    except KeyboardInterrupt:
        assert last == 6
    assert load_checkpoint(tmp_path / "parts").step == last
    train(ToyObjective(), config, tmp_path / "parts", resume=True)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_lines_after_the_checkpoint_are_dropped_on_resuming(tmp_path: Path) -> None:
    config = toy_config(checkpoint_every=4)

    def fail(now):
        if now.done == 6:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        train(ToyObjective(), config, tmp_path / "cut", on_progress=fail)
    assert load_checkpoint(tmp_path / "cut").step == 4
    with (tmp_path / "cut" / "log.jsonl").open("a") as file:
        file.write('{"step": 7, "lo')
    train(ToyObjective(), config, tmp_path / "cut", resume=True)
    train(ToyObjective(), config, tmp_path / "whole")
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


def test_a_training_killed_between_checkpoint_and_weights_gives_them_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(ToyObjective(), toy_config(), tmp_path / "whole")
    for place, owner, name in (("before", ToyObjective, "save"), ("between", loop, "save_checkpoint")):
        original, calls = getattr(owner, name), []

        def killed(*arguments, original=original, calls=calls):
            calls.append(1)
            if len(calls) == 2:
                raise RuntimeError("killed")
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, killed)
            with pytest.raises(RuntimeError, match="killed"):
                train(ToyObjective(), toy_config(checkpoint_every=6), tmp_path / place)
        assert load_checkpoint(tmp_path / place).step == 6
        assert train(ToyObjective(), toy_config(checkpoint_every=6), tmp_path / place, resume=True).finished
        assert same(weights(tmp_path / place), weights(tmp_path / "whole"))
    shutil.rmtree(tmp_path / "whole" / "weights")
    train(ToyObjective(), toy_config(), tmp_path / "whole", resume=True)
    assert same(weights(tmp_path / "between"), weights(tmp_path / "whole"))


def test_an_interrupt_saves_and_ends(tmp_path: Path) -> None:
    def press(now):
        if now.done == 3:
            raise KeyboardInterrupt

    stopped = train(ToyObjective(), toy_config(), tmp_path, on_progress=press)
    assert (stopped.finished, stopped.steps) == (False, 3)
    assert json.loads((tmp_path / "report.json").read_text())["finished"] is False
    assert load_checkpoint(tmp_path).step == 3
    assert (tmp_path / "weights" / "line.pt").is_file()
    train(ToyObjective(), toy_config(), tmp_path, resume=True)
    assert [step for step, _ in losses(tmp_path)] == list(range(1, 13))


def test_accumulated_parts_give_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    for name, parts in (("one", 1), ("four", 4)):
        train(ToyObjective(noise=0, dropout=0), toy_config(accumulation=parts, batch_size=8), tmp_path / name)
    one, four = weights(tmp_path / "one"), weights(tmp_path / "four")
    assert all(torch.allclose(one[name], four[name], atol=1e-5) for name in one)


def test_every_example_is_seen_once_whatever_the_number_of_processes() -> None:
    config = toy_config(batch_size=12, steps=5)
    for processes, parts in ((1, 1), (2, 1), (3, 2), (1, 4)):
        split = replace(config, accumulation=parts)
        seen = [i for rank in range(processes) for part in part_indices(split, 1, rank, processes) for i in part]
        assert sorted(seen) == list(range(12, 60))


def test_two_processes_end_with_the_same_weights(tmp_path: Path) -> None:
    script = Path(__file__).with_name("toy_objective.py")
    device = "cpu" if torch.cuda.is_available() else "auto"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(script), str(tmp_path), device]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (torch.load(tmp_path / f"rank_{rank}.pt", weights_only=True) for rank in (0, 1))
    assert same(first["weights"], second["weights"])
    assert not set(first["asked"]) & set(second["asked"])
    assert sorted(first["asked"] + second["asked"]) == list(range(96))
    assert json.loads((tmp_path / "run" / "report.json").read_text())["processes"] == 2
    train(ToyObjective(noise=0, dropout=0), toy_config(batch_size=8), tmp_path / "single")
    alone = weights(tmp_path / "single")
    assert all(torch.allclose(alone[name], weights(tmp_path / "run")[name], atol=1e-5) for name in alone)


def test_the_average_follows_its_formula() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = WeightAverage(model, 0.5)
    expected = 0.0
    for n, value in enumerate((1.0, 5.0, -2.0), start=1):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update(model)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    assert float(average.module.weight) == pytest.approx(expected)


def test_pictures_measures_best_weights_and_events_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    seen = []
    config = toy_config(validate_every=6, tensorboard=True)
    report = train(ToyObjective(noise=0, dropout=0), config, tmp_path, on_progress=lambda now: seen.append(now) or None)
    measured = [line["validation"]["error"] for line in read_log(tmp_path) if "validation" in line]
    assert len(measured) == 3
    assert measured[-1] < measured[0]
    assert report.best == min(measured)
    assert sorted(path.name for path in (tmp_path / "validation").iterdir()) == [
        f"step_{step:07d}_flat_picture.png" for step in (0, 6, 12)
    ]
    assert (tmp_path / "best" / "line.pt").is_file()
    assert list((tmp_path / "tensorboard").iterdir())
    assert [now.done for now in seen] == list(range(1, 13))
    assert seen[-1].measures["twice"] == pytest.approx(2 * seen[-1].measures["loss"])


def test_bf16_and_gradient_checkpointing_are_switched_on(tmp_path: Path) -> None:
    class Watching(ToyObjective):
        def loss(self, model, batch, generator):
            self.kind, self.checkpointing = model(batch["x"]).dtype, model.checkpointing
            return super().loss(model, batch, generator)

    objective = Watching()
    train(objective, toy_config(steps=2, precision="bf16", gradient_checkpointing=True), tmp_path)
    assert objective.kind == torch.bfloat16
    assert objective.checkpointing
    assert all(value.dtype == torch.float32 for value in load_checkpoint(tmp_path).model.values())


def test_the_rate_follows_the_schedule() -> None:
    steps = replace(toy_config(), schedule="step", decay_every=5, decay_factor=0.5, warmup=2)
    assert [steps.rate_factor(step) for step in (0, 1, 4, 5, 10)] == [0.5, 1.0, 1.0, 0.5, 0.25]
    cosine = replace(toy_config(), schedule="cosine", steps=10)
    assert [cosine.rate_factor(step) for step in (0, 5, 10)] == pytest.approx([1.0, 0.5, 0.0])


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="loss: nan by step 3"):
        train(ToyObjective(poison=9), toy_config(), tmp_path)


def test_bad_input_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="checkpoint"):
        train(ToyObjective(), toy_config(), tmp_path / "none", resume=True)
    with pytest.raises(InputError, match="batch_size: 4"):
        train(ToyObjective(), toy_config(accumulation=3), tmp_path / "uneven")
    folder = tmp_path / "done"
    train(ToyObjective(), toy_config(steps=2), folder)
    with pytest.raises(InputError, match="output folder"):
        train(ToyObjective(), toy_config(), folder)
    with pytest.raises(InputError, match=r"train\.learning_rate is 0\.1"):
        train(ToyObjective(), toy_config(learning_rate=0.1), folder, resume=True)
    assert train(ToyObjective(), toy_config(steps=4), folder, resume=True).steps == 4
    (folder / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes()[:500])
    with pytest.raises(InputError, match="whole checkpoint"):
        train(ToyObjective(), toy_config(steps=6), folder, resume=True)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="output folder"):
        train(ToyObjective(), toy_config(), file)


@pytest.mark.parametrize(
    ("name", "value"), [("steps", 0), ("learning_rate", float("nan")), ("average", 1.0), ("betas", (0.9, 1.0)), ("warmup", -1)]
)
def test_values_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        toy_config(**{name: value})
