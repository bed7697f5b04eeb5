"""Where files are kept that can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """The folder ``scene_depth`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``); it may not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "scene_depth"
