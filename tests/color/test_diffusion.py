"""Colour by a diffusion pipeline, alone and guided by depth through a ControlNet; tiny random weights."""

from __future__ import annotations

import json
from copy import copy
from types import SimpleNamespace

import numpy as np
import pytest
from diffusion_samples import write_controlnet, write_pipeline

from scene_depth.color.controlnet import check_fit
from scene_depth.color.diffusion import DiffusionInpainter
from scene_depth.color.protocol import inpaint_image
from scene_depth.color.registry import load_image_inpainter
from scene_depth.errors import InputError
from scene_depth.geometry.control_image import control_image

SHAPE = (44, 70)  # padded to 48 x 72
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
DEPTH = (2 + X / 20).astype(np.float32)
OTHER_DEPTH = np.where(X < 30, np.float32(1), np.float32(4))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Folders of a ``pipeline`` and of a ``controlnet`` for it."""
    pytest.importorskip("diffusers")
    folder = tmp_path_factory.mktemp("diffusion")
    return SimpleNamespace(
        pipeline=str(write_pipeline(folder / "pipeline")), controlnet=str(write_controlnet(folder / "controlnet"))
    )


@pytest.fixture(scope="module")
def guided(saved: SimpleNamespace) -> DiffusionInpainter:
    return DiffusionInpainter(saved.pipeline, num_inference_steps=2, controlnet=saved.controlnet)


@pytest.fixture
def view() -> tuple[np.ndarray, np.ndarray]:
    """A picture and a hole in it."""
    hole = np.zeros(SHAPE, dtype=bool)
    hole[10:30, 20:50] = True
    return np.random.default_rng(0).random((*SHAPE, 3)).astype(np.float32), hole


def test_without_a_controlnet_depth_does_nothing(saved, view) -> None:
    inpainter = load_image_inpainter(f"diffusion[model={saved.pipeline},num_inference_steps=3]", num_inference_steps=2)
    assert inpainter == DiffusionInpainter(saved.pipeline, num_inference_steps=2)
    plain, same, other = (inpaint_image(inpainter, *view, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(plain[~view[1]], view[0][~view[1]])
    assert np.array_equal(plain, same)
    assert np.abs(plain - other).max() > 0.1
    assert np.array_equal(inpaint_image(inpainter, *view, depth=DEPTH), plain)


def test_the_pipeline_gets_the_control_picture_padded_as_the_image_is(guided, view) -> None:
    given, conditions = recording(guided, view, DEPTH)
    image, control = np.asarray(given["image"]), np.asarray(given["control_image"])
    padded = ((0, 4), (0, 2), (0, 0))
    assert np.array_equal(image, np.pad(np.rint(255 * view[0]).astype(np.uint8), padded, mode="edge"))
    assert np.array_equal(control, np.pad(control_image(DEPTH), padded, mode="edge"))
    assert (given["height"], given["width"]) == (48, 72)
    assert len(conditions) == 2  # steps
    for picture in (one for condition in conditions for one in condition):  # with and without prompt
        np.testing.assert_allclose(picture.permute(1, 2, 0).numpy(), control / 255, atol=1e-6)


def recording(inpainter: DiffusionInpainter, view: tuple[np.ndarray, np.ndarray], depth: np.ndarray) -> tuple[dict, list]:
    """What the pipeline is called with, and the pictures that reach the ControlNet."""
    calls, conditions, pipeline = [], [], inpainter.pipeline

    def recorded(**given):
        calls.append(given)
        return pipeline(**given)

    def see(module, _, given):
        conditions.append(given["controlnet_cond"])

    watched = copy(inpainter)
    object.__setattr__(watched, "pipeline", recorded)
    hook = pipeline.controlnet.register_forward_pre_hook(see, with_kwargs=True)
    try:
        watched(*view, depth=depth)
    finally:
        hook.remove()
    (call,) = calls
    return call, conditions


def test_the_result_follows_depth_and_seed(guided, view) -> None:
    first, again, other = (inpaint_image(guided, *view, depth=depth, seed=3) for depth in (DEPTH, DEPTH, OTHER_DEPTH))
    assert np.array_equal(first, again)
    assert np.abs(first - other)[view[1]].max() > 0.05
    assert np.array_equal(inpaint_image(guided, *view, depth=7 * DEPTH, seed=3), first)  # whatever the unit
    assert not np.array_equal(inpaint_image(guided, *view, depth=DEPTH, seed=4), first)


def test_the_conditioning_scale_weighs_depth(saved, view) -> None:
    name = f"diffusion[model={saved.pipeline},num_inference_steps=2,controlnet={saved.controlnet}"
    off, half = (load_image_inpainter(f"{name},conditioning_scale={scale}]") for scale in ("0", "0.5"))
    plain = DiffusionInpainter(saved.pipeline, num_inference_steps=2)(*view)
    assert np.array_equal(off(*view, depth=DEPTH), off(*view, depth=OTHER_DEPTH))
    np.testing.assert_allclose(off(*view, depth=DEPTH), plain, atol=1e-5)
    assert np.abs(half(*view, depth=DEPTH) - plain).max() > 0.05


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (None, "depth: none; expected the completed depth"),
        (DEPTH[1:], r"depth: shape \(43, 70\); expected \(44, 70\)"),
        (np.zeros(SHAPE), "positive depth"),
    ],
)
def test_a_controlnet_needs_depth(guided, view, depth, message) -> None:
    with pytest.raises(InputError, match=message):
        inpaint_image(guided, *view, depth=depth)


@pytest.mark.parametrize(
    ("controlnet", "message"),
    [
        ("nowhere/at-all", "controlnet: 'nowhere/at-all', which is neither a folder nor complete in the hub's cache"),
        ("{pipeline}", "controlnet: .*pipeline': .*config.json"),
        ("{pipeline}/unet", "which is UNet2DConditionModel; expected a ControlNetModel"),
        ("{pipeline}/text_encoder", "of an unknown kind"),
        ("{wide}", "wide' with cross_attention_dim 16; expected 12, as .*pipeline' has it"),
        ("{deep}", r"deep' with block_out_channels \[8, 8\]; expected \[8, 16\]"),
        ("{grey}", "pictures of 1 channels; expected .* 3 channels"),
    ],
)
def test_what_is_no_fitting_controlnet_is_named(saved, tmp_path, monkeypatch, controlnet, message) -> None:
    changes = {"wide": {"cross_attention_dim": 16}, "deep": {"block_out_channels": (8, 8)}, "grey": {"conditioning_channels": 1}}
    others = {name: str(write_controlnet(tmp_path / name, **change)) for name, change in changes.items()}
    monkeypatch.setattr("diffusers.AutoPipelineForInpainting.from_pretrained", None)  # the large weights are not even opened
    with pytest.raises(InputError, match=message):
        load_image_inpainter("diffusion", model=saved.pipeline, controlnet=controlnet.format(**vars(saved), **others))


def test_damaged_weights_of_a_controlnet_are_named(saved, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    path = write_controlnet(tmp_path) / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    lost = state.pop("conv_in.bias")
    save_file(state, path, {"format": "pt"})
    with pytest.raises(InputError, match=r"controlnet: .* without 1 tensors such as conv_in\.bias"):
        DiffusionInpainter(saved.pipeline, controlnet=str(tmp_path))
    save_file({**state, "conv_in.bias": lost[1:].clone()}, path, {"format": "pt"})
    with pytest.raises(InputError, match="controlnet"):
        DiffusionInpainter(saved.pipeline, controlnet=str(tmp_path))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="controlnet"):
        DiffusionInpainter(saved.pipeline, controlnet=str(tmp_path))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"controlnet: .*unknown kind"):
        DiffusionInpainter(saved.pipeline, controlnet=str(tmp_path))


def test_configurations_of_other_ages_fit() -> None:
    """A size is written once or for each level, and old configurations leave out what they have by default."""
    unet = {"block_out_channels": [8, 16], "layers_per_block": [2, 2], "cross_attention_dim": [12, 12], "out_channels": 4}
    check_fit("old", {"block_out_channels": [8, 16], "layers_per_block": 2, "cross_attention_dim": 12}, "pipeline", unet)
    with pytest.raises(InputError, match="layers_per_block 1"):
        check_fit("old", {"block_out_channels": [8, 16], "layers_per_block": 1}, "pipeline", unet)
    with pytest.raises(InputError, match="in_channels 9; expected 4"):
        check_fit("old", {"block_out_channels": [8, 16], "in_channels": 9}, "pipeline", unet)


@pytest.mark.parametrize("controlnet", [False, True])
def test_a_pipeline_that_is_not_there_is_named_when_the_inpainter_is_made(saved, tmp_path, controlnet) -> None:
    with pytest.raises(InputError, match=r"diffusion model: .*missing', which is neither a folder"):
        DiffusionInpainter(str(tmp_path / "missing"), controlnet=saved.controlnet if controlnet else None)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusion3Pipeline"}))
    if controlnet:
        with pytest.raises(InputError, match=r"diffusion model: .*config\.json.* expected a pipeline with a U-Net"):
            DiffusionInpainter(str(tmp_path), controlnet=saved.controlnet)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditioning_scale": float("nan")}, "conditioning_scale is nan"),
        ({"conditioning_scale": -1}, "conditioning_scale is -1"),
        ({"conditioning_scale": "much"}, "conditioning_scale is 'much'"),
        ({"device": "abacus"}, "device: 'abacus'"),
        ({"control_net": "x"}, "options of diffusion: .*control_net"),
    ],
)
def test_bad_options_are_named(saved, options, message) -> None:
    with pytest.raises(InputError, match=message):
        load_image_inpainter("diffusion", model=saved.pipeline, **options)
