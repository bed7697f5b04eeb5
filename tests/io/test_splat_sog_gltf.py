"""``.sog`` and glTF with KHR_gaussian_splatting: against npm's splat-transform, and files that are not what they say."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from splat_samples import independent_statistics, random_splats, rotation_errors, splat_transform

from scene_depth.errors import InputError
from scene_depth.io.gltf_splats import read_gltf_splats, write_gltf_splats
from scene_depth.io.sog import read_sog, write_sog
from scene_depth.io.splat_files import lost_in, read_splats, write_splats
from scene_depth.splat_transforms import transform_splats

COUNT = 300


def in_order_of(splats, expected):
    """By place: writers of .sog sort along a curve."""
    nearest = torch.cdist(expected.means, splats.means).argmin(dim=1)
    assert len(nearest.unique()) == len(expected)
    return splats.select(nearest)


def assert_close(found, expected, *, coarse: bool):
    """Equal splats but for the steps of the format."""
    assert len(found) == len(expected)
    assert found.sh_degree == expected.sh_degree
    means = torch.log1p(expected.means.abs())
    step = float((means.amax(0) + means.amax(0)).max()) / 65535 * 12 if coarse else 1e-5
    torch.testing.assert_close(found.means, expected.means, rtol=0, atol=step)
    assert rotation_errors(found.quats, expected.quats).max() < (0.05 if coarse else 1e-5)
    torch.testing.assert_close(found.opacities, expected.opacities, rtol=0, atol=1.1 / 255 if coarse else 1e-4)
    for name, large in (("log_scales", 0.4), ("sh", 1.0)):
        error = (getattr(found, name) - getattr(expected, name)).abs()
        assert error.max() < (large if coarse else 1e-4), name
        assert error.mean() < (0.05 if coarse else 1e-5), name


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The same splats as splat-transform writes them, by degree and suffix."""
    folder = tmp_path_factory.mktemp("theirs")

    def file(degree, name):
        source = folder / f"{degree}.ply"
        if not source.exists():
            write_splats(source, random_splats(COUNT, degree))
        target = folder / str(degree) / name
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            splat_transform(source, "-g", "cpu", target)
        return target

    return file


@pytest.mark.parametrize("name", ["a.sog", "meta.json", "a.glb"])
@pytest.mark.parametrize("degree", [0, 3])
def test_files_of_splat_transform_are_read(theirs, degree, name):
    expected = random_splats(COUNT, degree)
    assert_close(in_order_of(read_splats(theirs(degree, name)), expected), expected, coarse=name != "a.glb")


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_a_written_sog_is_read_by_splat_transform_and_here(tmp_path, degree):
    splats = random_splats(COUNT, degree)
    write_splats(tmp_path / "a.sog", splats)
    assert_close(read_splats(tmp_path / "a.sog"), splats, coarse=True)
    report = independent_statistics(tmp_path / "a.sog")
    assert (report["numGaussians"], report["shBands"]) == (COUNT, degree)
    splat_transform(tmp_path / "a.sog", tmp_path / "back.ply")
    assert_close(read_splats(tmp_path / "back.ply"), splats, coarse=True)


@pytest.mark.parametrize("degree", [0, 3])
def test_a_written_glb_has_the_values_of_splat_transform(tmp_path, theirs, degree):
    splats = random_splats(COUNT, degree)
    write_splats(tmp_path / "a.glb", splats)
    assert_close(read_splats(tmp_path / "a.glb"), splats, coarse=False)
    ours, other = (attributes_of(path) for path in (tmp_path / "a.glb", theirs(degree, "a.glb")))
    assert set(ours) == set(other)
    for name in set(ours) - {"COLOR_0"}:  # theirs has bytes
        expected = other[name] / (np.linalg.norm(other[name], axis=1, keepdims=True) if "ROTATION" in name else 1)
        sign = np.sign((ours[name] * expected).sum(1, keepdims=True)) if "ROTATION" in name else 1
        np.testing.assert_allclose(sign * ours[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)


def attributes_of(path):
    """Float attributes of a .glb of one primitive, read here apart from the package."""
    tree, binary = taken_apart(path)
    found = {}
    for name, index in tree["meshes"][0]["primitives"][0]["attributes"].items():
        accessor = tree["accessors"][index]
        view = tree["bufferViews"][accessor["bufferView"]]
        dtype = {5126: "<f4", 5121: "u1"}[accessor["componentType"]]
        values = np.frombuffer(binary, dtype, view["byteLength"] // np.dtype(dtype).itemsize, view["byteOffset"])
        found[name] = values.reshape(accessor["count"], -1)
    return found


def test_a_sog_of_many_splats_keeps_colours_by_nearest_sets(tmp_path):
    splats = random_splats(3000, 1, seed=1)
    write_sog(tmp_path / "a.sog", splats)
    found = read_sog(tmp_path / "a.sog")
    error = (found.sh[:, 1:] - splats.sh[:, 1:]).pow(2).mean().sqrt()
    assert error < 0.5 * splats.sh[:, 1:].std()  # 1,024 sets of nine numbers for 3,000
    write_sog(tmp_path / "b.sog", splats)
    assert (tmp_path / "a.sog").read_bytes() == (tmp_path / "b.sog").read_bytes()


def test_the_first_version_of_sog(tmp_path):
    """Ranges in the place of code books, written here by the layout of the first writer."""
    path = tmp_path / "meta.json"
    write_sog(tmp_path / "a.sog", random_splats(16, 0))
    with zipfile.ZipFile(tmp_path / "a.sog") as bundle:
        bundle.extractall(tmp_path)
    meta = json.loads(path.read_text())
    means = {**meta["means"], "shape": [16, 3], "dtype": "float32"}
    scales = {"shape": [16, 3], "mins": [-9.0, -8.0, -7.0], "maxs": [1.0, 2.0, 3.0], "files": ["scales.webp"]}
    colors = {"shape": [16, 1, 4], "mins": [-2.0, -2.0, -2.0, -5.0], "maxs": [2.0, 2.0, 2.0, 5.0], "files": ["sh0.webp"]}
    path.write_text(json.dumps({"means": means, "scales": scales, "quats": {"files": ["quats.webp"]}, "sh0": colors}))
    first, second = read_splats(path), read_sog(tmp_path / "a.sog")
    assert torch.equal(first.means, second.means)
    assert torch.equal(first.quats, second.quats)
    assert first.log_scales.min() >= -9
    assert first.log_scales.max() <= 3
    assert float(first.logit_opacities.max()) == pytest.approx(
        -5 + 10 * float((second.opacities.max() * 255).round()) / 255, abs=1e-4
    )


def glb(tree: dict, binary: bytes = b"") -> bytes:
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(binary), len(text), 0x4E4F534A)
    return head + text + struct.pack("<II", len(binary), 0x004E4942) + binary


def taken_apart(path):
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def test_nodes_place_splats_and_integers_are_read(tmp_path):
    splats = random_splats(5, 1)
    write_gltf_splats(tmp_path / "a.glb", splats)
    tree, binary = taken_apart(tmp_path / "a.glb")
    half = float(np.sqrt(0.5))
    tree["nodes"] = [{"children": [1], "translation": [1, 2, 3]}, {"mesh": 0, "rotation": [0, 0, half, half], "scale": [2, 2, 2]}]
    opacity = next(index for name, index in tree["meshes"][0]["primitives"][0]["attributes"].items() if name.endswith("OPACITY"))
    tree["accessors"][opacity] |= {"componentType": 5121, "normalized": True, "bufferView": len(tree["bufferViews"])}
    tree["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": 5})
    stored = np.array([0, 51, 102, 204, 255], np.uint8)
    (tmp_path / "b.glb").write_bytes(glb(tree, binary + stored.tobytes() + b"\0\0\0"))
    found = read_gltf_splats(tmp_path / "b.glb")
    turn = torch.diag(torch.tensor([-1.0, -1, 1, 1]))
    placed = torch.tensor([[0.0, -2, 0, 1], [2, 0, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]])
    expected = transform_splats(splats, turn @ placed @ turn)
    torch.testing.assert_close(found.means, expected.means, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.log_scales, expected.log_scales, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.sh, expected.sh, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.opacities, torch.from_numpy(stored / 255).float(), rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["asset"].update(version="1.0"), "asset.version"),
        (lambda t: t["meshes"][0]["primitives"][0].pop("extensions"), "no splats"),
        (lambda t: t["meshes"][0]["primitives"][0]["attributes"].pop("KHR_gaussian_splatting:SCALE"), "SCALE"),
        (lambda t: t["accessors"][0].update(count=10**9), "cut short"),
        (lambda t: t["accessors"][2].update(count=3), "one a splat"),
        (lambda t: t["bufferViews"][0].update(byteOffset=10**9), "cut short"),
        (lambda t: t["buffers"][0].update(uri="../secret.bin"), "beside it"),
        (lambda t: t["nodes"][0].update(children=[0]), "circles"),
        (lambda t: t["nodes"][0].update(scale=[1, 2, 3]), "stretch"),
        (
            lambda t: t["meshes"][0]["primitives"][0]["extensions"]["KHR_gaussian_splatting"].update(
                extensions={"KHR_x_spz": {}}
            ),
            "KHR_x_spz",
        ),
    ],
)
def test_gltf_that_is_not_what_it_says(tmp_path, change, message):
    write_gltf_splats(tmp_path / "a.glb", random_splats(5, 0))
    tree, binary = taken_apart(tmp_path / "a.glb")
    change(tree)
    (tmp_path / "b.glb").write_bytes(glb(tree, binary))
    with pytest.raises(InputError, match=message):
        read_splats(tmp_path / "b.glb")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(version=3), "1 or 2"),
        (lambda m: m.update(count=10**8), "100,000,000|pixels"),
        (lambda m: m["scales"].update(codebook=[0.0]), "256 finite numbers"),
        (lambda m: m["means"].update(maxs=[1e30] * 3), "log"),
        (lambda m: m["quats"].update(files=["sh0.webp"]), "252"),
        (lambda m: m["sh0"].update(files=["nothing.webp"]), "nothing.webp"),
        (lambda m: m["shN"].update(bands=4), "bands 1 to 3"),
        (lambda m: m["shN"].update(count=1), "labels"),
        (lambda m: m.pop("means"), "means"),
    ],
)
def test_sog_that_is_not_what_it_says(tmp_path, change, message):
    write_sog(tmp_path / "a.sog", random_splats(20, 1))
    with zipfile.ZipFile(tmp_path / "a.sog") as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    meta = json.loads(parts["meta.json"])
    change(meta)
    with zipfile.ZipFile(tmp_path / "b.sog", "w") as bundle:
        for name, data in {**parts, "meta.json": json.dumps(meta).encode()}.items():
            bundle.writestr(name, data)
    with pytest.raises(InputError, match=message):
        read_splats(tmp_path / "b.sog")


def test_a_folder_names_no_file_outside_itself(tmp_path):
    write_sog(tmp_path / "a.sog", random_splats(4, 0))
    folder = tmp_path / "in"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "a.sog") as bundle:
        bundle.extractall(folder)
    meta = json.loads((folder / "meta.json").read_text())
    meta["sh0"]["files"] = ["../a.sog"]
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="beside it"):
        read_splats(folder / "meta.json")


def test_what_is_lost_is_said(tmp_path):
    splats = replace(random_splats(4, 0), antialiased=True)
    assert any("antialiased" in line for line in lost_in(".glb", splats))
    write_sog(tmp_path / "a.sog", splats)
    assert read_sog(tmp_path / "a.sog").antialiased
    with pytest.raises(InputError, match=r"\.glb"):
        write_splats(tmp_path / "a.gltf", splats)
