"""Splat files of many trainers and programs: read as what they are, or named; nothing lost without a word."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch
from splat_samples import random_splats, rotation_errors, same_bits

from scene_depth.cli.app import main
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_lint import find_errors, lint_file, without_strays
from scene_depth.io.compressed_ply import read_compressed_ply, write_compressed_ply
from scene_depth.io.ply import read_ply, write_ply
from scene_depth.io.splat_files import lost_in, read_splats, write_splats
from scene_depth.splats import GaussianSplats


def table(splats: GaussianSplats, folder: Path) -> np.ndarray:
    """The rows of splats as a file has them."""
    write_ply(folder / "plain.ply", splats)
    return plyfile.PlyData.read(folder / "plain.ply")["vertex"].data


def save(path: Path, rows: np.ndarray, **options: object) -> Path:
    plyfile.PlyData([plyfile.PlyElement.describe(rows, "vertex")], **options).write(path)
    return path


def renamed(rows: np.ndarray, names: dict[str, str]) -> np.ndarray:
    rows = rows.copy()
    rows.dtype.names = tuple(names.get(name, name) for name in rows.dtype.names)
    return rows


def without(rows: np.ndarray, *names: str) -> np.ndarray:
    kept = [name for name in rows.dtype.names if name not in names]
    out = np.empty(len(rows), [(name, rows.dtype[name]) for name in kept])
    for name in kept:
        out[name] = rows[name]
    return out


def with_columns(rows: np.ndarray, **columns: np.ndarray) -> np.ndarray:
    out = np.empty(len(rows), [*rows.dtype.descr, *((name, values.dtype.str) for name, values in columns.items())])
    for name in rows.dtype.names:
        out[name] = rows[name]
    for name, values in columns.items():
        out[name] = values
    return out


# --- encodings and names


@pytest.mark.parametrize("options", [{"text": True}, {"byte_order": ">"}, {"byte_order": "<"}], ids=["ascii", "big", "little"])
def test_every_encoding(options: dict[str, object], tmp_path: Path) -> None:
    splats = random_splats(50)
    path = save(tmp_path / "a.ply", table(splats, tmp_path), **options)
    read = read_splats(path)
    for name in ("means", "quats", "log_scales", "logit_opacities", "sh"):
        torch.testing.assert_close(getattr(read, name), getattr(splats, name), rtol=1e-6, atol=1e-7)


def test_big_endian_packed_splats(tmp_path: Path) -> None:
    write_compressed_ply(tmp_path / "a.compressed.ply", random_splats(50))
    data = plyfile.PlyData.read(tmp_path / "a.compressed.ply")
    data.byte_order = ">"
    data.write(tmp_path / "b.ply")
    assert same_bits(read_splats(tmp_path / "b.ply"), read_splats(tmp_path / "a.compressed.ply"))


@pytest.mark.parametrize("doubles", [False, True])
def test_names_of_cloudcompare(doubles: bool, tmp_path: Path) -> None:
    splats = random_splats(20)
    rows = without(table(splats, tmp_path), "nx", "ny", "nz")
    rows = renamed(rows, {name: f"scalar_{name}" for name in rows.dtype.names if name not in "xyz"})
    rows = with_columns(rows, **{name: np.full(len(rows), 7, np.uint8) for name in ("red", "green", "blue")})
    if doubles:
        rows = rows.astype([(name, "f8" if code == "<f4" else code) for name, code in rows.dtype.descr])
    read = read_splats(save(tmp_path / "cc.ply", rows))
    assert set(read.extra) == {"red", "green", "blue"}
    assert same_bits(replace(read, extra={}), splats)


@pytest.mark.parametrize("kind", ["bytes", "shares"])
@pytest.mark.parametrize("names", [("red", "green", "blue"), ("r", "g", "b")])
def test_colours_in_place_of_coefficients(kind: str, names: tuple[str, ...], tmp_path: Path) -> None:
    splats = random_splats(30, degree=0)
    colors = np.random.default_rng(0).integers(0, 256, (30, 3))
    rows = without(table(splats, tmp_path), "f_dc_0", "f_dc_1", "f_dc_2")
    values = colors.astype(np.uint8) if kind == "bytes" else (colors / 255).astype(np.float32)
    rows = with_columns(rows, **dict(zip(names, values.T, strict=True)))
    read = read_splats(save(tmp_path / "rgb.ply", rows))
    np.testing.assert_allclose(read.base_colors, colors / 255, atol=1e-6)
    assert read.extra == {}
    torch.testing.assert_close(read.means, splats.means, rtol=0, atol=0)


# --- Mip-Splatting


@pytest.mark.parametrize("name", ["filter_3D", "scalar_filter_3D"])
def test_the_filter_of_mip_splatting_is_fused(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splats = random_splats(40)
    sizes = np.random.default_rng(0).uniform(0.01, 0.5, 40).astype(np.float32)
    read = read_splats(save(tmp_path / "mip.ply", with_columns(table(splats, tmp_path), **{name: sizes})))
    smoothed = splats.scales.double() ** 2 + torch.from_numpy(sizes).double()[:, None] ** 2
    torch.testing.assert_close(read.scales.double() ** 2, smoothed, rtol=1e-4, atol=0)
    dimmed = splats.opacities.double() * (splats.scales.double().prod(1) / smoothed.sqrt().prod(1))
    torch.testing.assert_close(read.opacities.double(), dimmed, rtol=1e-4, atol=1e-7)
    assert read.extra == {}
    assert "fused" in caplog.text
    assert lint_file(tmp_path / "mip.ply")[1].extra == ()


def test_the_filter_of_the_shared_case(shared) -> None:
    folder = shared("cases/mip_splatting_filter")
    read, truth = read_splats(folder / "mip_filter_3d.ply"), read_splats(folder / "mip_fused_truth.ply")
    torch.testing.assert_close(read.scales, truth.scales, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(read.opacities, truth.opacities, rtol=0, atol=1e-3)
    torch.testing.assert_close(read.means, truth.means, rtol=0, atol=0)


# --- opacities


@pytest.mark.parametrize("kind", ["infinite", "activated"])
def test_opacities_of_0_and_1(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splats = random_splats(300)
    rows = table(splats, tmp_path)
    if kind == "activated":
        rows["opacity"] = splats.opacities.numpy()
    else:
        rows["opacity"][:2] = [np.inf, -np.inf]
    read = read_splats(save(tmp_path / "a.ply", rows))
    expected = splats.opacities.clone()
    if kind == "infinite":
        expected[:2] = torch.tensor([0.9999, 0.0001])
        assert torch.equal(read.logit_opacities[2:], splats.logit_opacities[2:])
    torch.testing.assert_close(read.opacities, expected, rtol=0, atol=2e-4)
    assert ("their logits were taken" if kind == "activated" else "2 opacities of exactly 0 or 1 were bounded") in caplog.text
    found = {"activated": "activated_opacity", "infinite": "infinite_opacity"}[kind]
    assert lint_file(tmp_path / "a.ply")[1].count(found) > 0  # inspection shows the file as it is


def test_logits_that_are_narrow_stay(tmp_path: Path) -> None:
    splats = random_splats(300)
    splats = replace(splats, logit_opacities=torch.linspace(0.3, 0.9, 300))
    write_ply(tmp_path / "a.ply", splats)
    assert torch.equal(read_splats(tmp_path / "a.ply").logit_opacities, splats.logit_opacities)


def test_infinite_bounds_of_sizes_in_packed_splats(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    splats = random_splats(256)
    write_compressed_ply(tmp_path / "a.compressed.ply", splats)
    data = plyfile.PlyData.read(tmp_path / "a.compressed.ply")
    data["chunk"]["min_scale_x"][0] = -np.inf
    data.write(tmp_path / "b.compressed.ply")
    read = read_compressed_ply(tmp_path / "b.compressed.ply")
    assert torch.isfinite(read.log_scales).all()
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


@pytest.mark.parametrize("name", ["opacity_inf.ply", "minus_inf_chunk.compressed.ply"])
def test_infinite_values_of_the_shared_case(name: str, shared) -> None:
    read = read_splats(shared("cases/opaque_is_infinite") / name)
    for values in (read.means, read.log_scales, read.logit_opacities):
        assert torch.isfinite(values).all()


@pytest.mark.parametrize("name", ["nerfstudio_rgb_mode.ply", "cloudcompare_scalar.ply"])
def test_other_names_of_the_shared_case(name: str, shared) -> None:
    read = read_splats(shared("cases/nerfstudio_rgb_colours") / name)
    truth = read_splats(shared("cases/one_far_floater/one_floater_500000.ply"))
    assert torch.equal(read.means[1:], truth.means[1:]) or len(read) == len(truth)
    assert rotation_errors(read.quats, truth.quats).max() < 1e-3
    np.testing.assert_allclose(read.base_colors.clamp(0, 1), truth.base_colors.clamp(0, 1), atol=0.004)


# --- files of other kinds


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("f_offset_0", "element vertex: anchors of Scaffold-GS"),
        ("f_anchor_feat_0", "element vertex: anchors of Scaffold-GS"),
        ("trbf_center", "moving splats of SpacetimeGaussians"),
    ],
)
def test_files_of_other_kinds_are_named(column: str, message: str, tmp_path: Path) -> None:
    rows = with_columns(table(random_splats(5), tmp_path), **{column: np.zeros(5, np.float32)})
    with pytest.raises(InputError, match=message):
        read_splats(save(tmp_path / "a.ply", rows))


def test_flat_splats_are_named(tmp_path: Path) -> None:
    rows = without(table(random_splats(5), tmp_path), "scale_2")
    with pytest.raises(InputError, match="2DGS"):
        read_splats(save(tmp_path / "a.ply", rows))


# --- what is wrong is said wherever splats are used


def test_errors_of_the_linter_are_said_by_other_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(random_splats(300), tmp_path)
    rows["x"][0] = np.nan
    rows["rot_0"][1] = rows["rot_1"][1] = rows["rot_2"][1] = rows["rot_3"][1] = 0
    assert main(["convert", str(save(tmp_path / "a.ply", rows)), str(tmp_path / "b.ply")]) == 0
    printed = capsys.readouterr().err
    assert "1 of 300 splats have NaN among their values" in printed
    assert "1 of 300 splats have a rotation quaternion of zero" in printed
    assert find_errors(random_splats(300)) == []


# --- precision


def strays(count: int, distance: float = 500_000.0) -> GaussianSplats:
    splats = random_splats(1000)
    splats.means[:count] = torch.tensor([distance, 0.0, 0.0])
    return splats


def test_a_stray_that_makes_a_file_coarse_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ply(tmp_path / "a.ply", strays(1))
    assert main(["convert", str(tmp_path / "a.ply"), str(tmp_path / "b.spz")]) == 0
    printed = capsys.readouterr().out
    assert "centres are kept in steps of 0.0625" in printed
    assert "without the 1 farthest, up to 500000 away, they would be 0.000244 (--drop-far leaves strays out)" in printed
    assert main(["convert", str(tmp_path / "a.ply"), str(tmp_path / "c.spz"), "--drop-far"]) == 0
    assert "1 splats far from the scene, as asked" in capsys.readouterr().out
    read = read_splats(tmp_path / "c.spz")
    assert len(read) == 999
    assert (read.means - strays(1).means[1:]).abs().max() < 2e-4


def test_strays_in_packed_splats_are_said_too() -> None:
    assert any("steps of 2" in sentence for sentence in lost_in(".compressed.ply", strays(1)))
    assert not [sentence for sentence in lost_in(".compressed.ply", random_splats(1000)) if "steps" in sentence]
    assert not [sentence for sentence in lost_in(".spz", random_splats(1000)) if "steps" in sentence]
    assert len(without_strays(strays(3))) == 997
    assert without_strays(random_splats(1000)) is not None


def test_a_far_scene_is_moved_before_it_is_rounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    origin = np.array([448_262.0, 5_411_932.0, 120.0])
    splats = random_splats(100, degree=0)
    rows = table(splats, tmp_path)
    rows = rows.astype([(name, "f8" if name in "xyz" else code[1:]) for name, code in rows.dtype.descr])
    for axis, name in enumerate("xyz"):
        rows[name] = splats.means[:, axis].double().numpy() + origin[axis]
    path = save(tmp_path / "utm.ply", rows)
    assert main(["convert", str(path), str(tmp_path / "far.ply")]) == 0
    assert "centres are kept in steps of 0.5" in capsys.readouterr().out
    moved = ["convert", str(path), str(tmp_path / "near.ply"), "--translate", *(f"{-value}" for value in origin)]
    assert main(moved) == 0
    assert "steps" not in capsys.readouterr().out
    assert (read_ply(tmp_path / "near.ply").means - splats.means).abs().max() < 1e-6


def test_the_stray_of_the_shared_case(shared, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shared("cases/one_far_floater/one_floater_500000.ply")
    assert main(["convert", str(path), str(tmp_path / "a.spz")]) == 0
    assert "steps of 0.0625" in capsys.readouterr().out
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "--drop-far" in printed
    assert "--translate" not in printed


def test_what_is_written_is_read_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for name in ("a.ply", "a.compressed.ply", "a.spz", "a.splat"):
            write_splats(tmp_path / name, random_splats(300))
            read_splats(tmp_path / name)
    assert caplog.text == ""
