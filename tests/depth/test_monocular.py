"""Monocular models as inpainters: plain functions, and tiny random pipelines of diffusers and transformers, offline."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from scene_depth.cli.app import main
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.masks import rectangle
from scene_depth.depth.monocular import MonocularInpainter, load_monocular_model
from scene_depth.depth.monocular_models import _as_prompt
from scene_depth.depth.prior import MonocularMap, predict
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.depth.scattered import nearest_fill
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth, write_depth
from scene_depth.io.images import write_image

SHAPE = (60, 80)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def a_scene():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = 3 + np.sin(x / 11) + 0.02 * y
    depth[15:40, 20:50] = 1.5
    return depth, np.repeat((depth / 6)[..., None], 3, axis=2).astype(np.float32)


def oracle(rgb):
    """Knows depth from the grey value of ``a_scene``; its own scale and shift are free."""
    return 0.7 / (rgb[..., 0] * 6) + 0.2


@pytest.mark.parametrize("back_end", ["solver", "local", "global"])
def test_a_perfect_model_completes_perfectly(back_end):
    depth, rgb = a_scene()
    known = rectangle(SHAPE, 1)
    result = inpaint_depth(MonocularInpainter(oracle, back_end), rgb, depth, known)
    np.testing.assert_allclose(result.depth, depth, rtol=3e-3)
    assert result.details["model"]["model"] == "oracle"
    assert result.details["model"]["back_end"] == back_end


@pytest.mark.parametrize("space", ["depth", "log"])
def test_what_a_model_predicts_can_be_said(space):
    depth, rgb = a_scene()
    known = rectangle(SHAPE, 2)

    def model(rgb):
        values = rgb[..., 0] * 6
        return MonocularMap((values if space == "depth" else np.log(values)).astype(np.float32) * 2 - 1, space)

    for inpainter in (MonocularInpainter(model), MonocularInpainter(lambda rgb: model(rgb).values, space=space)):
        np.testing.assert_allclose(inpaint_depth(inpainter, rgb, depth, known).depth, depth, rtol=3e-3)


def test_a_model_that_is_off_leaves_no_seam():
    depth, rgb = a_scene()
    known = rectangle(SHAPE, 3)
    x = np.arange(SHAPE[1])
    found = {
        back_end: inpaint_depth(
            MonocularInpainter(lambda rgb: oracle(rgb) * (1 + 0.1 * np.sin(x / 20)), back_end), rgb, depth, known
        )
        for back_end in ("global", "local", "solver")
    }
    before = found["global"].details["harmonized"]["seam_before"]["depth_jump"]
    assert before > 0.01
    for result in found.values():
        assert result.seam.depth_jump < 0.6 * before


def test_a_picture_is_needed():
    depth, _ = a_scene()
    with pytest.raises(InputError, match="rgb is None"):
        inpaint_depth(MonocularInpainter(oracle), None, depth, rectangle(SHAPE, 1))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda rgb: rgb[1:, :, 0], r"shape \(59, 80\)"),
        (lambda rgb: np.full(SHAPE, np.nan), "no finite value"),
        (lambda rgb: rgb, r"shape \(60, 80, 3\)"),
    ],
)
def test_predictions_are_checked(model, message):
    with pytest.raises(InputError, match=message):
        predict(model, a_scene()[1])


def test_stray_values_of_a_prediction_take_the_median():
    values = np.ones(SHAPE)
    values[3, 4] = np.inf
    assert (predict(lambda rgb: values, a_scene()[1]).values == 1).all()


@pytest.mark.parametrize(("field", "value"), [("back_end", "magic"), ("space", "cubic")])
def test_wrong_parameters(field, value):
    with pytest.raises(InputError, match=field):
        MonocularInpainter(oracle, **{field: value})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("what", {}, "one of da3, depthfm, marigold, moge, small, transformers, or module:attribute"),
        ("transformers:/no/such/folder", {}, "no such folder"),
        ("transformers", {"download": False}, "Depth-Anything-V2-Small-hf.*about 0.1 GB"),
        ("marigold", {"download": False}, "marigold-depth-v1-1.*about 2.6 GB"),
        ("transformers:some/model", {}, "some/model could not be fetched"),
        ("marigold", {"device": "abacus"}, "auto, cpu, cuda"),
        ("marigold", {"ensemble_size": 0}, "ensemble_size is 0; expected at least 1"),
        ("transformers", {"steps": 3}, "options of transformers: .*checkpoint, device, download"),
    ],
)
def test_what_is_missing_is_named(name, options, message):
    with pytest.raises(InputError, match=message):
        load_monocular_model(name, **options)


def test_missing_packages_are_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(InputError, match=r"package diffusers .*scene-depth\[diffusion\]"):
        load_depth_inpainter("marigold")


def test_functions_of_a_file(tmp_path):
    code = "def model(rgb):\n    return rgb[..., 0] + 1\n\ndef factory(value=5):\n    return lambda rgb: rgb[..., 0] + value\n"
    (tmp_path / "mine.py").write_text(code)
    picture = np.zeros((1, 3, 3), dtype=np.float32)
    for name, options, value in (("model", {}, 1), ("factory", {}, 5), ("factory", {"value": 2}, 2)):
        model = load_monocular_model(f"{tmp_path / 'mine.py'}:{name}", **options)
        assert predict(model, picture).values.tolist() == [[value] * 3]


@pytest.fixture(scope="session")
def tiny_marigold(tmp_path_factory):
    """A saved Marigold pipeline with random weights; every part is the real class."""
    diffusers, transformers = pytest.importorskip("diffusers"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("marigold")
    vocabulary = {token: i for i, token in enumerate(["<|startoftext|>", "<|endoftext|>", "!", "a</w>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    text = transformers.CLIPTextConfig(
        hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=1, vocab_size=1000
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=[16, 32],
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
        norm_num_groups=4,
    )
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=16,
        in_channels=8,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        norm_num_groups=4,
    )
    diffusers.MarigoldDepthPipeline(
        unet=unet,
        vae=vae,
        scheduler=diffusers.DDIMScheduler(prediction_type="v_prediction", beta_schedule="scaled_linear", clip_sample=False),
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77),
        prediction_type="depth",
        default_denoising_steps=2,
        default_processing_resolution=32,
    ).save_pretrained(folder / "saved")
    return folder / "saved"


def tiny_backbone(layers: int):
    """A tiny DINOv2 with random weights that gives the features of every layer."""
    return pytest.importorskip("transformers").Dinov2Config(
        image_size=28,
        patch_size=14,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        out_features=[f"stage{layer + 1}" for layer in range(layers)],
        reshape_hidden_states=False,
    )


@pytest.fixture(scope="session")
def tiny_depth_anything(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("depth_anything")
    config = transformers.DepthAnythingConfig(
        backbone_config=tiny_backbone(2),
        patch_size=14,
        reassemble_hidden_size=16,
        reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
    )
    model = transformers.DepthAnythingForDepthEstimation(config)
    with torch.no_grad():  # random heads end in ReLU, which would leave nothing
        for parameter in model.head.parameters():
            parameter.abs_()
    model.save_pretrained(folder)
    transformers.DPTImageProcessor(size={"height": 28, "width": 28}, ensure_multiple_of=14).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_marigold(tiny_marigold):
    depth, rgb = a_scene()
    model = load_monocular_model(f"marigold:{tiny_marigold}")
    first, again, other = predict(model, rgb, 1), predict(model, rgb, 1), predict(model, rgb, 2)
    assert first.space == "depth"
    assert first.values.shape == SHAPE
    assert first.uncertainty is None
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    options = {"checkpoint": str(tiny_marigold), "ensemble_size": 3, "num_inference_steps": 1}
    ensemble = predict(load_monocular_model("marigold", **options), rgb)
    assert ensemble.uncertainty.shape == SHAPE
    result = load_depth_inpainter("marigold", checkpoint=str(tiny_marigold))(rgb, depth, rectangle(SHAPE, 1), seed=1)
    assert result.details["inpainter"] == "marigold"
    assert result.details["model"]["model"] == "marigold"


@pytest.mark.slow
@pytest.mark.parametrize("back_end", ["solver", "local", "global"])
def test_transformers(tiny_depth_anything, back_end):
    depth, rgb = a_scene()
    model = load_monocular_model(f"transformers:{tiny_depth_anything}")
    prediction = predict(model, rgb)
    assert prediction.space == "inverse"
    assert prediction.values.shape == SHAPE
    assert prediction.values.std() > 0
    inpainter = load_depth_inpainter("transformers", checkpoint=str(tiny_depth_anything), back_end=back_end)
    result = inpainter(rgb, depth, rectangle(SHAPE, 1))
    assert result.details["model"]["model"] == "transformers"
    assert np.isfinite(result.depth).all()


@pytest.fixture(scope="module")
def tiny_prompted(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("prompt_depth_anything")
    config = transformers.PromptDepthAnythingConfig(
        backbone_config=tiny_backbone(4),
        patch_size=14,
        reassemble_hidden_size=16,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        initializer_range=0.2,
    )
    model = transformers.PromptDepthAnythingForDepthEstimation(config)
    with torch.no_grad():  # the last layers of prompts begin at zero, and random heads end in ReLU
        for name, parameter in model.named_parameters():
            if "prompt_depth_layer" in name or name.startswith("head"):
                parameter.copy_(0.2 * torch.rand_like(parameter))
    model.save_pretrained(folder)
    processor = transformers.PromptDepthAnythingImageProcessor(size={"height": 28, "width": 28}, ensure_multiple_of=14)
    processor.save_pretrained(folder)
    return folder


def test_prompt_depth_anything_gets_known_depth_as_its_prompt(tiny_prompted):
    depth, rgb = a_scene()
    known = rectangle(SHAPE, 1)
    model = load_monocular_model(f"transformers:{tiny_prompted}")
    prompt = np.where(known, depth, 0).astype(np.float32)
    first = predict(model, rgb, depth=prompt)
    assert first.space == "depth"
    assert first.values.shape == SHAPE
    np.testing.assert_allclose(predict(model, rgb, depth=1000 * prompt).values, 1000 * first.values, rtol=1e-3)  # its unit
    other = prompt.copy()
    other[:, : SHAPE[1] // 2] *= 1.3
    assert not np.allclose(predict(model, rgb, depth=other).values, first.values, rtol=1e-3)
    filled = nearest_fill(prompt, known)  # what the processor of transformers does with a whole prompt in millimetres
    processor, network = model._parts
    inputs = processor(images=np.rint(rgb * 255).astype(np.uint8), prompt_depth=1000 * filled, return_tensors="pt")
    with torch.no_grad():
        expected = processor.post_process_depth_estimation(network(**inputs), [SHAPE])[0]["predicted_depth"].numpy()
    np.testing.assert_allclose(first.values, expected, rtol=1e-3)
    inpainter = load_depth_inpainter("transformers", checkpoint=str(tiny_prompted))
    result = inpainter(rgb, depth, known)
    assert np.isfinite(result.depth).all()
    np.testing.assert_array_equal(result.depth[known], depth[known])


def test_a_prompt_is_as_small_as_a_sensor_and_has_no_holes():
    depth = np.zeros((600, 800), np.float32)
    depth[::7, ::5] = 2.0
    depth[300:, ::5] = 3.0
    prompt = _as_prompt(depth, "a model")
    assert prompt.shape == (1, 1, 192, 256)
    assert sorted(torch.unique(prompt).tolist()) == [2.0, 3.0]
    assert _as_prompt(depth[:64, :48], "a model").shape == (1, 1, 64, 48)
    flat = _as_prompt(np.full((4, 5), 2.0), "a model")
    assert flat.min() < flat.max() < 2.001


def test_without_depth_there_is_no_prompt(tiny_prompted, tmp_path, capsys):
    _, rgb = a_scene()
    model = load_monocular_model(f"transformers:{tiny_prompted}")
    for depth in (None, np.zeros(SHAPE, np.float32)):
        with pytest.raises(InputError, match=r"prompt: no depth; expected known depth, with which .* is prompted"):
            predict(model, rgb, depth=depth)
    with pytest.raises(InputError, match="prompt: no depth"):
        model(rgb)


def test_complete_prompts_a_prior(tiny_prompted, tmp_path):
    depth, rgb = a_scene()
    write_image(tmp_path / "a.png", rgb)
    write_depth(tmp_path / "depth.png", np.where(rectangle(SHAPE, 1), depth, 0).astype(np.float32))
    arguments = ["complete", str(tmp_path / "a.png"), str(tmp_path / "depth.png"), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--prior", f"transformers:{tiny_prompted}", "--no-points"]) == 0
    assert (read_depth(tmp_path / "out" / "depth" / "depth.png") > 0).all()


def test_a_folder_of_something_else_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for name in ("transformers", "marigold"):
        with pytest.raises(InputError, match="weights"):
            load_monocular_model(f"{name}:{tmp_path}")
