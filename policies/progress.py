"""How far a run is: a bar on a terminal, a line now and then elsewhere. Standard error, always."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

_SECONDS_BETWEEN_LINES = 30.0


class RunProgress:
    """Shows the share of a run that is done, its rate, the time left, and a note.

    Args:
        title: what runs.
        silent: show nothing.
    """

    def __init__(self, title: str, silent: bool = False) -> None:
        self.title = title
        self.silent = silent
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._last_line = -float("inf")
        if self._console.is_terminal and not silent:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task(title, total=1.0, note="")

    def __enter__(self) -> RunProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, done: float, steps: int, rate: float, left: float, note: str) -> None:
        """Show that a share `done` of the run is over.

        Args:
            done: 0 to 1.
            steps: environment steps so far.
            rate: environment steps a second.
            left: seconds.
            note: more, in few words.
        """
        if self.silent:
            return
        text = f"{steps:,} steps, {rate:,.0f}/s, {_clock(left)} left, {note}"
        if self._bar:
            self._bar.update(self._task, completed=done, note=text)
        elif done >= 1 or time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            print(f"{self.title}: {done:.0%}, {text}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._bar:
            self._bar.console.print(line, highlight=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
