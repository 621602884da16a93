"""Work in a thread whose steps can be watched, and that stops when its session says so.

A denoiser calls back at every step and returns at the end; a page wants to ask for the next thing to show. `watch`
turns the one into the other. What is not asked for in time is skipped, all but the last.
"""

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

Emit = Callable[[Any], None]


class Stopped(Exception):  # noqa: N818 - no error: somebody pressed Stop
    """Raised by `emit` inside the work, so that it unwinds at its next step."""


class Switches:
    """The stop switch of each session's latest work."""

    def __init__(self) -> None:
        self._of: dict[str, threading.Event] = {}

    def arm(self, session: str) -> threading.Event:
        """A new switch for a session; its earlier work, if any, stops."""
        self.stop(session)
        self._of[session] = threading.Event()
        return self._of[session]

    def of(self, session: str) -> threading.Event:
        """The session's switch, which may have been pressed while it waited in the queue."""
        return self._of.get(session) or self.arm(session)

    def stop(self, session: str) -> None:
        """Press it."""
        if session in self._of:
            self._of[session].set()

    def forget(self, session: str) -> None:
        """The session is over: stop its work."""
        self.stop(session)
        self._of.pop(session, None)


def watch(work: Callable[[Emit], None], switch: threading.Event) -> Iterator[Any]:
    """What `work(emit)` emits, while it runs in a thread of its own.

    Leaving the loop early presses the switch. Whatever ends the work is raised here, `Stopped` included.
    """
    emitted: SimpleQueue[Any] = SimpleQueue()
    ended: list[BaseException | None] = []

    def emit(item: Any) -> None:
        if switch.is_set():
            raise Stopped
        emitted.put((item,))

    def run() -> None:
        try:
            emit_nothing_if_stopped(switch)
            work(emit)
            ended.append(None)
        except BaseException as error:  # noqa: BLE001 - raised again on the other side
            ended.append(error)
        emitted.put(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (item := _latest(emitted)) is not None:
            yield item[0]
    finally:
        switch.set()
        thread.join()
    if ended[0] is not None:
        raise ended[0]


def emit_nothing_if_stopped(switch: threading.Event) -> None:
    """Raise `Stopped` where the switch was pressed before the work began."""
    if switch.is_set():
        raise Stopped


def _latest(queue: "SimpleQueue[Any]") -> Any:
    """The newest item, waiting for one; the end only when nothing is before it."""
    item = queue.get()
    while item is not None:
        try:
            newer = queue.get_nowait()
        except Empty:
            return item
        if newer is None:
            queue.put(None)  # the end comes again, after the last item
            return item
        item = newer
    return None
