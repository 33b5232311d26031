"""Tests of this folder do not draw figures."""

from pictures import undrawn  # noqa: F401
