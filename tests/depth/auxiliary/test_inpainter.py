"""The network by its name as a depth inpainter: exact known depth, no picture, clear errors about weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scene_depth.depth.auxiliary import AuxiliaryInpainter, AuxiliaryNetwork, NetworkConfig
from scene_depth.depth.auxiliary.network import FILE, load_network, save_network
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError


def a_network(variant: str = "B+I+S") -> AuxiliaryNetwork:
    torch.manual_seed(3)
    return AuxiliaryNetwork(NetworkConfig(variant=variant, width=1, depth_scale=5.0, uncertainty=True)).eval()


def a_view() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((37, 50, 3)).astype(np.float32), rng.uniform(1, 6, (37, 50)).astype(np.float32), rng.random((37, 50)) < 0.1


@pytest.mark.parametrize("variant", ["B", "B+I", "B+I+S"])
def test_weights_come_back_from_their_file(tmp_path: Path, variant: str) -> None:
    network, depth = a_network(variant), torch.rand(1, 1, 32, 32)
    save_network(tmp_path / FILE, network)
    again = load_network(tmp_path)
    assert again.config == network.config
    assert torch.equal(again(depth).depth, network(depth).depth)


def test_by_name_it_keeps_known_depth_and_does_not_look_at_the_picture(tmp_path: Path) -> None:
    save_network(tmp_path / FILE, a_network())
    inpainter = load_depth_inpainter("auxiliary", weights=tmp_path / FILE, device="cpu")
    rgb, depth, known = a_view()
    with_picture, without = inpainter(rgb, depth, known), inpainter(None, depth, known)
    assert np.array_equal(with_picture.depth, without.depth)
    assert np.array_equal(without.depth[known], depth[known])
    assert (without.depth > 0).all()
    assert without.uncertainty is not None
    assert (without.uncertainty[known] == 0).all()
    assert (without.uncertainty[~known] > 0).all()
    assert without.details["model"]["image"] == "not used"


def test_depth_at_unknown_pixels_is_not_read() -> None:
    inpainter = AuxiliaryInpainter(network=a_network(), device="cpu")
    _, depth, known = a_view()
    other = np.where(known, depth, 77).astype(np.float32)
    assert np.array_equal(inpainter(None, depth, known).depth, inpainter(None, other, known).depth)


def test_missing_and_foreign_weights_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scene_depth.depth.auxiliary.network.default_paths", lambda: [tmp_path / "none" / FILE])
    with pytest.raises(InputError, match="weights of auxiliary"):
        load_depth_inpainter("auxiliary")
    with pytest.raises(InputError, match=r"other\.pt"):
        load_depth_inpainter("auxiliary", weights=tmp_path / "other.pt")
    torch.save({"kind": "something else"}, tmp_path / "foreign.pt")
    with pytest.raises(InputError, match="kind is 'something else'"):
        load_network(tmp_path / "foreign.pt")
    save_network(tmp_path / FILE, a_network())
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="weights"):
        load_network(tmp_path / "cut.pt")
    with pytest.raises(InputError, match="device"):
        AuxiliaryInpainter(network=a_network(), device="abacus")


def test_default_places_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENE_DEPTH_WEIGHTS", str(tmp_path))
    save_network(tmp_path / FILE, a_network("B"))
    assert load_network().config.variant == "B"
