"""Training of the auxiliary network end to end at a tiny size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro

from scene_depth.cli.train import Train
from scene_depth.datasets.frames import DepthFrame
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.training.auxiliary import PRESETS, AuxiliaryConfig, AuxiliaryObjective, measured_depth
from scene_depth.training.log import TrainingReport, read_log
from scene_depth.training.loop import train


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> AuxiliaryConfig:
    cache = str(tmp_path_factory.mktemp("frames"))
    config = PRESETS["tiny"]
    sources = {"data": tuple(replace(source, options={**source.options, "cache": cache}) for source in config.data)}
    sources["held_out"] = tuple(replace(source, options={**source.options, "cache": cache}) for source in config.held_out)
    return replace(config, **sources, train=replace(config.train, steps=60, validate_every=30, device="cpu"))


@pytest.mark.slow  # the first of its kind: it compiles the worlds that the other trainings draw
def test_a_tiny_network_learns_and_is_used_by_name(tiny: AuxiliaryConfig, tmp_path: Path) -> None:
    report = train(AuxiliaryObjective(tiny), tiny.train, tmp_path, whole_config=tiny)
    measured = [line["validation"]["abs_rel"] for line in read_log(tmp_path) if "validation" in line]
    assert measured[-1] < 0.5 * measured[0]
    assert report.measures["abs_rel"] == measured[-1]
    frame = AuxiliaryObjective(tiny).held_out[0].load()
    sparse = measured_depth(frame, "points150", 0)
    inpainter = load_depth_inpainter("auxiliary", weights=tmp_path / "weights", device="cpu")
    found = inpainter(None, sparse, sparse > 0).depth
    hidden = frame.valid & (sparse == 0)
    error = np.mean(np.abs(found - frame.truth)[hidden] / frame.truth[hidden])
    constant = np.median(sparse[sparse > 0])
    assert error < np.mean(np.abs(constant - frame.truth)[hidden] / frame.truth[hidden])


def command(*arguments: object) -> TrainingReport:
    return tyro.cli(Train, args=[str(argument) for argument in arguments]).run()


def test_the_command_trains_goes_on_and_refuses_bad_keys(tiny: AuxiliaryConfig, tmp_path: Path, capsys) -> None:
    cache = tiny.data[0].options["cache"]
    settings = [
        f"data.0.options.cache={cache}",
        f"held_out.0.options.cache={cache}",
        "train.device=cpu",
        "train.validate_every=0",
    ]
    begin = ["auxiliary", "--config", "tiny", "--output", tmp_path / "run", "--set", *settings]
    with pytest.raises(InputError, match=r"setting train\.stepps is 'stepps'; expected one of steps, batch_size"):
        command(*begin, "train.stepps=2")
    assert not (tmp_path / "run").exists()
    assert command(*begin, "train.steps=2").finished
    capsys.readouterr()
    command("auxiliary", "--output", tmp_path / "run", "--resume", "--json", "--set", "train.steps=4")
    assert json.loads(capsys.readouterr().out)["steps"] == 4
    assert [line["step"] for line in read_log(tmp_path / "run") if "loss" in line] == [1, 2, 3, 4]
    with pytest.raises(InputError, match="output folder holds checkpoint"):
        command(*begin)


def test_the_kitti_preset_is_the_papers_configuration() -> None:
    config = PRESETS["kitti"]
    assert (config.view.width, config.view.height, config.view.anchor) == (1216, 352, "bottom")
    assert (config.train.optimizer, config.train.learning_rate, config.train.batch_size) == ("adam", 1e-3, 16)
    assert config.train.decay_factor == 0.5
    assert config.train.decay_every == 5 * 85898 // 16
    assert (config.loss.depth_weight, config.loss.image_weight, config.loss.depth) == (1.0, 1e-4, "l2")
    assert config.network.variant == "B+I+S"
    with pytest.raises(InputError, match="path: none"):
        AuxiliaryObjective(config)


def test_kitti_folders_train(tmp_path: Path) -> None:
    """The benchmark's tree with its raw pictures, at a small size."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, drive in (("train", "2011_09_26_drive_0001_sync"), ("val", "2011_09_26_drive_0002_sync")):
        for kind in ("groundtruth", "velodyne_raw"):
            path = tmp_path / split / drive / "proj_depth" / kind / "image_02" / "0000000005.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            depth = np.where(rng.random((40, 64)) < 0.3, rng.integers(1280, 10000, (40, 64)), 0)
            Image.fromarray(depth.astype(np.uint16)).save(path)
        path = tmp_path / "2011_09_26" / drive / "image_02" / "data" / "0000000005.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 64, 3), dtype=np.uint8)).save(path)
    source = replace(PRESETS["kitti"].data[0], path=str(tmp_path))
    config = replace(
        PRESETS["kitti"],
        network=replace(PRESETS["kitti"].network, width=1),
        data=(source,),
        held_out=(replace(source, split="val"),),
        view=replace(PRESETS["kitti"].view, width=48, height=32),
        train=replace(PRESETS["kitti"].train, steps=2, batch_size=2, workers=0, log_every=1, device="cpu"),
    )
    objective = AuxiliaryObjective(config)
    example = objective.example(0, 0)
    assert example["sparse"].shape == example["truth"].shape == (1, 32, 48)
    assert not torch.equal(example["sparse"], example["truth"])
    report = train(objective, config.train, tmp_path / "out", whole_config=config)
    assert {"depth", "image"} <= report.losses.keys()
    assert report.measures["rmse"] > 0


def test_examples_depend_on_seed_and_index_alone(tiny: AuxiliaryConfig) -> None:
    a, b = AuxiliaryObjective(tiny), AuxiliaryObjective(tiny)
    b.example(0, 7)
    first, again, other = a.example(0, 3), b.example(0, 3), a.example(1, 3)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["sparse"], other["sparse"])
    sparse, truth = first["sparse"], first["truth"]
    assert int((sparse > 0).sum()) == 150
    assert torch.equal(sparse[sparse > 0], truth[sparse > 0])


def test_bad_samplings_are_refused(tiny: AuxiliaryConfig) -> None:
    with pytest.raises(InputError, match="sampling is 'lidar65'"):
        replace(tiny, sampling=("lidar65",))
    with pytest.raises(InputError, match="no measured depth"):
        measured_depth(DepthFrame("a", np.ones((4, 4), np.float32)), "native", 0)
    grey = DepthFrame("a", np.ones((48, 64), np.float32))
    objective = AuxiliaryObjective(tiny)
    objective.stream = type("One", (), {"sample": lambda self, seed, index: grey})()
    with pytest.raises(InputError, match="without a picture"):
        objective.example(0, 0)
