"""How far long work is, on standard error: a bar at a terminal, elsewhere, as in the log of a batch job, a line now and
then. Silent where the work is short or notes are.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from zoo.cli import notes

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS = 2.0
"""Work that ends sooner shows no bar."""

LOG_SECONDS = 60.0
"""Between two lines of a log."""


class Bar:
    """`with Bar("sequences", total) as bar: bar.update(done, count)`; `total` None draws a bar without an end."""

    def __init__(self, unit: str, total: float | None = None) -> None:
        self._unit = unit
        self.total = total
        self._began = self._logged = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, done: float, count: int, text: str | None = None) -> None:
        """`done` of `total`, and what to say beside the bar: `count` units so far, or `text`."""
        now = time.monotonic()
        seconds = now - self._began
        if notes.quiet() or seconds < PATIENCE_SECONDS:
            return
        terminal = sys.stderr.isatty()
        if not terminal and now - self._logged < LOG_SECONDS:
            return
        text = text or f"{count:,} {self._unit}, {count / seconds:,.0f} a second"
        if not terminal:
            self._logged = now
            notes.say(text + self._left(done, seconds))
            return
        if self._progress is None:
            self._start()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=self.total, text=text)

    def update_of(self, done: int, total: int) -> None:
        """`done` units of so many; for work whose size is found out when it has begun."""
        self.total = total
        self.update(done, done)

    def _left(self, done: float, seconds: float) -> str:
        """What to say in a log of the time that is left, where it can be told."""
        if not self.total or not done:
            return ""
        minutes = round(seconds * (self.total / done - 1) / 60)
        return f", {minutes // 60} h {minutes % 60:02} min left"

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=self.total, text="")
        self._progress.start()
