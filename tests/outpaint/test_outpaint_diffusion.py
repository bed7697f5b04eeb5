"""The loop with diffusers pipelines of tiny random weights: the first picture from a text, and each view's own prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_room import ROOM
from diffusion_samples import write_controlnet, write_pipeline
from scene_depth_outpaint import OutpaintConfig, outpaint

from scene_depth.cli.app import main
from scene_depth.color.diffusion import DiffusionInpainter
from scene_depth.io.images import read_image


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pipelines ``inpainting`` and ``text``, and a ``controlnet``."""
    pytest.importorskip("diffusers")
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    folder = tmp_path_factory.mktemp("pipelines")
    write_controlnet(folder / "controlnet")
    parts = StableDiffusionPipeline.from_pretrained(
        write_pipeline(folder / "inpainting"), local_files_only=True, safety_checker=None, feature_extractor=None
    ).components
    unet = UNet2DConditionModel.from_config({**parts["unet"].config, "in_channels": 4})
    StableDiffusionPipeline(**{**parts, "unet": unet}, requires_safety_checker=False).save_pretrained(folder / "text")
    return folder


def test_every_view_asks_with_its_own_prompt_and_keeps_what_is_known(pipelines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = DiffusionInpainter(str(pipelines / "inpainting"), num_inference_steps=1, prompt="a")
    asked, pipeline = [], fill.pipeline

    def recorded(**given: Any) -> Any:
        asked.append(given["prompt"])
        return pipeline(**given)

    monkeypatch.setitem(vars(fill), "pipeline", recorded)
    config = OutpaintConfig(fit_steps=0, accept=False)
    result = outpaint(ROOM.view(), "orbit[angle=40,views=4]", color=fill, prompt="a a", prompts={2: "a a a"}, config=config)
    assert asked == ["a a", "a a a", *["a a"] * (len(asked) - 2)]
    assert [view.report.prompt for view in result.views[1:]] == asked[: len(result.views) - 1]
    assert (result.views[1].image[~result.views[1].known].std(axis=0) > 0).all()


def test_depth_leads_a_controlnet(pipelines: Path) -> None:
    options = {"model": str(pipelines / "inpainting"), "controlnet": str(pipelines / "controlnet"), "num_inference_steps": 1}
    color = f"diffusion[{','.join(f'{name}={value}' for name, value in options.items())}]"
    result = outpaint(ROOM.view(), "orbit[angle=20,views=2]", color=color, config=OutpaintConfig(fit_steps=0, accept=False))
    assert len(result.views) == 3


def test_a_scene_from_a_text(pipelines: Path, tmp_path: Path) -> None:
    (tmp_path / "prior.py").write_text("import numpy as np\n\ndef f(rgb):\n    return np.linspace(1, 2, 64) + 0 * rgb[..., 0]\n")
    words = ["outpaint", "--prompt", "a", "--text-to-image", str(pipelines / "text"), "--size", "64", "--no-accept"]
    words += ["--prior", f"{tmp_path}/prior.py:f", "fit=scale", "--trajectory", "orbit[angle=20,views=2]", "--color", "none"]
    assert main([*words, "--output", str(tmp_path / "out"), "--fit-steps", "0"]) == 0
    steps = sorted(path.name for path in (tmp_path / "out" / "steps").iterdir())
    assert steps == ["000", "001", "002"]
    assert read_image(tmp_path / "out" / "steps" / "000" / "image.png").shape == (64, 64, 3)
    report = json.loads((tmp_path / "out" / "steps" / "001" / "report.json").read_text())
    assert np.isfinite(report["new_share"])
