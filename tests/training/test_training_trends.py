"""The parts of the benchmark of training trends run, go on from what is there, and say what was measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from scene_depth.training.latent import UNetShape, VaeShape

pytest.importorskip("diffusers")
pytest.importorskip("transformers")
trends = pytest.importorskip("benchmarks.training_trends")

SMALL = {
    "steps": 1,
    "vae_steps": 1,
    "seeds": 1,
    "batch": 2,
    "frames": 3,
    "held_out": 1,
    "size": (64, 64),
    "shape": UNetShape(channels=(8, 16), layers=1, head_channels=4, context=4, groups=4),
    "vae": VaeShape(channels=(4, 8, 8), layers=1, groups=4),
    "width": 1,
    "steps_measured": 2,
}


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("trends")
    return trends.Setting(folder, cache=str(folder / "frames"), **SMALL)


@pytest.fixture(autouse=True)
def fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    own = trends.training_trends_depthfm
    monkeypatch.setattr(own, "VARIANTS", {name: own.VARIANTS[name] for name in (own.BASE, "noise start")})
    for name in ("STEPS", "MEMBERS", "SHARES"):
        monkeypatch.setattr(own, name, getattr(own, name)[:2])
    monkeypatch.setattr(trends.training_trends_auxiliary, "KEPT", (1.0, 0.1))


@pytest.mark.parametrize("part", ["depthlab", "auxiliary", "depthfm"])
def test_a_part_measures_and_goes_on_from_what_is_there(setting, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = trends.section(part, setting)
    rows = [line.split("|")[2:-1] for line in lines if line.startswith("| ") and "---" not in line]
    numbers = [float(value) for row in rows for cell in row for value in re.findall(r"-?\d+\.\d+", cell)]
    assert len(numbers) >= 8
    assert np.isfinite(numbers).all()
    monkeypatch.setattr("benchmarks.training_trends_runs.train", None)  # a second training would fail
    assert trends.section(part, setting) == lines


def test_the_last_point_of_the_curve_is_that_of_the_step_table(setting) -> None:
    """Two ways to the same number: the validation of the loop, and the saved average measured afterwards."""
    trends.section("depthlab", setting)
    (line,) = [line for line in (setting.output / "measures.jsonl").read_text().splitlines() if '"depthlab flow 2,' in line]
    last = trends.training_trends_depthlab.curve(setting.output / "depthlab_flow_1")[-1]
    assert last[0] == 1
    assert json.loads(line)["values"]["abs_rel"] == pytest.approx(last[1]["abs_rel"], rel=1e-6)


def test_the_command_says_what_differs_from_its_defaults(setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trends, "PARTS", {"auxiliary": lambda setting: ["row"]})
    first, _, row = trends.section("auxiliary", replace(setting, steps=7, vae_steps=800, seeds=3, batch=4, held_out=24))
    assert "training_trends auxiliary --steps 7 --record`" in first
    assert row == "row"


def test_a_training_that_was_cut_off_goes_on_from_its_checkpoint(setting) -> None:
    from benchmarks import training_trends_auxiliary as part
    from benchmarks.training_trends_runs import trained
    from scene_depth.training.loop import train

    longer = replace(setting, steps=3)
    config = part.configuration(longer, "B", 5)
    training = part.auxiliary.TRAINING
    folder = longer.output / "cut_3"
    train(training.make(config), config.train, folder, whole_config=config, on_progress=lambda now: now.done < 2)
    assert trained(longer, "cut", training, config) == folder
    assert '"finished": true' in (folder / "report.json").read_text()
