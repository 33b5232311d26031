"""ONNX files whose numbers are elsewhere: refused unopened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import WEIGHTS, refusal

from zoo import registry
from zoo.prediction import session
from zoo.spec import SPEC_KEY
from zoo.weights import file_checks

onnx = pytest.importorskip("onnx")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "odd.onnx"
    registry.load("exporters", "onnx").export(WEIGHTS, path, input="codes")
    return path


def outside(tensor: Any) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def in_initializer(model: Any) -> None:
    outside(model.graph.initializer[0])


def in_attribute(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    outside(attribute.t)


def in_subgraph(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH)
    outside(attribute.g.initializer.add())


def in_sparse(model: Any) -> None:
    outside(model.graph.sparse_initializer.add().values)


def in_function(model: Any) -> None:
    attribute = model.functions.add(name="f").node.add(op_type="Constant").attribute.add(name="value")
    outside(attribute.t)


def in_training(model: Any) -> None:
    outside(model.training_info.add().initialization.initializer.add())


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    "change", [in_initializer, in_attribute, in_subgraph, in_sparse, in_function, in_training], ids=lambda f: f.__name__
)
def test_an_onnx_file_with_numbers_in_other_files_is_refused_unopened(
    change: Callable[[Any], None], sealed: bool, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load_model(exported)
    change(model)
    del model.metadata_props[:]
    spec = WEIGHTS.spec.to_dict()
    model.metadata_props.add(key=SPEC_KEY, value=file_checks.spec_json(spec) if sealed else json.dumps(spec))
    exported.write_bytes(model.SerializeToString())
    if sealed:  # anyone can seal
        file_checks.write_digest(exported)
    monkeypatch.setattr(registry.load("runtimes", "onnx"), "_load", lambda *_: pytest.fail("ONNX Runtime opened it"))
    refusal(lambda: session.open_session(exported, "onnx-cpu"), exported, "another file")
    refusal(lambda: registry.load("exporters", "onnx").read_spec(exported), exported, "another file")


def test_what_the_container_says_is_what_the_onnx_package_says(exported: Path) -> None:
    from zoo_exporters.onnx import container

    expected = {entry.key: entry.value for entry in onnx.load_model(exported).metadata_props}
    assert container.metadata(exported) == expected
    assert session.open_session(exported, "onnx-cpu").spec == WEIGHTS.spec
