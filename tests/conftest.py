"""Fixtures of all tests: real data that lies beside the checkout, never in it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# Test processes share the cores: threads of torch that wait for each other by spinning would make them many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_CBWR", "COMPATIBLE")  # products of matrices round alike on every processor
os.environ["HF_HUB_OFFLINE"] = "1"  # no test goes to the network
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


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


@pytest.fixture
def control_c() -> Iterator[None]:
    """Ctrl-C interrupts, here and in child processes, also where the tests run in the background with SIGINT ignored."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import torch

    items.sort(key=lambda item: item.get_closest_marker("slow") is None)  # or one process would be left with them at the end
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
