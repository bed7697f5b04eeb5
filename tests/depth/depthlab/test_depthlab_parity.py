"""Against outputs of the official code: every case of the parity data, whatever is there."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from scene_depth.depth.depthlab import DepthLabInpainter, DepthLabModel
from scene_depth.depth.depthlab.conditioning import clip_crop, clip_input, image_context
from scene_depth.depth.depthlab.networks import predict_v, reference_features
from scene_depth.depth.depthlab.prediction import predict
from scene_depth.depth.depthlab.preparation import DepthRange, Preparation, fill_nearest, prepare, processing_size, restore
from scene_depth.depth.depthlab.sampler import Conditions, Sampling, sample
from scene_depth.depth.depthlab.schedule import time_steps
from scene_depth.depth.latent.vae import decode, encode

ROOT = Path(os.environ.get("SCENE_DEPTH_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "parity" / "depthlab"
CASES = sorted(path.parent for path in ROOT.rglob("case.json")) if ROOT.is_dir() else []

# Of the data's description.
LATENTS, STEPS, FINAL, DEPTH = 1e-5, 2e-5, 1e-4, 2e-4

pytestmark = pytest.mark.skipif(not CASES, reason=f"no parity data in {ROOT}; set SCENE_DEPTH_SHARED to a folder that has it")
each_case = pytest.mark.parametrize("folder", CASES, ids=lambda path: path.relative_to(ROOT).as_posix())


@cache
def loaded(root: Path) -> DepthLabModel:
    return DepthLabModel.from_pretrained(root / "checkpoints", device="cpu", dtype="fp32").with_empty_text()


class Case:
    def __init__(self, folder: Path):
        from safetensors.torch import load_file

        self.options = json.loads((folder / "case.json").read_text())
        self.tensors = load_file(folder / "expected.safetensors")
        self.rgb = np.array(Image.open(folder / "rgb.png").convert("RGB"))
        self.depth = np.load(folder / "known_depth.npy")
        self.known = np.load(folder / "mask.npy") == 0
        self.model = loaded(next(parent for parent in folder.parents if (parent / "checkpoints").is_dir()))
        self.context = self.tensors["encoder_hidden_states"]

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    @property
    def start_at_input_size(self) -> np.ndarray:
        return self.tensors.get("depth_filled_nearest", self.tensors.get("depth_given")).numpy()

    @property
    def noise(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self["noise"], self.tensors.get("init_noise", self["noise"])

    def sampling(self, half: bool = True) -> Sampling:
        chosen = self.options
        return Sampling(
            chosen["denoise_steps"], "leading", chosen["strength"], chosen["guidance_scale"], chosen["blend"], half_features=half
        )

    def prepared(self, start: np.ndarray | None):
        options = Preparation(self.options["processing_res"], self.options["normalize_scale"], official=True)
        return prepare(self.rgb / np.float32(255), self.depth, self.known, start, options, 8)

    def conditions(self) -> Conditions:
        holes = F.interpolate(self["mask_processed"].float(), size=self.options["latent_hw"], mode="nearest")
        names = ("rgb_latent", "mask_latent", "masked_depth_latent", "depth_latent")
        return Conditions(*(self[name] for name in names), holes, self.context[1:], self.context[:1])


def difference(found, expected) -> float:
    assert tuple(found.shape) == tuple(expected.shape)
    return float((torch.as_tensor(found) - torch.as_tensor(expected)).abs().max())


@each_case
def test_fills_and_normalisation_from_the_raw_input(folder):
    case = Case(folder)
    height, width = case.known.shape
    assert list(processing_size(height, width, case.options["processing_res"], enlarge=True)) == case.options["processed_hw"]
    if not case.options["refine"]:
        assert difference(fill_nearest(case.depth, case.known, official=True), case["depth_filled_nearest"]) <= LATENTS
    view = case.prepared(case.depth if case.options["refine"] else None)
    assert difference(view.mask, case["mask_processed"]) == 0
    assert abs(view.depth_range.lowest - float(case["known_min"])) <= LATENTS
    assert abs(view.depth_range.highest - float(case["known_max"])) <= LATENTS
    assert difference(view.masked_depth, case["masked_depth_filled"]) <= LATENTS
    if "depth_norm" in case.tensors:
        assert difference(view.start, case["depth_norm"]) <= LATENTS
    if "rgb_processed" in case.tensors:  # versions of Pillow differ by one grey level
        assert difference((view.rgb + 1) * 127.5, case["rgb_processed"].permute(2, 0, 1)[None].float()) <= 1.001


@each_case
def test_encodings_of_stored_maps(folder):
    case = Case(folder)
    view = case.prepared(case.start_at_input_size)
    rgb = case.tensors.get("rgb_processed", torch.from_numpy(case.rgb)).permute(2, 0, 1)[None] / 255 * 2 - 1
    depth_range = DepthRange(float(case["known_min"]), float(case["known_max"]), case.options["normalize_scale"])
    processed = case.tensors.get("depth_processed", torch.from_numpy(case.start_at_input_size)[None, None])
    start = torch.from_numpy(depth_range.normalized(processed.numpy()))
    with torch.no_grad():
        assert difference(encode(case.model.vae, rgb), case["rgb_latent"]) <= LATENTS
        assert difference(encode(case.model.vae, 2 * case["mask_processed"].float() - 1), case["mask_latent"]) <= LATENTS
        assert difference(encode(case.model.vae, case["masked_depth_filled"]), case["masked_depth_latent"]) <= LATENTS
        assert difference(encode(case.model.vae, start), case["depth_latent"]) <= LATENTS
        assert difference(encode(case.model.vae, view.start), case["depth_latent"]) <= 2 * LATENTS


@each_case
def test_the_semantic_condition(folder):
    case = Case(folder)
    with torch.no_grad():
        assert difference(image_context(case.model.image_encoder, case.model.mapping, [case.rgb]), case.context[1:]) <= LATENTS
        assert difference(case.model.unconditional(), case.context[:1]) <= LATENTS
        crop = case.tensors.get("clip_crop_uint8")
        if crop is not None:
            assert difference(clip_crop(case.rgb).astype(np.int32), crop.int()) <= 1
            embedding = case.model.image_encoder(clip_input(crop.numpy())).image_embeds
            assert difference(embedding, case["clip_image_embeds"]) <= LATENTS


@each_case
def test_the_reference_pass_and_one_evaluation(folder):
    """With both rows, as the official code runs them."""
    case = Case(folder)
    reference = case.model.networks.reference
    rows = torch.cat([case["rgb_latent"]] * 2)
    with torch.no_grad():
        bank = reference_features(reference, rows, case.context)
        for name in (key for key in case.tensors if key.startswith("bank.")):
            assert difference(bank.features[name.removeprefix("bank.")], case[name]) <= STEPS
        output = reference(rows, 0, encoder_hidden_states=case.context).sample
        assert difference(output, case["reference_output"]) <= STEPS
        bank = reference_features(reference, case["rgb_latent"], case.context[1:])
        bank.plain_rows = 1
        step = case.options["timesteps"][0]
        output = predict_v(case.model.networks.estimation, case["step0_unet_input"], step, case.context, bank)
        assert difference(output, case["bank32.step0_unet_output"]) <= STEPS


@each_case
@pytest.mark.parametrize("half", [True, False], ids=["fp16 features", "fp32 features"])
def test_every_step_from_stored_latents(folder, half):
    case = Case(folder)
    seen = []
    schedule = case.model.schedule
    with torch.no_grad():
        latents = sample(case.model.networks, schedule, case.conditions(), *case.noise, case.sampling(half), seen.append)
        assert difference(latents, case["final_latent" if half else "bank32.final_latent"]) <= FINAL
        assert difference(decode(case.model.vae, case["final_latent"]), case["decoded_depth"]) <= STEPS
    assert [one.step for one in seen] == case.options["timesteps"]
    steps = time_steps(schedule, case.options["denoise_steps"], "leading", case.options["strength"])
    assert [step for step, _ in steps] == case.options["timesteps"]
    assert difference(seen[0].inputs, case["step0_unet_input"][1:]) <= LATENTS
    if not half:
        assert difference(seen[0].output[-1:], case["bank32.step0_unet_output"][1:]) <= STEPS
        return
    for one in seen:
        error = (one.output[-1:] - case[f"step{one.index}_unet_output"][1:]).abs()
        # Features that lie between two fp16 numbers may round to either, by the last bit of fp32; few do.
        assert float(error.quantile(0.99)) <= STEPS
        assert float(error.max()) <= FINAL
        if f"step{one.index + 1}_latent_in" in case.tensors:
            assert difference(one.latents, case[f"step{one.index + 1}_latent_in"]) <= STEPS
    if case.options["guidance_scale"] != 1:
        assert difference(seen[0].output[:1], case["step0_unet_output"][:1]) <= STEPS


@each_case
@pytest.mark.parametrize("stored", [False, True], ids=["raw", "filled"])
def test_depth_from_input_to_end(folder, stored):
    case = Case(folder)
    start = case.start_at_input_size if stored or case.options["refine"] else None
    view = case.prepared(start)
    maps = predict(case.model, [view], [case.noise], case.sampling())[0]
    assert difference(restore(maps, view, official=True)[0].clamp(min=0), case["depth_np"]) <= DEPTH


@each_case
def test_the_inpainter_in_official_mode(folder, monkeypatch):
    """The same through the public class, with the stored noise in place of the drawn."""
    case = Case(folder)
    monkeypatch.setattr("scene_depth.depth.depthlab.inpainter.draw_noise", lambda view, members, seed: case.noise)
    chosen = case.options
    inpainter = DepthLabInpainter(
        model=case.model,
        num_inference_steps=chosen["denoise_steps"],
        processing_resolution=chosen["processing_res"],
        strength=chosen["strength"],
        guidance_scale=chosen["guidance_scale"],
        normalize_scale=chosen["normalize_scale"],
        blend=chosen["blend"],
        start=case.depth if chosen["refine"] else "nearest",
        known_depth="official",
        official=True,
    )
    found = inpainter(case.rgb, case.depth, case.known)
    assert difference(found.depth, case["depth_np"]) <= DEPTH
    assert not np.array_equal(found.depth[case.known], case.depth[case.known])
