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
    viewer.controls.button(
        "Reset view", lambda event: viewer.view_of(event).jump(viewer.start), hint="Back to where the page began"
    )
    return photo


def _add_channels(viewer: Viewer) -> None:
    names = [name for name in CHANNELS if viewer.session.photos or name != "Unseen"]
    hint = (
        "Splats are drawn by the browser; the others are rendered here. Depth: near is red, far is blue. "
        "Unseen: what no photo shows is magenta."
    )

    def change_channel(event: Any) -> None:
        viewer.settings.channel = CHANNELS[channel.value]  # type: ignore[assignment]
        viewer.refresh()

    def change_before(event: Any) -> None:
        viewer.session.before = before.value

    channel = viewer.controls.dropdown("Show", names, "Splats", change_channel, hint)
    before = viewer.controls.checkbox("Before", False, change_before, "The scene as it was opened")


def _add_cameras(viewer: Viewer) -> None:
    usual = frustum_size(viewer.frame, [view.camera for view in viewer.session.photos])
    viewer.settings.frusta = usual

    def draw(event: Any) -> None:
        viewer.settings.frusta = usual * size.value
        for view in viewer.views():
            view.frusta.draw(viewer.settings.frusta)

    size = viewer.controls.slider("Cameras", 1.0, 0.0, 3.0, 0.1, draw, "Size; 0 hides them")


def _add_comparison(viewer: Viewer) -> Any:
    controls, photos = viewer.controls, viewer.session.photos
    names = [view.name for view in photos]

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

    with controls.folder("Photo"):
        photo = controls.dropdown("Photo", names, names[0], go)
        how = controls.dropdown("Compare", list(COMPARISONS), "Off", compare)
        share = controls.slider("Share", 0.5, 0.0, 1.0, 0.05, mix, "Of the photo")
    return photo
