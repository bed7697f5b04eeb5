"""Who may talk to the page: Host, Origin and, where other machines can reach it, the token of every request are checked."""

from __future__ import annotations

import gzip
import hmac
import ipaddress
import mimetypes
import re
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from scene_depth.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
OUTSIDE_SCRIPT = re.compile(rb'<script[^>]*\bsrc="(?:https?:)?//[^>]*>\s*</script>')
TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".css": "text/css", ".svg": "image/svg+xml"}
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; worker-src 'self' blob: data:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; manifest-src 'self'; "
    "connect-src 'self' data: blob: ws://{host} wss://{host}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class Headers(Protocol):
    """The headers of a request, as ``websockets`` gives them."""

    def get_all(self, key: str) -> list[str]: ...


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: Its status.
        headers: Its headers.
        body: What is sent.
    """

    status: HTTPStatus
    headers: dict[str, str]
    body: bytes


@dataclass
class Gate:
    """Decides about every HTTP and websocket request, and serves the files of the page itself.

    A page of another site cannot talk to the server, since the browser names that site in ``Origin``. A foreign name that
    points to this machine (DNS rebinding) is seen in ``Host``. Where the address is not one of this machine alone, requests
    need the token that ``address`` carries; the page keeps it as a cookie.

    Attributes:
        host: Address to listen on.
        root: Folder of the page's files; nothing else is served.
        allow_origins: Further origins under which a person reaches the page, such as that of a proxy or a tunnel.
        token: Needed in the address, unless only this machine can reach it.
        port: Port that is listened on; set when the server has it.
    """

    host: str
    root: Path
    allow_origins: Sequence[str] = ()
    token: str | None = None
    port: int = 0
    _files: dict[str, Path] = field(default_factory=dict)
    _sent: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.allow_origins = tuple(_checked_origin(origin) for origin in self.allow_origins)
        names = [self.host, *(urlsplit(origin).hostname or "" for origin in self.allow_origins)]
        if self.token is None and not all(map(is_loopback, names)):
            self.token = secrets.token_urlsafe(24)
        paths = (path for path in sorted(self.root.rglob("*")) if path.is_file())
        self._files = {"/" + path.relative_to(self.root).as_posix(): path for path in paths}
        self._files["/"] = self._files["/index.html"]

    @property
    def address(self) -> str:
        """Where a person finds the page, with the token if one is needed."""
        name = _own_address() if _is_everywhere(self.host) else _bracketed(self.host)
        return f"http://{name}:{self.port}/{'' if self.token is None else f'?token={self.token}'}".removesuffix("/")

    def answer(self, target: str, headers: Headers, own_address: str) -> Answer | None:
        """Answers a request; None lets a websocket pass.

        Args:
            target: Path and query of the request.
            headers: Its headers.
            own_address: Address of this machine that it came to.
        """
        host, origin = headers.get_all("Host"), headers.get_all("Origin")
        served = self._hosts(own_address)
        upgrade = any("websocket" in value.lower() for value in headers.get_all("Upgrade"))
        if len(host) != 1 or host[0].lower() not in served | {urlsplit(further).netloc for further in self.allow_origins}:
            return _refused(f"This page is not served as {host}. If it should be: --allow-origin http://HOST:PORT.")
        known = {f"http://{name}" for name in served} | set(self.allow_origins)
        if len(origin) > 1 or (upgrade and not origin) or not {value.lower() for value in origin} <= known:
            return _refused(f"Requests from {origin or 'nowhere'} are refused. If they should not be: --allow-origin ORIGIN.")
        top_level = headers.get_all("Sec-Fetch-Mode") == ["navigate"] and headers.get_all("Sec-Fetch-Dest") == ["document"]
        if not top_level and not set(headers.get_all("Sec-Fetch-Site")) <= {"same-origin", "none"}:
            return _refused("Requests from pages of other origins are refused.")
        path, _, query = target.partition("?")
        asked = parse_qs(query, keep_blank_values=True)
        if self.token is not None and not self._knows_token(asked.get("token", []), headers.get_all("Cookie")):
            return _refused("The address lacks its token: take the whole address that the command printed.")
        if upgrade:
            return None
        if set(asked) - {"token"}:  # the page takes a server to connect to from its address: never from a link
            return Answer(HTTPStatus.SEE_OTHER, {"Location": f"/?token={self.token}" if "token" in asked else "/"}, b"")
        return self._file(unquote(path), host[0], any("gzip" in value for value in headers.get_all("Accept-Encoding")))

    def _hosts(self, own_address: str) -> set[str]:
        names = {_bracketed(self.host).lower()}
        if is_loopback(self.host) or _is_everywhere(self.host):
            names.update(LOOPBACK)
        if not is_loopback(self.host):
            names.update((_bracketed(own_address.partition("%")[0]), socket.gethostname().lower()))
        return {f"{name}:{self.port}" for name in names} | (names if self.port == 80 else set())

    def _knows_token(self, asked: Sequence[str], cookies: Sequence[str]) -> bool:
        kept = [pair.strip().partition("=") for line in cookies for pair in line.split(";")]
        given = [*asked, *(value for name, _, value in kept if name == self._cookie)]
        return any(hmac.compare_digest(value.encode(), (self.token or "").encode()) for value in given)

    @property
    def _cookie(self) -> str:
        return f"scene_depth_{self.port}"

    def _file(self, path: str, host: str, packed: bool) -> Answer:
        if path not in self._files:
            return Answer(HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain"}, b"There is no such file.\n")
        file = self._files[path]
        if path not in self._sent:
            content = file.read_bytes()
            self._sent[path] = gzip.compress(OUTSIDE_SCRIPT.sub(b"", content) if file.suffix == ".html" else content)
        body = self._sent[path] if packed else gzip.decompress(self._sent[path])
        kind = TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        headers = {
            "Content-Type": kind,
            "Content-Encoding": "gzip" if packed else "identity",
            "Content-Security-Policy": CONTENT_POLICY.format(host=host),
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        if self.token is not None:
            headers["Set-Cookie"] = f"{self._cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        return Answer(HTTPStatus.OK, headers, body)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _is_everywhere(host: str) -> bool:
    return host in ("", "0.0.0.0", "::", "[::]")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _own_address() -> str:
    """An address of this machine that others may reach it by; nothing is sent to find it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # an address for documentation only
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


def _checked_origin(origin: str) -> str:
    parts = urlsplit(origin.lower().removesuffix("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.path or parts.query:
        raise InputError("allow_origin", repr(origin), "http://HOST:PORT or https://HOST:PORT, as the browser's address begins")
    return f"{parts.scheme}://{parts.netloc}"


def _refused(why: str) -> Answer:
    return Answer(HTTPStatus.FORBIDDEN, {"Content-Type": "text/plain; charset=utf-8"}, why.encode() + b"\n")
