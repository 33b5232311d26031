"""The folder that the tests of `zoo explain` work in."""

from __future__ import annotations

from cli import conftest

folder = conftest.folder
