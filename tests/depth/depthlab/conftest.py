"""Fixtures of the tests of DepthLab: tiny weights on disk and loaded, a view."""

from __future__ import annotations

from pathlib import Path

import pytest
from depthlab_samples import a_view, write_official


@pytest.fixture(scope="session")
def official(tmp_path_factory) -> Path:
    """Folder with tiny official weights; not to be changed."""
    return write_official(tmp_path_factory.mktemp("depthlab") / "checkpoints")


@pytest.fixture(scope="session")
def model(official):
    """The tiny weights, loaded."""
    from scene_depth.depth.depthlab import DepthLabModel

    return DepthLabModel.from_pretrained(official, device="cpu").with_empty_text()


@pytest.fixture
def view():
    return a_view()
