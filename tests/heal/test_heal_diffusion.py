"""Heal from the command line with colour by a pipeline whose ControlNet follows the completed depth."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scene_depth_heal.workflow
from depthfm_samples import write_official_file, write_vae
from diffusion_samples import write_controlnet, write_pipeline
from PIL import Image
from room_scene import HEIGHT, WIDTH, room

from scene_depth.cli.app import main
from scene_depth.geometry.control_image import control_image
from scene_depth.io.splat_files import read_splats, write_splats

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
BALL = ("--sphere", "0 0 2.5 0.6")
SMALL = ("--max-size", "90", "--steps", "0", "--most-references", "1", "--device", "cpu", "--no-shadow")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A ``scene`` with its splats, a ``pipeline``, a ``controlnet``, and weights of ``depthfm``."""
    pytest.importorskip("diffusers")
    folder = tmp_path_factory.mktemp("files")
    write_official_file(folder / "depthfm-v1.ckpt")
    write_vae(folder / "vae")
    return SimpleNamespace(
        scene=write_room(folder / "scene"),
        pipeline=write_pipeline(folder / "pipeline"),
        controlnet=write_controlnet(folder / "controlnet"),
        depthfm=folder / "depthfm-v1.ckpt",
    )


def write_room(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    scene, frames = room(), []
    for index, camera in enumerate(scene.cameras):
        pixels = np.rint(255 * scene.picture(index)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{index}.png")
        matrix = (camera.camera_to_world[0].numpy() @ OPENGL).tolist()
        frames.append({"file_path": f"images/{index}.png", "transform_matrix": matrix})
    content = {"fl_x": 90.0, "fl_y": 92.0, "cx": 46.0, "cy": 38.0, "w": WIDTH, "h": HEIGHT, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(content))
    write_splats(folder / "splats.ply", scene.splats)
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The completed ``depths`` of references, and the ``pictures`` that reach a ControlNet."""
    from diffusers import ControlNetModel

    found = SimpleNamespace(depths=[], pictures=[])
    fill, forward = scene_depth_heal.workflow.fill_depth, ControlNetModel.forward

    def fill_depth(*arguments, **options):
        prediction = fill(*arguments, **options)
        found.depths.append(prediction.depth)
        return prediction

    def see(self, *arguments, **given):
        found.pictures.append(given["controlnet_cond"][0].permute(1, 2, 0).numpy())
        return forward(self, *arguments, **given)

    monkeypatch.setattr(scene_depth_heal.workflow, "fill_depth", fill_depth)
    monkeypatch.setattr(ControlNetModel, "forward", see)
    return found


def healed(files: SimpleNamespace, output: Path, depth: str, *color_options: str) -> np.ndarray:
    """Colours of the new splats."""
    by_depthfm = (
        "--inpainter-options",
        f"weights={files.depthfm}",
        "num_inference_steps=1",
        "ensemble_size=1",
        "processing_resolution=64",
        "device=cpu",
    )
    depths = ("--inpainter", depth, *(by_depthfm if depth == "depthfm" else ()))
    colors = ("--color", "diffusion", "--color-options", f"model={files.pipeline}", "num_inference_steps=2", *color_options)
    assert main(["heal", str(files.scene), "--output", str(output), *BALL, *SMALL, *depths, *colors, "--prompt", "a"]) == 0
    report = json.loads((output / "report.json").read_text())
    assert report["finished"]
    assert report["frozen_sha256_before"] == report["frozen_sha256_after"]
    return read_splats(output / "healed.ply").sh[report["kept_splats"] :, 0].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("depth", ["solver", "depthfm"])
def test_the_completed_depth_guides_the_colour(files, seen, tmp_path, depth) -> None:
    guided = healed(files, tmp_path / "guided", depth, f"controlnet={files.controlnet}")
    (completed,) = seen.depths
    assert completed.shape == (68, 90)  # padded to 72 x 96
    wanted = np.pad(control_image(completed), ((0, 4), (0, 6), (0, 0)), mode="edge")
    assert len(seen.pictures) == 2  # steps
    for picture in seen.pictures:
        np.testing.assert_allclose(picture, wanted / 255, atol=1e-6)
    assert wanted.min() < 100 < 200 < wanted.max()
    again = healed(files, tmp_path / "again", depth, f"controlnet={files.controlnet}", "conditioning_scale=1")
    assert np.array_equal(again, guided)
    plain = healed(files, tmp_path / "plain", depth)
    assert len(seen.pictures) == 4  # none from that one
    assert plain.shape == guided.shape
    assert np.abs(plain - guided).max() > 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("controlnet=missing/one",), "controlnet: 'missing/one', which is neither a folder"),
        (("controlnet={pipeline}/unet",), "which is UNet2DConditionModel"),
        (("model=missing/other",), "diffusion model: 'missing/other'"),
        (("controlnet",), "options is 'controlnet'; expected KEY=VALUE"),
        (("control=x",), "unexpected keyword argument 'control'"),
    ],
)
def test_bad_options_of_colour_are_named_before_anything_is_read(files, tmp_path, capsys, options, message) -> None:
    colors = [
        "--color",
        "diffusion",
        "--color-options",
        f"model={files.pipeline}",
        *(one.format(**vars(files)) for one in options),
    ]
    assert main(["heal", str(tmp_path / "no scene"), "--output", str(tmp_path / "out"), *colors]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("scene-depth:")]
    assert message in line
    assert not (tmp_path / "out").exists()
