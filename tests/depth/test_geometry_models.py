"""MoGe-2 and Depth Anything 3 called as their packages are, on stand-ins with random weights; the list of weights; offline."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi
from numpy.typing import NDArray

from scene_depth.cli.app import main
from scene_depth.depth.checkpoints import CHECKPOINTS, describe_checkpoint, fetch_weights, say_before_fetch
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.masks import rectangle
from scene_depth.depth.monocular import load_monocular_model
from scene_depth.errors import InputError

SHAPE = (40, 60)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


class Network(torch.nn.Module):
    """One random convolution that gives a positive depth, as both packages are called."""

    asked: tuple[str, bool]

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Conv2d(3, 1, 3, padding=1)

    @classmethod
    def from_pretrained(cls, name: str, *, local_files_only: bool) -> Network:
        network = cls()
        network.asked = (name, local_files_only)
        return network

    def infer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """MoGe: a picture [3, H, W] in [0, 1]; depth in metres, inf for sky."""
        assert image.ndim == 3
        assert image.max() <= 1
        depth = 2 + self.layer(image[None])[0, 0].exp()
        depth[:3] = torch.inf
        return {"depth": depth, "mask": torch.isfinite(depth)}

    def inference(self, images: list[NDArray[np.uint8]]) -> SimpleNamespace:
        """Depth Anything 3: pictures of 8 bits; depth at the network's own size  # [N, h, w]"""
        (image,) = images
        assert image.dtype == np.uint8
        small = torch.from_numpy(image[::2, ::2].copy()).permute(2, 0, 1)[None] / 255
        return SimpleNamespace(depth=(2 + self.layer(small)[:, 0].exp()).numpy())


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for path, name in (("moge.model.v2", "MoGeModel"), ("depth_anything_3.api", "DepthAnything3")):
        parts = path.split(".")
        for count in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:count]), ModuleType(".".join(parts[:count])))
        setattr(sys.modules[path], name, Network)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(("name", "metric"), [("moge", True), ("da3", False), ("da3:depth-anything/DA3METRIC-LARGE", True)])
def test_a_picture_becomes_depth_of_its_size(name: str, metric: bool) -> None:
    rgb = np.random.default_rng(0).random((*SHAPE, 3)).astype(np.float32)
    model = load_monocular_model(name, device="cpu")
    found = model(rgb)
    assert found.values.shape == SHAPE
    assert found.space == "depth"
    assert found.metric == metric
    assert (found.values[:3] == 0).all() == (name == "moge")
    depth, known = np.full(SHAPE, 3.0), rectangle(SHAPE, 1)
    result = inpaint_depth("solver", rgb, depth, known, prior=name)
    np.testing.assert_array_equal(result.depth[known], depth[known])
    assert result.details["model"]["prior_fit"]["two_parameters"] != metric


@pytest.mark.usefixtures("packages")
def test_local_folders(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    assert load_monocular_model("moge", checkpoint=str(tmp_path))._network.asked == (str(tmp_path / "model.pt"), True)  # type: ignore[attr-defined]
    (tmp_path / "model.pt").unlink()
    assert load_monocular_model("da3", checkpoint=str(tmp_path))._network.asked == (str(tmp_path), True)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="no such folder"):
        load_monocular_model("moge", checkpoint=str(tmp_path / "missing"))


@pytest.mark.parametrize(("name", "hint"), [("moge", "microsoft/MoGe"), ("da3", "pip install depth-anything-3")])
def test_packages_that_are_missing(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=rf"could not be imported.*{hint}"):
        load_monocular_model(name)


def test_small_is_depth_anything_v2_small() -> None:
    with pytest.raises(InputError, match=r"Depth-Anything-V2-Small-hf.*about 0\.1 GB, Apache-2\.0.*hf download"):
        load_monocular_model("small")


def test_size_and_licence_are_said_before_a_fetch(capsys: pytest.CaptureFixture[str]) -> None:
    def load(local: bool) -> str:
        if local:
            raise OSError("not cached")
        return "weights"

    calls: list[tuple[str, Callable[[bool], str]]] = [("Intel/zoedepth-nyu-kitti", load), ("some/model", load)]
    assert [fetch_weights(name, function, True) for name, function in calls] == ["weights", "weights"]
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "fetching Intel/zoedepth-nyu-kitti from the hub (about 1.4 GB, MIT)",
        "fetching some/model from the hub (size and licence not known here)",
    ]
    with pytest.raises(InputError, match=r"about 1\.4 GB, MIT"):
        fetch_weights("Intel/zoedepth-nyu-kitti", load, False)
    assert not capsys.readouterr().err


def test_the_hub_tells_check_sums_before_a_fetch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["config.json", *(f"part-{number}.safetensors" for number in range(8)), "pytorch_model.bin"]
    siblings = [
        SimpleNamespace(
            rfilename=name, lfs=None if name.endswith("json") else SimpleNamespace(size=2_000_000, sha256=f"of {name}")
        )
        for name in names
    ]
    monkeypatch.setattr(
        HfApi, "model_info", lambda self, hub, **_: SimpleNamespace(siblings=siblings if hub == "some/model" else None)
    )
    say_before_fetch("some/model")
    said = capsys.readouterr().err.splitlines()
    assert said[1:3] == [f"  part-{number}.safetensors: 2 MB, SHA-256 of part-{number}.safetensors" for number in range(2)]
    assert said[-1] == "  and 2 more files"
    assert "pytorch_model.bin" not in " ".join(said)
    say_before_fetch("some/model", "pytorch_model.bin")
    assert capsys.readouterr().err.splitlines()[1:] == ["  pytorch_model.bin: 2 MB, SHA-256 of pytorch_model.bin"]
    say_before_fetch("other/model")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_list_of_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    small = next(line for line in lines if line.startswith("small"))
    assert "0.1" in small
    assert "Apache-2.0" in small
    assert any("Depth-Anything-V2-Large-hf" in line and "CC-BY-NC-4.0" in line for line in lines)
    assert main(["weights", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["checkpoints"]
    assert len(rows) == len(CHECKPOINTS)
    assert any(line.startswith("any2full") for line in lines)
    assert {row["model"] if "model" in row else row["name"].split(":")[0] for row in rows} <= {
        "small", "transformers", "marigold", "moge", "da3",
    }  # fmt: skip
    assert describe_checkpoint("some/model") == ""
