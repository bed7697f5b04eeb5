"""Pointmap models in this process: called as their documentation shows, by packages that stand in for the real ones."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pointmap_samples import Sample, make_samples, write_da3, write_mapanything_outputs, write_vggt

import scene_depth as sd
from scene_depth.depth.pointmap_models import POINTMAP_MODELS, run_pointmap_model
from scene_depth.pointmaps import PointmapRun


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """A module of this content, and the packages above it."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        path = ".".join(parts[:count])
        if path not in sys.modules:
            monkeypatch.setitem(sys.modules, path, ModuleType(path))
    vars(sys.modules[name]).update(content)


class Network(torch.nn.Module):
    """A network that has been loaded; it knows its answer."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer, self.seen = answer, ()

    @classmethod
    def from_pretrained(cls, checkpoint: str) -> Network:
        raise OSError(f"{checkpoint} is not here\nand more")

    def forward(self, images: torch.Tensor) -> Any:
        return self.answer

    def inference(self, files: list[str]) -> Any:
        self.seen = tuple(files)
        return self.answer

    def infer(self, views: list[dict[str, Any]], **options: Any) -> Any:
        assert options["apply_mask"]
        return self.answer


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=True) as stored:
        return {name: stored[name] for name in stored.files if stored[name].dtype != object}


def assert_true(run: PointmapRun, samples: list[Sample]) -> None:
    for view, sample in zip(run.views, samples, strict=True):
        assert view.name == sample.name
        known = view.depth > 0
        np.testing.assert_allclose(view.depth[known], sample.depth[known], rtol=1e-3)
        np.testing.assert_allclose(view.camera.K[0], sample.K, atol=1e-2)
        np.testing.assert_allclose(view.camera.camera_to_world[0], sample.pose, atol=1e-4)


def test_vggt_is_run_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(tmp_path / "photos", "vggt crop", 84)
    arrays = {key: torch.from_numpy(array)[None] for key, array in arrays_of(write_vggt(tmp_path / "a.npz", samples)).items()}
    answer = {"pose_enc": torch.zeros(1, 4, 9), "depth": arrays["depth"], "depth_conf": arrays["depth_conf"]}
    stand_in(monkeypatch, "vggt.utils.load_fn", load_and_preprocess_images=lambda files: arrays["images"][0])
    decode = lambda encoding, size: (arrays["extrinsic"], arrays["intrinsic"])  # noqa: E731
    stand_in(monkeypatch, "vggt.utils.pose_enc", pose_encoding_to_extri_intri=decode)
    points = arrays["world_points_from_depth"][0].numpy()
    stand_in(monkeypatch, "vggt.utils.geometry", unproject_depth_map_to_point_map=lambda *parts: points)
    run = run_pointmap_model(tmp_path / "photos", "vggt", network=Network(answer), device="cpu", save=tmp_path / "kept.npz")
    assert run.detected["centers"] == "integer"
    assert_true(run, samples)
    assert_true(sd.read_pointmaps(tmp_path / "kept.npz", tmp_path / "photos"), samples)


def test_depth_anything_3_is_run_as_documented(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "photos", "da3 upper_bound_resize", 84)
    arrays = arrays_of(write_da3(tmp_path / "a.npz", samples))
    answer = SimpleNamespace(processed_images=arrays.pop("image"), **arrays)
    network = Network(answer)
    run = run_pointmap_model(tmp_path / "photos", "da3", network=network, device="cpu")
    assert [Path(file).name for file in network.seen] == [sample.name for sample in samples]
    assert run.model == "depth_anything_3"
    assert_true(run, samples)
    answer.extrinsics = None
    with pytest.raises(sd.InputError, match=r"model da3 could not be run \(this checkpoint gives no extrinsics"):
        run_pointmap_model(tmp_path / "photos", "da3", network=network, device="cpu")


def test_mapanything_is_run_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(tmp_path / "photos", "mapanything longest_side", 84)
    arrays = arrays_of(write_mapanything_outputs(tmp_path / "a.npz", samples))
    outputs = [{key: torch.from_numpy(array[index : index + 1]) for key, array in arrays.items()} for index in range(4)]
    stand_in(monkeypatch, "mapanything.utils.image", load_images=lambda files: [{} for _ in files])
    assert_true(run_pointmap_model(tmp_path / "photos", "mapanything", network=Network(outputs), device="cpu"), samples)


def test_dust3r_is_run_and_aligned_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(tmp_path / "photos", "dust3r 512", 96)
    calls: list[str] = []
    Ks = np.stack([sample.K for sample in samples])
    Ks[:, :2, 2] -= 0.5
    scene = SimpleNamespace(
        imgs=[sample.image for sample in samples],
        im_conf=[torch.ones(sample.depth.shape) for sample in samples],
        compute_global_alignment=lambda **options: calls.append(options["init"]),
        get_im_poses=lambda: torch.from_numpy(np.stack([sample.pose for sample in samples])).requires_grad_(),
        get_intrinsics=lambda: torch.from_numpy(Ks),
        get_depthmaps=lambda: [torch.from_numpy(sample.depth) for sample in samples],
        get_pts3d=lambda: [torch.from_numpy(sample.points) for sample in samples],
    )

    def align(output: Any, device: torch.device, mode: str) -> Any:
        assert torch.is_grad_enabled()
        calls.append(mode)
        return scene

    stand_in(monkeypatch, "dust3r.utils.image", load_images=lambda files, size: files)
    stand_in(monkeypatch, "dust3r.image_pairs", make_pairs=lambda images, **options: images)
    stand_in(monkeypatch, "dust3r.inference", inference=lambda pairs, network, device, batch_size: pairs)
    modes = SimpleNamespace(PointCloudOptimizer="PointCloudOptimizer")
    stand_in(monkeypatch, "dust3r.cloud_opt", global_aligner=align, GlobalAlignerMode=modes)
    run = run_pointmap_model(tmp_path / "photos", "dust3r", network=Network(None), device="cpu")
    assert calls == ["PointCloudOptimizer", "mst"]
    assert_true(run, samples)


@pytest.mark.parametrize("name", POINTMAP_MODELS)
def test_what_is_missing_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    make_samples(tmp_path / "photos", "dust3r 512", 96, count=2)
    entry = POINTMAP_MODELS[name]
    monkeypatch.setitem(sys.modules, entry.package, None)
    with pytest.raises(
        sd.InputError, match=rf"package {entry.package} could not be imported \(.*\. Try: .*{entry.package[:3]}"
    ) as error:
        run_pointmap_model(tmp_path / "photos", name, device="cpu")
    assert "\n" not in str(error.value)
    monkeypatch.delitem(sys.modules, entry.package)
    stand_in(monkeypatch, entry.entry[0], **{entry.entry[1]: Network})
    with pytest.raises(sd.InputError, match=r"weights nowhere: nowhere is not here; expected a local folder") as error:
        run_pointmap_model(tmp_path / "photos", name, checkpoint="nowhere", device="cpu")
    assert "\n" not in str(error.value)


def test_one_photo_is_too_few(tmp_path: Path) -> None:
    make_samples(tmp_path / "photos", "dust3r 512", 96, count=1)
    with pytest.raises(sd.InputError, match="photos: 1 files; expected two or more"):
        run_pointmap_model(tmp_path / "photos", "vggt")
