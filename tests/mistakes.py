"""Known mistakes of ports of DeepSTARR, each as what it does to the arrays of right weights, which it changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def scaled(name: str) -> Callable[[dict[str, np.ndarray]], None]:
    def scale(arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = arrays[name] * np.float32(1.01)

    return scale


def base_order_actg(arrays: dict[str, np.ndarray]) -> None:
    arrays["conv1.weight"] = arrays["conv1.weight"][:, [0, 1, 3, 2]]


def keras_flatten_order(arrays: dict[str, np.ndarray]) -> None:
    kernel, channels = arrays["dense1.weight"], len(arrays["conv4.weight"])
    arrays["dense1.weight"] = kernel.reshape(len(kernel), channels, -1).transpose(0, 2, 1).reshape(kernel.shape)


def epsilon_of_pytorch(arrays: dict[str, np.ndarray]) -> None:
    for name in [name for name in arrays if name.endswith("running_var")]:
        scale = name.replace("running_var", "weight")
        variance = arrays[name].astype(np.float64)
        arrays[scale] = (arrays[scale] * np.sqrt((variance + 1e-3) / (variance + 1e-5))).astype(np.float32)


def targets_swapped(arrays: dict[str, np.ndarray]) -> None:
    for name in ("head.weight", "head.bias"):
        arrays[name] = arrays[name][::-1].copy()
