"""Splats for tests, and the independent reader of splat files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scene_depth.splats import PARAMETERS, SH_C0, GaussianSplats

ROOT = Path(__file__).resolve().parent.parent


def random_splats(count: int, degree: int = 3, seed: int = 0, dtype: torch.dtype = torch.float32) -> GaussianSplats:
    """Splats of the sizes, opacities and colours that trained scenes have, within about ten units of the origin."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    sh = normal(count, (degree + 1) ** 2, 3) * 0.2
    sh[:, 0] = normal(count, 3)
    return GaussianSplats(normal(count, 3) * 3, normal(count, 4) + 0.1, normal(count, 3) - 3, normal(count) * 2, sh)


def same_bits(a: GaussianSplats, b: GaussianSplats) -> bool:
    """Equal to the bit in all parameters, NaN included, in extra values, flags and comments."""

    def equal(x: Tensor, y: Tensor) -> bool:
        x, y = x.contiguous(), y.contiguous()
        return x.dtype == y.dtype and x.shape == y.shape and x.numpy().tobytes() == y.numpy().tobytes()

    assert {field.name for field in fields(a)} == {*PARAMETERS, "extra", "antialiased", "comments"}
    return (
        all(equal(getattr(a, name), getattr(b, name)) for name in PARAMETERS)
        and list(a.extra) == list(b.extra)
        and all(equal(a.extra[name], b.extra[name]) for name in a.extra)
        and (a.antialiased, a.comments) == (b.antialiased, b.comments)
    )


def rotation_errors(a: Tensor, b: Tensor) -> Tensor:
    """Angles between rotations given by quaternions, in radians  # [N]"""
    a, b = (torch.nn.functional.normalize(quats.double(), dim=-1) for quats in (a, b))
    distance = torch.minimum((a - b).norm(dim=-1), (a + b).norm(dim=-1))
    return 4 * torch.asin((distance / 2).clamp(max=1))


def splat_transform(*arguments: str | Path) -> str:
    """Runs npm's @playcanvas/splat-transform and gives its standard output; skips the test where it is missing."""
    folder = Path(os.environ.get("SCENE_DEPTH_NODE", ROOT / ".venv" / "node"))
    installed = folder / "node_modules" / ".bin" / "splat-transform"
    program = str(installed) if installed.exists() else shutil.which("splat-transform")
    if program is None or shutil.which("node") is None:
        pytest.skip(f"no splat-transform: npm install --prefix {folder} @playcanvas/splat-transform@3.7.0")
    result = subprocess.run([program, "-q", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def independent_statistics(path: Path) -> dict:
    """What splat-transform says of a file: count, bands, model, and per column the statistics after activation."""
    report = json.loads(splat_transform(path, "--stats", "json", "null"))
    stats = report["stats"][0]
    columns = {name: {key: row[i] for key, row in stats["data"].items()} for i, name in enumerate(stats["columns"])}
    return {key: report[key] for key in ("gaussian", "numGaussians", "shBands", "model")} | {"columns": columns}


def assert_same_statistics(columns: dict[str, dict[str, float]], splats: GaussianSplats) -> None:
    """Compares splat-transform's columns with splats: no NaN, the same ends, and medians as exact as it has them.

    It prints sizes, opacities and base colours after their activation, with six digits, and takes medians from a
    histogram of 1,024 bins before the activation.
    """
    activations = {"scale": torch.exp, "opacity": torch.sigmoid, "f_dc": lambda values: 0.5 + SH_C0 * values}
    for name, raw in raw_columns(splats).items():
        found = columns[name]
        activate = next((function for start, function in activations.items() if name.startswith(start)), torch.clone)
        assert found["nanCount"] == found["infCount"] == 0, name
        ends = activate(torch.stack([raw.min(), raw.max()])).tolist()
        assert [found["min"], found["max"]] == pytest.approx(ends, rel=1e-5, abs=1e-6), name
        bin_width = float(raw.max() - raw.min()) / 1024
        levels = raw.unique()  # quantised values come in lumps, between which a median may be said to lie
        middle = int(torch.searchsorted(levels, raw.median()))
        around = levels[[max(middle - 1, 0), min(middle + 1, len(levels) - 1)]].double()
        near = activate(around + torch.tensor([-1, 1]) * (2 * bin_width)).tolist()
        assert near[0] - 1e-6 <= found["median"] <= near[1] + 1e-6, name


def raw_columns(splats: GaussianSplats) -> dict[str, Tensor]:
    """Parameters by the names of the .ply, written down here once more and apart from the package."""
    columns = {name: splats.means[:, i] for i, name in enumerate("xyz")}
    columns |= {f"rot_{i}": splats.quats[:, i] for i in range(4)}
    columns |= {f"scale_{i}": splats.log_scales[:, i] for i in range(3)}
    columns |= {f"f_dc_{i}": splats.sh[:, 0, i] for i in range(3)} | {"opacity": splats.logit_opacities}
    rest = splats.sh[:, 1:].transpose(1, 2).reshape(len(splats), -1)
    return columns | {f"f_rest_{i}": rest[:, i] for i in range(rest.shape[1])}
