"""What a command prints on standard error besides errors: notes, which --quiet silences, details for --verbose, and
the progress of long work.
"""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from zoo.errors import counted, one_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SWITCHES = {"-q": -1, "--quiet": -1, "-v": 1, "--verbose": 1}
"""Switch, anywhere in a command line -> level of output."""

HELP = "With every command: -q, --quiet for errors only; -v, --verbose for more."

BAR_SECONDS = 2.0
"""Shorter work shows no progress bar."""

LOG_SECONDS = 60.0
"""Interval between two progress lines in a log."""


_level = 0
"""-1 with --quiet, 1 with --verbose."""

_last: dict[str, None] = {}
"""Notes to print when the command ends, each once."""


def without_switches(arguments: list[str]) -> list[str]:
    """The words of a command line without SWITCHES, after setting the level. The last switch before a -- counts."""
    global _level
    _level = 0
    _last.clear()
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest = []
    for word in arguments[:end]:
        if word in SWITCHES:
            _level = SWITCHES[word]
        else:
            rest.append(word)
    return rest + arguments[end:]


def quiet() -> bool:
    return _level < 0


class Activity:
    """A spinner at a terminal while a command works and shows nothing else; nothing elsewhere or with --quiet.

    A bar takes its place, and it is back when the bar has ended.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._timer: threading.Timer | None = None
        self._progress: Progress | None = None
        self._lock = threading.Lock()
        self._stdout = sys.stdout
        self._pausing: Any = None  # kept, since print() holds no reference to the standard output that it uses

    def __enter__(self) -> Activity:
        global _activity
        _activity = self
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        global _activity
        _activity = None
        self.pause()

    def resume(self) -> None:
        """Show the spinner, unless something else is shown within BAR_SECONDS."""
        if sys.stderr.isatty() and not quiet():
            with self._lock:
                self._timer = threading.Timer(BAR_SECONDS, self._start)
                self._timer.daemon = True
                self._timer.start()

    def pause(self) -> None:
        with self._lock:
            timer, progress, self._timer, self._progress = self._timer, self._progress, None, None
        if timer is not None:
            timer.cancel()
        if progress is not None:
            sys.stdout = self._stdout
            progress.stop()

    def show(self, text: str) -> None:
        """Show what the command does now."""
        with self._lock:
            self._text = text
            if self._progress is not None:
                self._progress.update(self._progress.task_ids[0], text=text)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.fields[text]}", markup=False), TimeElapsedColumn())
        with self._lock:
            if self._timer is not None:
                console = Console(stderr=True)
                self._progress = Progress(*columns, console=console, transient=True, redirect_stdout=False)
                self._progress.add_task("", total=None, text=self._text)
                self._stdout = sys.stdout
                if self._stdout.isatty():
                    self._pausing = sys.stdout = _Pausing(self, self._stdout)
                self._progress.start()


class _Pausing:
    """Standard output while a spinner is shown on the same terminal: its first use ends the spinner."""

    def __init__(self, activity: Activity, stdout: TextIO) -> None:
        self._activity, self._stdout = activity, stdout

    def __getattr__(self, name: str) -> Any:
        self._activity.pause()
        return getattr(self._stdout, name)


_activity: Activity | None = None
"""That of the command that runs."""


def doing(text: str) -> None:
    """Show what the command does now, beside the spinner."""
    if _activity is not None:
        _activity.show(text)


def hide_activity() -> None:
    """Show no spinner from now on, for a command that writes its output as it goes."""
    if _activity is not None:
        _activity.pause()


def say(text: str) -> None:
    """Print a note, one line."""
    if not quiet():
        print(f"zoo: {one_line(text)}", file=sys.stderr)


def say_last(text: str) -> None:
    """Print a note when the command has done its work, below all others."""
    _last[text] = None


def say_what_is_left() -> None:
    """Print the notes of `say_last`, each once."""
    for text in _last:
        say(text)
    _last.clear()


def detail(text: str) -> None:
    """Print a line that only --verbose shows."""
    if _level > 0:
        print(f"zoo: {one_line(text)}", file=sys.stderr)


def summarize(described: dict[str, Any], unit: str) -> None:
    """Print one line about what ran, and details about the weights. unit: plural name of a record."""
    from zoo.prediction import description

    say(description.summary(described, unit))
    if held_out := description.held_out(described):
        say(held_out)
    for line in description.details(described):
        detail(line)


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Bar:
    """A progress bar at a terminal; elsewhere, as in the log of a batch job, one line per minute.

    `with Bar("sequences", total) as bar: bar.update(done, count)`. Without a total the bar has no end. Short work
    shows nothing, and neither does --quiet.
    """

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
            if _activity is not None:
                _activity.resume()

    def update(self, done: float, count: int, text: str | None = None) -> None:
        """Show `done` of the total, and beside it `count` units so far, or `text`."""
        now = time.monotonic()
        seconds = now - self._began
        if quiet() or seconds < BAR_SECONDS:
            return
        terminal = sys.stderr.isatty()
        if not terminal and now - self._logged < LOG_SECONDS:
            return
        text = text or f"{counted(count, self._unit)}, {count / seconds:,.0f} a second"
        if not terminal:
            self._logged = now
            say(text + self._time_left(done, seconds))
            return
        if self._progress is None:
            self._start()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=self.total, text=text)

    def update_of(self, done: int, total: int) -> None:
        """Show `done` units of `total`, for work whose size is known only after it began."""
        self.total = total
        self.update(done, done)

    def _time_left(self, done: float, seconds: float) -> str:
        return f", {duration(seconds * (self.total / done - 1))} left" if self.total and done else ""

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
            redirect_stdout=sys.stdout.isatty(),  # else a bar takes what is meant for a file
        )
        self._task = self._progress.add_task("", total=self.total, text="")
        if _activity is not None:
            _activity.pause()
        self._progress.start()
