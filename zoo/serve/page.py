"""The page for people: a table of predictions, and which bases of a sequence matter.

page.html has its script and style. A second script answers its requests: page_service.js asks zoo serve, and
page_browser.js, for the files of zoo page, ONNX Runtime in the browser. The page's policy forbids requests to other
hosts.

    index.html             the page
    models/NAME.onnx       a model's graph, which takes the letters of sequences
    ort/ort.js, ort.wasm   ONNX Runtime in WebAssembly, copied from the npm package onnxruntime-web; web servers know
                           the suffixes of these names
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from zoo import registry
from zoo.dna.read_options import LONGEST, MISSING_WORDS
from zoo.dna.read_options import PAGE as PAGE_SPELLING
from zoo.errors import ZooError
from zoo.explain import report
from zoo.explain.logos import COLOURS
from zoo.prediction import description
from zoo.spec import ALPHABET, MOST_SHOWN
from zoo.system.atomic import replacing_folder
from zoo.weights import ensembles, exports

PAGE = Path(__file__).with_name("page.html")

SERVICE, BROWSER = "page_service.js", "page_browser.js"
"""Scripts that answer the page."""

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; form-action 'none'; "
    "base-uri 'none'; script-src 'unsafe-inline'"
)

POLICIES = {SERVICE: POLICY, BROWSER: f"{POLICY} 'self' 'wasm-unsafe-eval'; worker-src 'self'"}
"""What the browser allows a page to do; ONNX Runtime is a script of its own, and a worker."""

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": f"{POLICY}; frame-ancestors 'none'",
}
"""Headers of the response with the page."""

SETTINGS = {
    "alphabet": ALPHABET,
    "colours": COLOURS,
    "most_shown": MOST_SHOWN,
    "longest": LONGEST,
    "missing_words": sorted(MISSING_WORDS),
    "spelling": PAGE_SPELLING._asdict(),
}
"""Constants of the zoo that the scripts need."""

NO_STEP = "the sequence contains N, which zoo design would replace with random bases; replace each N first"
"""Why a sequence is not made stronger."""

INPUT = "bytes"
"""Input of the graphs, see exporters/zoo_exporters/onnx."""

PACKAGE = "onnxruntime-web"

ORT = Path("node_modules") / PACKAGE / "dist"
"""Folder in which `npm install onnxruntime-web` puts its files."""

SCRIPT = "ort.wasm.bundle.min.mjs"

ORT_FILES = {SCRIPT: "ort/ort.js", "ort-wasm-simd-threaded.wasm": "ort/ort.wasm"}
"""Name in the package -> name among the files."""

OLDEST_ORT = (1, 23)
"""The script of earlier releases loads another file."""

OUR_FILES = ("index.html", "models/*.onnx", *ORT_FILES.values())


@functools.cache
def of_service() -> str:
    """The page of zoo serve."""
    return page(SERVICE)


def page(script: str, **settings: Any) -> str:
    """The page. script: SERVICE or BROWSER, which reads the settings."""
    parts = {
        "{{POLICY}}": POLICIES[script],
        "{{BACKEND}}": PAGE.with_name(script).read_text("utf-8"),
        "{{SETTINGS}}": orjson.dumps({**SETTINGS, **settings}).decode().replace("<", "\\u003c"),
    }
    text = report.with_drawing(PAGE)
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def write(weights: Sequence[str], path: Path, ort: Path, overwrite: bool = False) -> list[str]:
    """Write the page and models, by name or from files, into a folder; the default model if none is given. Returns the
    names of the models.

    ort: the folder dist of the npm package.
    Raises ZooError for a missing or old package, for two models of one name, and as the exporter onnx and
    replacing_folder do.
    """
    models = ensembles.by_name(weights)
    files = [file for one in models.values() for file in ensembles.files_of(one)]
    _check_ort(ort)
    exporter = registry.load("exporters", "onnx")
    with replacing_folder(path, overwrite, OUR_FILES, [ort, *files]) as folder:
        (folder / "models").mkdir()
        (folder / "ort").mkdir()
        for source, target in ORT_FILES.items():
            shutil.copyfile(ort / source, folder / target)
        about = {}
        for name, one in models.items():
            graph = f"models/{name.replace(':', '-')}{exporter.SUFFIX}"
            spec = exports.write("onnx", one, folder / graph, input=INPUT)
            about[name] = {
                "graph": graph,
                "sequence_length": spec.sequence_length,
                "targets": spec.targets,
                "weights": description.of_weights(spec),
            }
        tensors = {"input": exporter.INPUTS[INPUT].name, "output": exporter.OUTPUT}
        (folder / "index.html").write_text(page(BROWSER, models=about, no_step=NO_STEP, **tensors), "utf-8")
    return list(models)


def _check_ort(ort: Path) -> None:
    """Raise ZooError unless the folder has the files, of a release that is new enough."""
    problem = next((f"it has no {name}" for name in ORT_FILES if not (ort / name).is_file()), None)
    if problem is None:
        version = re.search(r"ONNX Runtime Web v(\d+)\.(\d+)", (ort / SCRIPT).read_text("utf-8", "replace")[:1000])
        if version is None:
            problem = f"{SCRIPT} does not name its release"
        elif (int(version[1]), int(version[2])) < OLDEST_ORT:
            problem = f"got {version[1]}.{version[2]}"
    if problem:
        raise ZooError(
            f"{ort}: expected the folder dist of the npm package {PACKAGE}, {'.'.join(map(str, OLDEST_ORT))} or later; "
            f"{problem}; install it with npm install --no-save {PACKAGE}, or name its folder with --ort"
        )
