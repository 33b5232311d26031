"""What an .onnx file of the zoo stores beside its graph: the ModelSpec, test tensors and a digest of the whole file."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.spec import SPEC_KEY, TEST_KEY, ModelSpec
from zoo.system.atomic import replacing
from zoo.weights import checkpoint, file_checks, test_tensors
from zoo.weights.checkpoint import profiles_of
from zoo.weights.test_tensors import TestTensors
from zoo_exporters.onnx import container
from zoo_exporters.onnx.ensembles import MEMBERS, SPREAD
from zoo_exporters.onnx.inputs import PROFILE, Input

if TYPE_CHECKING:
    import onnx


def read_spec(path: Path) -> ModelSpec:
    """The ModelSpec in an .onnx file. Call this before ONNX Runtime opens the file.

    Raises ZooError if it does not exist, is not ONNX, is not from this zoo, was changed, or has numbers in other files.
    """
    metadata = container.metadata(path)
    if SPEC_KEY not in metadata:
        raise ZooError(
            f"{path}: expected the model spec of deepstarr-zoo in metadata_props, got none; zoo import {path} -o "
            "mine.onnx makes a file of any network for the zoo"
        )
    return checkpoint.read_spec(metadata[SPEC_KEY], path)


def read_tests(path: Path) -> TestTensors | None:
    """The test tensors in an .onnx file, which imported networks have. Raises ZooError as `read_spec` does."""
    found = container.metadata(path).get(TEST_KEY)
    if found is None:
        return None
    try:
        return test_tensors.from_bytes(base64.b64decode(found, validate=True))
    except (ZooError, ValueError) as error:
        raise ZooError(f"{path}: its test tensors cannot be read ({error})") from None


def describe(model: onnx.ModelProto, spec: ModelSpec, kind: Input, tests: TestTensors | None = None) -> None:
    """Store the description of the model and its source in the file, and test tensors."""
    import zoo

    model.producer_name, model.producer_version = "deepstarr-zoo", zoo.__version__
    model.doc_string = f"{spec.architecture}: {', '.join(spec.targets)} of {spec.sequence_length} bp of DNA"
    model.graph.name = spec.architecture
    model.graph.input[0].doc_string = kind.about
    columns = f"{len(spec.targets)}): {', '.join(spec.targets)}"
    model.graph.output[0].doc_string = f"float32 (batch, {columns}"
    profiles = {f"{PROFILE}{one.name}": one for one in profiles_of(spec)}
    for output in model.graph.output:
        if one := profiles.get(output.name):
            output.doc_string = f"float32 (batch, {len(one.columns)}, {one.positions}): {', '.join(one.columns)}"
        elif output.name == SPREAD:
            output.doc_string = f"float32 (batch, {columns}; standard deviation over the members, ddof 1"
        elif output.name == MEMBERS:
            output.doc_string = f"float32 (batch, {len(spec.members)}, {columns}; each member"
    model.metadata_props.add(key=SPEC_KEY, value=file_checks.spec_json(spec.to_dict()))
    if tests is not None:
        model.metadata_props.add(key=TEST_KEY, value=base64.b64encode(tests.to_bytes()).decode())


def write_spec(source: Path, path: Path, spec: ModelSpec) -> None:
    """Write a copy of an .onnx file with another ModelSpec of the same weights, such as one with a card.

    Raises ZooError as `read_spec` does.
    """
    import onnx

    read_spec(source)
    model = onnx.load(source)
    (stored,) = (one for one in model.metadata_props if one.key == SPEC_KEY)
    stored.value = file_checks.spec_json(spec.to_dict())
    with replacing(path) as partial:
        onnx.save_model(model, partial)
        file_checks.write_digest(partial)


@contextlib.contextmanager
def written(model: onnx.ModelProto, path: Path, overwrite: bool) -> Iterator[Path]:
    """The temporary file of a graph with its digest, which gets its name if the block ends well."""
    import onnx

    with replacing(path, overwrite) as partial:
        onnx.save_model(model, partial)
        file_checks.write_digest(partial)
        yield partial
