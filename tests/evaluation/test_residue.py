"""What a removal leaves of the object and its shadow is measured, and nothing else counts as it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from scene_depth.cli.app import main
from scene_depth.evaluation.scene_scores import evaluate_scene, mean_scores
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.splats import GaussianSplats

TABLE = Path(__file__).parents[2] / "scenes/table"


@pytest.fixture(scope="module")
def splats() -> GaussianSplats:
    return read_splats(TABLE / "splats.spz")


def vase(splats: GaussianSplats) -> torch.Tensor:
    """Splats of the vase, which stands free on the middle of the table  # [N] bool"""
    return (splats.means[:, :2].norm(dim=1) < 0.2) & (splats.means[:, 2] > 0.755)


def measured(splats: GaussianSplats, before: GaussianSplats) -> dict[str, float]:
    return mean_scores(
        evaluate_scene(splats, read_scene(TABLE / "removed", split="test"), TABLE / "masks", max_size=96, before=before)
    )


def test_an_object_that_stays_a_half_one_and_one_that_goes(splats: GaussianSplats) -> None:
    chosen = vase(splats)
    half = chosen & (torch.arange(len(splats)) % 2 == 0)
    stays, thinned, gone = (measured(edited, splats) for edited in (splats, splats.select(~half), splats.select(~chosen)))
    assert stays["object_left"] == 1
    assert 0.4 < thinned["object_left"] < 0.95
    assert gone["object_left"] < 0.1
    assert gone["object_left_depth"] < 0.5 * stays["object_left_depth"]
    assert gone["psnr_behind"] > stays["psnr_behind"] + 5
    assert stays["shadow_left"] == pytest.approx(1)
    assert gone["shadow_left"] == pytest.approx(1, abs=0.1)


def test_a_shadow_made_half_as_dark_is_half_gone(splats: GaussianSplats) -> None:
    """Splats before the edit that are darker everywhere on the table have a shadow whose half can be taken away."""
    near = splats.means[:, :2].norm(dim=1) < 0.5

    def darkened(factor: float) -> GaussianSplats:
        sh = splats.sh.clone()
        sh[near, 0] = ((splats.base_colors[near] * factor) - 0.5) / 0.28209479177387814
        return GaussianSplats(splats.means, splats.quats, splats.log_scales, splats.logit_opacities, sh)

    before = darkened(0.64)
    assert measured(darkened(0.8), before)["shadow_left"] == pytest.approx(0.5, abs=0.12)
    assert abs(measured(splats, before)["shadow_left"]) < 0.12


def test_the_command_says_what_is_left_and_what_the_heal_cut(splats: GaussianSplats, tmp_path: Path, capsys) -> None:
    write_splats(tmp_path / "healed.ply", splats.select(~vase(splats)))
    (tmp_path / "report.json").write_text(json.dumps({"floating_splats": 7}))
    command = ["eval", "scene", str(tmp_path), "--reference", str(TABLE / "removed"), "--masks", str(TABLE / "masks")]
    assert main([*command, "--before", str(TABLE / "splats.spz"), "--max-size", "48"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "7 new splats that floated" in said
    assert "of the hole still has the object's colour." in said
    assert "of the object's shadow beside it is left." in said
