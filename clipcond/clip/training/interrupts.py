"""Ctrl-C and SIGTERM between two steps instead of in the middle of one."""

import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While entered, the first signal is noted and the second is Python's own.

    Args:
        listen: whether to; processes that work together would not stop at the same step, and go on from the last
            checkpoint instead. Outside the main thread, where Python hands out no signals, nothing is noted either.
    """

    def __init__(self, listen: bool) -> None:  # noqa: FBT001
        self.asked = False
        self._listens = listen and threading.current_thread() is threading.main_thread()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        for number in _SIGNALS if self._listens else ():
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
