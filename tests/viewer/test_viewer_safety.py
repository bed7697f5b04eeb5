"""Who may talk to the page, and what it may say: attacks over HTTP and websockets, from this machine and from a browser."""

from __future__ import annotations

import gc
import http.client
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from room_scene import Room
from scene_depth_heal.session import EditSession
from scene_depth_viewer.door import ExportFolder
from scene_depth_viewer.opening import usual_export_dir

from scene_depth.errors import InputError

viser = pytest.importorskip("viser", reason="viser is not installed")
msgpack = pytest.importorskip("msgspec", reason="viser brings msgspec").msgpack

from scene_depth_viewer import viser_versions  # noqa: E402
from scene_depth_viewer.door import LARGEST, Door, number, numbers, one_of, text  # noqa: E402
from scene_depth_viewer.gate import Gate  # noqa: E402
from scene_depth_viewer.page import Controls, plain_text  # noqa: E402
from scene_depth_viewer.viser_versions import OLD, decode_message, field_id  # noqa: E402
from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "broken_files" / "viewer_cross_origin_client.py"
EVIL = "http://evil.example"
ID = "id" if OLD else "uuid"


@pytest.fixture
def fields(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Label -> field, of all fields that are made."""
    made: dict[str, Any] = {}
    for kind in ("button", "buttons", "dropdown", "checkbox", "slider", "number", "vector", "text"):
        plain = getattr(Controls, kind)

        def recorded(self, label: str, *args, plain=plain, **options):
            made[label] = plain(self, label, *args, **options)
            return made[label]

        monkeypatch.setattr(Controls, kind, recorded)
    return made


def ask(address: str, path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and content of an answer; nothing is changed on the way, as a program of an attacker would do it."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=20)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def talk(address: str, origin: str | None, **headers: str):
    """A websocket as the page opens it, from any origin."""
    place = urlsplit(address)
    protocols = None if OLD else [f"viser-v{viser.__version__}"]
    return connect(
        f"ws://{place.hostname}:{place.port}",
        origin=origin,
        subprotocols=protocols,
        additional_headers=headers,
        max_size=None,
        compression=None,
        proxy=None,
    )


CAMERA: dict[str, Any] = {
    "type": "ViewerCameraMessage", "wxyz": (1.0, 0, 0, 0), "position": (0, 0, -3), "fov": 1.0,
    "look_at": (0, 0, 0), "up_direction": (0, -1, 0),
}  # fmt: skip
CAMERA |= {"aspect": 1.3} if OLD else {"image_height": 300, "image_width": 400, "near": 0.01, "far": 100}


def say(socket, **message: Any) -> None:
    socket.send(msgpack.encode(message))


def test_foreign_requests_are_refused(serve: Callable, session: EditSession) -> None:
    address = serve(session).address
    assert ask(address)[0] == 200
    host = urlsplit(address).netloc
    port = urlsplit(address).port
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{port}"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.0.0.1"},
        {"Host": f"{host}@evil.example"},
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{port + 1}"},
        {"Origin": f"https://{host}"},
        {"Origin": f"{address}.evil.example"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
    ):
        assert ask(address, **headers)[0] == 403, headers
    for headers in (
        {"Host": f"localhost:{port}"},
        {"Origin": address},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},
    ):
        assert ask(address, **headers)[0] == 200, headers
    for origin in (EVIL, None, "null", f"http://localhost:{port + 1}"):
        with pytest.raises(InvalidStatus, match="403"), talk(address, origin):
            pass
    with pytest.raises(InvalidStatus, match="403"), talk(address, address, Host="evil.example"):
        pass
    with talk(address, address) as socket:
        assert socket.recv(timeout=20)


def test_only_the_page_is_served(serve: Callable, session: EditSession, tmp_path: Path) -> None:
    address = serve(session).address
    (tmp_path / "secret").write_text("secret")
    up = "/".join([".."] * 20)
    for path in (f"/{up}{tmp_path}/secret", f"//{tmp_path}/secret", f"/{up.replace('.', '%2e')}/etc/hostname", "/..", "/assets/",
                 f"/{up.replace('/', chr(92))}{tmp_path}/secret", "/\x00".replace("\x00", "%00"), "/nothing.js"):  # fmt: skip
        status, _, content = ask(address, path)
        assert status == 404, path
        assert b"secret" not in content
    status, headers, _ = ask(address, "/?websocket=ws://evil.example")
    assert (status, headers["Location"]) == (303, "/")
    _, headers, content = ask(address)
    assert b"googletagmanager" not in content
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_other_machines_need_the_token(serve: Callable, session: EditSession) -> None:
    viewer = serve(session, host="0.0.0.0")
    place = urlsplit(viewer.address)
    token = place.query.removeprefix("token=")
    assert len(token) >= 32
    local = f"http://127.0.0.1:{place.port}"
    assert ask(local)[0] == 403
    wrong = token[:-1] + ("y" if token.endswith("x") else "x")
    assert ask(local, f"/?token={wrong}")[0] == 403
    assert ask(local, f"/?token={token}", Host=f"evil.example:{place.port}")[0] == 403
    status, headers, _ = ask(local, f"/?token={token}")
    assert status == 200
    cookie, *options = headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(options)
    assert ask(local, "/", Cookie=f"other=1; {cookie}")[0] == 200
    with pytest.raises(InvalidStatus, match="403"), talk(local, local):
        pass
    with pytest.raises(InvalidStatus, match="403"), talk(local, EVIL, Cookie=cookie):
        pass
    with talk(local, local, Cookie=cookie) as socket:
        assert socket.recv(timeout=20)


def test_further_origins_are_let_in_by_name_only(serve: Callable, session: EditSession) -> None:
    viewer = serve(session, allow_origins=["https://scenes.example", "http://localhost:9"])
    port, token = urlsplit(viewer.address).port, viewer.gate.token
    assert token is not None  # who reaches the proxy reaches the page
    local = f"http://127.0.0.1:{port}"
    for host, origin in (("scenes.example", "https://scenes.example"), ("localhost:9", "http://localhost:9")):
        assert ask(local, f"/?token={token}", Host=host, Origin=origin)[0] == 200
    assert ask(local, f"/?token={token}", Host="scenes.example", Origin="http://scenes.example")[0] == 403
    assert Gate("127.0.0.1", viser_versions.page_files(), ["http://localhost:9"]).token is None
    for wrong in ("scenes.example", "file:///x", "https://a@b", "https://a/b", "*"):
        with pytest.raises(InputError, match="allow_origin"):
            Gate("127.0.0.1", viser_versions.page_files(), [wrong])


def test_a_viser_that_cannot_be_guarded_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = []

    class Other:
        def __init__(self, **_):
            pass

        def stop(self):
            stopped.append(True)

    monkeypatch.setattr(viser_versions.viser, "ViserServer", Other)
    with pytest.raises(InputError, match="viser"):
        viser_versions.make_server(0, Gate("127.0.0.1", viser_versions.page_files()), Door(decode_message))
    assert stopped == [True]


@pytest.mark.skipif(not SHARED.is_file(), reason="the attack client of the shared cases is not here")
def test_the_attack_client_is_refused(serve: Callable, session: EditSession, tmp_path: Path) -> None:
    more = [] if OLD else [f"viser-v{viser.__version__}", "--z"]
    port = str(urlsplit(serve(session).address).port)
    run = subprocess.run(
        [sys.executable, str(SHARED), port, str(tmp_path / "mark"), *more], capture_output=True, text=True, check=False
    )
    assert "HTTP 403" in run.stderr
    assert not (tmp_path / "mark").exists()


def open_by_hand(address: str) -> socket.socket:
    """A websocket without a library that would end it well."""
    place = urlsplit(address)
    raw = socket.create_connection(("127.0.0.1", place.port), timeout=20)
    lines = [f"GET / HTTP/1.1\r\nHost: {place.netloc}\r\nOrigin: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    lines += [] if OLD else [f"Sec-WebSocket-Protocol: viser-v{viser.__version__}"]
    raw.sendall("\r\n".join([*lines, "", ""]).encode())
    assert raw.recv(1 << 16).startswith(b"HTTP/1.1 101")
    return raw


def frame_of(content: bytes) -> bytes:
    """A binary message of a browser, with a mask of zeros."""
    return b"\x82\xfe" + len(content).to_bytes(2, "big") + bytes(4) + content


def test_clients_that_drop_in_the_middle_are_no_matter_of_the_terminal(
    serve: Callable,
    session: EditSession,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    viewer = serve(session)
    hello = frame_of(msgpack.encode(CAMERA))
    partial_messages = [b"", b"\x82", hello[:9], hello + hello[:-3], hello]
    for turn in range(20):
        raw = open_by_hand(viewer.address)
        raw.sendall(partial_messages[turn % 5])
        if turn % 2:  # a reset, with what the server sends half read
            raw.recv(64)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        with socket.create_connection(("127.0.0.1", urlsplit(viewer.address).port)) as half:
            half.sendall(b"GET / HTTP/1.1\r\nHo")
    with talk(viewer.address, viewer.address) as last:
        say(last, **CAMERA)
        wait_until(lambda: len(viewer.clients) == 1)  # the others are gone, and it still serves
    wait_until(lambda: not viewer.clients)
    gc.collect()  # failures of tasks that nobody waits for are told when these go
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name != viser_versions.log.name]
    assert not [warning.message for warning in recwarn if "Queued" in str(warning.message)]


def test_values_that_were_not_offered_do_nothing(
    serve: Callable, session: EditSession, fields: dict[str, Any], the_room: Room, tmp_path: Path
) -> None:
    viewer = serve(session)
    session.select(the_room.ball)
    wrong: dict[str, list[Any]] = {
        "Depth": [
            f"os:system[command=touch {tmp_path / 'mark'}]",
            "solver[price=1]",
            "",
            3,
            None,
            ["solver"],
            {"value": "solver"},
        ],
        "Colour": ["exemplar[", "a.py:b"],
        "Steps": [-1, 5001, 1e300, 2.5, "20", True, None, [20]],
        "Photos": [0, 51],
        "Width": [15, 1 << 40],
        "Seconds": [0, -5, 61],
        "Share": [-0.1, 1.1],
        "Before": [1, "true", None],
        "Centre": [(0, 0), (0, 0, 0, 0), (0, 0, "0"), (1e300, 0, 0)],
        "Radius": [-1.0],
        "Show": ["splats", "Nothing"],
        "Photo": ["../0.png"],
        "File": ["a\nb", "\x1b[2J", "x" * 5000, 7],
        "Heal": [False, 1, "true"],
        "Keys": ["Remove", ""],
    }
    before = {label: fields[label].value for label in wrong}
    with talk(viewer.address, viewer.address) as socket:
        say(socket, **CAMERA)
        for label, values in wrong.items():
            name = {ID: field_id(fields[label])}
            for value in values:
                say(socket, type="GuiUpdateMessage", updates={"value": value}, **name)
            for key in ("disabled", "visible", "update_cb", "props", "options", "_impl"):
                say(socket, type="GuiUpdateMessage", updates={key: []}, **name)
                say(socket, type="GuiUpdateMessage", updates={"value": before[label], key: []}, **name)
        for raw in (b"", b"\xc1", b"\x91" * 5000, msgpack.encode([1]), msgpack.encode({"type": "Message"}), b"x" * 60_000):
            socket.send(raw)
        socket.send("text")
        for kind in ("ShareUrlRequest", "ResetGuiMessage", "RunJavascriptMessage", "FileTransferStart", "NoSuchMessage"):
            say(socket, type=kind, source="1")
        say(socket, **(CAMERA | {"position": (float("nan"), 0, 0)}))
        say(socket, **(CAMERA | {"wxyz": (0, 0, 0, 0)}))
        say(socket, type="GuiUpdateMessage", updates={"value": 77}, **{ID: field_id(fields["Steps"])})  # the connection lives on
        wait_until(lambda: fields["Steps"].value == 77)
    assert {label: fields[label].value for label in wrong} == before | {"Steps": 77}
    assert not (tmp_path / "mark").exists()
    assert session.history.labels == ["open", "select"]
    assert not session.busy


def wait_until(condition: Callable[[], bool]) -> None:
    ends = threading.Event()
    for _ in range(400):
        if condition():
            return
        ends.wait(0.05)
    raise AssertionError("it did not come")


def test_files_stay_in_the_export_folder(
    serve: Callable, session: EditSession, fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the wire, as a page would: names that lead elsewhere write nothing, and what is there is kept until one confirms."""
    folder = tmp_path / "exports"
    viewer = serve(session, export_dir=folder)
    told: list[str] = []
    monkeypatch.setattr(viewer, "complain", lambda error, client=None: told.append(str(error)))
    outside = tmp_path / "outside.ply"
    with talk(viewer.address, viewer.address) as socket:
        say(socket, **CAMERA)
        wait_until(lambda: len(viewer.clients) == 1)

        def press(label: str, value: Any = True) -> None:
            say(socket, type="GuiUpdateMessage", updates={"value": value}, **{ID: field_id(fields[label])})

        def save(name: str) -> None:
            press("File", name)
            wait_until(lambda: fields["File"].value == name)
            press("Save")

        for number_of, name in enumerate((f"{outside}", "../outside.ply", "~/x.ply", ".hidden.ply", "scene.obj", "run.sh"), 1):
            save(name)
            wait_until(lambda count=number_of: len(told) == count)
        assert not folder.exists()
        save("scene.ply")
        wait_until((folder / "scene.ply").is_file)
        (folder / "scene.ply").write_bytes(b"mine")
        press("Save")
        wait_until(lambda: "Keep" in fields)
        assert (folder / "scene.ply").read_bytes() == b"mine"
        press("Replace")
        wait_until(lambda: (folder / "scene.ply").read_bytes() != b"mine")
    assert all("plain name" in line or "ends with" in line for line in told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exports"]


def test_names_of_files(tmp_path: Path) -> None:
    folder = ExportFolder(tmp_path)
    assert folder.file("Szene 1.ply", [".ply"]) == tmp_path / "Szene 1.ply"
    assert folder.file("shots", [".gif", ""]) == tmp_path / "shots"
    wrong = (
        "",
        ".",
        "..",
        "../a.ply",
        "a/b.ply",
        "/a.ply",
        "a\\b.ply",
        "C:a.ply",
        ".a.ply",
        "a\0.ply",
        "a\n.ply",
        "x" * 300 + ".ply",
    )
    for name in wrong:
        with pytest.raises(InputError, match="plain name"):
            folder.file(name, [".ply", ""])
    for name in ("a.sh", "a", "ply"):
        with pytest.raises(InputError, match=r"ends with \.ply"):
            folder.file(name, [".ply"])
    (tmp_path / "link.ply").symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="link"):
        folder.file("link.ply", [".ply"])


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the values
@given(VALUES | st.lists(VALUES, max_size=3))
def test_rules_take_what_they_say(value: object) -> None:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    assert number(0, 5)(value) == (real and 0 <= value <= 5)  # type: ignore[operator]
    assert number(whole=True)(value) == (real and abs(value) <= LARGEST and value == int(value))  # type: ignore[arg-type,call-overload]
    assert numbers(2)(value) == (isinstance(value, list) and len(value) == 2 and all(map(number(), value)))
    assert not one_of(lambda: ("a long word",))(value)
    assert text(value) == (isinstance(value, str) and (not value or value.isprintable()) and len(value) <= 2000)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_no_bytes_break_the_door(raw: bytes) -> None:
    assert not Door(decode_message).admits(raw)


def test_names_are_no_markup() -> None:
    assert plain_text("{fetch('x')}\n<b>") == r"\{fetch\(\'x\'\)\} \<b\>"


@pytest.fixture
def open_browser() -> Iterator[Callable]:
    """``open_browser(address)`` opens a page in Chromium."""
    from test_viewer_browser import BROWSERS, FLAGS, PATIENCE

    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=path, args=FLAGS)

        def start():
            page = browser.new_page(viewport={"width": 800, "height": 450})
            page.set_default_timeout(PATIENCE)
            return page

        yield start
        browser.close()


@pytest.mark.slow
def test_the_page_loads_nothing_from_outside_and_reloads_in_silence(
    open_browser: Callable, serve: Callable, session: EditSession, capfd: pytest.CaptureFixture[str]
) -> None:
    viewer = serve(session)
    page, asked = open_browser(), []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    for _ in range(3):
        page.goto(viewer.address)
        page.get_by_role("button", name="Reset view").wait_for()
    page.wait_for_timeout(1000)
    place = urlsplit(viewer.address).netloc
    outside = [url for url in asked if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != place]
    assert any(url.startswith("http") for url in asked)
    assert not outside
    page.close()
    wait_until(lambda: not viewer.clients)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_the_page_works_with_a_token(open_browser: Callable, serve: Callable, session: EditSession) -> None:
    viewer = serve(session, host="0.0.0.0")
    page = open_browser()
    page.goto(viewer.address.split("?")[0])
    assert "lacks its token" in page.content()
    page.goto(viewer.address)
    page.get_by_role("button", name="Reset view").wait_for()
    page.goto(viewer.address.split("?")[0])  # the token is kept
    page.get_by_role("button", name="Reset view").wait_for()


ATTACK = b"""<!doctype html><body>...<script>
const place = new URLSearchParams(location.search).get("place"), protocols = new URLSearchParams(location.search).getAll("p");
const socket = new Promise(done => {
  const s = new WebSocket("ws://" + place, protocols);
  s.onmessage = () => done("websocket opened"); s.onerror = () => done("refused"); s.onclose = () => done("refused");
});
const read = fetch("http://" + place + "/").then(() => "read", () => "refused");
const blind = fetch("http://" + place + "/", {mode: "no-cors"}).then(() => "answered", () => "refused");
const frame = document.createElement("iframe");
frame.src = "http://" + place + "/";
document.body.append(frame);
Promise.all([socket, read, blind]).then(found => document.body.dataset.found = found.join(", "));
</script>"""


@pytest.mark.slow
def test_a_page_of_another_origin_cannot_reach_it(open_browser: Callable, serve: Callable, session: EditSession) -> None:
    class Evil(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(ATTACK)

        def log_message(self, *_) -> None:
            pass

    viewer = serve(session)
    place = urlsplit(viewer.address).netloc
    port = urlsplit(viewer.address).port
    protocol = "" if OLD else f"&p=viser-v{viser.__version__}"
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.1), daemon=True).start()
        for host in ("127.0.0.1", "localhost"):
            page = open_browser()
            page.goto(f"http://{host}:{server.server_port}/?place={place}{protocol}")
            page.locator("body[data-found]").wait_for()
            socket, read, blind = page.locator("body").get_attribute("data-found").split(", ")
            assert (socket, read) == ("refused", "refused")
            assert blind in ("refused", "answered")  # what is answered is the refusal
            frames = [frame.content() for frame in page.frames if f":{port}" in frame.url]
            assert not any("Reset view" in content for content in frames)
            page.close()
        server.shutdown()
    assert not viewer.clients
    assert np.array_equal(session.selection, session.history.present.selection)


class PluggedIn:
    """Depth by a plug-in, with options of every kind."""

    def __init__(self, rounds: int = 3, sharp: bool = False, weights: str | None = None, download: bool = True):
        self.options = (rounds, sharp, weights, download)

    @staticmethod
    def find_weights() -> None:
        raise InputError("weights", "none", "some")


def test_inpainters_of_plug_ins_have_fields_for_plain_options_only(
    serve: Callable, session: EditSession, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {"scene_depth.depth_inpainters": [EntryPoint("plugged", f"{__name__}:PluggedIn", "scene_depth.depth_inpainters")]}
    monkeypatch.setattr("scene_depth.registry.entry_points", lambda group: entries.get(group, []))
    given = "depthlab[weights=somewhere,strength=1]"
    viewer, asked = serve(session, inpainters=[given]), []

    def heal(*args: Any) -> None:
        asked.append((*args[:2], *args[4:]))
        raise InputError("heal", "a test", "nothing")

    monkeypatch.setattr(session, "heal", heal)
    offered = tuple(fields["Depth"].options)
    assert offered[0] == fields["Depth"].value == given
    assert {"plugged", "solver", "depthlab"} <= set(offered)
    assert "guidance scale" in fields
    assert not {"weights", "strength", "device", "start"} & set(fields)
    with talk(viewer.address, viewer.address) as socket:
        say(socket, **CAMERA)
        wait_until(lambda: len(viewer.clients) == 1)

        def put(label: str, value: Any) -> None:
            say(socket, type="GuiUpdateMessage", updates={"value": value}, **{ID: field_id(fields[label])})

        put("Depth", "plugged")
        wait_until(lambda: {"rounds", "sharp"} <= set(fields))
        for value in (-1, 10_001, 7):
            put("rounds", value)
        put("sharp", True)
        wait_until(lambda: fields["rounds"].value == 7 and fields["sharp"].value)
        put("Heal", True)
        wait_until(lambda: bool(asked))
    assert "download" not in fields
    assert asked == [("plugged", "exemplar", {"rounds": 7, "sharp": True}, {})]


def test_files_go_where_results_of_the_scene_are(the_room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, out = tmp_path / "garden", tmp_path / "results"
    scene.mkdir()
    monkeypatch.chdir(tmp_path)
    assert usual_export_dir(scene, scene / "splats.ply") == Path("out/garden")
    assert usual_export_dir(scene, out / "healed.ply") == out
    assert usual_export_dir(out / "healed.ply", out / "healed.ply") == out
    assert usual_export_dir(the_room.splats, None) == Path("out/view")
    own = tmp_path / "out" / "table"
    own.mkdir(parents=True)
    assert usual_export_dir(own, own / "splats.ply") == Path("out/table-view")
