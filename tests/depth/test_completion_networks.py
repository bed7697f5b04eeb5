"""PriorDA and Any2Full called as their code is, on stand-ins with random weights; known depth exact."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.masks import rectangle
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError

SHAPE = (40, 60)
RGB = np.random.default_rng(0).random((*SHAPE, 3)).astype(np.float32)
DEPTH = np.linspace(200, 600, SHAPE[0] * SHAPE[1]).reshape(SHAPE)  # in centimetres
KNOWN = rectangle(SHAPE, 1)
ANY2FULL = """
import torch
class Any2Full(torch.nn.Module):
    def __init__(self, encoder="vitl", da_ckpt_path="file", args=None):
        super().__init__()
        assert encoder == "vits" and da_ckpt_path is None and args.init_scailing and args.max_depth == 1e3
        self.pretrained = torch.nn.Module()
        self.pretrained.cls_token = torch.nn.Parameter(torch.zeros(1, 1, 384))
        self.layer = torch.nn.Conv2d(4, 1, 3, padding=1)
    def forward(self, x):
        rgb, known = x["rgb"], x["dep"]
        assert rgb.shape[1] == 3 and rgb.min() < -1 and known.shape[1] == 1 and 0.5 <= known[known > 0].median() <= 2
        return {"pred": 1 + self.layer(torch.cat([rgb, known], 1)).exp()}
"""


class PriorDepthAnything:
    """As the package is called: pictures of 8 bits, depth with 0 for unknown, both at full size."""

    def __init__(self, device: str, version: str, mde_dir: str | None, ckpt_dir: str | None, **sizes: str):
        assert sizes == {"frozen_model_size": "vits", "conditioned_model_size": "vits"}
        assert mde_dir == ckpt_dir
        assert (device, version) == ("cpu", "1.0")

    def infer_one_sample(self, image: NDArray[np.uint8], prior: NDArray[np.float32], visualize: bool) -> torch.Tensor:
        assert image.dtype == np.uint8
        assert prior.dtype == np.float32
        assert not visualize
        return torch.full(image.shape[:2], float(prior[prior > 0].max())) + torch.rand(image.shape[:2])


def _forget_any2full(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model", "model.ours", "model.ours.any2full"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def priorda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Options of the inpainter."""
    module = ModuleType("prior_depth_anything")
    module.PriorDepthAnything = PriorDepthAnything  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "prior_depth_anything", module)
    for name in ("depth_anything_v2_vits.pth", "prior_depth_anything_vits.pth"):
        (tmp_path / name).write_bytes(b"")
    return {"weights": str(tmp_path), "frozen": "vits", "conditioned": "vits", "version": "1.0", "device": "cpu"}


@pytest.fixture
def any2full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Options of the inpainter: a checkout, and weights as the official training saves them."""
    _forget_any2full(monkeypatch)
    folder = tmp_path / "Any2Full" / "model" / "ours"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "any2full.py").write_text(ANY2FULL)
    layer = torch.nn.Conv2d(4, 1, 3, padding=1)
    state = {"pretrained.cls_token": torch.zeros(1, 1, 384), "layer.weight": layer.weight, "layer.bias": layer.bias}
    content = {"state_dict": {f"module.{name}": value for name, value in state.items()}, "args": argparse.Namespace(epochs=3)}
    torch.save(content, tmp_path / "weights.pth.tar")
    return {"weights": str(tmp_path / "weights.pth.tar"), "code": str(tmp_path / "Any2Full"), "device": "cpu"}


@pytest.mark.parametrize("name", ["priorda", "any2full"])
def test_known_depth_stays_and_the_seed_rules(name: str, request: pytest.FixtureRequest) -> None:
    inpainter = load_depth_inpainter(name, **request.getfixturevalue(name))
    found = inpaint_depth(inpainter, RGB, DEPTH, KNOWN, seed=2)
    np.testing.assert_array_equal(found.depth[KNOWN], DEPTH[KNOWN])
    assert np.isfinite(found.depth).all()
    assert found.details["inpainter"] == name
    np.testing.assert_array_equal(inpaint_depth(inpainter, RGB, DEPTH, KNOWN, seed=2).depth, found.depth)
    with pytest.raises(InputError, match="no picture"):
        inpaint_depth(inpainter, None, DEPTH, KNOWN)
    few = np.zeros(SHAPE, dtype=bool)
    few[0, :4] = True
    with pytest.raises(InputError, match=r"4 known pixels.*at least 5"):
        inpaint_depth(inpainter, RGB, DEPTH, few)
    assert not [entry for entry in sys.path if "Any2Full" in entry]  # the checkout was there for the import alone


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _forget_any2full(monkeypatch)
    with pytest.raises(InputError, match=r"could not be imported.*SpatialVision/Prior-Depth-Anything"):
        load_depth_inpainter("priorda")
    with pytest.raises(InputError, match=r"could not be imported.*zhiyuandaily/Any2Full"):
        load_depth_inpainter("any2full")
    with pytest.raises(InputError, match=r"no model/ours/any2full\.py"):
        load_depth_inpainter("any2full", code=str(tmp_path))


def test_weights_that_do_not_fit_are_named(priorda: dict[str, str], any2full: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file prior_depth_anything_vitb\.pth"):
        load_depth_inpainter("priorda", **{**priorda, "conditioned": "vitb"})
    torch.save({"state_dict": {"other": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth: weights.*pretrained\.cls_token"):
        load_depth_inpainter("any2full", **{**any2full, "weights": str(tmp_path / "other.pth")})
    content = torch.load(any2full["weights"], weights_only=False)
    del content["state_dict"]["module.layer.bias"]
    torch.save(content, tmp_path / "part.pth")
    with pytest.raises(InputError, match=r"part\.pth: weights"):
        load_depth_inpainter("any2full", **{**any2full, "weights": str(tmp_path / "part.pth")})
