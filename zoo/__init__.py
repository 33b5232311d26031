"""deepstarr-zoo: regulatory DNA models, one set of weights, any runtime, the same number everywhere.

    import zoo
    model = zoo.load("original", runtime="onnx-cpu")
    model.predict(["ACGT..."])            # text -> float32 (N, T)
    model.predict_codes(codes)            # base codes, uint8 (N, L) -> float32 (N, T)
"""

from zoo.predict import Model, load

__all__ = ["Model", "load"]
__version__ = "0.1.0"
