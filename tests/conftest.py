"""Fixtures of all tests: real data that lies beside the checkout, never in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_root() -> Path:
    """Folder of development data, by the environment variable SCENE_DEPTH_SHARED or beside the checkout."""
    return Path(os.environ.get("SCENE_DEPTH_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """``shared("data/fox")`` gives the path, or skips the test where the data is absent."""

    def find(relative: str) -> Path:
        path = shared_root() / relative
        if not path.exists():
            pytest.skip(f"{relative} is not there; set SCENE_DEPTH_SHARED to a folder that has it")
        return path

    return find


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import torch

    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
