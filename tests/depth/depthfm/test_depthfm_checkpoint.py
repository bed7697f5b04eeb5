"""Weights of DepthFM: what is read, what is refused, and what is said about it."""

from __future__ import annotations

import os
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from benchmarks.depthfm import HPARAMS
from scene_depth.depth.depthfm import DepthFM, load_depthfm
from scene_depth.depth.depthfm.checkpoint import read_official
from scene_depth.depth.depthfm.inference import sample
from scene_depth.depth.depthfm.ldm import ldm_names, unet_config
from scene_depth.depth.depthfm.network import COMPLETION_CHANNELS, completion_model, convert, fetch, found_parts
from scene_depth.depth.latent.sources import VARIABLE
from scene_depth.errors import InputError

IMAGE = torch.linspace(-1, 1, 3 * 64 * 128).reshape(1, 3, 64, 128)
SD_2_1 = {**HPARAMS, "legacy": False}


def meta_unet(config):
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel.from_config(config)


@pytest.mark.parametrize("hparams", ["tiny", "full"])
def test_names_agree_with_the_converter_of_diffusers(hparams, tiny):
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    config = unet_config(tiny.content["ldm_hparams"] if hparams == "tiny" else SD_2_1)
    names = ldm_names(meta_unet(config).state_dict())
    assert len(set(names.values())) == len(names)
    under_their_own_name = {f"model.diffusion_model.{ldm}": ldm for ldm in names.values()}
    assert convert_ldm_unet_checkpoint(under_their_own_name, config) == names


def test_the_full_size_is_that_of_stable_diffusion_2():
    unet = meta_unet(unet_config(SD_2_1))
    assert len(unet.state_dict()) == 686
    assert sum(value.numel() for value in unet.state_dict().values()) == 865_933_764 - 320 * 9 * (12 - 8)
    assert unet.config.attention_head_dim == [5, 10, 20, 20]


def saved(content, tmp_path, name="changed.ckpt"):
    torch.save(content, tmp_path / name)
    return tmp_path / name


def test_numpy_arrays_and_numbers_are_read(tiny, tmp_path):
    text = tiny.content["empty_text_embedding"]
    path = saved(tiny.content | {"empty_text_embedding": text.numpy(), "noising_step": np.int64(300)}, tmp_path)
    weights = read_official(path)
    assert torch.equal(weights.text, text)
    assert weights.noising_step == 300


def omegaconf_like(monkeypatch):
    """Classes of the names and with the state that OmegaConf pickles; gone again when the file is read."""
    made = {}
    for module, names in {"dictconfig": ["DictConfig"], "listconfig": ["ListConfig"], "nodes": ["AnyNode"]}.items():
        part = ModuleType(f"omegaconf.{module}")
        for name in names:
            made[name] = type(name, (), {"__module__": part.__name__})
            setattr(part, name, made[name])
        monkeypatch.setitem(sys.modules, part.__name__, part)
    monkeypatch.setitem(sys.modules, "omegaconf", ModuleType("omegaconf"))

    def wrap(value, parent=None):
        kind = "DictConfig" if isinstance(value, dict) else "ListConfig" if isinstance(value, list) else "AnyNode"
        node = made[kind]()
        node._parent = parent
        if kind == "DictConfig":
            node._content = {key: wrap(one, node) for key, one in value.items()}
        elif kind == "ListConfig":
            node._content = [wrap(one, node) for one in value]
        else:
            node._val = value
        return node

    return wrap


def test_settings_of_omegaconf_are_read_without_it(tiny, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        path = saved(tiny.content | {"ldm_hparams": omegaconf_like(patch)(tiny.content["ldm_hparams"])}, tmp_path)
        if "omegaconf" in sys.modules:
            assert not hasattr(sys.modules["omegaconf"], "OmegaConf")
    assert read_official(path).config == unet_config(tiny.content["ldm_hparams"])


def test_settings_of_the_real_omegaconf_are_read(tiny, tmp_path):
    omegaconf = pytest.importorskip("omegaconf", reason="omegaconf is not installed; make test installs it")
    path = saved(tiny.content | {"ldm_hparams": omegaconf.OmegaConf.create(tiny.content["ldm_hparams"])}, tmp_path)
    assert read_official(path).config == unet_config(tiny.content["ldm_hparams"])


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class Evaluated(Malicious):
    def __reduce__(self):
        return eval, (f"__import__('os').mkdir({str(self.path)!r})",)


@pytest.mark.parametrize("kind", [Malicious, Evaluated])
@pytest.mark.parametrize("place", ["noising_step", "ldm_hparams", "other"])
def test_files_that_would_run_code_are_refused(kind, place, tiny, tmp_path):
    path = saved(tiny.content | {place: kind(tmp_path / "ran")}, tmp_path)
    with pytest.raises(InputError, match=r"could run code: .*(mkdir|eval)"):
        load_depthfm(path, tiny.vae)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)  # the file does what it is meant to, where it is let
    assert (tmp_path / "ran").is_dir()


def test_bare_pickles_are_refused(tiny, tmp_path):
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps(tiny.content | {"other": Malicious(tmp_path / "ran")}))
    with pytest.raises(InputError, match=r"bare\.ckpt: weights: unreadable"):
        load_depthfm(tmp_path / "bare.ckpt", tiny.vae)
    assert not (tmp_path / "ran").exists()


def test_what_is_missing_or_too_much_is_named(tiny, tmp_path):
    state = dict(tiny.content["state_dict"])
    state["surplus.weight"] = state.pop("input_blocks.1.0.in_layers.2.weight")
    with pytest.raises(InputError, match=r"1 tensors missing: input_blocks\.1\.0\.in_layers\.2\.weight; .*surplus\.weight"):
        load_depthfm(saved(tiny.content | {"state_dict": state}, tmp_path), tiny.vae)
    state = tiny.content["state_dict"] | {"out.2.weight": torch.zeros(4, 16, 3, 3)}
    with pytest.raises(InputError, match=r"of another shape: conv_out\.weight"):
        load_depthfm(saved(tiny.content | {"state_dict": state}, tmp_path), tiny.vae)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state_dict": None}, "without state_dict"),
        ({"noising_step": 1001}, "noising_step is 1001"),
        ({"noising_step": "400"}, "noising_step is '400'"),
        ({"empty_text_embedding": torch.zeros(1, 7, 5)}, "empty_text_embedding: shape"),
        ({"empty_text_embedding": torch.full((1, 7, 12), float("nan"))}, "not finite"),
        ({"ldm_hparams": 3}, "ldm_hparams: int"),
        ({"ldm_hparams": {"in_channels": 8}}, "ldm_hparams: no out_channels"),
    ],
)
def test_wrong_fields_are_named(change, message, tiny, tmp_path):
    content = {name: value for name, value in (tiny.content | change).items() if value is not None}
    with pytest.raises(InputError, match=message):
        load_depthfm(saved(content, tmp_path), tiny.vae)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_channels": 4}, "4 channels in, 4 out; expected 8"),
        ({"use_scale_shift_norm": True}, "use_scale_shift_norm is True"),
        ({"num_classes": 10}, "num_classes"),
        ({"num_head_channels": -1}, "num_heads"),
        ({"spatial_magic": 1}, "spatial_magic"),
    ],
)
def test_other_architectures_are_named(change, message, tiny, tmp_path):
    content = dict(tiny.content, ldm_hparams=tiny.content["ldm_hparams"] | change)
    if "in_channels" in change:
        content["state_dict"] = tiny.content["state_dict"] | {"input_blocks.0.0.weight": torch.zeros(32, 4, 3, 3)}
    with pytest.raises(InputError, match=message):
        load_depthfm(saved(content, tmp_path), tiny.vae)


def test_checkpoints_of_other_models_are_named(tiny, tmp_path):
    stable_diffusion = {"state_dict": {"model.diffusion_model.out.2.bias": torch.zeros(4)}, "global_step": 1}
    with pytest.raises(InputError, match=r"without noising_step, .*; expected a checkpoint of DepthFM"):
        load_depthfm(saved(stable_diffusion, tmp_path), tiny.vae)
    with pytest.raises(InputError, match=r"conv_in\.weight.*without"):
        load_depthfm(saved({"conv_in.weight": torch.zeros(320, 12, 3, 3)}, tmp_path), tiny.vae)


def test_missing_files_are_named(tiny, tmp_path):
    with pytest.raises(InputError, match=r"no depthfm-v1\.ckpt .*weights fetch depthfm"):
        load_depthfm()
    with pytest.raises(InputError, match="no such file or folder"):
        load_depthfm(tmp_path / "nothing.ckpt")
    os.symlink(tiny.checkpoint, tmp_path / "depthfm-v1.ckpt")
    with pytest.raises(InputError, match="stable-diffusion-v1-5"):  # no vae beside it
        load_depthfm(tmp_path / "depthfm-v1.ckpt")
    with pytest.raises(InputError, match="attention is 'fast'"):
        load_depthfm(tiny.checkpoint, attention="fast")
    with pytest.raises(InputError, match="dtype"):
        load_depthfm(tiny.checkpoint, dtype="int8")


def test_fetching_takes_the_official_file_once(tiny, tmp_path, monkeypatch):
    asked = []

    def download(address, path):
        asked.append(address)
        if len(asked) == 1:
            raise OSError("no route")
        os.symlink(tiny.checkpoint, path)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    os.makedirs("checkpoints")
    os.symlink(tiny.vae, "checkpoints/vae")  # where it is found without the hub
    with pytest.raises(InputError, match=r"depthfm-v1\.ckpt could not be fetched \(no route\)"):
        fetch()
    assert fetch() == fetch() == found_parts()
    assert len(asked) == 2
    assert asked[0].endswith("/depthfm-v1.ckpt")


def test_weights_are_found_among_the_checkpoints(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SCENE_DEPTH_CHECKPOINTS", str(tmp_path))
    os.symlink(tiny.checkpoint, tmp_path / "depthfm-v1.ckpt")
    (tmp_path / "stable-diffusion-v1-5").mkdir()
    os.symlink(tiny.vae, tmp_path / "stable-diffusion-v1-5" / "vae")
    assert load_depthfm(device="cpu").noising_step == 400
    convert(None, tmp_path / "depthfm")  # what was converted is preferred
    assert found_parts() == {"depthfm": tmp_path / "depthfm", "vae": tmp_path / "depthfm" / "vae"}


def output(model):
    return sample(model, IMAGE, num_inference_steps=2, ensemble_size=2).log_depth


def test_saved_and_converted_weights_are_the_same(tiny, model, tmp_path):
    expected = output(model)
    model.save_pretrained(tmp_path / "saved")
    assert convert(tiny.checkpoint, tmp_path / "converted") == []
    for folder in ("saved", "converted"):
        assert not list((tmp_path / folder).rglob("*.ckpt"))
        assert torch.equal(output(DepthFM.from_pretrained(tmp_path / folder, device="cpu")), expected)
    convert(tmp_path / "saved", tmp_path / "half", "fp16")
    size = (tmp_path / "half/unet/diffusion_pytorch_model.safetensors").stat().st_size
    assert size < 0.55 * (tmp_path / "saved/unet/diffusion_pytorch_model.safetensors").stat().st_size
    torch.testing.assert_close(output(load_depthfm(tmp_path / "half", device="cpu")), expected, rtol=0, atol=0.05)
    assert found_parts(tmp_path / "half") == {"depthfm": tmp_path / "half", "vae": tmp_path / "half/vae"}


def test_conversion_refuses_before_it_reads(tiny, tmp_path):
    with pytest.raises(InputError, match="a folder with files in it"):
        convert("nowhere.ckpt", tiny.checkpoint.parent)
    with pytest.raises(InputError, match="dtype is 'int8'"):
        convert(tiny.checkpoint, tmp_path / "out", "int8")
    with pytest.raises(InputError, match="no such file"):
        convert(tmp_path / "nowhere.ckpt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_conversion_on_the_command_line(tiny, tmp_path, capsys):
    from scene_depth.cli.weights import Convert, Find

    link = tmp_path / "alone" / "depthfm-v1.ckpt"  # no autoencoder beside it
    link.parent.mkdir()
    os.symlink(tiny.checkpoint, link)
    Convert("depthfm", str(link), tmp_path / "out", dtype="fp16").run()
    assert "without an autoencoder" in capsys.readouterr().out
    assert load_depthfm(tmp_path / "out", tiny.vae, device="cpu").noising_step == 400
    Find("depthfm", str(tiny.checkpoint)).run()
    assert f"vae: {tiny.vae}" in capsys.readouterr().out


def test_a_folder_that_diffusers_saved(tiny, model, tmp_path):
    from safetensors.torch import save_file

    model.unet.save_pretrained(tmp_path / "unet")
    with pytest.raises(InputError, match="empty_text_embedding"):
        load_depthfm(tmp_path, tiny.vae)
    save_file({"empty_text_embedding": tiny.content["empty_text_embedding"]}, tmp_path / "empty_text_embedding.safetensors")
    assert torch.equal(output(load_depthfm(tmp_path, tiny.vae, device="cpu")), output(model))


def test_the_completion_model_starts_as_the_depth_model(model, tmp_path):
    widened = completion_model(model)
    assert widened.unet.conv_in.in_channels == COMPLETION_CHANNELS
    maps = torch.randn(1, 2, 1, 64, 128, generator=torch.Generator().manual_seed(5))
    found = sample(widened, IMAGE, num_inference_steps=2, ensemble_size=2, maps=maps).log_depth
    torch.testing.assert_close(found, output(model), rtol=0, atol=1e-5)
    widened.save_pretrained(tmp_path)
    again = load_depthfm(tmp_path, device="cpu")
    assert again.encoding == widened.encoding
    assert torch.equal(sample(again, IMAGE, num_inference_steps=2, ensemble_size=2, maps=maps).log_depth, found)
    with pytest.raises(InputError, match="known depth"):
        sample(widened, IMAGE, num_inference_steps=1)
    with pytest.raises(InputError, match="known depth"):
        sample(model, IMAGE, num_inference_steps=1, maps=maps)
