"""What the viewer's tests share: the room of the heal tests as a session, and a server that ends with its test."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "heal"))  # room_scene lies there
sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))  # and write_events
sys.path.insert(0, str(Path(__file__).parent.parent / "outpaint"))  # and box_room

from room_scene import Room, room
from scene_depth_heal.hole import HealView
from scene_depth_heal.session import EditSession


@pytest.fixture(scope="session")
def the_room() -> Room:
    return room()


@pytest.fixture(scope="session")
def photos(the_room: Room) -> list[HealView]:
    return [HealView(f"{index}.png", camera, the_room.picture(index)) for index, camera in enumerate(the_room.cameras)]


@pytest.fixture
def session(the_room: Room, photos: list[HealView]) -> EditSession:
    return EditSession(the_room.splats, photos)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable]:
    """``serve(session, **options)`` gives a running viewer on a free port, whose files lie in the test's folder."""
    viser_viewer = pytest.importorskip("scene_depth_viewer.viewer", reason="viser is not installed")
    running = []

    def start(session: EditSession, **options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        running.append(viser_viewer.Viewer(session, port=port, size=320, **{"export_dir": tmp_path, **options}))
        return running[-1]

    yield start
    for viewer in running:
        viewer.stop()
