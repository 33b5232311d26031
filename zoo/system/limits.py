"""What the system allows this process, to be said where an error may come of it. Needs no library."""

from __future__ import annotations

import sys


def limit_note() -> str:
    """What to add to an error that want of memory may have caused; empty where this process may use all there is."""
    if sys.platform == "win32":
        return ""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return ""
    return f"; this process may use {limit / 1e6:,.0f} MB of memory (ulimit -v), perhaps too little"
