"""Inpainters by name for an evaluation, with a monocular prior where one is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.monocular import BackEnd, MonocularMap, PriorInpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_priors import PriorKind
from scene_depth.evaluation.depth_protocols import DepthCase

PRIOR_ALONE: Mapping[str, BackEnd] = MappingProxyType({"prior_global": "global", "prior_local": "local"})
"""Names for the prior itself, fitted to the known depth as a whole or pixel by pixel: what the prior is worth alone."""


def check_inpainters(names: Sequence[str], prior: PriorKind) -> None:
    """Checks names before a run.

    Args:
        names: Names of ``load_depth_inpainter``, or of ``PRIOR_ALONE`` with a prior.
        prior: The prior of the run.

    Raises:
        InputError: If a name is unknown or cannot be loaded, or if none of the inpainters uses the prior.
    """
    if not names:
        raise InputError("inpainter", "none", "one or more names")
    for name in names:
        if name not in PRIOR_ALONE:
            _loaded(name)
        elif prior == "none":
            raise InputError("inpainter", name, "an inpainter that needs no prior, or a prior")
    if prior != "none" and not any(name in PRIOR_ALONE or _takes(name, "prior") for name in names):
        raise InputError("prior", prior, f"none, since {', '.join(names)} takes no prior")


def case_inpainter(name: str, case: DepthCase, threads: int | None = None) -> ExactInpainter:
    """The inpainter for a case; one that takes a prior is given that of the case.

    Args:
        name: Its name.
        case: The case.
        threads: Number of threads for inpainters that let it be chosen; None leaves it to them.
    """
    if name in PRIOR_ALONE and case.prior is not None:
        return ExactInpainter(PriorInpainter(MonocularMap(case.prior, "inverse"), PRIOR_ALONE[name]), name)
    options: dict[str, Any] = {"threads": threads} if threads is not None and _takes(name, "threads") else {}
    if case.prior is not None and _takes(name, "prior"):
        return load_depth_inpainter(name, prior=case.prior, **options)
    return _loaded(name, **options)


@lru_cache(maxsize=16)
def _loaded(name: str, **options: Any) -> ExactInpainter:
    return load_depth_inpainter(name, **options)


@lru_cache(maxsize=64)
def _takes(name: str, option: str) -> bool:
    """Whether an inpainter's factory has that option; None is its default for both that are asked for here."""
    try:
        load_depth_inpainter(name, **{option: None})
    except InputError:
        return False
    return True
