"""Where the development data lie: in the folder named by SCENE_DEPTH_SHARED, or in ``shared`` beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path


def shared(relative: str) -> Path:
    """A path in the development data, whether it is there or not."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    return Path(os.environ.get("SCENE_DEPTH_SHARED", beside)) / relative


def shared_file(relative: str) -> Path | None:
    """A file or folder of the development data; None if absent."""
    path = shared(relative)
    return path if path.exists() else None
