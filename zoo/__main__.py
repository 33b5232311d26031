"""Start of `zoo` and `python -m zoo`. Until the command line is imported, Ctrl-C has nothing to clean up."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line. Ctrl-C never shows a traceback, and a missing library is reported in one line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    try:
        from zoo.cli import main as command_line
    except (ImportError, MemoryError) as error:
        reason = next(iter(str(error).splitlines()), "out of memory")
        print(f"zoo: cannot start ({reason}); install deepstarr-zoo again, or allow more memory", file=sys.stderr)
        sys.exit(2)
    command_line.main()


def _end(number: int, _frame: object) -> None:
    os.write(2, b"zoo: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
