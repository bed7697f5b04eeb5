"""Runs of nerfstudio as scenes and splats, read without a call of what their YAML names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_samples import sample_scene
from splat_samples import random_splats

import scene_depth as sd
from scene_depth.cli.app import main
from scene_depth.io.nerfstudio_run import is_nerfstudio_run, read_nerfstudio_run
from scene_depth.io.transforms_json_output import write_transforms
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats

SCALE = 0.25
TURN = euler_rotation(20, -30, 70)
MOVE = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
CONFIG = """!!python/object:nerfstudio.engine.trainer.TrainerConfig
_target: &id001 !!python/name:nerfstudio.engine.trainer.Trainer ''
data: &id002 !!python/object/apply:pathlib.PosixPath
{parts}
experiment_name: run
method_name: splatfacto
output_dir: !!python/object/apply:pathlib.PosixPath
- outputs
timestamp: 2026-01-01_000000
relative_model_dir: !!python/object/apply:pathlib.PosixPath
- nerfstudio_models
attack: !!python/object/apply:os.system ["touch {attack}"]
object: !!python/object/new:os.system ["touch {attack}"]
pipeline: !!python/object:nerfstudio.pipelines.base_pipeline.VanillaPipelineConfig
  datamanager: !!python/object:nerfstudio.data.datamanagers.full_images_datamanager.FullImageDatamanagerConfig
    _target: *id001
    data: *id002
    dataparser: !!python/object:{parser}
      data: *id002
  model: !!python/object:nerfstudio.models.splatfacto.SplatfactoModelConfig
    rasterize_mode: {mode}
    sh_degree: {degree}
"""
NERFSTUDIO = "nerfstudio.data.dataparsers.nerfstudio_dataparser.NerfstudioDataParserConfig"


def write_run(folder: Path, data: Path, splats: sd.GaussianSplats, *, parser=NERFSTUDIO, mode="classic", degree=3) -> Path:
    """A run as ns-train leaves it, by the layout of nerfstudio 1.1.5; the splats are given in its frame."""
    (folder / "nerfstudio_models").mkdir(parents=True)
    parts = "\n".join(f"- {part}" for part in data.parts)
    text = CONFIG.format(parts=parts, parser=parser, mode=mode, degree=degree, attack=folder / "attacked")
    (folder / "config.yml").write_text(text)
    rows = torch.cat([TURN, MOVE[:, None]], dim=1)
    (folder / "dataparser_transforms.json").write_text(json.dumps({"transform": rows.tolist(), "scale": SCALE}))
    for step, shift in ((7, 100.0), (12, 0.0)):
        values = {
            "means": splats.means + shift,
            "scales": splats.log_scales,
            "quats": splats.quats,
            "features_dc": splats.sh[:, 0],
            "features_rest": splats.sh[:, 1:],
            "opacities": splats.logit_opacities[:, None],
        }
        pipeline = {f"_model.gauss_params.{name}": torch.nn.Parameter(value).data for name, value in values.items()}
        content = {"step": step, "pipeline": pipeline, "optimizers": {}, "schedulers": {}, "scalers": {}}
        torch.save(content, folder / "nerfstudio_models" / f"step-{step:09d}.ckpt")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    scene = sample_scene(tmp_path, masks=False)
    write_transforms(tmp_path / "photos", scene)
    return tmp_path / "photos"


@pytest.fixture
def trained() -> sd.GaussianSplats:
    return random_splats(20, seed=3)


def test_a_run_is_splats_and_a_scene_in_the_frame_of_its_photos(tmp_path: Path, photos: Path, trained) -> None:
    to_run = similarity_matrix(TURN, SCALE * MOVE, SCALE)
    run = write_run(tmp_path / "run", photos, transform_splats(trained, to_run))
    for path in (run, run / "config.yml", run / "nerfstudio_models" / "step-000000012.ckpt"):
        read = sd.read_splats(path)
        torch.testing.assert_close(read.means, trained.means, rtol=0, atol=1e-5)
        torch.testing.assert_close(read.log_scales, trained.log_scales, rtol=0, atol=1e-5)
        torch.testing.assert_close(read.sh, trained.sh, rtol=0, atol=1e-5)
        torch.testing.assert_close(read.logit_opacities, trained.logit_opacities, rtol=0, atol=0)
    assert sd.read_splats(run / "nerfstudio_models" / "step-000000007.ckpt").means.abs().min() > 50
    in_run = read_nerfstudio_run(run).splats(in_run=True)
    torch.testing.assert_close(in_run.means, transform_splats(trained, to_run).means, rtol=0, atol=0)
    scene, own = sd.read_scene(run), sd.read_scene(photos)
    assert [view.name for view in scene.views] == [view.name for view in own.views]
    assert scene.source == run
    assert not (run / "attacked").exists()


def test_applied_transform_and_scale_of_the_photos_are_undone(tmp_path: Path, photos: Path, trained) -> None:
    """Their transform begins at the original data; ours at the matrices of transforms.json."""
    applied = np.eye(4)[[0, 2, 1, 3]]
    file = photos / "transforms.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "applied_transform": applied[:3].tolist(), "applied_scale": 0.5}))
    to_run = similarity_matrix(TURN, (SCALE / 0.5) * MOVE, SCALE / 0.5) @ torch.linalg.inv(torch.from_numpy(applied))
    run = write_run(tmp_path / "run", photos, transform_splats(trained, to_run))
    torch.testing.assert_close(sd.read_splats(run).means, trained.means, rtol=0, atol=1e-5)


def test_kinds_of_runs(tmp_path: Path, photos: Path, trained) -> None:
    logits = trained.with_sh_degree(0)
    run = read_nerfstudio_run(write_run(tmp_path / "zero", photos, logits, mode="antialiased", degree=0))
    read = run.splats(in_run=True)
    assert read.antialiased
    torch.testing.assert_close(read.base_colors, logits.sh[:, 0].sigmoid())
    elsewhere = write_run(tmp_path / "moved", tmp_path / "gone", trained)
    with pytest.raises(sd.InputError, match=r"photos that are not where the run says.*data=FOLDER"):
        sd.read_scene(elsewhere)
    assert len(sd.read_scene(elsewhere, data=str(photos))) == 3
    assert not is_nerfstudio_run(photos)
    assert not is_nerfstudio_run(tmp_path / "nothing")


def test_commands_take_runs(tmp_path: Path, photos: Path, trained, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(write_run(tmp_path / "run", photos, trained))
    assert main(["convert", run, str(tmp_path / "out.ply")]) == 0
    torch.testing.assert_close(sd.read_splats(tmp_path / "out.ply").means, sd.read_splats(run).means)
    assert main(["convert", run, str(tmp_path / "scene"), "--to", "scene"]) == 0
    assert len(sd.read_scene(tmp_path / "scene")) == 3
    assert main(["inspect", run, "--json"]) == 0
    assert '"nerfstudio run"' in capsys.readouterr().out
    assert main(["render", run, "--cameras", run, "--output", str(tmp_path / "renders")]) == 0
    assert list((tmp_path / "renders").rglob("*.png"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.yml", "a: [", "config.yml: text"),
        ("config.yml", "- a\n", "config.yml: YAML"),
        ("config.yml", "[" * 20_000, "config.yml: text"),
        ("dataparser_transforms.json", '{"transform": [[1]], "scale": 1}', "transform: shape"),
        ("dataparser_transforms.json", '{"transform": [[2,0,0,0],[0,1,0,0],[0,0,1,0]], "scale": 1}', "not a rotation"),
        ("dataparser_transforms.json", '{"transform": [[1,0,0,0],[0,1,0,0],[0,0,1,0]], "scale": 0}', "scale is 0"),
        ("nerfstudio_models/step-000000012.ckpt", "no archive", "whole checkpoint of a nerfstudio run"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, photos: Path, trained, name: str, content: str, message: str) -> None:
    run = write_run(tmp_path / "run", photos, trained)
    (run / name).write_text(content)
    with pytest.raises(sd.InputError, match=message):
        sd.read_splats(run)


def test_other_checkpoints_and_none(tmp_path: Path, photos: Path, trained) -> None:
    run = write_run(tmp_path / "run", photos, trained)
    torch.save({"pipeline": {"_model.field.weight": torch.zeros(3)}}, run / "nerfstudio_models" / "step-000000099.ckpt")
    with pytest.raises(sd.InputError, match="no means, scales, quats"):
        sd.read_splats(run)
    shutil.rmtree(run / "nerfstudio_models")
    with pytest.raises(sd.InputError, match="checkpoints: none"):
        sd.read_splats(run)
