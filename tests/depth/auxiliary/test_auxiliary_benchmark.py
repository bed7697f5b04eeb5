"""The tables of the auxiliary network on real frames: what is hidden, who sees the picture, which pixels count."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from scene_depth.datasets.frames import DepthFrame
from scene_depth.depth.auxiliary import AuxiliaryInpainter, AuxiliaryNetwork, NetworkConfig
from scene_depth.depth.auxiliary.network import FILE, save_network
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.evaluation.depth_protocols import make_case

benchmark = pytest.importorskip("benchmarks.auxiliary")


@dataclass(frozen=True)
class Made:
    """A view of a wavy wall, with a scan of every fourth row."""

    name: str
    role: str = "eval"

    def load(self) -> DepthFrame:
        y, x = np.mgrid[:64, :96].astype(np.float32)
        truth = 4 + np.sin(x / 9) + y / 40
        scan = np.where(y % 4 == 0, truth, 0).astype(np.float32)
        rgb = np.stack([x / 96, y / 64, x * 0], axis=-1)
        return DepthFrame(name=self.name, rgb=rgb, truth=truth, measured={"lidar": scan})


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of a training that did nothing, with its report."""
    folder = tmp_path_factory.mktemp("training")
    torch.manual_seed(1)
    (folder / "weights").mkdir()
    network = AuxiliaryNetwork(NetworkConfig(width=1, depth_scale=5.0))
    save_network(folder / "weights" / FILE, network)
    config = {"network": {"variant": "B+I+S", "width": 1}, "train": {"batch_size": 2}}
    config |= {"view": {"width": 32, "height": 24}, "sampling": ["lidar16"]}
    report = {"config": config, "parameters": 7, "steps": 3, "seconds": 1.0}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return folder / "weights"


def test_a_table_for_every_kind_of_points_with_every_method(weights: Path, tmp_path: Path) -> None:
    lines = list(benchmark.tables([Made("kitti_a"), Made("nyu_a"), Made("desk")], weights, tmp_path, processes=0))
    titles = [line for line in lines if line.startswith("###")]
    assert len(titles) == 1 + len(benchmark.SCANS) + 2
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    methods = [row[0] for row in rows if row[0] not in ("method", "---")]
    assert methods == [benchmark.AUXILIARY, benchmark.BLIND, *benchmark.OTHERS] * len(titles)
    case = make_case(Made("kitti_a").load(), "native", view="kitti")
    assert case is not None
    found = load_depth_inpainter(AuxiliaryInpainter(weights=weights, device="cpu"))(None, case.depth, case.known)
    error = np.abs(found.depth - case.truth)[case.truth > 0]
    assert rows[2][:4] == [benchmark.AUXILIARY, "1", f"{1000 * np.sqrt((error**2).mean()):.0f}", f"{1000 * error.mean():.0f}"]
    counts = [row[1] for row in rows if row[0] == "solver"]
    assert counts == ["1", "1", "1", "1", "1", "2"]  # desk is indoors: 500 points alone


def test_the_picture_is_taken_away_and_the_mask_stays() -> None:
    frame = Made("kitti_a")
    blind = benchmark.WithoutPicture(frame)
    assert blind.load().rgb is None
    with_picture, without = (make_case(source.load(), "rand50") for source in (frame, blind))
    assert with_picture is not None
    assert without is not None
    assert np.array_equal(with_picture.known, without.known)
