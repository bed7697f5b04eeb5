"""The live editor in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from scene_depth_heal.segmented import Segment

    from scene_depth.scene import Scene
    from scene_depth.splats import GaussianSplats
    from scene_depth_viewer.viewer import Viewer

__all__ = ["view"]


def view(
    scene: str | Path | Scene | GaussianSplats,
    splats: str | Path | GaussianSplats | None = None,
    *,
    port: int = 8080,
    host: str = "127.0.0.1",
    max_size: int = 640,
    picture_size: int = 960,
    up: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None,
    export_dir: str | Path | None = None,
    allow_origins: Sequence[str] = (),
    segment: Segment | None = None,
) -> Viewer:
    """Shows a splat scene in the browser, to select, delete, heal and export; the page lives until ``stop()``.

    Args:
        scene: A scene of posed photos or its path, or splats alone or their file; heals without photos invent more.
        splats: Splats of the scene; by default those that lie with it.
        port: Port of the page; the next free one if it is taken.
        host: Address to listen on. With others than 127.0.0.1 the address holds a token.
        max_size: Longer side of the photos that heals work on, in pixels.
        picture_size: Longer side of pictures that are rendered for the page, in pixels.
        up: Axis that points up; by default as the photos stand, and -y for splats alone.
        export_dir: The one folder that the page reads and writes files in; by default that of the splats, or one in ``out``.
        allow_origins: Further addresses under which the page is reached, as ``http://HOST:PORT``: of a proxy, or of a tunnel to
            another port.
        segment: Says what clicks of the Object tool show in a picture, such as ``scene_depth_heal.Sam2()``.

    Returns:
        The running page; its ``address`` is where it is, its ``session`` holds the edited splats.

    Raises:
        InputError: If there are no splats, a file cannot be read, or viser is not installed.

    Example:
        >>> from scene_depth import read_splats, view
        >>> page = view(read_splats("scenes/table/splats.spz"))
        >>> page.address.startswith("http://127.0.0.1:")
        True
        >>> page.stop()
    """
    from scene_depth_viewer.opening import open_page

    return open_page(
        scene, splats, host=host, port=port, max_size=max_size, picture_size=picture_size, up=up,
        export_dir=None if export_dir is None else Path(export_dir), allow_origins=allow_origins, segment=segment,
    )  # fmt: skip
