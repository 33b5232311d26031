"""The folder that the tests of `zoo design` work in."""

from __future__ import annotations

from cli import conftest

folder = conftest.folder
