"""keras-cpu: a model's Keras graph in real Keras (tf_keras on TensorFlow), the reference for all others.

Its input is one-hot, length first, float32. The model says what its graph is (zoo/layers/keras_layers.py),
whatever its Config. TensorFlow is slow to start, and its number of threads cannot change within a process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.dna import encoding
from zoo.errors import ZooError
from zoo.layers import keras_layers
from zoo.spec import ModelSpec

if TYPE_CHECKING:
    from zoo.options import RunOptions
    from zoo.weights.checkpoint import Checkpoint

DEVICES = ("cpu",)
PRECISIONS = {"cpu": ("fp32",)}
TRUST = {"cpu": 30}
LIBRARIES = ("tensorflow", "tf_keras")

BATCH_SIZE = 128


def missing(device: str) -> str | None:  # noqa: ARG001 - there is one device
    """Why keras-cpu cannot run here, and what helps; None if it can, as far as is known without TensorFlow."""
    for library in LIBRARIES:
        if importlib.util.find_spec(library) is None:
            return f"{library} is not installed; pip install 'deepstarr-zoo[keras]'"
    return None


def refuses(spec: ModelSpec) -> str | None:
    """Why a model has no Keras graph; None if it has one."""
    return keras_layers.refuses(spec)


def start(weights: Checkpoint, device: str, options: RunOptions) -> KerasEngine:  # noqa: ARG001 - there is one device
    """Build the Keras model of a checkpoint. Raises ZooError if TensorFlow already runs with other threads."""
    return KerasEngine(weights, options)


class KerasEngine:
    """A Keras model on the CPU; see zoo.contracts.Engine."""

    def __init__(self, weights: Checkpoint, options: RunOptions) -> None:
        tensorflow, keras = _keras(options.threads)
        self.spec = weights.spec
        self.batch_size = options.batch_size or BATCH_SIZE
        self.concurrent_batches = 1
        self.provider = f"cpu (tf_keras {keras.__version__}, TensorFlow {tensorflow.__version__})"
        self._model = model(weights, options.threads)

    def run(self, codes: np.ndarray) -> np.ndarray:
        outputs = self._model.predict_on_batch(encoding.one_hot(codes))
        return np.concatenate(outputs if isinstance(outputs, list) else [outputs], axis=1)


def model(weights: Checkpoint, threads: int | None = None) -> Any:
    """The tf_keras Model of a checkpoint, with its weights."""
    tensorflow, keras = _keras(threads)
    with tensorflow.device("/CPU:0"):
        built = keras.models.model_from_json(json.dumps(keras_layers.graph(weights.spec)))
        for layer in keras_layers.of(weights.spec).layers:
            arrays = keras_layers.layer_arrays(weights.arrays, layer)
            built.get_layer(layer.name).set_weights(list(arrays.values()))
    return built


def layer_outputs(weights: Checkpoint, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Base codes, uint8 (N, L) -> output of each Keras layer by name, float32 (N, ...), channels last."""
    _, keras = _keras(None)
    whole = model(weights)
    layers = [layer for layer in whole.layers if layer.name != keras_layers.of(weights.spec).input]
    outputs = keras.Model(whole.input, [layer.output for layer in layers]).predict_on_batch(encoding.one_hot(codes))
    return {layer.name: output for layer, output in zip(layers, outputs, strict=True)}


def _keras(threads: int | None) -> tuple[Any, Any]:
    """TensorFlow and tf_keras, without log or GPU. Raises ZooError if TensorFlow already runs with other threads."""
    with _quiet() if "tensorflow" not in sys.modules else contextlib.nullcontext():
        import tensorflow
        import tf_keras

        try:
            # TensorFlow takes no memory of a hidden GPU; PyTorch in this process still sees it
            tensorflow.config.set_visible_devices([], "GPU")
            if threads is not None:
                tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
                tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            running = tensorflow.config.threading.get_intra_op_parallelism_threads()
            if threads is not None and threads != running:
                raise ZooError(
                    f"keras-cpu: expected {threads} threads, but TensorFlow already runs with {running or 'all'} here; "
                    "start a new process"
                ) from None
            if tensorflow.config.get_visible_devices("GPU"):
                raise ZooError("keras-cpu: TensorFlow already uses the GPU here; start a new process") from None
    return tensorflow, tf_keras


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Show log messages of TensorFlow's libraries on standard error only if loading fails.

    Since 2.17, TF_CPP_MIN_LOG_LEVEL alone is not enough: they log before they read it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(kept, log.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
