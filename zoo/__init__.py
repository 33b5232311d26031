"""deepstarr-zoo: regulatory DNA models, one set of weights, any runtime, the same number everywhere.

import zoo
model = zoo.load("original", runtime="onnx-cpu")
model.predict(["ACGT..."])            # text -> float32 (N, T)
model.predict_codes(codes)            # base codes, uint8 (N, L) -> float32 (N, T)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.dna.encoding import encode
    from zoo.inference.predict import Model, load

__all__ = ["Model", "encode", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what a name needs when it is asked for: `import zoo` and `zoo --help` stay fast."""
    if name in __all__:
        from zoo.dna import encoding
        from zoo.inference import predict

        return getattr(encoding if name == "encode" else predict, name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
