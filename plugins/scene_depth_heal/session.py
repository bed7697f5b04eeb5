"""What an editor edits: the scene's present state and its selection, and the heal that runs beside it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.io.splat_files import write_splats
from scene_depth.splat_transforms import transform_splats
from scene_depth.splats import PARAMETERS, GaussianSplats, concatenate_splats
from scene_depth.work import Progress
from scene_depth_heal.drawings import Drawings
from scene_depth_heal.history import HIDDEN, INVENTED, LOCKED, UNDO_BYTES, Deleted, History, Step
from scene_depth_heal.hole import HealView
from scene_depth_heal.masks import fit_masks
from scene_depth_heal.picking import Mode, combine
from scene_depth_heal.selection import check_selection, grow, select_by_masks, shrink, without_leftovers
from scene_depth_heal.workflow import HealConfig, HealResult, heal_alone, heal_views

Listener = Callable[[], None]


class EditSession:
    """An open scene. All changes go through here, under one lock; values are replaced, never edited.

    Args:
        splats: The scene to edit.
        views: Posed photos; without them heals see what the splats show. Their masks select, they do not widen holes.
        source: File that the splats come from; it is never written.
        undo_bytes: Memory for undo.
        max_size: Longer side of the views that stand in for photos, in pixels.
    """

    def __init__(
        self,
        splats: GaussianSplats,
        views: Sequence[HealView] = (),
        source: Path | None = None,
        undo_bytes: int = UNDO_BYTES,
        max_size: int = 640,
    ):
        self._max_size = max_size
        self.source = source
        self.original = splats.detach()
        self.masks = {view.name: view.mask for view in views if view.mask is not None}
        self.lock = threading.RLock()
        self.history = History(undo_bytes)
        self.photos = tuple(replace(view, mask=None) for view in views)
        self.history.push(Step("open", self.original, _none(self.original), self.photos))
        self.preview: GaussianSplats | None = None
        self._before = False
        self._listeners: list[Listener] = []
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._inpainters: dict[tuple[Any, ...], Any] = {}
        self._drawings = Drawings()  # of the scene that was opened or healed last
        self._drawing = threading.Lock()

    @property
    def splats(self) -> GaussianSplats:
        """The present scene."""
        return self.history.present.splats

    @property
    def selection(self) -> Tensor:
        """The present selection  # [N] bool"""
        return self.history.present.selection

    @property
    def views(self) -> tuple[HealView, ...]:
        """The photos as heals use them: where an object was healed away, they show the healed scene."""
        return self.history.present.views

    @property
    def busy(self) -> bool:
        """Whether a heal is running."""
        return self._busy.locked()

    @property
    def before(self) -> bool:
        """Whether the scene is shown as it was opened; set it to compare."""
        return self._before

    @before.setter
    def before(self, value: bool) -> None:
        self._before = value
        self._notify()

    def shown(self) -> tuple[GaussianSplats, Tensor | None]:
        """What to draw, and which of it is selected; None where no selection applies."""
        with self.lock:
            if self._before:
                return self.original, None
            if self.preview is not None:
                return self.preview, None
            return self.history.present.visible

    def past(self, before_heal: bool) -> GaussianSplats:
        """The scene to compare with: as it was opened, or, where it was healed since, before the last heal."""
        with self.lock:
            step = self.history.before_heal() if before_heal else None
            return self.original if step is None else step.visible[0]

    @property
    def invented(self) -> Tensor | None:
        """Which of the shown splats no photo vouches for; None where that is not known  # [N of shown] bool"""
        with self.lock:
            if self._before or self.preview is not None:
                return None
            marks = self.history.present.marks
            return (marks & INVENTED)[(marks & HIDDEN) == 0] > 0

    def draw_ahead(self) -> None:
        """Draws the photos' views of the present scene, which a heal asks for first; ends when it begins, or with an edit."""
        splats, views = self.splats, self.views
        for view in views:
            with self._drawing:
                if self.busy or self.splats is not splats:
                    return
                self._drawings.follow(splats)
                if not self._drawings.has_room(view.camera):
                    return
                self._drawings.of(view.camera)

    def listen(self, listener: Listener) -> None:
        """Calls ``listener`` after every change, from the thread that made it; it must not take long."""
        self._listeners.append(listener)

    def select(self, chosen: Tensor, mode: Mode = "set", label: str = "select") -> None:
        """Changes the selection  # [N] bool"""
        with self.lock:
            self._check_idle()
            if len(chosen) != len(self.splats):
                raise InputError("selection", f"{len(chosen)} splats", f"{len(self.splats)}: the scene has changed meanwhile")
            self._push(label, selection=combine(self.selection, chosen.cpu(), mode) & self._free())

    def select_by(self, choose: Callable[[GaussianSplats], Tensor], mode: Mode = "set", label: str = "select") -> None:
        """Selects among the splats that are not hidden.

        Args:
            choose: Gives the chosen ones of the splats that it gets, as booleans.

        Raises:
            InputError: If it chooses none or all, as well as ``choose``; the selection is then as before.
        """
        with self.lock:
            state = self.history.present
        self.select(self._whole(state, check_selection(choose(state.visible[0]), label)), mode, label)

    def chosen_by(self, choose: Callable[[GaussianSplats], Tensor], label: str) -> Tensor:
        """What ``select_by`` would select, without selecting it  # [N] bool"""
        with self.lock:
            state = self.history.present
        return check_selection(self._whole(state, check_selection(choose(state.visible[0]), label)) & self._free(), label)

    def select_masked(self, mode: Mode = "set") -> None:
        """Selects what the scene's own masks show.

        Raises:
            InputError: If the scene has no masks, or they select nothing or everything.
        """
        if not self.masks:
            raise InputError("masks", "none", "a scene with masks")
        with self.lock:
            splats = self.splats
            views = [replace(view, mask=self.masks[view.name]) for view in self.views if view.name in self.masks]
        fitted, _ = fit_masks(splats, views)
        masks = [view.mask.to(splats.device) for view in fitted if view.mask is not None]
        chosen = select_by_masks(splats, [view.camera for view in fitted], masks)
        self.select(without_leftovers(splats, chosen), mode, "select by masks")

    def grow_selection(self, steps: int) -> None:
        """Grows the selection by the splats that touch it; shrinks it if ``steps`` is negative."""
        with self.lock:
            self._check_idle()
            changed = grow(self.splats, self.selection, steps) if steps > 0 else shrink(self.splats, self.selection, -steps)
            self._push("grow" if steps > 0 else "shrink", selection=changed & self._free())

    def invert_selection(self) -> None:
        """Selects what was not selected."""
        with self.lock:
            self._check_idle()
            self._push("invert", selection=~self.selection & self._free())

    def mark(self, which: int, label: str) -> None:
        """Hides or locks the selected splats, which are then selected no more.

        Raises:
            InputError: If nothing is selected, or everything is to be hidden.
        """
        with self.lock:
            self._check_idle()
            marks = self.history.present.marks | self.selection.to(torch.uint8) * which
            check_selection(self.selection if which != HIDDEN else (marks & HIDDEN) > 0, "selection")
            self._push(label, marks=marks, selection=_none(self.splats))

    def unmark(self, which: int, label: str) -> None:
        """Takes a mark from all splats: shows what is hidden, unlocks, or confirms what a heal invented."""
        with self.lock:
            self._check_idle()
            marks = self.history.present.marks & (7 - which)
            self._push(label, marks=marks, selection=self.selection.clone())  # another value, so that it is drawn again

    def transform(self, matrix: Tensor, copy: bool = False) -> None:
        """Moves, turns and scales the selected splats, or a copy of them, which is then selected.

        Args:
            matrix: Similarity from old to new places  # [4, 4]

        Raises:
            InputError: If nothing is selected, or the matrix is no similarity.
        """
        with self.lock:
            self._check_idle()
            state, hole = self.history.present, self.history.present.hole
            if not bool(state.selection.any()):
                raise InputError("selection", "no splat", "some splats to move")
            moved = transform_splats(replace(state.splats.select(state.selection), comments=()), matrix)
            if copy:
                splats = concatenate_splats([state.splats, moved])
                self.change(splats, torch.ones_like(state.selection), "duplicate", select_added=True)
                return
            if hole is not None:
                rows = (~hole.removed).nonzero()[:, 0][state.selection.to(hole.removed.device)]
                hole = Deleted(_with_rows(hole.base, rows, moved), hole.removed)
            rows = state.selection.nonzero()[:, 0]
            self._push("move", splats=_with_rows(state.splats, rows, moved), hole=hole)

    def change(self, splats: GaussianSplats, kept: Tensor, label: str, select_added: bool = False) -> None:
        """Makes a changed scene the present one, with the marks and the hole of this one.

        Args:
            splats: What is kept of the present splats, in their order, and then what is added.
            kept: Which of the present splats are kept  # [N] bool
            label: What led to it.
            select_added: Select what is added; else what is selected stays so.
        """
        with self.lock:
            self._check_idle()
            hole, marks, count = self.history.present.hole, self.history.present.marks, int(kept.sum())
            if hole is not None:
                stays = torch.ones_like(hole.removed)
                stays[~hole.removed] = kept.to(stays.device)
                removed, added = hole.removed[stays], splats.select(slice(count, None))
                base = _with_rows(hole.base.select(stays), (~removed).nonzero()[:, 0], splats.select(slice(0, count)))
                hole = Deleted(concatenate_splats([base, added]), torch.cat([removed, removed.new_zeros(len(added))]))
            is_added = torch.arange(len(splats)) >= count
            marks = torch.cat([marks[kept], marks.new_zeros(len(splats) - count)])
            selection = is_added if select_added else torch.cat([self.selection[kept], ~is_added[count:]])
            self._push(label, splats=splats, selection=selection, marks=marks, hole=hole)

    def delete(self) -> None:
        """Removes the selected splats and leaves the hole, for a heal to repair.

        Raises:
            InputError: If nothing or everything is selected.
        """
        with self.lock:
            self._check_idle()
            check_selection(self.selection, "selection")
            hole = self._hole()
            kept = self.splats.select(~self.selection)
            marks = self.history.present.marks[~self.selection]
            self._push("delete", splats=kept, selection=_none(kept), hole=hole, marks=marks)

    def heal(
        self,
        inpainter: str,
        color: str,
        config: HealConfig,
        on_progress: Callable[[Progress], None],
        inpainter_options: Mapping[str, Any] | None = None,
        color_options: Mapping[str, Any] | None = None,
        removed: Tensor | None = None,
    ) -> HealResult:
        """Removes the selected splats and repairs the hole, with what was deleted since the last heal; blocks.

        Args:
            inpainter: Depth inpainter by name, with options behind it as in ``depthlab[weights=FOLDER]``.
            color: Image inpainter, likewise. Each is loaded once and kept for the next heal.
            config: Parameters.
            on_progress: Gets every progress report.
            inpainter_options: Further options of the depth inpainter.
            color_options: Of the image inpainter, likewise.
            removed: What to remove in place of the selection, as what a brush passed over  # [N] bool

        Returns:
            The result, which is the new state. A cancelled heal leaves the state as it was.

        Raises:
            InputError: If one is running, there is nothing to heal, or, without photos, as ``find_virtual_views``.
        """
        if not self._busy.acquire(blocking=False):
            raise InputError("heal", "another heal that is still running", "one at a time")
        try:
            self._stop.clear()
            self._notify()  # pages say that a heal runs
            hole, views, marks = self._healable(removed)
            depth_inpainter = self._loaded(inpainter, load_depth_inpainter, inpainter_options or {})
            image_inpainter = self._loaded(color, load_image_inpainter, color_options or {})

            def watched(now: Progress) -> bool:
                on_progress(now)
                return not self._stop.is_set()

            alone = partial(heal_alone, max_size=self._max_size)
            run = partial(heal_views, views=views, drawings=self._drawings) if views else alone
            with self._drawing:
                result = run(
                    hole.base,
                    hole.removed,
                    depth_inpainter=depth_inpainter,
                    image_inpainter=image_inpainter,
                    config=config,
                    on_progress=watched,
                )
                repainted = self._repainted(views, result) if views and result.report.finished else views
            with self.lock:
                self.preview = None
                if result.report.finished:
                    marks = torch.cat([marks[~result.removed.cpu()], INVENTED * result.invented.cpu().to(torch.uint8)])
                    label = "heal" if removed is None else "repair"
                    none = _none(result.splats)
                    self._push(label, splats=result.splats, selection=none, views=repainted, hole=None, marks=marks)
            return result
        finally:
            self.preview = None
            self._busy.release()
            self._notify()

    def show_preview(self, splats: GaussianSplats) -> None:
        """Shows the scene of a running heal in place of the present one."""
        self.preview = splats.detach()
        self._notify()

    def cancel(self) -> None:
        """Asks a running heal to stop."""
        self._stop.set()

    def replace(self, splats: GaussianSplats, label: str) -> None:
        """Makes another scene the present state, such as an edited copy that was saved before."""
        with self.lock:
            self._check_idle()
            self._push(label, splats=splats.detach(), selection=_none(splats), hole=None)

    def undo(self) -> bool:
        """Goes one state back; False if there is none."""
        return self._move(self.history.undo)

    def redo(self) -> bool:
        """Goes one state forward; False if there is none."""
        return self._move(self.history.redo)

    def export(self, path: Path) -> Path:
        """Writes the present scene; the format follows the extension.

        Raises:
            InputError: If the path is that of the input, or cannot be written.
        """
        inputs = () if self.source is None else (self.source,)
        write_splats(path, self.splats.to("cpu"), inputs=inputs)
        return path

    def exported(self, name: str) -> bytes:
        """The file that ``export`` would write under this name, for a download."""
        with tempfile.TemporaryDirectory() as folder:
            return self.export(Path(folder) / Path(name).name).read_bytes()

    def _loaded(self, spec: str, load: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        key = (load, spec, *sorted(options.items()))
        if key not in self._inpainters:
            self._inpainters[key] = load(spec, **options)
        return self._inpainters[key]

    def _healable(self, chosen: Tensor | None) -> tuple[Deleted, tuple[HealView, ...], Tensor]:
        """The hole, the views, and the marks of the scene before the first deletion."""
        with self.lock:
            chosen = self.selection if chosen is None else chosen
            if len(chosen) != len(self.splats):
                raise InputError("heal", f"{len(chosen)} splats", f"{len(self.splats)}: the scene has changed meanwhile")
            if self.history.present.hole is None or bool(chosen.all()):
                check_selection(chosen, "selection")
            hole, before = self._hole(chosen), self.history.present.hole
            marks = torch.zeros(len(hole.base), dtype=torch.uint8)
            marks[slice(None) if before is None else ~before.removed.cpu()] = self.history.present.marks.cpu()
            return hole, self.views, marks

    def _hole(self, chosen: Tensor | None = None) -> Deleted:
        """What was deleted so far and what is chosen now, by default what is selected, in the scene before the first deletion."""
        hole, chosen = self.history.present.hole, self.selection if chosen is None else chosen
        if hole is None:
            return Deleted(self.splats, chosen)
        removed = hole.removed.clone()
        removed[~hole.removed] = chosen
        return Deleted(hole.base, removed)

    def _repainted(self, views: Sequence[HealView], result: HealResult) -> tuple[HealView, ...]:
        """The photos with the healed object replaced, so that the next heal does not bring it back."""
        self._drawings.follow(result.splats)
        gone, changed = {state.name: state.object_pixels[..., None].cpu() for state in result.states}, []
        for view in views:
            if view.name in gone:
                now = self._drawings.of(view.camera)[0].cpu()
                seen = torch.where(gone[view.name], now, view.rgb)
                view = replace(view, photo=(255 * seen).round().to(torch.uint8))
            changed.append(view)
        return tuple(changed)

    def _free(self) -> Tensor:
        """Splats that may be selected  # [N] bool"""
        return (self.history.present.marks & (HIDDEN | LOCKED)) == 0

    @staticmethod
    def _whole(state: Step, chosen: Tensor) -> Tensor:
        """A choice of visible splats as one of all  # [N] bool"""
        whole = torch.zeros(len(state.splats), dtype=torch.bool)
        whole[(state.marks & HIDDEN) == 0] = chosen.cpu()
        return whole

    def _check_idle(self) -> None:
        if self.busy:
            raise InputError("edit", "a heal that is still running", "edits after it has ended or was cancelled")

    def _push(self, label: str, **changes: Any) -> None:
        self.history.push(replace(self.history.present, label=label, **changes))
        self._notify()

    def _move(self, move: Callable[[], Step | None]) -> bool:
        with self.lock:
            self._check_idle()
            moved = move() is not None
            if moved:
                self._notify()
            return moved

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()


def _none(splats: GaussianSplats) -> Tensor:
    return torch.zeros(len(splats), dtype=torch.bool)


def _with_rows(splats: GaussianSplats, rows: Tensor, part: GaussianSplats) -> GaussianSplats:
    """The splats with others in some rows."""
    rows = rows.to(splats.device)

    def put(old: Tensor, new: Tensor) -> Tensor:
        return old.index_copy(0, rows, new)

    changed: dict[str, Any] = {name: put(getattr(splats, name), getattr(part, name)) for name in PARAMETERS}
    extra = {name: put(values, part.extra[name]) for name, values in splats.extra.items()}
    return replace(splats, **changed, extra=extra)
