"""What the system allows this process, to be said where an error may come of it. Needs no library."""

from __future__ import annotations

import sys


def limit_note() -> str:
    """What to add to an error that want of memory may have caused; empty where this process may use all there is."""
    if sys.platform == "win32":
        return ""
    try:
        import resource
    except ImportError:  # a file of a few kilobytes, which is part of every Python: not even that fits
        return "; this process may use too little memory (ulimit -v)"
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return ""
    return f"; this process may use {limit / 1e6:,.0f} MB of memory (ulimit -v), perhaps too little"
