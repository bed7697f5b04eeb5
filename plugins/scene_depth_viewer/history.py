"""Undo and redo as a list of values, within a bound of memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scene_depth_heal.workflow import HealView
from torch import Tensor

from scene_depth.splats import PARAMETERS, GaussianSplats


@dataclass(frozen=True)
class Hole:
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
    """

    label: str
    splats: GaussianSplats
    selection: Tensor
    views: tuple[HealView, ...] = ()
    hole: Hole | None = None

    def arrays(self) -> Iterator[tuple[int, int]]:
        """Address and size in bytes of every array that the state keeps alive; shared ones have one address."""
        tensors = [self.selection]
        for splats in (self.splats, *(() if self.hole is None else (self.hole.base,))):
            tensors += [getattr(splats, name) for name in PARAMETERS] + list(splats.extra.values())
        if self.hole is not None:
            tensors.append(self.hole.removed)
        for tensor in tensors:
            storage = tensor.untyped_storage()
            yield storage.data_ptr(), storage.nbytes()
        for view in self.views:
            yield id(view.rgb), view.rgb.nbytes


@dataclass
class History:
    """States in order, with the present one among them. Old states are dropped when the bound is passed.

    Attributes:
        limit_bytes: Memory that states may take together; arrays that states share count once. The present state and
            the one before it are always kept.
    """

    limit_bytes: int = 2 << 30
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
        if self._present <= 0:
            return None
        self._present -= 1
        return self.present

    def redo(self) -> Step | None:
        """Goes to the state after and gives it; None if there is none."""
        if self._present + 1 >= len(self._steps):
            return None
        self._present += 1
        return self.present

    @property
    def labels(self) -> list[str]:
        """What was done, in order, up to the present."""
        return [step.label for step in self._steps[: self._present + 1]]

    @property
    def undone(self) -> list[str]:
        """What redo would do, in order."""
        return [step.label for step in self._steps[self._present + 1 :]]
