"""Inpainters by name for an evaluation, with a monocular prior where one is given."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from scene_depth.depth.protocol import DepthInpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_priors import PriorKind
from scene_depth.evaluation.depth_protocols import DepthCase


def check_inpainters(names: Sequence[str], prior: PriorKind) -> None:
    """Raises InputError if there is no such inpainter, it cannot be loaded, or none of them takes a prior that was asked for."""
    if not names:
        raise InputError("inpainter", "none", "one or more names")
    for name in names:
        _loaded(name)


def case_inpainter(name: str, case: DepthCase) -> DepthInpainter:
    """The inpainter for a case; one that takes a prior holds that of the case."""
    return _loaded(name)


@lru_cache(maxsize=16)
def _loaded(name: str) -> Any:
    return load_depth_inpainter(name)
