"""deepstarr-zoo: regulatory DNA models, one set of weights, any runtime, the same number everywhere.

import zoo
zoo.predict(["ACGT..."])              # text -> a DataFrame with a column a target
model = zoo.load("original", runtime="onnx-cpu")
model.predict(["ACGT..."])            # text -> float32 (N, T)
model.predict_codes(codes)            # base codes, uint8 (N, L) -> float32 (N, T)
zoo.torch_module("original")          # the PyTorch network, float (N, 4, L) -> (N, T)
zoo.explain.ism(model, ["ACGT..."])   # what each substitution does, float32 (N, L, 4, T); see zoo.explain
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo import design, explain
    from zoo.dna.encoding import encode, one_hot
    from zoo.errors import ZooError
    from zoo.prediction.model import Model, load, predict
    from zoo.weights.network import torch_module

HOMES = {
    "Model": "zoo.prediction.model",
    "ZooError": "zoo.errors",
    "encode": "zoo.dna.encoding",
    "load": "zoo.prediction.model",
    "one_hot": "zoo.dna.encoding",
    "predict": "zoo.prediction.model",
    "torch_module": "zoo.weights.network",
}
"""Public name -> the module that it comes from."""

PACKAGES = ("design", "explain")
"""Folders that are public names too."""

__all__ = ["Model", "ZooError", "design", "encode", "explain", "load", "one_hot", "predict", "torch_module"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what a name needs when it is asked for: `import zoo` and `zoo --help` stay fast."""
    import importlib

    if name in PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES, *PACKAGES})
