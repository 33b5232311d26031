"""The static page, made and shown by a plain web server."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zoo.serve import page

ROOT = Path(__file__).parents[1]


def onnxruntime_web() -> Path:
    """Its folder dist. Skips the test where there is none."""
    found = Path(os.environ.get("ZOO_TEST_ORT", ROOT / page.ORT))
    if not found.is_dir():
        pytest.skip(f"onnxruntime-web is not at {found}: npm install --no-save onnxruntime-web, or set ZOO_TEST_ORT")
    return found


def stand_in(folder: Path) -> Path:
    """A folder that looks like the package's, with nothing in it that runs."""
    folder.mkdir()
    for name in (*page.ORT_FILES, "ort.all.js"):
        (folder / name).write_text(f"{name}: ONNX Runtime Web v1.23.0")
    return folder


def made(path: Path, ort: Path, *weights: str) -> Path:
    page.write(weights, path, ort)
    return path


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def shown(folder: Path) -> Iterator[str]:
    """Its address while it is served."""
    handler = functools.partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
