"""Finds what can be trained by name; nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene_depth.errors import InputError
from scene_depth.registry import Registry
from scene_depth.training.config import changed, read_config

if TYPE_CHECKING:
    from scene_depth.training.objective import Objective

TRAININGS = Registry(
    "training",
    "scene_depth.trainings",
    {
        "auxiliary": "scene_depth.training.auxiliary:TRAINING",
        "depthfm": "scene_depth.training.depthfm:TRAINING",
        "depthlab": "scene_depth.training.depthlab:TRAINING",
        "refined": "scene_depth.training.refined:TRAINING",
        "solver": "scene_depth.training.solver:TRAINING",
        "vae": "scene_depth.training.vae:TRAINING",
    },
)


@dataclass(frozen=True)
class Training:
    """One kind of training.

    Attributes:
        name: Its name.
        config: Dataclass of its configuration, with a field ``train`` of type ``TrainConfig``.
        presets: Ready configurations by name; "default" is among them.
        make: Gives the objective of a configuration; checks it and the data that it names.
    """

    name: str
    config: type[Any]
    presets: Mapping[str, Any]
    make: Callable[[Any], Objective]


def find_training(name: str) -> Training:
    """The training of that name.

    Raises:
        InputError: If there is none, or it cannot be imported.
    """
    found = TRAININGS.load(name)
    if not isinstance(found, Training):
        raise InputError(name, type(found).__name__, "a Training")
    return found


def training_config(training: Training, source: str | None, settings: Sequence[str] = ()) -> Any:
    """A configuration from a preset or a file, with some values replaced.

    Args:
        training: What is trained.
        source: Name of a preset or a JSON file; None for the preset "default".
        settings: ``KEY=VALUE``, as in ``config.changed``.

    Raises:
        InputError: If there is no such preset or file, or a key or value does not fit.
    """
    if source is None or source in training.presets:
        config = training.presets[source or "default"]
    elif Path(source).suffix == ".json" or Path(source).exists():
        config = read_config(source, training.config)
    else:
        raise InputError("config", repr(source), f"a JSON file, or one of {', '.join(training.presets)}")
    return changed(config, settings) if settings else config
