"""deepstarr-zoo: regulatory DNA models, one set of weights, any runtime, the same number everywhere.

import zoo
zoo.predict(["ACGT..."])              # text -> a DataFrame with a column for each target
model = zoo.load("original", runtime="onnx-cpu")
model.predict(["ACGT..."])            # text -> float32 (N, T)
model.predict_codes(codes)            # base codes, uint8 (N, L) -> float32 (N, T)
zoo.predict_intervals("peaks.bed", "dm6.fa")   # intervals of a genome -> a DataFrame
zoo.variant_effects("calls.vcf", "dm6.fa")     # variants -> a DataFrame with a row for each allele
zoo.compare_models(["original", "tuned"], "mine.tsv", "compared", epochs=5)   # which network is best on my data
zoo.from_pretrained("owner/name")     # weights of a hub, tested, on the fastest runtime
zoo.torch_module("original")          # the PyTorch network, float (N, 4, L) -> (N, T)
zoo.import_module(module, "frame.toml", "mine.onnx")   # your own PyTorch network, for all commands
zoo.weights_from_state_dict(state, "original")   # a PyTorch state dict -> weights of the zoo
zoo.explain.ism(model, ["ACGT..."])   # what each substitution does, float32 (N, L, 4, T); see zoo.explain
zoo.experiments.marginalize(model, "GATA")   # what a motif adds to random sequences; see zoo.experiments
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.system import lazy

if TYPE_CHECKING:
    from zoo import design, experiments, explain
    from zoo.checks.catalogue import list_models
    from zoo.comparison.run import compare_models
    from zoo.dna.encoding import encode, one_hot
    from zoo.errors import ZooError
    from zoo.genome.frames import predict_intervals, variant_effects
    from zoo.prediction.model import Model, load, predict
    from zoo.publish.hub import from_pretrained
    from zoo.weights.importers.graph_import import import_module
    from zoo.weights.importers.state_dicts import weights_from_state_dict
    from zoo.weights.network import torch_module

__all__ = [
    "Model",
    "ZooError",
    "compare_models",
    "design",
    "encode",
    "experiments",
    "explain",
    "from_pretrained",
    "import_module",
    "list_models",
    "load",
    "one_hot",
    "predict",
    "predict_intervals",
    "torch_module",
    "variant_effects",
    "weights_from_state_dict",
]
__version__ = "0.1.0"


__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Model": "zoo.prediction.model",
        "ZooError": "zoo.errors",
        "compare_models": "zoo.comparison.run",
        "design": "zoo.design",
        "encode": "zoo.dna.encoding",
        "experiments": "zoo.experiments",
        "explain": "zoo.explain",
        "from_pretrained": "zoo.publish.hub",
        "import_module": "zoo.weights.importers.graph_import",
        "list_models": "zoo.checks.catalogue",
        "load": "zoo.prediction.model",
        "predict_intervals": "zoo.genome.frames",
        "variant_effects": "zoo.genome.frames",
        "one_hot": "zoo.dna.encoding",
        "predict": "zoo.prediction.model",
        "torch_module": "zoo.weights.network",
        "weights_from_state_dict": "zoo.weights.importers.state_dicts",
    },
)
