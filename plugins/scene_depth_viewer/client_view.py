"""One browser: its camera, the picture behind its 3D scene, the photos' cameras in it, and the photo that it stands at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import viser
from numpy.typing import NDArray
from scene_depth_heal.session import EditSession

from scene_depth.cameras import Cameras
from scene_depth_viewer.camera_path import Key, camera_of
from scene_depth_viewer.newest import NewestWorker
from scene_depth_viewer.page_frame import PageFrame, PagePose, orbit_distance
from scene_depth_viewer.pictures import (
    BACKGROUND,
    Channel,
    Comparison,
    PhotoDepths,
    Picture,
    coarse_to_fine,
    compared,
    photo_seen_by,
    picture,
    side_by_side,
    to_bytes,
)
from scene_depth_viewer.viser_versions import remove_tree, sent_together

AT_PHOTO = 1e-3  # distance from a photo's place, in radii of the scene, at which a browser still stands there
PLACINGS = 10  # words of a browser come milliseconds apart, and placing it takes far less
FRUSTUM_COLOR = (60, 120, 200)
FRUSTUM_DEPTH = 3.0  # about how deep viser draws a frustum, in its scale
FRUSTUM_BALL = 0.3  # radius of the ball at a frustum's tip, in its scale
Display = Literal["splats"] | Channel
Against = Literal["photo", "opened", "healed"]


@dataclass
class ViewSettings:
    """What the page shows; shared by all browsers.

    Attributes:
        channel: "splats" lets the browser draw, anything else is rendered here.
        comparison: How the scene is compared.
        against: What with: a photo, the scene as it was opened, or before the last heal.
        share: Of the photo or the former scene, 0 to 1.
        size: Longer side of rendered pictures in pixels.
        frusta: Size of the photos' frusta in page units; 0 hides them.
    """

    channel: Display = "splats"
    comparison: Comparison = "off"
    against: Against = "photo"
    share: float = 0.5
    size: int = 960
    frusta: float = 0.0

    @property
    def by_browser(self) -> bool:
        """Whether the browser's own splats are what is seen."""
        return self.channel == "splats" and self.comparison == "off"

    @property
    def rendered(self) -> Channel:
        """The channel of rendered pictures."""
        return "colour" if self.channel == "splats" else self.channel


class Frusta:
    """Frusta that can be clicked; those that the browser stands in are hidden, as their lines would cross its view.

    They carry no pictures, which would hide the scene from whoever stands at one, but a ball at the tip: the lines alone
    are too thin to hit. ``clicked`` gets the number of the photo.
    """

    def __init__(self, scene: viser.SceneApi, frame: PageFrame, cameras: Sequence[Cameras], clicked: Callable[[int], None]):
        self._scene, self._frame, self._cameras, self._clicked = scene, frame, cameras, clicked
        self._places = np.array([frame.pose(camera).position for camera in cameras]).reshape(-1, 3)
        self._nodes: list[Any] = []
        self._balls: list[Any] = []
        self._size = 0.0
        self._position: NDArray[np.float64] | None = None
        self._lock = threading.Lock()

    def draw(self, size: float) -> None:
        """Draws them in a size in page units; 0 draws none."""
        with self._lock:
            for node, ball in zip(self._nodes, self._balls, strict=True):
                remove_tree(node, ball)
            self._size = size
            drawn = range(len(self._cameras)) if size > 0 else ()
            self._nodes = [self._node(number) for number in drawn]
            self._balls = [self._ball(number) for number in drawn]
        if self._position is not None:
            self.hide_around(self._position)

    def hide_around(self, position: NDArray[np.float64]) -> None:
        """Hides those that a place on the page lies in, or nearly."""
        self._position = position
        near = np.linalg.norm(self._places - position, axis=1) < FRUSTUM_DEPTH * self._size
        with self._lock:
            for number, node in enumerate(self._nodes):
                if node.visible == bool(near[number]):
                    node.visible = not near[number]

    def _node(self, number: int) -> Any:
        camera = self._cameras[number]
        pose = self._frame.pose(camera)
        node = self._scene.add_camera_frustum(
            f"/photos/{number:04d}",
            fov=pose.fov,
            aspect=camera.width / camera.height,
            scale=self._size,
            color=FRUSTUM_COLOR,
            wxyz=pose.wxyz,
            position=pose.position,
        )
        node.on_click(partial(self._click, number))
        return node

    def _ball(self, number: int) -> Any:
        ball = self._scene.add_icosphere(
            f"/photos/{number:04d}/ball", radius=FRUSTUM_BALL * self._size, color=FRUSTUM_COLOR, subdivisions=1
        )
        ball.on_click(partial(self._click, number))
        return ball

    def _click(self, number: int, _: Any) -> None:
        self._clicked(number)


class ClientView:
    """A browser that looks at the scene. Rendering happens in a thread of its own, always for the newest camera.

    ``failed`` gets errors of rendering, ``came`` the number of a photo whose frustum was clicked.
    """

    def __init__(
        self,
        client: viser.ClientHandle,
        session: EditSession,
        frame: PageFrame,
        settings: ViewSettings,
        photos: PhotoDepths,
        failed: Callable[[Exception], None],
        came: Callable[[int], None],
    ):
        self.client, self._session, self._frame, self._settings, self._photos = client, session, frame, settings, photos
        self.photo: int | None = None
        self._sent_to: int | None = None  # the photo that the last jump led to
        cameras = [view.camera for view in session.photos]

        def clicked(number: int) -> None:
            self.jump(cameras[number], number)
            came(number)

        self.frusta = Frusta(client.scene, frame, cameras, clicked)
        self.frusta.draw(settings.frusta)
        self._arrived, self._plain = False, False
        self._failed = failed
        self._worker: NewestWorker[Cameras] = NewestWorker(self._draw, failed)
        client.camera.on_update(self._moved)

    def camera(self) -> Cameras:
        """The browser's camera, in the scene's frame, of the size of rendered pictures."""
        page: Any = self.client.camera
        pose = PagePose(tuple(page.wxyz), tuple(page.position), float(page.fov))
        return self._frame.camera(pose, float(page.aspect), self._settings.size)

    def _moved(self, _: object) -> None:
        try:
            self.moved()
        except Exception as error:  # viser would print it
            self._failed(error)

    def moved(self) -> None:
        """Follows the browser's camera."""
        camera = self.camera()
        self.frusta.hide_around(np.asarray(self.client.camera.position))
        if self._sent_to is not None:
            place = self._session.photos[self._sent_to].camera.centers[0].double()
            near = float((camera.centers[0] - place).norm()) <= AT_PHOTO * self._frame.radius
            self._arrived = self._arrived or near
            # What a slow browser said before it was moved may come after: it is back at the photo with its next word.
            self.photo = None if self._arrived and not near else self._sent_to
        self._worker.submit(camera)

    def redraw(self) -> None:
        """Draws again, because the scene or the settings changed."""
        self._worker.submit(self.camera())

    def jump(self, camera: Cameras, photo: int | None = None) -> None:
        """Moves the browser to where a camera of the scene stands, of the photo of that number if it is one's."""
        self.photo, self._sent_to, self._arrived = photo, photo, False
        self._place(camera, orbit_distance(self._frame, camera, self._session.splats))
        self.redraw()

    def follow(self, key: Key) -> None:
        """Moves the browser to a frame of a path."""
        self.photo = self._sent_to = None
        self._place(camera_of(key, 16, 9), self._frame.radius)

    def stop(self) -> None:
        """Ends the rendering for a browser that is gone."""
        self._worker.stop()

    def _place(self, camera: Cameras, distance: float) -> None:
        pose, page = self._frame.pose(camera), self.client.camera
        forward = camera.camera_to_world[0, :3, 2].cpu().double().numpy()
        position = np.asarray(pose.position)
        aim = position + forward * distance * self._frame.ratio
        for _ in range(PLACINGS):
            with sent_together(self.client):
                page.position = position
                page.look_at = aim
                page.wxyz = np.asarray(pose.wxyz)
                page.fov = pose.fov
            # A word of the browser that comes in between is mixed with what is set, and the mixture sent: so once more.
            if np.allclose(page.position, position) and np.allclose(page.look_at, aim):
                return

    def _draw(self, camera: Cameras, outdated: Callable[[], bool]) -> None:
        if self._settings.by_browser:
            if not self._plain:
                self._show(np.full((1, 1, 3), BACKGROUND, dtype=np.float32))
            self._plain = True
            return
        self._plain = False
        splats, selection = self._session.shown()
        channel, how, share = self._settings.rendered, self._settings.comparison, self._settings.share
        against = "nothing" if how == "off" else self._settings.against
        photo = None if self.photo is None or against != "photo" else self._session.photos[self.photo]
        past = self._session.past(against == "healed") if against in ("opened", "healed") else None

        def draw(sized: Cameras) -> Picture:
            if past is not None:
                half = sized.cropped(sized.width // 4, 0, max(1, sized.width // 2), sized.height)  # each side shows the middle
                own = half if how == "side by side" else sized
                now = picture(splats, selection, own, channel, self._photos)
                then = picture(past, None, own, channel, self._photos)
                if how == "side by side":
                    return side_by_side(then, now, sized.width, sized.height)
                return compared(now, then, np.ones(now.shape[:2], dtype=bool), how, share)
            if photo is None:
                return picture(splats, selection, sized, channel, self._photos)
            rgb = photo.rgb.numpy()
            if how == "side by side":
                return side_by_side(
                    picture(splats, selection, photo.camera, channel, self._photos), rgb, sized.width, sized.height
                )
            seen, reaches = photo_seen_by(rgb, photo.camera, sized)
            return compared(picture(splats, selection, sized, channel, self._photos), seen, reaches, how, share)

        coarse_to_fine(camera, draw, self._show, outdated)

    def _show(self, image: Picture) -> None:
        self.client.scene.set_background_image(to_bytes(image), format="jpeg", jpeg_quality=85)
        self.client.flush()
