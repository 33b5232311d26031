"""The page without a service: static files, any web server's, in which ONNX Runtime computes in the browser.

    index.html             the page
    models/NAME.onnx       a model's graph, which takes the letters of sequences
    ort/ort.js, ort.wasm   ONNX Runtime in WebAssembly, from the npm package onnxruntime-web: this project has no copy

The names of those two end as every web server knows them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from zoo import registry
from zoo.errors import ZooError
from zoo.prediction import description
from zoo.serve import page
from zoo.spec import ModelSpec
from zoo.system.atomic import replacing_folder
from zoo.weights import lookup

INPUT = "bytes"
"""What the graphs take, see exporters/zoo_exporters/onnx."""

PACKAGE = "onnxruntime-web"

ORT = Path("node_modules") / PACKAGE / "dist"
"""Where `npm install onnxruntime-web` puts its files."""

SCRIPT = "ort.wasm.bundle.min.mjs"

ORT_FILES = {SCRIPT: "ort/ort.js", "ort-wasm-simd-threaded.wasm": "ort/ort.wasm"}
"""Name in the package -> in the site."""

OLDEST_ORT = (1, 23)
"""The bundle of releases before it asks for a file more."""

OURS = ("index.html", "models/*.onnx", *ORT_FILES.values())


def write(weights: Sequence[str], path: Path, ort: Path, overwrite: bool = False) -> list[str]:
    """Write the site of models, by name or from files; the default one where none is given. Returns their names.

    ort: the folder dist of the npm package.
    Raises ZooError if that is not there, for two models of one name, and as the exporter onnx and replacing_folder do.
    """
    models = lookup.by_name(weights)
    _check_ort(ort)
    exporter = registry.load("exporters", "onnx")
    with replacing_folder(path, overwrite, OURS, [ort, *map(lookup.file_of, models.values())]) as folder:
        (folder / "models").mkdir()
        (folder / "ort").mkdir()
        for source, target in ORT_FILES.items():
            shutil.copyfile(ort / source, folder / target)
        about = {}
        for name, one in models.items():
            loaded = lookup.load(None, one)
            graph = f"models/{name.replace(':', '-')}{exporter.SUFFIX}"
            exporter.export(loaded, folder / graph, input=INPUT)
            about[name] = {"graph": graph, **_about(loaded.spec)}
        settings = {
            "models": about,
            "input": exporter.INPUTS[INPUT].name,
            "output": exporter.OUTPUT,
            "no_step": page.NO_STEP,
        }
        (folder / "index.html").write_text(page.page(page.BROWSER, **settings), "utf-8")
    return list(models)


def _check_ort(ort: Path) -> None:
    """Raise ZooError unless the folder has the files, of a release that is new enough."""
    wrong = next((f"there is no {name} in it" for name in ORT_FILES if not (ort / name).is_file()), None)
    if wrong is None:
        found = re.search(r"ONNX Runtime Web v(\d+)\.(\d+)", (ort / SCRIPT).read_text("utf-8", "replace")[:1000])
        version = (int(found[1]), int(found[2])) if found else None
        if version is None:
            wrong = f"{SCRIPT} does not say which release it is"
        elif version < OLDEST_ORT:
            wrong = f"this is {'.'.join(map(str, version))}"
    if wrong:
        raise ZooError(
            f"{ort}: expected the folder dist of the npm package {PACKAGE}, {'.'.join(map(str, OLDEST_ORT))} or later, "
            f"{wrong}; npm install --no-save {PACKAGE} brings it, --ort says where it is"
        )


def _about(spec: ModelSpec) -> dict[str, object]:
    """What the page says of a model."""
    return {
        "sequence_length": spec.sequence_length,
        "targets": spec.targets,
        "weights": description.of_weights(spec),
    }
