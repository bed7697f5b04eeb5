"""A thread that always works on the newest request, so that slow work never makes a queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Request = TypeVar("Request")
Work = Callable[[Request, Callable[[], bool]], None]


class NewestWorker(Generic[Request]):
    """Runs ``work(request, outdated)`` in a thread of its own. A request that was not begun is replaced by a newer one.

    Args:
        work: The work; it may ask ``outdated()`` between its parts whether a newer request waits, and return early.
        failed: Gets what the work raised; the thread goes on with the next request.
    """

    def __init__(self, work: Work[Request], failed: Callable[[Exception], None]):
        self._work, self._failed = work, failed
        self._waiting: list[Request] = []
        self._change = threading.Condition()
        self._running, self._ended = False, False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Asks for work; returns at once."""
        with self._change:
            if not self._ended:
                self._waiting = [request]
            self._change.notify_all()

    def stop(self) -> None:
        """Ends the thread after the work at hand; what waits and later requests are ignored."""
        with self._change:
            self._ended, self._waiting = True, []
            self._change.notify_all()

    def wait(self, seconds: float) -> bool:
        """Waits until there is nothing to do; False if that takes longer."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting and not self._running, seconds)

    def _outdated(self) -> bool:
        with self._change:
            return bool(self._waiting) or self._ended

    def _run(self) -> None:
        while True:
            with self._change:
                self._running = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._waiting or self._ended)
                if self._ended:
                    return
                request, self._running = self._waiting.pop(), True
            try:
                self._work(request, self._outdated)
            except Exception as error:  # whatever one request raises, the next one must be served
                self._failed(error)
