"""Ending a run from outside: SIGTERM and Ctrl-C ask it to end with a checkpoint; a second Ctrl-C kills."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType


class StopRequest:
    """While entered, notes the first SIGTERM or Ctrl-C instead of dying of it. Does nothing outside the main thread.

    Args:
        silent: say nothing of it.
    """

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if not self.silent:
            print("\nrodent: ending with a checkpoint; Ctrl-C once more ends at once", file=sys.stderr)
