"""The viewer: the page with its tabs, of which the first says what is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scene_depth_heal.history import HIDDEN
from scene_depth_heal.session import EditSession

from scene_depth.errors import InputError
from scene_depth_viewer.client_view import Against, Display
from scene_depth_viewer.edit_panel import add_edit_panel
from scene_depth_viewer.page import Page, plain_text
from scene_depth_viewer.page_frame import frustum_size
from scene_depth_viewer.path_panel import PathPanel
from scene_depth_viewer.pictures import Comparison
from scene_depth_viewer.screen_tools import BRUSH, ScreenTools
from scene_depth_viewer.select_panel import add_select_panel
from scene_depth_viewer.viser_versions import add_key

CHANNELS: dict[str, Display] = {"Splats": "splats", "Colour": "colour", "Depth": "depth", "Alpha": "alpha", "Unseen": "unseen"}
HELP = """
**Move**: drag turns, right drag shifts, the wheel goes nearer; W A S D and Q E fly, arrows turn. With a tool of *Select*
chosen, the mouse points.

**Keys**: Ctrl-Z undo, Ctrl-Y redo, Delete removes the selection, H hides it, B takes the brush, Esc ends a heal or puts the
tool away (with viser 1.1 or later).

**Colours**: blue is selected, magenta was invented and waits for *Confirm*.
"""
COMPARISONS: dict[str, Comparison] = {"Off": "off", "Blend": "blend", "Wipe": "split", "Side by side": "side by side"}
AGAINST: dict[str, Against] = {"Photo": "photo", "As opened": "opened", "Before the heal": "healed"}


class Viewer(Page):
    """A page with all its tabs; see ``Page``.

    Attributes:
        tools: What a person points with.
    """

    tools: ScreenTools

    def add_panels(self) -> None:
        """Adds the status and the tabs."""
        _add_status(self)
        tabs = self.server.gui.add_tab_group()
        with tabs.add_tab("View"):
            add_view_tab(self)
        with tabs.add_tab("Select"):
            self.tools = add_select_panel(self)
        with tabs.add_tab("Edit"):
            add_edit_panel(self)
        with tabs.add_tab("Path"):
            PathPanel(self)
        _add_keys(self, self.tools)


def _add_status(page: Page) -> None:
    """Adds the counts of splats and the undo buttons."""
    session = page.session
    text = page.server.gui.add_markdown(_status(page))

    page.controls.buttons("History", ["Undo", "Redo"], lambda event, what: _step(session, what))
    cancel = page.controls.button("Cancel", lambda event: session.cancel(), visible=False, hint="Ends the heal that runs")

    def refresh() -> None:
        text.content = _status(page)
        cancel.visible = session.busy

    session.listen(refresh)


def _status(page: Page) -> str:
    session = page.session
    splats, selection = session.shown()
    chosen = 0 if selection is None else int(selection.sum())
    last = f"last step: *{plain_text(session.history.labels[-1])}*"
    what = "*as opened*" if session.before else "*healing*" if session.busy else last
    return f"**{len(splats):,}** splats, **{chosen:,}** selected  \n{what}"


def add_view_tab(page: Page) -> None:
    """Adds what says what is shown: channels, cameras, the comparison."""
    _add_channels(page)
    if page.session.photos:
        _add_cameras(page)
    page.photo_list = _add_comparison(page)
    page.controls.button("Reset view", lambda event: page.view_of(event).jump(page.start), hint="Back to where the page began")
    with page.controls.folder("Help", open_at_first=False):
        page.controls.gui.add_markdown(HELP)


def _add_keys(page: Page, tools: ScreenTools) -> None:
    session = page.session
    keys: list[tuple[str, str, str | None, Callable[[Any], None]]] = [
        ("Undo", "Z", "cmd/ctrl", lambda event: _step(session, "Undo")),
        ("Redo", "Y", "cmd/ctrl", lambda event: _step(session, "Redo")),
        ("Delete the selection", "delete", None, lambda event: session.delete()),
        ("Cancel", "escape", None, lambda event: _cancel(page, tools)),
        ("Hide the selection", "H", None, lambda event: session.mark(HIDDEN, "hide")),
        ("Brush", "B", None, lambda event: tools.choose(BRUSH)),
    ]
    for label, key, modifier, act in keys:
        add_key(page.server.gui, label, key, modifier, page.guarded(act))


def _cancel(page: Page, tools: ScreenTools) -> None:
    """Ends the heal that runs, or else puts the tool away."""
    if page.session.busy:
        page.session.cancel()
    else:
        tools.choose("Off")


def _step(session: EditSession, what: str) -> None:
    if not (session.undo() if what == "Undo" else session.redo()):
        raise InputError(what.lower(), "no further step", "a step in the history")


def _add_channels(page: Page) -> None:
    names = [name for name in CHANNELS if page.session.photos or name != "Unseen"]
    hint = (
        "Splats are drawn by the browser; the others are rendered here. Depth: near is red, far is blue. "
        "Unseen: what no photo shows is magenta."
    )

    def change_channel(event: Any) -> None:
        page.settings.channel = CHANNELS[channel.value]
        page.refresh()

    def change_before(event: Any) -> None:
        page.session.before = before.value

    channel = page.controls.dropdown("Show", names, "Splats", change_channel, hint)
    before = page.controls.checkbox("Before", False, change_before, "The scene as it was opened")


def _add_cameras(page: Page) -> None:
    usual = frustum_size(page.frame, [view.camera for view in page.session.photos])
    page.settings.frusta = usual

    def draw(event: Any) -> None:
        page.settings.frusta = usual * size.value
        for view in page.views():
            view.frusta.draw(page.settings.frusta)

    size = page.controls.slider("Cameras", 1.0, 0.0, 3.0, 0.1, draw, "Size; 0 hides them")


def _add_comparison(page: Page) -> Any:
    controls, photos = page.controls, page.session.photos
    names = [view.name for view in photos]

    def go(event: Any) -> None:
        number = names.index(photo.value)
        page.view_of(event).jump(photos[number].camera, number)

    def compare(event: Any) -> None:
        page.settings.comparison = COMPARISONS[how.value]
        page.settings.against = AGAINST[against.value]
        shows_photo = page.settings.comparison != "off" and page.settings.against == "photo"
        if shows_photo and page.view_of(event).photo is None:
            go(event)
        page.refresh()

    def mix(event: Any) -> None:
        page.settings.share = share.value
        page.redraw()

    offered = [name for name in AGAINST if photos or name != "Photo"]
    page.settings.against = AGAINST[offered[0]]
    with controls.folder("Comparison"):
        photo: Any = controls.dropdown("Photo", names, names[0], go) if photos else None
        how = controls.dropdown("Compare", list(COMPARISONS), "Off", compare)
        hint = "As opened, too, where nothing was healed since"
        against = controls.dropdown("With", offered, offered[0], compare, hint)
        share = controls.slider("Share", 0.5, 0.0, 1.0, 0.01, mix, "Of the photo, or of what was before: where the wipe stands")
    return photo
