"""A package by somebody else, installed as a user installs it, gives its inpainters by name to every part of the program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scene_depth as sd
from scene_depth.cli.app import main

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tests/third_party_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed package, which is built in a copy and without network."""
    folder = tmp_path_factory.mktemp("third_party")
    shutil.copytree(PACKAGE, folder / "source")
    quiet = ["--quiet", "--disable-pip-version-check"]
    program = [sys.executable, "-m", "pip", *quiet, "install", "--no-deps", "--no-index", "--no-build-isolation"]
    command = [*program, "--target", str(folder / "site"), str(folder / "source")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "site"


@pytest.fixture(autouse=True)
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(ROOT)


def test_it_is_listed_with_its_options() -> None:
    entry = next(entry for entry in sd.available_depth_inpainters() if entry.name == "backdrop")
    assert entry.problem is None
    assert [(option.name, option.default) for option in entry.options] == [("quantile", 0.75)]
    assert "mean_color" in [entry.name for entry in sd.available_image_inpainters()]


def test_complete_uses_it_by_name_and_keeps_known_depth(tmp_path: Path) -> None:
    table, output = ROOT / "scenes/table", tmp_path / "out"
    words = [str(table / "images/frame_00.jpg"), str(table / "depth/frame_00.png"), "--mask", str(table / "masks/frame_00.png")]
    options = ["--mask-white", "fill", "--inpainter", "backdrop", "--inpainter-options", "quantile=0.9", "--no-points"]
    assert main(["complete", *words, *options, "--output", str(output)]) == 0
    stored, mask = (np.asarray(Image.open(table / folder / "frame_00.png")) for folder in ("depth", "masks"))
    written = np.asarray(Image.open(next((output / "depth").iterdir())))
    known = (mask == 0) & (stored > 0)
    assert np.array_equal(written[known], stored[known])
    assert (written[mask > 0] > 0).all()
    assert "backdrop" in (output / "report.json").read_text()


def test_heal_uses_both_by_name(tmp_path: Path) -> None:
    options = ["--inpainter", "backdrop", "--color", "mean_color", "--max-size", "64", "--steps", "2", "--most-references", "1"]
    assert main(["heal", "scenes/table", *options, "--no-shadow", "--output", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["references"][0]["depth_details"]["inpainter"] == "backdrop"
    assert len(sd.read_splats(tmp_path / "out/healed.ply")) > 0


def test_the_viewer_offers_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("viser")
    from scene_depth_viewer.page import Controls

    offered: dict[str, list[str]] = {}
    plain = Controls.dropdown

    def recorded(self, label, names, *args, **options):
        offered[label] = list(names)
        return plain(self, label, names, *args, **options)

    monkeypatch.setattr(Controls, "dropdown", recorded)
    page = sd.view("scenes/table", export_dir=tmp_path, max_size=64, port=0)
    page.stop()
    assert "backdrop" in offered["Depth"]
    assert "mean_color" in offered["Colour"]
