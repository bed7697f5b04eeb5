"""Weights: found or said to be missing, loaded strictly, saved, converted."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from depthlab_samples import a_view, write_json

from scene_depth.cli.app import main
from scene_depth.depth.depthlab import DepthLabInpainter, DepthLabModel
from scene_depth.depth.depthlab.weights import find_depthlab
from scene_depth.depth.latent.sources import VARIABLE, HubFile, HubModel, is_hub_id, locate, wanted
from scene_depth.depth.latent.state_dicts import load_strictly, read_state_dict, with_current_names, write_state_dict
from scene_depth.depth.latent.vae import decode, encode, load_vae
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.io.torch_files import write_torch


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working folder without weights, with an empty hub cache, out of reach of the hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


@pytest.fixture
def copy(official, tmp_path):
    """Official weights that a test may change."""
    return shutil.copytree(official, tmp_path / "checkpoints")


def change(path, edit) -> None:
    state = torch.load(path, weights_only=True)
    edit(state)
    torch.save(state, path)


def test_missing_weights_are_named_with_ids_and_sizes(elsewhere):
    with pytest.raises(InputError) as caught:
        load_depth_inpainter("depthlab")
    said = str(caught.value)
    for part in ("Johanan0528/DepthLab", "3.5 GB", "prs-eth/marigold-depth-v1-0", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"):
        assert part in said
    assert VARIABLE in said
    assert "text_encoder" not in said


def test_a_hub_id_out_of_reach_is_one_error(elsewhere):
    with pytest.raises(InputError, match=r"someone/else could not be fetched"):
        DepthLabInpainter(weights="someone/else")


def test_fetching_asks_the_hub_and_says_what_is_out_of_reach(elsewhere, capsys):
    assert main(["weights", "fetch", "depthlab"]) == 2
    assert "weights Johanan0528/DepthLab could not be fetched" in capsys.readouterr().err


def test_weights_are_found_by_the_usual_folders_and_by_the_variable(elsewhere, official, monkeypatch):
    (elsewhere / "checkpoints").symlink_to(official)
    assert find_depthlab().estimation.samefile(official / "DepthLab/denoising_unet.pth")
    (elsewhere / "checkpoints").unlink()
    monkeypatch.setenv(VARIABLE, str(official))
    assert find_depthlab().vae.samefile(official / "marigold-depth-v1-0/vae")
    monkeypatch.delenv(VARIABLE)
    assert find_depthlab(official / "DepthLab").image_encoder.is_dir()  # the other folders lie beside it


def test_a_snapshot_in_the_cache_of_the_hub_is_found(elsewhere):
    model = HubModel("someone/model", (HubFile(("weights.pth", "weights.safetensors"), "1 GB"),))
    snapshot = elsewhere / "cache/models--someone--model/snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("abc")
    with pytest.raises(InputError, match=r"weights\.pth \(1 GB\)"):
        locate([wanted(model)])
    (snapshot / "weights.safetensors").touch()
    assert locate([wanted(model)]) == [snapshot]


def test_a_named_folder_is_not_mixed_with_others(elsewhere, official):
    (elsewhere / "checkpoints").symlink_to(official)
    (elsewhere / "empty").mkdir()
    with pytest.raises(InputError, match=r"denoising_unet\.pth"):
        DepthLabInpainter(weights=elsewhere / "empty")
    with pytest.raises(InputError, match="no such folder"):
        DepthLabInpainter(weights="./not-there")
    assert not is_hub_id("./not-there")
    assert is_hub_id("Johanan0528/DepthLab")


@pytest.mark.parametrize("what", ["missing", "extra", "shape"])
def test_wrong_tensors_are_named(copy, what):
    path = copy / "DepthLab/denoising_unet.pth"

    def edit(state):
        if what == "missing":
            del state["conv_out.bias"]
        elif what == "extra":
            state["unheard_of"] = torch.zeros(1)
        else:
            state["conv_in.weight"] = state["conv_in.weight"][:, :8]

    change(path, edit)
    named = {
        "missing": "conv_out.bias",
        "extra": "unheard_of",
        "shape": r"conv_in.weight \(8, 8, 3, 3\) instead of \(8, 12, 3, 3\)",
    }
    with pytest.raises(InputError, match=named[what]) as caught:
        DepthLabModel.from_pretrained(copy, device="cpu")
    assert caught.value.file == path


def test_weights_of_another_architecture_are_one_error(copy):
    torch.save(torch.nn.Linear(3, 3).state_dict(), copy / "DepthLab/reference_unet.pth")
    with pytest.raises(InputError, match=r"reference UNet: .* tensors missing: conv_in"):
        DepthLabModel.from_pretrained(copy, device="cpu")
    write_json(copy / "marigold-depth-v1-0/unet/config.json", {"_class_name": "SD3Transformer2DModel"})
    with pytest.raises(InputError, match="UNet configuration: SD3Transformer2DModel"):
        DepthLabModel.from_pretrained(copy, device="cpu")


def test_an_image_encoder_without_its_projection_is_refused(copy):
    path = copy / "CLIP-ViT-H-14-laion2B-s32B-b79K/model.safetensors"
    state = read_state_dict(path)
    write_state_dict(path, {key: value for key, value in state.items() if "visual_projection" not in key})
    with pytest.raises(InputError, match="visual_projection"):
        DepthLabModel.from_pretrained(copy, device="cpu")


def test_another_sampler_is_refused(copy):
    path = copy / "marigold-depth-v1-0/scheduler/scheduler_config.json"
    write_json(path, json.loads(path.read_text()) | {"prediction_type": "epsilon"})
    with pytest.raises(InputError, match="prediction_type"):
        DepthLabModel.from_pretrained(copy, device="cpu")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Runs:
        def __reduce__(self):
            return print, ("ran",)

    torch.save({"weight": Runs()}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match="unreadable"):
        read_state_dict(tmp_path / "bad.pth")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_weights_that_were_altered_or_cut_are_refused_by_name(tmp_path, name):
    path, state = tmp_path / name, {"a": torch.arange(64.0), "b": torch.tensor(2.0), "c": torch.zeros(3, dtype=torch.bfloat16)}
    (write_state_dict if path.suffix == ".safetensors" else write_torch)(path, state)
    assert all(torch.equal(state[key], value) for key, value in read_state_dict(path).items())
    whole = path.read_bytes()
    place = whole.index(state["a"].numpy().tobytes())
    altered = whole[: place + 7] + bytes([whole[place + 7] ^ 1]) + whole[place + 8 :]
    for content in (altered, whole[:-1], whole[: place + 7], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: .*(check sum|unreadable)"):
            read_state_dict(path)


def test_stored_halves_become_what_is_asked_for(tmp_path):
    layer = torch.nn.Linear(3, 2)
    write_state_dict(tmp_path / "half.safetensors", layer.state_dict(), torch.float16)
    state = read_state_dict(tmp_path / "half.safetensors")
    assert state["weight"].dtype == torch.float16
    other = torch.nn.Linear(3, 2, device="meta")
    load_strictly(other, state, name="layer")
    assert other.weight.dtype == torch.float32
    assert torch.equal(other.weight, layer.weight.half().float())


def test_old_names_of_the_attention_in_a_vae_are_understood(official, tmp_path):
    folder = shutil.copytree(official / "marigold-depth-v1-0/vae", tmp_path / "vae")
    new_to_old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = read_state_dict(folder / "diffusion_pytorch_model.safetensors")
    old = {}
    for key, value in state.items():
        for new, name in new_to_old.items():
            if f".attentions.0.{new}." in key:
                key = key.replace(new, name)
                value = value[..., None, None] if key.endswith("weight") else value
        old[key] = value
    assert old.keys() != state.keys()
    assert with_current_names(old).keys() == state.keys()
    torch.save(old, folder / "diffusion_pytorch_model.bin")
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    picture = torch.rand(1, 1, 16, 24) * 2 - 1
    before, after = load_vae(official / "marigold-depth-v1-0/vae"), load_vae(folder)
    with torch.no_grad():
        assert torch.equal(encode(before, picture), encode(after, picture))
        latents = encode(before, picture)
        assert decode(before, latents).shape == picture.shape


def test_saved_weights_predict_the_same_without_the_text_encoder(official, model, tmp_path):
    view = a_view()
    model.save_pretrained(tmp_path / "saved")
    loaded = DepthLabModel.from_pretrained(tmp_path / "saved", device="cpu")
    for guidance in (1.0, 2.0):
        options = {"num_inference_steps": 2, "guidance_scale": guidance}
        first = DepthLabInpainter(model=model, **options)(*view).depth
        assert np.allclose(first, DepthLabInpainter(model=loaded, **options)(*view).depth, atol=1e-5)
    for name in ("estimation", "reference"):
        before, after = (getattr(one.networks, name).state_dict() for one in (model, loaded))
        assert all(torch.equal(before[key], after[key]) for key in before)
    with pytest.raises(InputError, match="a folder with files in it"):
        model.save_pretrained(tmp_path / "saved")


def test_the_command_converts_to_a_folder_that_is_found(elsewhere, official, capsys):
    assert main(["weights", "convert", "depthlab", str(official), "checkpoints/depthlab-safetensors", "--dtype", "fp16"]) == 0
    assert "files" in capsys.readouterr().out
    size = sum(path.stat().st_size for path in (elsewhere / "checkpoints/depthlab-safetensors").glob("*unet.safetensors"))
    assert size < 0.6 * sum(path.stat().st_size for path in (official / "DepthLab").glob("*unet.pth"))
    assert main(["weights", "find", "depthlab"]) == 0
    assert "denoising_unet.safetensors" in capsys.readouterr().out
    assert DepthLabInpainter(num_inference_steps=1, strength=1)(*a_view()).depth.shape == (72, 96)
    assert main(["weights", "convert", "depthlab", str(official), "checkpoints/depthlab-safetensors"]) == 2
    assert main(["weights", "find", "depthlab", "--source", "nowhere"]) == 2
