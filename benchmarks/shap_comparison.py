"""Compare contributions with the method of the paper: shap's DeepExplainer on the published Keras model.

It needs shap and tf_keras, best in a separate environment. It is not part of the stored results:

    pip install 'deepstarr-zoo[keras]' shap
    python -m benchmarks.shap_comparison DeepSTARR.model.json DeepSTARR.model.h5 published.safetensors seqs.fa

`zoo import DeepSTARR.model.h5` writes published.safetensors. Both methods use the same references. The release of shap
has no hypothetical contributions; here they are its multipliers in the formula of the paper, since shap 0.51 lacks the
argument by which the paper's fork of shap takes that formula.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from zoo.dna.encoding import ONE_HOT
from zoo.dna.shuffle import references as shuffles_of

SHUFFLES, SEED = 100, 1234


def shap_hypothetical(explainer: Any, sequence: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Hypothetical contributions, (L, 4), of a one-hot sequence, float32 (L, 4), with references (R, L, 4)."""
    inner = explainer.explainer
    number = len(references)
    joint = [np.concatenate([np.repeat(sequence[None], number, 0), references])]
    found = inner.run(inner.phi_symbolic(0), inner.model_inputs, joint)
    multipliers = np.asarray(found[0])[:number]
    own = np.asarray(explainer.shap_values(sequence[None], check_additivity=False)).reshape(sequence.shape)
    if not np.allclose(own, ((sequence - references) * multipliers).mean(0), atol=1e-7):
        raise RuntimeError("these are not the multipliers that shap uses")
    return (multipliers - (references * multipliers).sum(2, keepdims=True)).mean(0)


def main(graph: Path, weights: Path, imported: Path, fasta: Path) -> None:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import shap
    import tf_keras

    network = tf_keras.models.model_from_json(graph.read_text())
    network.load_weights(str(weights))
    model = zoo.load(weights=imported, runtime="kmer-cpu")
    records = fasta.read_text().split(">")[1:]
    codes = model.codes(["".join(record.split("\n")[1:]) for record in records])
    references = shuffles_of(codes, SHUFFLES, SEED)
    for number, target in enumerate(model.spec.targets):
        theirs = np.empty((*codes.shape, 4), np.float32)
        for row, (sequence, against) in enumerate(zip(ONE_HOT[codes], ONE_HOT[references], strict=True)):
            explainer = shap.DeepExplainer((network.input, network.outputs[number]), against)
            theirs[row] = shap_hypothetical(explainer, sequence, against)
        ours = zoo.explain.contributions(model, codes, target, references)
        for kind, first, second in (
            ("hypothetical", ours.hypothetical, theirs),
            ("actual", ours.actual, theirs * ONE_HOT[codes]),
        ):
            r = np.corrcoef(first.ravel(), second.ravel())[0, 1]
            print(f"{target}, {kind}: r {r:.10f}, largest difference {np.abs(first - second).max():.2g}", end=" ")
            print(f"of {np.abs(second).max():.2g}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
