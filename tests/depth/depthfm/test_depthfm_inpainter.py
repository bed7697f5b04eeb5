"""DepthFM as depth inpainter and prior: any mask, exact known depth, by name on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scene_depth.depth.depthfm import DepthFMInpainter, DepthFMModel
from scene_depth.depth.depthfm.encoding import ConditionEncoding
from scene_depth.depth.depthfm.inference import predict_log_depth
from scene_depth.depth.depthfm.network import completion_model
from scene_depth.depth.masks import half_image, random_share
from scene_depth.depth.monocular import load_monocular_model
from scene_depth.depth.prior import predict
from scene_depth.depth.protocol import DepthInpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
SMALL = {"num_inference_steps": 1, "ensemble_size": 2, "processing_resolution": 64, "device": "cpu"}
SHAPE = (48, 70)
MASKS = {
    "hole": np.pad(np.zeros((22, 30), dtype=bool), ((12, 14), (20, 20)), constant_values=True),
    "half": half_image(SHAPE, 0, side="left"),
    "points": random_share(SHAPE, 0, 0.02),
    "one pixel": np.eye(1, SHAPE[0] * SHAPE[1], 1234, dtype=bool).reshape(SHAPE),
    "all but one": ~np.eye(1, SHAPE[0] * SHAPE[1], 1234, dtype=bool).reshape(SHAPE),
}


@pytest.fixture(scope="session")
def completion_weights(model, tmp_path_factory):
    """A completion model whose added channels have some effect."""
    widened = completion_model(model, ConditionEncoding(distance_scale=8.0))
    with torch.no_grad():
        kernel = widened.unet.conv_in.weight
        kernel[:, 8:] = 0.1 * torch.randn(kernel[:, 8:].shape, generator=torch.Generator().manual_seed(2))
    folder = tmp_path_factory.mktemp("completion")
    widened.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def inpainters(tiny, completion_weights):
    return {
        "depth": DepthFMInpainter(tiny.checkpoint, **SMALL),
        "completion": DepthFMInpainter(completion_weights, **SMALL),
    }


@pytest.mark.parametrize("kind", ["depth", "completion"])
@pytest.mark.parametrize("mask", MASKS)
def test_any_mask_keeps_known_depth(kind, mask, inpainters, view):
    rgb, _, _ = view
    known = MASKS[mask]
    depth = np.where(known, (3 + np.sin(np.arange(70) / 11) * np.ones((48, 1))), np.nan)
    found = inpainters[kind](rgb, depth, known, seed=1)
    assert isinstance(inpainters[kind], DepthInpainter)
    assert np.array_equal(found.depth[known], depth[known])
    assert np.isfinite(found.depth).all()
    assert (found.depth > 0).all()
    assert (found.uncertainty[known] == 0).all()
    assert np.isfinite(found.uncertainty).all()
    assert (found.uncertainty[~known] > 0).mean() > 0.9


def test_known_depth_reaches_the_completion_model(completion_weights, view):
    from scene_depth.depth.depthfm import load_depthfm

    rgb, depth, known = view
    model = load_depthfm(completion_weights, device="cpu")
    first = predict_log_depth(model, rgb, depth=depth, known=known, num_inference_steps=1, ensemble_size=1).values
    other = predict_log_depth(
        model, rgb, depth=depth[::-1].copy(), known=known[::-1], num_inference_steps=1, ensemble_size=1
    ).values
    assert np.abs(first - other).max() > 1e-3
    rescaled = predict_log_depth(model, rgb, depth=1000 * depth, known=known, num_inference_steps=1, ensemble_size=1).values
    np.testing.assert_allclose(rescaled, first, atol=1e-3)


def test_what_is_returned(inpainters, view):
    rgb, depth, known = view
    found = {kind: inpainters[kind](rgb, depth, known, seed=1) for kind in inpainters}
    assert found["depth"].details["model"]["back_end"] == "solver"
    assert found["completion"].details["model"]["back_end"] == "global"
    assert found["completion"].details["model"]["fit"]["space"] == "log"
    again = inpainters["depth"](rgb, depth, known, seed=1)
    other = inpainters["depth"](rgb, depth, known, seed=2)
    assert np.array_equal(found["depth"].depth, again.depth)
    assert not np.array_equal(found["depth"].depth, other.depth)
    for scale in (1e-3, 1e3):  # the unit does not matter
        scaled = inpainters["completion"](rgb, depth * scale, known, seed=1)
        np.testing.assert_allclose(scaled.depth, found["completion"].depth * scale, rtol=1e-3)


@pytest.mark.parametrize("back_end", ["solver", "local", "global"])
def test_back_ends(back_end, tiny, view):
    rgb, depth, known = view
    inpainter = load_depth_inpainter("depthfm", weights=str(tiny.checkpoint), back_end=back_end, **SMALL)
    found = inpainter(rgb, depth, known)
    assert found.details["model"]["back_end"] == back_end
    assert found.details["parameters"]["back_end"] == back_end
    assert np.array_equal(found.depth[known], depth[known])
    assert found.uncertainty is not None


def test_a_single_member_has_an_uncertainty_too(tiny, view):
    rgb, depth, known = view
    for back_end in ("solver", "global"):
        inpainter = DepthFMInpainter(tiny.checkpoint, back_end=back_end, **(SMALL | {"ensemble_size": 1}))
        assert (inpainter(rgb, depth, known).uncertainty[~known] > 0).all()


def test_an_oracle_in_place_of_the_network_completes_perfectly(inpainters, view, monkeypatch):
    """Everything around the network: what is predicted right up to scale and shift of log depth comes out right."""
    from scene_depth.depth.depthfm import inpainter as module
    from scene_depth.depth.depthfm.inference import LogDepth

    rgb, depth, known = view
    truth = rgb[..., 0] * 6
    values = ((np.log(truth) - 1) / 2).astype(np.float32)
    spread = np.where(np.arange(70) < 35, 0.01, 0.05) * np.ones(SHAPE)
    monkeypatch.setattr(module, "predict_log_depth", lambda *_, **__: LogDepth(values, spread.astype(np.float32), SHAPE))
    for kind, inpainter in inpainters.items():
        found = inpainter(rgb, depth, known)
        np.testing.assert_allclose(found.depth, truth, rtol=3e-3)
        if kind == "completion":
            np.testing.assert_allclose(found.uncertainty[~known], (2 * spread)[~known], rtol=0.02)


def test_frames_of_a_video_fit_together(tiny, view, monkeypatch):
    """The one known pixel of a second frame says nothing about the scale of log depth; the frame before does."""
    from scene_depth.depth.depthfm import inpainter as module
    from scene_depth.depth.depthfm.inference import LogDepth

    rgb, depth, known = view
    truth = rgb[..., 0] * 6
    predictions = iter([(1.0, 0.0), (2.0, 1.0)] * 2)

    def trembling(*_, **__):
        scale, shift = next(predictions)
        return LogDepth(((np.log(truth) - shift) / scale).astype(np.float32), None, SHAPE)

    monkeypatch.setattr(module, "predict_log_depth", trembling)
    one = np.zeros(SHAPE, dtype=bool)
    one[5, 5] = True
    errors = {}
    for video in (True, False):
        inpainter = DepthFMInpainter(tiny.checkpoint, video=video, back_end="global", **SMALL)
        inpainter(rgb, depth, known)
        found = inpainter(rgb, np.where(one, truth, 0).astype(np.float32), one)
        errors[video] = float(np.abs(found.depth / truth - 1).max())
    assert errors[True] < 0.01
    assert errors[False] > 0.1
    again = DepthFMInpainter(tiny.checkpoint, video=True, **SMALL)
    predictions = iter([(1.0, 0.0), (2.0, 1.0)])
    assert "flicker" not in again(rgb, depth, known).details["model"]
    assert again(rgb, depth, known).details["model"]["flicker"] < 1e-3


def test_bad_input_is_named(inpainters, view):
    rgb, depth, known = view
    for inpainter in inpainters.values():
        with pytest.raises(InputError, match="no pixel with known depth"):
            inpainter(rgb, depth, np.zeros_like(known))
        with pytest.raises(InputError, match="no pixel with known depth"):
            inpainter(rgb, np.full_like(depth, -1), known)
        with pytest.raises(InputError, match="rgb is None"):
            inpainter(None, depth, known)
        with pytest.raises(InputError, match="the size of the depth"):
            inpainter(rgb[:-1], depth, known)
        for picture in (rgb[..., 0], np.concatenate([rgb, rgb[..., :1]], axis=-1)):
            with pytest.raises(InputError, match="rgb: shape"):
                inpainter(picture, depth, known)


def test_input_at_the_edges(inpainters, view):
    rgb, depth, known = view
    thin, row = np.full((3, 200), 2.0), np.arange(200) < 150
    one = np.zeros_like(known)
    one[5, 7] = True
    for inpainter in inpainters.values():
        anchored = inpainter(rgb, np.where(one, 2.0, 0), one)
        assert anchored.depth[5, 7] == 2
        assert np.isfinite(anchored.depth).all()
        found = inpainter(np.zeros((3, 200, 3)), thin * np.linspace(1, 1.1, 200), np.broadcast_to(row, thin.shape))
        assert np.isfinite(found.depth).all()
        for bad_depth, bad_known, message in (
            (np.where(known, depth, 1), np.ones_like(known), "every pixel"),
            (np.where(known, 2.0, 0), known, "all at 2"),
            (np.where(known, depth, -1), known, "negative"),
            (np.where(known, depth, np.nan), np.ones_like(known), "marked known that are NaN"),
        ):
            with pytest.raises(InputError, match=message):
                inpainter(rgb, bad_depth, bad_known)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps is 0"),
        ({"ensemble_size": 0}, "ensemble_size is 0"),
        ({"processing_resolution": -1}, "processing_resolution is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"back_end": "magic"}, "back_end is 'magic'"),
        ({"weights": "missing.ckpt"}, "no such file or folder"),
        ({"strength": 1}, "options of depthfm: .*strength"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        load_depth_inpainter("depthfm", **options)


def test_as_a_prior(tiny, completion_weights, view):
    rgb, _, _ = view
    model = load_monocular_model(f"depthfm:{tiny.checkpoint}", **SMALL)
    assert isinstance(model, DepthFMModel)
    first, again, other = predict(model, rgb, 1), predict(model, rgb, 1), predict(model, rgb, 2)
    assert first.space == "log"
    assert first.values.shape == first.uncertainty.shape == SHAPE
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    with pytest.raises(InputError, match="a completion model"):
        load_monocular_model(f"depthfm:{completion_weights}")


@pytest.fixture
def files(view, tmp_path):
    rgb, depth, _ = view
    Image.fromarray(np.rint(255 * rgb).astype(np.uint8)).save(tmp_path / "rgb.png")
    np.save(tmp_path / "depth.npy", depth)
    return tmp_path


def test_complete_by_name(files, tiny, view):
    from scene_depth.cli.complete import Complete
    from scene_depth.depth.completion import CompletionSettings

    _, depth, known = view
    options = (f"weights={tiny.checkpoint}", "num_inference_steps=1", "ensemble_size=2", "processing_resolution=64")
    settings = CompletionSettings(inpainter="depthfm")
    report = Complete(files / "rgb.png", files / "depth.npy", files / "out", settings=settings, inpainter_options=options).run()
    completed = np.load(files / "out" / "depth" / "depth.npy")
    assert np.array_equal(completed[known], depth[known])
    assert (completed > 0).all()
    assert report.frames[0].details["model"]["back_end"] == "solver"
    settings = CompletionSettings(prior=f"depthfm:{tiny.checkpoint}")
    prior = Complete(files / "rgb.png", files / "depth.npy", files / "prior", settings=settings).run()
    assert prior.frames[0].details["model"]["prior_fit"]["space"] == "log"


def test_heal_by_name(tiny, tmp_path):
    from scene_depth_heal import HealConfig
    from scene_depth_heal.cli import Inpainters, Output, heal
    from scene_depth_heal.inputs import SceneSource
    from scene_depth_heal.selection import SelectionSource

    options = (f"weights={tiny.checkpoint}", "num_inference_steps=1", "processing_resolution=64")
    vase, small = SelectionSource(sphere="0 0 0.9 0.2"), HealConfig(steps=2, most_references=1)
    scene, inpainters = SceneSource(max_size=48), Inpainters("depthfm", options)
    heal(ROOT / "scenes/table", Output(tmp_path / "out"), vase, scene, inpainters, small)
    assert "depthfm" in (tmp_path / "out/report.json").read_text()
    assert (tmp_path / "out/healed.ply").is_file()
