"""The command that a benchmark prints repeats the training whose report it read."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from scene_depth.training import auxiliary
from scene_depth.training.config import changed
from scene_depth.training.log import REPORT

benchmark = pytest.importorskip("benchmarks.training_command")
PRESET = auxiliary.PRESETS["default"]


def command_of(config: auxiliary.AuxiliaryConfig, folder: Path) -> list[str]:
    (folder / REPORT).write_text(json.dumps({"config": asdict(config)}), encoding="utf-8")
    return shlex.split(benchmark.training_command("auxiliary", PRESET, folder).strip("`"))


def test_its_settings_make_the_same_configuration(tmp_path: Path) -> None:
    config = replace(
        PRESET,
        network=replace(PRESET.network, width=3, relative=False),
        data=(replace(PRESET.data[0], options={"count": 7, "cache": "a folder"}),),
        sampling=("lidar16", "points150"),
        train=replace(PRESET.train, learning_rate=3e-5, precision="bf16"),
    )
    words = command_of(config, tmp_path)
    assert words[:4] == ["scene-depth", "train", "auxiliary", "--set"]
    assert changed(PRESET, words[4:]) == config


def test_the_preset_itself_needs_no_settings(tmp_path: Path) -> None:
    assert command_of(PRESET, tmp_path) == ["scene-depth", "train", "auxiliary"]
