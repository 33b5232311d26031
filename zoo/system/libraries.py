"""Which libraries are installed, without importing them."""

from __future__ import annotations

from importlib import metadata


def version(distribution: str) -> str | None:
    """Of a distribution, by the name that pip knows; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
