"""Networks as others write and save them, to be imported: any base order, flatten order and epsilon."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo_exporters.keras import export as write_h5

from zoo import registry
from zoo.dna.encoding import one_hot
from zoo.spec import SPEC_KEY
from zoo.weights.checkpoint import Checkpoint

torch = pytest.importorskip("torch")
nn = torch.nn

LENGTH = 61


class Port(nn.Module):
    """A port as others write them: lists of layers, outputs apart, any base order, flatten order and epsilon."""

    def __init__(
        self, alphabet: str = "ACGT", flatten: str = "channel", epsilon: float = 1e-3, bias: bool = True
    ) -> None:
        super().__init__()
        self.order = [alphabet.index(base) for base in "ACGT"]
        self.flatten = flatten
        sizes = [(4, 6, 5), (6, 6, 3), (6, 8, 3)]
        self.convs = nn.ModuleList(nn.Conv1d(i, o, k, padding="same", bias=bias) for i, o, k in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm1d(o, epsilon) for _, o, _ in sizes)
        self.fc = nn.ModuleList([nn.Linear(8 * (LENGTH // 8), 9), nn.Linear(9, 9)])
        self.fc_norms = nn.ModuleList([nn.BatchNorm1d(9, epsilon), nn.BatchNorm1d(9, epsilon)])
        self.out_hk = nn.Linear(9, 1)
        self.out_dev = nn.Linear(9, 1)
        for name, values in self.state_dict().items():
            if name.endswith(("running_var", "norms.0.weight")):
                values.uniform_(1e-4, 2)
            elif name.endswith("running_mean"):
                values.normal_()

    def forward(self, codes: np.ndarray) -> torch.Tensor:
        hidden = torch.from_numpy(one_hot(codes).transpose(0, 2, 1).copy())
        permuted = torch.empty_like(hidden)
        permuted[:, self.order] = hidden
        hidden = permuted
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = torch.max_pool1d(torch.relu(norm(conv(hidden))), 2)
        hidden = (hidden.transpose(1, 2) if self.flatten == "length" else hidden).flatten(1)
        for linear, norm in zip(self.fc, self.fc_norms, strict=True):
            hidden = torch.relu(norm(linear(hidden)))
        return torch.cat([self.out_dev(hidden), self.out_hk(hidden)], 1)


def ported(
    weights: Checkpoint, alphabet: str = "ACGT", flatten: str = "channel", epsilon: float = 1e-3
) -> OrderedDict[str, Any]:
    """The state dict of a DeepSTARR that gives the numbers of `weights` where it is fed and built so."""
    arrays = {name: array.astype(np.float64) for name, array in weights.arrays.items()}
    config = weights.config
    own = registry.load("models", weights.spec.architecture).BATCH_NORM_EPSILON
    arrays["conv1.weight"] = arrays["conv1.weight"][:, ["ACGT".index(base) for base in alphabet]]
    if flatten == "length":
        shape = (config.dense_units[0], config.filters[-1], config.positions[-1])
        arrays["dense1.weight"] = arrays["dense1.weight"].reshape(shape).transpose(0, 2, 1).reshape(shape[0], -1)
    for name, variance in list(arrays.items()):
        if name.endswith("running_var"):
            scale = name.replace("running_var", "weight")
            arrays[scale] = arrays[scale] * np.sqrt((variance + epsilon) / (variance + own))
    return OrderedDict(
        (f"net_{name}", torch.from_numpy(np.array(array, np.float32, order="C"))) for name, array in arrays.items()
    )


def plain_h5(weights: Checkpoint, path: Path) -> Path:
    """Write weights as plain Keras does: without the spec and the digest that files of the zoo carry."""
    import h5py

    ours = path.with_suffix(".ours.h5")
    write_h5(weights, ours, overwrite=True)
    with h5py.File(ours) as source, h5py.File(path, "w") as target:
        for name in source:
            source.copy(name, target)
        for name, value in source.attrs.items():
            if name != SPEC_KEY:
                target.attrs[name] = value
    ours.unlink()
    return path
