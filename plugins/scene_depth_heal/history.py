"""States of an edited scene, for undo and redo within a bound of memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from scene_depth.splats import PARAMETERS, GaussianSplats
from scene_depth_heal.hole import HealView

UNDO_BYTES = 2 << 30  # memory for undo
HIDDEN, LOCKED, INVENTED = 1, 2, 4  # marks of a splat
HEALS = ("heal", "repair")  # labels of states that a heal led to


@dataclass(frozen=True)
class Deleted:
    """What was deleted and not healed yet.

    Attributes:
        base: The scene before the first of these deletions.
        removed: Which of its splats are gone  # [N of base] bool
    """

    base: GaussianSplats
    removed: Tensor


@dataclass(frozen=True)
class Step:
    """One state of the scene.

    Attributes:
        label: What led to it.
        splats: The scene.
        selection: Chosen splats  # [N] bool
        views: The photos, with healed objects replaced by what the healed scene shows.
        hole: What a heal has to repair; None if nothing was deleted since the last one.
        marks: HIDDEN, LOCKED (both cannot be selected) and INVENTED (no photo shows what a heal made) of each splat, added up; by
            default none  # [N] uint8
    """

    label: str
    splats: GaussianSplats
    selection: Tensor
    views: tuple[HealView, ...] = ()
    hole: Deleted | None = None
    marks: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.uint8))

    def __post_init__(self) -> None:
        if len(self.marks) != len(self.splats):
            object.__setattr__(self, "marks", torch.zeros(1, dtype=torch.uint8).expand(len(self.splats)))  # takes no memory

    @cached_property
    def visible(self) -> tuple[GaussianSplats, Tensor]:
        """The splats that are not hidden, and which of them are selected; of a state always the same values."""
        shown = (self.marks & HIDDEN) == 0
        return (self.splats, self.selection) if bool(shown.all()) else (self.splats.select(shown), self.selection[shown])

    def arrays(self) -> Iterator[tuple[int, int]]:
        """Address and size in bytes of every array that the state keeps alive; shared ones have one address."""
        tensors = [self.selection, *([self.marks] if self.marks.is_contiguous() else [])]
        for splats in (self.splats, *(() if self.hole is None else (self.hole.base,))):
            tensors += [getattr(splats, name) for name in PARAMETERS] + list(splats.extra.values())
        if self.hole is not None:
            tensors.append(self.hole.removed)
        for tensor in tensors:
            storage = tensor.untyped_storage()
            yield storage.data_ptr(), storage.nbytes()
        for view in self.views:
            if isinstance(view.photo, Tensor):
                yield id(view.photo), view.photo.nbytes


@dataclass
class History:
    """States in order, with the present one among them. Old states are dropped when the bound is passed.

    Attributes:
        limit_bytes: Memory that states may take together; arrays that states share count once. The present state and
            the one before it are always kept.
    """

    limit_bytes: int = UNDO_BYTES
    _steps: list[Step] = field(default_factory=list)
    _present: int = -1

    def push(self, step: Step) -> None:
        """Makes a new state the present one; what was undone before is gone."""
        del self._steps[self._present + 1 :]
        self._steps.append(step)
        while len(self._steps) > 2 and self.bytes > self.limit_bytes:
            del self._steps[0]
        self._present = len(self._steps) - 1

    @property
    def present(self) -> Step:
        """The state that is shown."""
        return self._steps[self._present]

    @property
    def bytes(self) -> int:
        """Memory of all states, shared arrays once."""
        return sum(dict(entry for step in self._steps for entry in step.arrays()).values())

    def undo(self) -> Step | None:
        """Goes to the state before and gives it; None if there is none."""
        return self._move(-1)

    def redo(self) -> Step | None:
        """Goes to the state after and gives it; None if there is none."""
        return self._move(1)

    def before_heal(self) -> Step | None:
        """The state before the last heal and before the deletions that it repaired; None if there was no heal."""
        healed = [number for number in range(1, self._present + 1) if self._steps[number].label in HEALS]
        number = healed[-1] - 1 if healed else 0
        while number > 0 and self._steps[number].hole is not None:
            number -= 1
        return self._steps[number] if healed else None

    def _move(self, by: int) -> Step | None:
        if not 0 <= self._present + by < len(self._steps):
            return None
        self._present += by
        return self.present

    @property
    def labels(self) -> list[str]:
        """What was done, in order, up to the present."""
        return [step.label for step in self._steps[: self._present + 1]]

    @property
    def undone(self) -> list[str]:
        """What redo would do, in order."""
        return [step.label for step in self._steps[self._present + 1 :]]
