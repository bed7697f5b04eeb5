"""The tab that says what is shown: channels, the photos' cameras, comparison with a photo, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene_depth_viewer.page_frame import frustum_size

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer

CHANNELS = {"Splats": "splats", "Colour": "colour", "Depth": "depth", "Alpha": "alpha", "Unseen": "unseen"}
COMPARISONS = {"Off": "off", "Blend": "blend", "Split": "split", "Side by side": "side by side"}


def add_view_panel(viewer: Viewer) -> Any:
    """Adds the tab's contents and gives the dropdown of the photos; None if there are none."""
    photo = None
    _add_channels(viewer)
    if viewer.session.photos:
        _add_cameras(viewer)
        photo = _add_comparison(viewer)
    reset = viewer.server.gui.add_button("Reset view", hint="Back to where the page began")
    reset.on_click(viewer.guarded(lambda event: viewer.view_of(event).jump(viewer.start)))
    return photo


def _add_channels(viewer: Viewer) -> None:
    gui = viewer.server.gui
    names = [name for name in CHANNELS if viewer.session.photos or name != "Unseen"]
    hint = (
        "Splats are drawn by the browser; the others are rendered here. Depth: near is red, far is blue. "
        "Unseen: what no photo shows is magenta."
    )
    channel = gui.add_dropdown("Show", options=names, initial_value="Splats", hint=hint)
    before = gui.add_checkbox("Before", initial_value=False, hint="The scene as it was opened")

    def change_channel(event: Any) -> None:
        viewer.settings.channel = CHANNELS[channel.value]  # type: ignore[assignment]
        viewer.refresh()

    def change_before(event: Any) -> None:
        viewer.session.before = before.value

    channel.on_update(viewer.guarded(change_channel))
    before.on_update(viewer.guarded(change_before))


def _add_cameras(viewer: Viewer) -> None:
    usual = frustum_size(viewer.frame, [view.camera for view in viewer.session.photos])
    viewer.settings.frusta = usual
    size = viewer.server.gui.add_slider("Cameras", min=0.0, max=3.0, step=0.1, initial_value=1.0, hint="Size; 0 hides them")

    def draw(event: Any) -> None:
        viewer.settings.frusta = usual * size.value
        for view in viewer.views():
            view.frusta.draw(viewer.settings.frusta)

    size.on_update(viewer.guarded(draw))


def _add_comparison(viewer: Viewer) -> Any:
    gui, photos = viewer.server.gui, viewer.session.photos
    names = [view.name for view in photos]
    with gui.add_folder("Photo"):
        photo = gui.add_dropdown("Photo", options=names, initial_value=names[0])
        how = gui.add_dropdown("Compare", options=list(COMPARISONS), initial_value="Off")
        share = gui.add_slider("Share", min=0.0, max=1.0, step=0.05, initial_value=0.5, hint="Of the photo")

    def go(event: Any) -> None:
        number = names.index(photo.value)
        viewer.view_of(event).jump(photos[number].camera, number)

    def compare(event: Any) -> None:
        viewer.settings.comparison = COMPARISONS[how.value]  # type: ignore[assignment]
        if viewer.settings.comparison != "off" and viewer.view_of(event).photo is None:
            go(event)
        viewer.refresh()

    def mix(event: Any) -> None:
        viewer.settings.share = share.value
        viewer.redraw()

    photo.on_update(viewer.guarded(go))
    how.on_update(viewer.guarded(compare))
    share.on_update(viewer.guarded(mix))
    return photo
