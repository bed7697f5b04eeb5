"""The tab that edits: delete, heal, export."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import torch
from scene_depth_heal.history import INVENTED
from scene_depth_heal.workflow import HealConfig, HealResult
from torch import Tensor

from scene_depth.color.registry import IMAGE_INPAINTERS
from scene_depth.depth.registry import DEPTH_INPAINTERS
from scene_depth.evaluation.images import psnr
from scene_depth.io.splat_files import ACCEPTED, WRITERS, lost_in, splat_format
from scene_depth.options import split_options
from scene_depth.registry import Entry, Option, Registry
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress
from scene_depth_viewer.move_panel import MoveFolder
from scene_depth_viewer.page import Controls, Page, plain_text
from scene_depth_viewer.viser_versions import notify, send_file

SPANS = {"views": (0, 5), "hole": (5, 10), "fill": (10, 40), "fit": (40, 100)}  # percent of the bar
PREVIEW_SECONDS = 1.5  # between two previews, and as much longer as sending takes
WITHOUT_PHOTOS = "*There are no photos: what the splats do not show from around a selection is invented.*"
BRUSH_STEPS = 40  # at most, of the fit after a stroke of the repair brush, which has to answer at once
BRUSH_PHOTOS = 2  # at most, that a stroke is filled from: more hardly change what is seen
PROMPTS = ("prompt", "negative_prompt")
MOST_COMPARED, COMPARING_SECONDS = 6, 0.4  # photos that a heal is compared with, and the time after which no further one is
FETCHING = ("download", "local_files_only")  # options that reach for the network: never from the page
MOST_WHOLE, MOST_REAL = 10_000, 1e6  # of the numbers of an inpainter


def add_edit_panel(page: Page) -> None:
    """Adds the tab's contents."""
    hint = "Removes the selected splats; heal repairs the hole"
    page.controls.button("Delete", lambda event: page.session.delete(), color="red", hint=hint)
    heal = HealFolder(page)
    page.repair = heal.begin
    MoveFolder(page)
    _add_export(page)


class InpainterFields:
    """A list of inpainters with a field for each plain option of the chosen one.

    Options that name files or devices have no field: who starts the page gives them.

    Args:
        controls: Of the page.
        label: Of the list.
        registry: What there is, plug-ins included.
        given: Inpainters with options from the command line; they come first.
        usual: What is chosen first if none is given.
        argument: Option of the command that gives one, for the note on weights.
    """

    def __init__(self, controls: Controls, label: str, registry: Registry, given: Sequence[str], usual: str, argument: str):
        self._controls, self._argument = controls, argument
        self._entries = {entry.name: entry for entry in registry.available()}
        self._made: list[tuple[Option, Any]] = []
        self._lock = threading.Lock()
        names = [*given, *(name for name in self._entries if name not in given)]
        self._list = controls.dropdown(label, names, names[0] if given else usual, self._changed)
        self._note = controls.gui.add_markdown("")
        self._folder: Any = controls.folder(f"{label} options", open_at_first=False)
        self._changed()

    def chosen(self) -> tuple[str, dict[str, Any]]:
        """What is chosen, and those of its options that differ from what it takes by itself."""
        with self._lock:
            return self._list.value, {o.name: field.value for o, field in self._made if field.value != o.default}

    def _changed(self, event: Any = None) -> None:
        with self._lock, self._folder:  # the list is read in here: whoever comes last shows the newest choice
            name, given = split_options(self._list.value)
            entry = self._entries.get(name)
            for _, field in self._made:
                self._controls.remove(field)
            options = [option for option in (entry.options if entry else ()) if option.name not in given]
            fields = [(option, _option_field(self._controls, option)) for option in options]
            self._made = [(option, field) for option, field in fields if field is not None]
            self._folder.visible = bool(self._made)
            self._note.content = "" if entry is None else self._problem(entry, bool(given))

    def _problem(self, entry: Entry, is_given: bool) -> str:
        if entry.problem is not None:
            return f"*{plain_text(entry.name)} cannot be loaded: {plain_text(entry.problem)}*"
        if entry.missing_weights is None or is_given:
            return ""
        how = f"scene-depth view ... {self._argument} {entry.name}[weights=FOLDER]"
        return f"*{plain_text(entry.name)} lacks weights on this machine; offer them with {plain_text(how)}*"


def _option_field(controls: Controls, option: Option) -> Any:
    """The field of an option that a page may set; None for others."""
    label, value = option.name.replace("_", " "), option.default
    if isinstance(value, bool):
        return None if option.name in FETCHING else controls.checkbox(label, value)
    if isinstance(value, int | float):
        return controls.number(label, value, 0 if value >= 0 else -MOST_REAL, MOST_WHOLE if isinstance(value, int) else MOST_REAL)
    return controls.text(label, value) if isinstance(value, str) and option.name in PROMPTS else None


class HealFolder:
    """Runs heals beside the page, with progress and previews."""

    def __init__(self, page: Page):
        self._page, self._next_preview = page, 0.0
        controls = page.controls
        with controls.folder("Heal"):
            self.depth = InpainterFields(controls, "Depth", DEPTH_INPAINTERS, page.inpainters, "solver", "--inpainter")
            self.color = InpainterFields(controls, "Colour", IMAGE_INPAINTERS, page.colors, "exemplar", "--color")
            self.steps = controls.number("Steps", 300, 0, 5000, 50, hint="Of the fit of new splats")
            self.most = controls.number("Photos", 4, 1, 50, 1, hint="Most photos to fill from")
            self.start = controls.button("Heal", self.begin, color="green", hint="Repairs what is selected or was deleted")
            hint = "Takes the tint from what no photo vouches for"
            controls.button("Confirm", lambda event: page.session.unmark(INVENTED, "confirm"), hint=hint)
            self.bar = controls.gui.add_progress_bar(0.0, visible=False, animated=True)
            self.text = controls.gui.add_markdown("" if page.session.photos else WITHOUT_PHOTOS)

    def begin(self, event: Any, removed: Tensor | None = None) -> None:
        """Begins a heal of what is selected or was deleted, or of what a brush passed over  # [N] bool"""
        steps = self.steps.value if removed is None else min(self.steps.value, BRUSH_STEPS)
        most = self.most.value if removed is None else min(self.most.value, BRUSH_PHOTOS)
        config = HealConfig(steps=int(steps), most_references=int(most))
        threading.Thread(target=self._run, args=(config, event.client, removed), daemon=True).start()

    def _run(self, config: HealConfig, client: Any, removed: Tensor | None) -> None:
        if self._page.session.busy:
            notify(client, "Heal", "Another one is still running; try again when it has ended.")
            return
        self._show(True)
        self._next_preview = 0.0
        session = self._page.session
        try:
            (depth, depth_options), (color, color_options) = self.depth.chosen(), self.color.chosen()
            given = (depth, color, config, self._tell, depth_options, color_options)
            result = session.heal(*given) if removed is None else session.heal(*given, removed)
        except Exception as error:  # shown on the page; the thread has nobody else to tell
            self.text.content = ""
            self._page.complain(error, client)
        else:
            healed = "Cancelled; the scene is as before."
            if result.report.finished:
                healed = describe_heal(result, session.past(before_heal=True))
            self.text.content = healed
            if removed is not None:
                notify(client, "Repair brush", healed)
        finally:
            self._show(False)

    def _show(self, running: bool) -> None:
        self.bar.visible = running
        self.start.disabled = running
        self.bar.value = 0.0

    def _tell(self, now: Progress) -> None:
        low, high = SPANS.get(now.stage, (0, 100))
        self.bar.value = float(low + (high - low) * now.done / max(1, now.total))
        self.text.content = f"{plain_text(now.stage)} {now.done} of {now.total}: {plain_text(now.message)}"
        started = time.monotonic()
        if now.stage == "hole" or now.snapshot is None or started < self._next_preview:
            return
        self._page.session.show_preview(now.snapshot())
        self._next_preview = started + PREVIEW_SECONDS + 5 * (time.monotonic() - started)


def describe_heal(result: HealResult, before: GaussianSplats) -> str:
    """What a heal did, for a person: counts, time, what is invented, and how well the photos are met beside the object.

    Photos that show most of the object are compared, as many as there is time for; what is drawn over the object itself has
    no photo to be compared with.

    Args:
        result: The heal.
        before: The scene with the object.
    """
    report = result.report
    counts = f"{report.removed_splats:,} splats out, {report.new_splats:,} new, {sum(report.seconds.values()):.1f} s."
    invented = f"{100 * report.unseen_share_of_hole:.0f} % of the hole was never seen and is invented"
    if report.virtual_views is not None:
        return f"{counts} {invented}; {report.virtual_views.count} virtual views stood in for photos."
    drawn: list[Tensor] = []
    started = time.monotonic()
    for state in sorted(result.states, key=lambda state: -int(state.object_pixels.sum()))[:MOST_COMPARED]:
        outside = ~state.object_pixels
        pictures = (state.view.rgb, *(render(splats, state.camera).rgb[0].detach() for splats in (before, result.splats)))
        drawn.append(torch.stack([picture.to(outside.device)[outside] for picture in pictures]).cpu())
        if time.monotonic() - started > COMPARING_SECONDS:
            break
    photo, then, now = torch.cat(drawn, dim=1)[:, None].numpy()
    return (
        f"{counts} {invented}. Beside the object, {len(drawn)} photos are met with a PSNR of {psnr(now, photo):.1f} dB, "
        f"{psnr(then, photo):.1f} dB before."
    )


def _add_export(page: Page) -> None:
    controls, session, folder = page.controls, page.session, page.folder
    stem = "scene" if session.source is None else session.source.name.split(".")[0]

    def tell(event: Any, what: str, name: str) -> None:
        lost = lost_in(splat_format(name), session.splats)
        notify(event.client, what, "; ".join([f"{len(session.splats):,} splats", *lost]), "green")

    def save(event: Any) -> None:
        path = folder.file(file.value, tuple(WRITERS))

        def write() -> None:
            session.export(path)
            tell(event, f"Saved {path}", path.name)

        page.write(event, path, write)

    def send(event: Any) -> None:
        name = folder.file(file.value, tuple(WRITERS)).name
        send_file(event.client, name, session.exported(name))
        tell(event, f"Sent {name}", name)

    with controls.folder("Export"):
        file = controls.text("File", f"{stem}-edited.ply", f"The extension says the format: {ACCEPTED}")
        controls.button("Save", save, hint=f"To {folder.path}, on the machine that serves the page")
        controls.button("Download", send, hint="To this browser's downloads")
