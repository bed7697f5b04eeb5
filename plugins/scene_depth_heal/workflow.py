"""Heal: delete the object, find what is truly unseen, fill it reference by reference, fit the new splats, check."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.color.protocol import ImageInpainter
from scene_depth.depth.protocol import DepthInpainter
from scene_depth.errors import InputError
from scene_depth.fitting.fit import FitProgress
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth_heal.evidence import unvouched
from scene_depth_heal.fill import Filled, Reference, as_array, fill_depth, fill_reference
from scene_depth_heal.hole import ViewState, dilate, object_pixels, opaque_depth, open_hole, weight_of
from scene_depth_heal.refine import floating, refine, supervision_of
from scene_depth_heal.report import HealReport, ReferenceReport
from scene_depth_heal.selection import check_selection
from scene_depth_heal.shadow import confirmed, find_shadow, shadowed_splats, witness_of

COVERED = 0.5  # blending weight of new splats from which a pixel is no longer unseen


@dataclass(frozen=True)
class HealConfig:
    """How a hole is healed."""

    references: tuple[str, ...] = ()
    """Names of the views to fill from, in order; by default those with the largest unseen area."""
    most_references: int = 4
    """Largest number of references."""
    enough: float = 0.0005
    """Unseen share of a picture below which a view needs no fill."""
    widen: int = 2
    """Pixels by which the object's pixels are widened, for its blurred rim."""
    steps: int = 300
    """Optimisation steps of the new splats; 0 leaves them as they are made."""
    shadow: bool = True
    """Take away the object's shadow on the surface around the hole too: its splats are deleted and made anew, lit as that
    surface is farther away. On by default, since it looks and measures better where a shadow is found; it is looked for in
    one view, believed if another far away shows it too, and missed where the surface does not repeat itself nearby. No effect
    if the first reference is painted."""
    seed: int = 0
    """Seed of everything random."""


@dataclass(frozen=True)
class HealView:
    """A view to heal in.

    Attributes:
        name: Of the view.
        camera: At the working size.
        rgb: The photo  # [H, W, 3]
        mask: Object mask if there is one  # [H, W] bool
        painted: The user's own picture of the healed view, if this is a reference that was edited elsewhere  # [H, W, 3]
    """

    name: str
    camera: Cameras
    rgb: NDArray[np.float32]
    mask: NDArray[np.bool_] | None = None
    painted: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class HealProgress:
    """What a progress callback gets.

    Attributes:
        stage: "hole", "fill" or "fit".
        done, total: Units of the stage.
        message: One line for a person.
        splats: Gives the scene as it stands, with the new splats.
    """

    stage: str
    done: int
    total: int
    message: str
    splats: Callable[[], GaussianSplats]


@dataclass(frozen=True)
class HealResult:
    """Outcome of a heal.

    Attributes:
        splats: Kept splats, bit for bit and first, then the new ones.
        new: How many of them are new.
        fills: The filled references.
        states: Every view before and after the deletion.
        report: What was done.
    """

    splats: GaussianSplats
    new: int
    fills: tuple[Filled, ...]
    states: tuple[ViewState, ...]
    report: HealReport


Tell = Callable[[HealProgress], bool | None]


def heal(
    splats: GaussianSplats,
    removed: Tensor,
    views: Sequence[HealView],
    depth_inpainter: DepthInpainter,
    image_inpainter: ImageInpainter,
    config: HealConfig | None = None,
    *,
    progress: Tell | None = None,
    dry_run: bool = False,
) -> HealResult:
    """Removes splats and repairs the hole that they leave.

    Args:
        splats: The scene with the object; never changed.
        removed: The splats to delete  # [N] bool
        views: Posed photos of the scene; they decide what is unseen and supervise the repair.
        depth_inpainter: Fills depth; see ``load_depth_inpainter``.
        image_inpainter: Fills colour.
        config: Parameters.
        progress: Called between steps; False stops, and the result holds what is done so far.
        dry_run: Only delete, and report what is unseen.

    Raises:
        InputError: If the selection is empty or everything, there is no view, a named reference is not there, or no view
            shows the object.
    """
    config = config or HealConfig()
    _check(removed, views, config)
    run = _Run(splats, removed, views, config, progress)
    with run.timed("hole"):
        run.open()
    if not dry_run:
        try:
            with run.timed("fill"):
                run.fill(depth_inpainter, image_inpainter)
            if run.fills and config.steps:
                with run.timed("fit"):
                    run.fit()
            run.report.finished = not run.stopped
        except KeyboardInterrupt:
            run.stopped = True
    return run.result()


def _check(removed: Tensor, views: Sequence[HealView], config: HealConfig) -> None:
    check_selection(removed, "selection")
    if not views:
        raise InputError("views", "none", "one or more posed photos of the scene")
    names = {view.name for view in views}
    for name in config.references:
        if name not in names:
            raise InputError("references", repr(name), f"names of views: {', '.join(sorted(names)[:5])}, …")
    for view in views:
        for what, values in (("mask", view.mask), ("painted", view.painted)):
            if values is not None and values.shape[:2] != (view.camera.height, view.camera.width):
                raise InputError(
                    f"view {view.name!r}: {what}", f"size {values.shape[:2]}", f"({view.camera.height}, {view.camera.width})"
                )


@dataclass
class _Run:
    """A heal under way."""

    splats: GaussianSplats
    removed: Tensor
    views: Sequence[HealView]
    config: HealConfig
    progress: Tell | None
    report: HealReport = field(default_factory=HealReport)
    states: list[ViewState] = field(default_factory=list)
    fills: list[Filled] = field(default_factory=list)
    lit: dict[str, Reference] = field(default_factory=dict)
    new: GaussianSplats | None = None
    stopped: bool = False

    def __post_init__(self) -> None:
        self.splats = self.splats.detach()
        self.removed = self.removed.to(self.splats.device)
        self.kept = self.splats.select(~self.removed)
        self.report.removed_splats = int(self.removed.sum())
        self.report.parameters = asdict(self.config)

    def open(self) -> None:
        """Finds the hole and what is unseen in it."""
        masks = [None if view.mask is None else torch.from_numpy(view.mask) for view in self.views]
        names, cameras = [view.name for view in self.views], [view.camera for view in self.views]
        blocked = [object_pixels(self.splats, self.removed, *pair) for pair in zip(cameras, masks, strict=True)]
        stray = unvouched(self.splats, self.removed, cameras, blocked)
        self.removed = self.removed | stray
        self.report.stray_splats = int(stray.sum())
        self.keep()
        self.states = open_hole(self.splats, self.removed, names, cameras, masks, widen=self.config.widen)
        showing = sum(int(state.object_pixels.sum()) for state in self.states)
        if showing == 0:
            raise InputError("selection", "splats that show in no view", "an object that at least one view shows")
        self.report.unseen_before = {state.name: state.unseen_share for state in self.states}
        self.report.unseen_after = dict(self.report.unseen_before)
        self.report.unseen_share_of_hole = sum(int(state.unseen.sum()) for state in self.states) / showing
        self.tell("hole", 1, 1, f"{100 * self.report.unseen_share_of_hole:.0f} % of the hole was never seen")

    def fill(self, depth_inpainter: DepthInpainter, image_inpainter: ImageInpainter) -> None:
        """Fills reference after reference until little is unseen."""
        remaining = {state.name: state.unseen for state in self.states}
        waiting = list(self.config.references) or list(remaining)
        limit = len(self.config.references) or self.config.most_references
        if self.config.shadow and waiting:
            self.take_shadow(self.next_of(waiting, remaining), depth_inpainter)
            remaining = {state.name: state.unseen for state in self.states}
        while waiting and len(self.fills) < limit and not self.stopped:
            first = next(iter(self.lit), None) if not self.fills else None
            name = first if first in waiting else self.next_of(waiting, remaining)
            waiting.remove(name)
            if float(remaining[name].float().mean()) < self.config.enough:
                continue
            filled = fill_reference(
                self.reference(name, remaining[name]), depth_inpainter, image_inpainter, seed=self.config.seed
            )
            self.add(filled)
            remaining = {state.name: self.uncovered(state) for state in self.states}
            self.report.unseen_after = {key: float(value.float().mean()) for key, value in remaining.items()}
            self.tell("fill", len(self.fills), limit, f"{len(filled.splats)} splats from {name}")

    def next_of(self, waiting: Sequence[str], remaining: dict[str, Tensor]) -> str:
        """The next reference: the first named one, or that with the largest unseen area."""
        if self.config.references:
            return waiting[0]
        return max(waiting, key=lambda name: float(remaining[name].float().mean()))

    def take_shadow(self, name: str, depth_inpainter: DepthInpainter) -> None:
        """Finds the object's shadow in a view and removes the splats that carry it; that view keeps its lit picture."""
        index = [view.name for view in self.views].index(name)
        reference = self.reference(name, self.states[index].unseen)
        if reference.painted is not None or not reference.hole.any():
            return
        shadow = find_shadow(reference, fill_depth(reference, depth_inpainter, seed=self.config.seed), seed=self.config.seed)
        if shadow is None:
            return
        darkened = torch.zeros_like(self.removed)
        darkened[~self.removed] = self.witnessed(shadowed_splats(self.kept, shadow), self.states[index], depth_inpainter)
        if not darkened.any() or (darkened | self.removed).all():
            return
        self.removed = self.removed | darkened
        self.keep()
        self.report.shadow_splats = int(darkened.sum())
        self.report.shadow_share_of_picture = float(shadow.pixels.mean())
        self.report.shadow_gain = float(shadow.gain[shadow.pixels].mean())
        masks = [None if view.mask is None else torch.from_numpy(view.mask) for view in self.views]
        names, cameras = [view.name for view in self.views], [view.camera for view in self.views]
        self.states = open_hole(self.splats, self.removed, names, cameras, masks, widen=self.config.widen)
        renew = as_array(dilate(self.states[index].unseen, 1)) & ~reference.hole & (reference.depth > 0)
        self.lit[name] = replace(shadow.reference, renew=renew)

    def witnessed(self, shadowed: Tensor, first: ViewState, depth_inpainter: DepthInpainter) -> Tensor:
        """Those of the kept splats in a view's shadow that another view does not contradict  # [N] bool"""
        found = self.kept.select(shadowed)
        witness = witness_of(found, first, self.states) if len(found) else None
        if witness is None:
            return shadowed
        seed, reference = self.config.seed, self.reference(witness.name, witness.unseen)
        shadow = find_shadow(reference, fill_depth(reference, depth_inpainter, seed=seed), seed=seed)
        result = shadowed.clone()
        result[shadowed] = confirmed(found, reference, shadow)
        return result

    def keep(self) -> None:
        """What is not removed becomes the frozen part."""
        self.kept = self.splats.select(~self.removed)
        self.report.kept_splats = len(self.kept)
        self.report.frozen_sha256_before = self.kept.sha256()

    def reference(self, name: str, hole: Tensor) -> Reference:
        """The view with what is known of it now."""
        if name in self.lit:
            return self.lit[name]
        index = [state.name for state in self.states].index(name)
        state, view = self.states[index], self.views[index]
        now = render(self.scene(), state.camera)
        beside = as_array(state.object_pixels)[..., None]
        return Reference(
            name=name,
            camera=state.camera,
            rgb=np.where(beside, as_array(now.rgb[0].clamp(0, 1)), view.rgb).astype(np.float32),
            depth=as_array(opaque_depth(now)),
            hole=as_array(dilate(hole, 1)),
            painted=view.painted,
        )

    def add(self, filled: Filled) -> None:
        made = replace(filled.splats.to(self.splats.device), antialiased=self.kept.antialiased)
        self.new = made if self.new is None else concatenate_splats([self.new, made])
        self.fills.append(filled)
        seam = filled.prediction.seam
        self.report.references.append(
            ReferenceReport(
                view=filled.reference.name,
                invented_pixels=int(filled.reference.hole.sum()),
                splats=len(filled.splats),
                seam=None if seam is None else asdict(seam),
                depth_details=filled.prediction.details,
            )
        )

    def uncovered(self, state: ViewState) -> Tensor:
        """Unseen pixels that the new splats do not cover yet  # [H, W] bool"""
        assert self.new is not None
        whole = self.scene()
        chosen = torch.arange(len(whole), device=whole.device) >= len(self.kept)
        return state.unseen & (weight_of(whole, chosen, state.camera) < COVERED)

    def fit(self) -> None:
        """Optimises the new splats and takes out what floats."""
        assert self.new is not None

        def tell(told: FitProgress) -> bool:
            def current() -> GaussianSplats:
                return told.splats()

            if told.step % 10 == 0 or told.step == told.total:
                return self.tell("fit", told.step, told.total, f"loss {told.loss:.4f}", current)
            return not self.stopped

        pictures = {view.name: view.rgb for view in self.views}
        supervision = supervision_of(self.states, pictures, {filled.reference.name: filled for filled in self.fills})
        result = refine(self.new, self.kept, supervision, steps=self.config.steps, seed=self.config.seed, progress=tell)
        flying = floating(result.splats, self.states)
        self.report.floating_splats = int(flying.sum())
        self.new = result.splats.select(~flying)

    def scene(self) -> GaussianSplats:
        """Kept splats, then the new ones."""
        return self.kept if self.new is None else concatenate_splats([self.kept, self.new])

    def tell(self, stage: str, done: int, total: int, message: str, splats: Callable[[], GaussianSplats] | None = None) -> bool:
        if self.progress is not None and self.progress(HealProgress(stage, done, total, message, splats or self.scene)) is False:
            self.stopped = True
        return not self.stopped

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.report.seconds[stage] = time.perf_counter() - started

    def result(self) -> HealResult:
        healed = self.scene()
        new = 0 if self.new is None else len(self.new)
        self.report.new_splats = new
        self.report.frozen_sha256_after = healed.select(slice(0, len(self.kept))).with_sh_degree(self.kept.sh_degree).sha256()
        return HealResult(healed, new, tuple(self.fills), tuple(self.states), self.report)
