"""DeepSTARR's training step arranged for a CPU's matrix units: the same function of the weights, other arithmetic.

Three ideas. The first convolution is linear in one-hot windows, so its batch statistics follow from the mean and the
covariance of the windows, and its normalisation folds into its kernel before anything wide is computed. Convolution
and max-pooling of the first layer are then one matrix product that yields both members of each pooled pair. And the
256-channel activations live for a few sequences at a time, small enough for the second-level cache: the backward
pass makes them again instead of reading them from memory. Hidden layers are rows of positions, channels last.

`forward` gives what DeepSTARR.forward gives in training mode (tests compare values and gradients); it does not call
the modules, so hooks on them see nothing while training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from zoo.batch_norm import moments, update_running
from zoo.models.deepstarr import POOL_SIZE
from zoo.models.deepstarr.torch_network import DeepSTARR

CHUNK = 16
"""Sequences whose first-layer activations exist at once: 2 MB in bfloat16 for 256 filters of 249 bases."""


def forward(model: DeepSTARR, one_hot: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """One-hot DNA, float32 (N, L, 4), channels last -> activities, float32 (N, T); updates the running statistics.

    dtype: of the operands of matrix products, float32 or bfloat16; sums, statistics and weights stay float32.
    """
    config = model.config
    layers: dict[str, Any] = dict(model.named_children())
    kernel, shift, windows = _folded_stem(layers["conv1"], layers["conv1_norm"], one_hot, dtype)
    if len(config.filters) == 1:
        hidden = _pooled_stem(windows, kernel, shift)
    else:
        second = layers["conv2"]
        hidden = _StemAndSecond.apply(windows, kernel, shift, second.weight.to(dtype)) + second.bias
        hidden = _norm_relu_pool(layers["conv2_norm"], hidden)
    for number in range(3, len(config.filters) + 1):
        conv = layers[f"conv{number}"]
        hidden = _Convolution.apply(hidden.to(dtype), conv.weight.to(dtype)) + conv.bias
        hidden = _norm_relu_pool(layers[f"conv{number}_norm"], hidden)
    features = hidden.transpose(1, 2).flatten(1)
    for number in range(1, len(config.dense_units) + 1):
        dense = layers[f"dense{number}"]
        features = functional.linear(features.to(dtype), dense.weight.to(dtype)).float() + dense.bias
        features = functional.relu(layers[f"dense{number}_norm"](features))
        features = functional.dropout(features, config.dropout, training=True)
    return functional.linear(features, layers["head"].weight, layers["head"].bias)


def _folded_stem(
    conv: nn.Conv1d, norm: nn.BatchNorm1d, one_hot: torch.Tensor, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Kernel (2 F, (K + 1) * 4) of both members of a pooled pair, shift (F,), windows (N, L // 2, (K + 1) * 4)."""
    _, channels, size = conv.weight.shape
    left = (size - 1) // 2
    padded = functional.pad(one_hot, (0, 0, left, size - left))
    count, length = one_hot.shape[:2]
    stride = padded.stride()
    single = padded.as_strided((count, length, size * channels), (stride[0], channels, 1)).flatten(0, 1)
    mean, covariance = _window_moments(single)
    weight = conv.weight.transpose(1, 2).flatten(1)
    batch_mean = weight @ mean
    batch_variance = ((weight @ covariance) * weight).sum(1)
    update_running(norm, batch_mean + conv.bias, batch_variance)  # type: ignore[operator]
    scale = norm.weight * torch.rsqrt(batch_variance + norm.eps)
    scaled = weight * scale[:, None]
    shift = norm.bias - batch_mean * scale
    kernel = torch.cat([functional.pad(scaled, (0, channels)), functional.pad(scaled, (channels, 0))])
    pairs = (count, length // POOL_SIZE, (size + 1) * channels)
    windows = padded.as_strided(pairs, (stride[0], POOL_SIZE * channels, 1)).to(dtype).contiguous()
    return kernel.to(dtype), shift.to(dtype), windows


def _window_moments(windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One-hot windows (R, W) -> mean (W,), covariance (W, W), biased, over all processes. Counts are exact."""
    ones = functional.pad(windows, (0, 1), value=1.0)
    counts = (ones.T @ ones).double()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(counts)
    second = counts / counts[-1, -1]
    mean = second[-1, :-1]
    return mean.float(), (second[:-1, :-1] - torch.outer(mean, mean)).float()


def _pooled_stem(windows: torch.Tensor, kernel: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    first, second = (windows @ kernel.T).chunk(2, dim=-1)
    return functional.relu(torch.maximum(first, second) + shift)


class _StemAndSecond(torch.autograd.Function):
    """Folded first layer, ReLU, max-pool, then the second convolution without its bias; a few sequences at a time."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, windows: torch.Tensor, kernel: torch.Tensor, shift: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """(N, P, W), (2 F, W), (F,), (G, F, K) -> float32 (N, P, G)."""
        ctx.save_for_backward(windows, kernel, shift, weight)
        taps = weight.permute(2, 1, 0).contiguous()
        out = [_taps_forward(_pad(_pooled_stem(part, kernel, shift), len(taps)), taps) for part in windows.split(CHUNK)]
        return torch.cat(out).float()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        windows, kernel, shift, weight = ctx.saved_tensors
        taps = weight.permute(2, 0, 1).contiguous()
        kernel_gradient = torch.zeros(kernel.shape, dtype=torch.float32)
        shift_gradient = torch.zeros(shift.shape, dtype=torch.float32)
        taps_gradient = torch.zeros(taps.shape, dtype=torch.float32)
        for part, outer in zip(windows.split(CHUNK), gradient.to(windows.dtype).split(CHUNK), strict=True):
            rows = part.flatten(0, 1)
            first, second = (rows @ kernel.T).chunk(2, dim=-1)
            pooled = functional.relu(torch.maximum(first, second) + shift)
            padded = _pad(pooled.view(*part.shape[:2], -1), len(taps))
            inner = _taps_backward(padded, taps, outer, taps_gradient).flatten(0, 1)
            inner = torch.where(pooled > 0, inner, 0)
            to_first = torch.where(first >= second, inner, 0)
            kernel_gradient += torch.cat([to_first, inner - to_first], 1).T @ rows
            shift_gradient += inner.sum(0, dtype=torch.float32)
        dtype = windows.dtype
        return None, kernel_gradient.to(dtype), shift_gradient.to(dtype), taps_gradient.permute(1, 2, 0).to(dtype)


class _Convolution(torch.autograd.Function):
    """Convolution with 'same' padding over channels-last rows, a matrix product a tap, without bias."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """(N, P, F), (G, F, K) -> float32 (N, P, G)."""
        padded = _pad(hidden, weight.shape[2])
        ctx.save_for_backward(padded, weight)
        return _taps_forward(padded, weight.permute(2, 1, 0).contiguous()).float()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        padded, weight = ctx.saved_tensors
        taps = weight.permute(2, 0, 1).contiguous()
        taps_gradient = torch.zeros(taps.shape, dtype=torch.float32)
        inner = _taps_backward(padded, taps, gradient.to(padded.dtype), taps_gradient)
        return inner, taps_gradient.permute(1, 2, 0).to(weight.dtype)


def _pad(hidden: torch.Tensor, size: int) -> torch.Tensor:
    """(N, P, F) -> (N, P + size - 1, F), zeros as Keras's and PyTorch's 'same' padding puts them."""
    left = (size - 1) // 2
    return functional.pad(hidden, (0, 0, left, size - 1 - left))


def _taps_forward(padded: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """(N, P + K - 1, F), (K, F, G) -> (N, P, G). Rows run through all sequences; those across two are dropped."""
    count, wide, features = padded.shape
    flat = padded.view(-1, features)
    kept = len(flat) - len(taps) + 1
    out = padded.new_empty(len(flat), taps.shape[2])
    torch.mm(flat[:kept], taps[0], out=out[:kept])
    for tap in range(1, len(taps)):
        out[:kept].addmm_(flat[tap : tap + kept], taps[tap])
    return out.view(count, wide, -1)[:, : wide - len(taps) + 1]


def _taps_backward(
    padded: torch.Tensor, taps: torch.Tensor, gradient: torch.Tensor, taps_gradient: torch.Tensor
) -> torch.Tensor:
    """Gradient (N, P, G) -> gradient of the unpadded input (N, P, F); adds to taps_gradient (K, G, F), float32."""
    count, wide, features = padded.shape
    size = len(taps)
    flat = padded.view(-1, features)
    kept = len(flat) - size + 1
    outer = functional.pad(gradient, (0, 0, 0, size - 1)).view(len(flat), -1)[:kept]
    inner = torch.zeros_like(flat)
    for tap in range(size):
        taps_gradient[tap] += outer.T @ flat[tap : tap + kept]
        inner[tap : tap + kept].addmm_(outer, taps[tap])
    left = (size - 1) // 2
    return inner.view(count, wide, features)[:, left : left + wide - size + 1]


def _norm_relu_pool(norm: nn.BatchNorm1d, hidden: torch.Tensor) -> torch.Tensor:
    """Batch norm over rows, ReLU, max-pool: float32 (N, P, F) -> (N, P // 2, F)."""
    mean, variance = moments(hidden.flatten(0, 1))
    update_running(norm, mean, variance)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    normed = torch.addcmul(norm.bias - mean * scale, hidden, scale)
    length = hidden.shape[1] // POOL_SIZE
    pairs = normed[:, : length * POOL_SIZE].unflatten(1, (length, POOL_SIZE))
    return functional.relu(torch.maximum(pairs[:, :, 0], pairs[:, :, 1]))
