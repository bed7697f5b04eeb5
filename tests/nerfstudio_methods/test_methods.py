"""``ns-train scene-splat`` and ``scene-heal`` on a machine without GPU, in nerfstudio's own trainer and tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nerfstudio_parser import nerfstudio_folder
from plyfile import PlyData

import scene_depth as sd
from scene_depth.io.nerfstudio_run import read_nerfstudio_run
from scene_depth.io.ply import write_ply

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the other process has worked."""
    folder = tmp_path_factory.mktemp("methods")
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = [str(nerfstudio_folder()), str(ROOT), str(ROOT / "plugins"), *filter(None, sys.path)]
    environment = {**own, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("methods_process.py")), str(folder)]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "facts.json").read_text())


def test_it_trains_with_masks_and_completed_depth_and_densifies(facts: dict[str, Any]) -> None:
    found = facts["train"]
    assert found["splats"] != found["start"]
    assert found["optimized"]
    assert found["finite"]
    assert found["batch"] == ["depth", "image", "image_idx", "mask"]
    assert {"main_loss", "depth_loss"} <= set(found["losses"])
    assert found["depth_known"] == 1.0, "sparse depth of points was completed"
    assert 0 < found["least_weight"] < 1, "what was filled counts less"
    assert not found["lpips_loaded"], "nothing is loaded or downloaded for a measure"


def test_it_goes_on_past_a_densification(facts: dict[str, Any]) -> None:
    """nerfstudio #3554: splatfacto's optimizers go on with tensors that the model no longer has."""
    before, after = facts["train"], facts["resume"]
    assert after["start_step"] == before["step"] + 1
    assert after["splats"] > before["splats"]
    assert after["optimized"]
    assert after["finite"]


def test_nerfstudio_tools_work_on_its_runs(folder: Path, facts: dict[str, Any]) -> None:
    found = facts["tools"]
    assert found["eval"]["results"]["psnr"] > 10
    assert 0 < found["eval"]["results"]["depth_abs_rel"] < 1
    assert found["pictures"]


def test_its_export_is_ours_from_the_same_checkpoint(folder: Path, facts: dict[str, Any]) -> None:
    """nerfstudio leaves faint splats out; the others have the same bits in the same fields."""
    splats = read_nerfstudio_run(facts["tools"]["run"]).splats(in_run=True)
    write_ply(folder / "ours.ply", splats.select(splats.logit_opacities >= -5.5373))
    theirs, ours = (PlyData.read(folder / name)["vertex"] for name in ("export/splat.ply", "ours.ply"))
    assert [p.name for p in theirs.properties] == [p.name for p in ours.properties]
    for name in (p.name for p in ours.properties):
        np.testing.assert_array_equal(theirs[name], ours[name], err_msg=name)


def test_the_cuda_path_gives_the_same(facts: dict[str, Any]) -> None:
    found = facts["cuda"]
    assert found["calls"] == 1
    assert found["packed"] is False
    assert found["probed"]
    assert found["rgb"] < 1e-4
    assert found["depth"] < 1e-4
    assert found["gradient"] < 1e-3


def test_the_frame_of_a_stock_run_is_that_of_its_own_parser(facts: dict[str, Any]) -> None:
    assert facts["frames"]["compared"] >= 8
    assert facts["frames"]["difference"] < 1e-5


def test_a_heal_of_a_stock_run_freezes_what_was_there(facts: dict[str, Any]) -> None:
    found = facts["heal"]
    assert 0 < found["frozen"] < found["old"]
    assert found["splats"] > found["frozen"]
    assert found["kept_bits"]
    assert found["kept_rows"]
    assert found["moved"], "the new splats were trained on"
    assert found["start_step"] == 30_000
    scene, splats = sd.read_scene(found["run"]), sd.read_splats(found["run"])
    assert len(splats) == found["splats"]
    assert len(scene) == 11


def test_a_heal_goes_on_where_it_stopped(facts: dict[str, Any]) -> None:
    """Without a selection ``--load-dir`` of its own run heals nothing anew, and what was frozen stays so."""
    found = facts["heal"]
    assert found["goes_on_step"] == found["start_step"] + 4
    assert found["goes_on_frozen"] == found["frozen"]
    assert found["goes_on_bits"]
    assert found["goes_on_moved"]


def test_the_editor_in_the_viewer(facts: dict[str, Any]) -> None:
    found = facts["edit"]
    assert found["elements"][:2] == ["Status", "Selection"]
    assert {"Select by click", "Select by box", "Heal", "Cancel heal", "Undo", "Save as .ply"} <= set(found["elements"])
    assert 0 < found["box"] < found["grown"]
    assert found["deleted"] == found["before"] - found["grown"]
    assert found["undone"] == found["before"]
    assert found["clicked"] > 0
    assert found["clicked_vase"] > 0.95, "the click of a page shows the same object as one in a photo"
    assert found["saved"] == found["before"]
    assert found["saved_like_the_run"] < 1e-5
