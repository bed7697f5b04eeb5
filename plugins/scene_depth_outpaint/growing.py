"""Splats that grow with the views: every so many views those made since are fitted, and all before them are held."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scene_depth.fitting.frozen import join_frozen
from scene_depth.io.atomic import atomic_path
from scene_depth.io.json_files import read_json_object
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import Work
from scene_depth_outpaint.finish import Finished, fit_views, likeness, scene_of
from scene_depth_outpaint.result import OutpaintConfig
from scene_depth_outpaint.state import step_folder
from scene_depth_outpaint.step import Room

SPLATS, SETTINGS = "splats.ply", "splats.json"  # in the folder of the last view of a group


@dataclass
class GrowingSplats:
    """Splats of the views so far, in groups of ``fit_every`` views.

    A group is fitted to the views that are there when its last one is, whenever that is done, so that a run that goes on has the
    same bits as one that was never stopped.

    Attributes:
        frozen: Splats of the start, which stay as they are; its views get none then.
        start_views: Number of views that belong to the start.
        config: Steps, sizes and seed of the fits.
        folder: Where groups are kept with the steps; None keeps none.
        work: Is told how far a fit is, and may stop it.
    """

    frozen: GaussianSplats | None
    start_views: int
    config: OutpaintConfig
    folder: Path | None
    work: Work
    _groups: list[tuple[int, GaussianSplats | None]] = field(default_factory=list)

    def follow(self, room: Room) -> None:
        """Fits the groups that are whole by now, and forgets those whose views were taken back."""
        self._groups = [(end, splats) for end, splats in self._groups if end <= len(room.views)]
        every = self.config.fit_every
        while every and self.config.fit_steps and not self.work.stopped:
            end = self.start_views + (len(self._groups) + 1) * every
            if end > len(room.views):
                return
            made = self._kept(end)
            if made is None:
                made = self._fitted(room, end)
                if self.work.stopped:
                    return
                self._keep(end, made)
            self._groups.append((end, made))

    def shown(self) -> tuple[int, GaussianSplats | None]:
        """How many views have their splats, and those with what was there before; 0 and None before any have."""
        if not self._groups:
            return 0, None
        return self._groups[-1][0], self._joined()

    def finish(self, room: Room) -> Finished:
        """Fits what is left, and makes the scene."""
        scene, done = scene_of(room), self._done()
        if done < len(room.views):
            self._groups.append((len(room.views), self._fitted(room, len(room.views))))
        splats = self._joined()
        return Finished(scene, splats, None if splats is None else likeness(splats, room.views[0]))

    def _done(self) -> int:
        return self._groups[-1][0] if self._groups else 0 if self.frozen is None else self.start_views

    def _joined(self) -> GaussianSplats | None:
        made = [splats for _, splats in self._groups if splats is not None]
        return join_frozen(self.frozen, concatenate_splats(made)) if made else self.frozen

    def _fitted(self, room: Room, end: int) -> GaussianSplats | None:
        part = Room(room.views[:end], room.surfaces, room.kept[:end], room.sides[:end])
        return fit_views(part, self._done(), self._joined(), self.config, self.work)

    def _settings(self, end: int) -> dict[str, Any]:
        names = ("fit_every", "fit_steps", "fit_size", "seed")
        frozen = 0 if self.frozen is None else len(self.frozen)
        return {**{name: getattr(self.config, name) for name in names}, "frozen": frozen, "views": end}

    def _kept(self, end: int) -> GaussianSplats | None:
        """The group as it was kept by a run with the same settings."""
        if self.folder is None:
            return None
        place = step_folder(self.folder, end - 1)
        if not (place / SETTINGS).is_file() or read_json_object(place / SETTINGS) != self._settings(end):
            return None
        return read_splats(place / SPLATS)

    def _keep(self, end: int, splats: GaussianSplats | None) -> None:
        if self.folder is None or splats is None:
            return
        place = step_folder(self.folder, end - 1)
        (place / SETTINGS).unlink(missing_ok=True)  # which says that the splats beside it are whole
        write_splats(place / SPLATS, splats)
        with atomic_path(place / SETTINGS) as path:
            path.write_text(json.dumps(self._settings(end), indent=1) + "\n", encoding="utf-8")
