"""The page: sequences are pasted, a table is shown, and for one of them which bases matter and what mutations do.

page.html has its script and style; beside it stands what answers it. At / of zoo serve that is the service
(page_service.js), in the files of zoo page ONNX Runtime in the browser (page_browser.js). It asks no other host, which
its policy makes sure of.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import orjson

from zoo.explain import report
from zoo.explain.logos import COLOURS
from zoo.spec import ALPHABET

PAGE = Path(__file__).with_name("page.html")

SERVICE, BROWSER = "page_service.js", "page_browser.js"
"""What answers the page."""

POLICY_MARK, BACKEND_MARK, SETTINGS_MARK = "{{POLICY}}", "{{BACKEND}}", "{{SETTINGS}}"

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; form-action 'none'; "
    "base-uri 'none'; script-src 'unsafe-inline'"
)

POLICIES = {SERVICE: POLICY, BROWSER: f"{POLICY} 'self' 'wasm-unsafe-eval'; worker-src 'self'"}
"""What the browser lets a page do; ONNX Runtime is a script of its own, and a worker."""

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": f"{POLICY}; frame-ancestors 'none'",
}
"""Of the answer that is the page."""


NO_STEP = "the sequence has N, for which zoo design would draw bases at random; put bases there first"
"""Why a sequence is not made stronger."""


@functools.cache
def of_service() -> str:
    """The page of zoo serve."""
    return page(SERVICE)


def page(backend: str, **settings: Any) -> str:
    """The page, whole. backend: SERVICE or BROWSER.  settings: what that needs to know."""
    told = orjson.dumps({"alphabet": ALPHABET, "colours": COLOURS, **settings}).decode().replace("<", "\\u003c")
    text = report.with_drawing(PAGE)
    for mark, part in {
        POLICY_MARK: POLICIES[backend],
        BACKEND_MARK: PAGE.with_name(backend).read_text("utf-8"),
        SETTINGS_MARK: told,
    }.items():
        text = text.replace(mark, part)
    return text
