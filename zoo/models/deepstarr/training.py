"""DeepSTARR's training step for a CPU: the same function of the weights as the modules compute, with less memory
traffic.

Three ideas. First, the first convolution is linear in one-hot windows, so its batch statistics follow from the mean and
the covariance of the windows, and its batch norm folds into its kernel before any wide array is computed. Second,
convolution and max-pooling of the first layer are one matrix product, which gives both members of each pooled pair.
Third, the 256-channel activations exist for a few sequences at a time and fit into the second-level cache; the backward
pass computes them again instead of reading them from memory. Hidden layers are rows of positions, channels last.
On a processor that multiplies bfloat16, the compiled functions of trunk.py compute the convolutions.
A bias before a batch norm has no effect in training. It gets no gradient here; in the modules it gets rounding noise.

`forward` computes what DeepSTARR.forward computes in training mode (tests compare values and gradients). It does not
call the modules, so hooks on them do not run in training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from zoo.layers.batch_norm import mean_over_processes, moments, update_running
from zoo.models.deepstarr import POOL_SIZE, trunk
from zoo.models.deepstarr.torch_network import DeepSTARR

CHUNK = 8
"""Sequences in one chunk of first-layer activations: 1 MB in bfloat16 for 256 filters and 249 bases."""

JUST_BELOW_ZERO = -1e-38
"""Threshold that includes a difference of zero: if both members of a pair are equal, the first takes the gradient."""


def forward(model: DeepSTARR, one_hot: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """One-hot DNA, float32 (N, L, 4), channels last -> activities, float32 (N, T); updates the running statistics.

    dtype: type of the operands of matrix products. With bfloat16, sums, statistics and weights are float32. With
    float64, the network and the input must be float64.
    """
    config = model.config
    layers: dict[str, Any] = dict(model.named_children())
    kernel, shift, windows = _folded_stem(layers["conv1"], layers["conv1_norm"], one_hot)
    later = [(layers[f"conv{number}"], layers[f"conv{number}_norm"]) for number in range(2, len(config.filters) + 1)]
    if later and trunk.pays(dtype):
        hidden = trunk.convolve(one_hot, kernel, shift, later, dtype)
    else:
        hidden = _convolve(windows.to(dtype).contiguous(), kernel.to(dtype), shift.to(dtype), later)
    features = hidden.transpose(1, 2).flatten(1)
    for number in range(1, len(config.dense_units) + 1):
        dense = layers[f"dense{number}"]
        features = _wide(functional.linear(features.to(dtype), dense.weight.to(dtype))) + dense.bias
        features = functional.relu(layers[f"dense{number}_norm"](features))
        if config.dropout:
            features = functional.dropout(features, config.dropout, training=True)
    return functional.linear(features, layers["head"].weight, layers["head"].bias)


def _convolve(
    windows: torch.Tensor, kernel: torch.Tensor, shift: torch.Tensor, later: list[tuple[nn.Conv1d, nn.BatchNorm1d]]
) -> torch.Tensor:
    """The folded first layer, then the later ones, each with norm, ReLU and pooling -> (N, P, C)."""
    if not later:
        return _pooled_stem(windows, kernel, shift)
    (second, norm), *rest = later
    hidden = _StemAndSecond.apply(windows, kernel, shift, second.weight.to(windows.dtype))
    hidden = _norm_relu_pool(hidden, norm, second.bias)
    for conv, norm in rest:
        hidden = _Convolution.apply(hidden.to(windows.dtype), conv.weight.to(windows.dtype))
        hidden = _norm_relu_pool(hidden, norm, conv.bias)
    return hidden


def _folded_stem(
    conv: nn.Conv1d, norm: nn.BatchNorm1d, one_hot: torch.Tensor
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
    update_running(norm, batch_mean + conv.bias, batch_variance)
    scale = norm.weight * torch.rsqrt(batch_variance + norm.eps)
    scaled = weight * scale[:, None]
    shift = norm.bias - batch_mean * scale
    kernel = torch.cat([functional.pad(scaled, (0, channels)), functional.pad(scaled, (channels, 0))])
    pairs = (count, length // POOL_SIZE, (size + 1) * channels)
    windows = padded.as_strided(pairs, (stride[0], POOL_SIZE * channels, 1))
    return kernel, shift, windows


def _window_moments(windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One-hot windows (R, W) -> mean (W,), covariance (W, W), biased, over all processes. Counts are exact."""
    second = mean_over_processes((windows.T @ windows).double(), len(windows))
    mean = second.diagonal()
    covariance = second - torch.outer(mean, mean)
    return mean.to(windows.dtype), covariance.to(windows.dtype)


def _pooled_stem(windows: torch.Tensor, kernel: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    first, second = _pairs(windows, kernel, shift)
    return functional.relu(torch.maximum(first, second))


def _pairs(windows: torch.Tensor, kernel: torch.Tensor, shift: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both members of each pooled pair: windows (N, P, W) -> (N, P, F) each."""
    rows = windows.flatten(0, 1)
    first, second = (torch.addmm(shift, rows, half.T).view(*windows.shape[:2], -1) for half in kernel.chunk(2))
    return first, second


class _StemAndSecond(torch.autograd.Function):
    """Folded first layer, ReLU, max-pool, then the second convolution without its bias; a few sequences at a time."""

    @staticmethod
    def forward(
        ctx: Any, windows: torch.Tensor, kernel: torch.Tensor, shift: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """(N, P, W), (2 F, W), (F,), (G, F, K) -> (N, P, G), float32 or wider."""
        ctx.save_for_backward(windows, kernel, shift, weight)
        taps = _beside(weight)
        outputs = windows.new_empty(*windows.shape[:2], len(weight), dtype=_wide(weight).dtype)
        padded = _padding(windows[:CHUNK], len(shift), weight.shape[2])
        for part, output in zip(windows.split(CHUNK), outputs.split(CHUNK), strict=True):
            inside = _fill(padded[: len(part)], *_pairs(part, kernel, shift))
            output.copy_(_taps_forward(padded[: len(part)], taps, inside.shape[1]))
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        windows, kernel, shift, weight = ctx.saved_tensors
        size = weight.shape[2]
        taps = _beside(weight)
        kernel_gradient, shift_gradient, taps_gradient = (torch.zeros_like(_wide(t)) for t in (kernel, shift, taps))
        padded = _padding(windows[:CHUNK], len(shift), size)
        for part, outer in zip(windows.split(CHUNK), gradient.to(windows.dtype).split(CHUNK), strict=True):
            first, second = _pairs(part, kernel, shift)
            pooled = _fill(padded[: len(part)], first, second)
            inner = _taps_backward(padded[: len(part)], taps, outer, taps_gradient, size)
            inner = torch.ops.aten.threshold_backward(inner, pooled, 0)
            to_first = torch.ops.aten.threshold_backward(inner, first.sub_(second), JUST_BELOW_ZERO).flatten(0, 1)
            inner = inner.flatten(0, 1)
            rows = part.flatten(0, 1)
            shift_gradient += inner.sum(0, dtype=shift_gradient.dtype)
            kernel_gradient[: len(shift)] += to_first.T @ rows
            kernel_gradient[len(shift) :] += inner.sub_(to_first).T @ rows
        dtype = windows.dtype
        return None, kernel_gradient.to(dtype), shift_gradient.to(dtype), _apart(taps_gradient, size).to(dtype)


class _Convolution(torch.autograd.Function):
    """Convolution with 'same' padding over channels-last rows, all taps in one matrix product, without bias."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """(N, P, F), (G, F, K) -> (N, P, G), float32 or wider."""
        size = weight.shape[2]
        left = (size - 1) // 2
        padded = functional.pad(hidden, (0, 0, left, size - 1 - left))
        ctx.save_for_backward(padded, weight)
        return _wide(_taps_forward(padded, _beside(weight), hidden.shape[1]))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        padded, weight = ctx.saved_tensors
        taps = _beside(weight)
        taps_gradient = torch.zeros_like(_wide(taps))
        inner = _taps_backward(padded, taps, gradient.to(padded.dtype), taps_gradient, weight.shape[2])
        return inner, _apart(taps_gradient, weight.shape[2]).to(weight.dtype)


def _wide(values: torch.Tensor) -> torch.Tensor:
    """Convert to the type of sums and statistics: float64 for float64 operands, else float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _beside(weight: torch.Tensor) -> torch.Tensor:
    """Convolution kernel (G, F, K) -> (K * G, F), the taps one after another."""
    return weight.permute(2, 0, 1).reshape(-1, weight.shape[1])


def _apart(taps: torch.Tensor, size: int) -> torch.Tensor:
    """The reverse of `_beside`: (K * G, F) -> (G, F, K)."""
    return taps.view(size, -1, taps.shape[1]).permute(1, 2, 0)


def _padding(windows: torch.Tensor, features: int, size: int) -> torch.Tensor:
    """Zeros (N, P + size - 1, F) for a convolution of kernel `size` over the pooled positions of (N, P, W)."""
    return windows.new_zeros(len(windows), windows.shape[1] + size - 1, features)


def _fill(padded: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Put ReLU and max-pooling of two (N, P, F) inside the zeros of `padded`; returns that inside."""
    left = (padded.shape[1] - first.shape[1]) // 2
    inside = padded[:, left : left + first.shape[1]]
    return torch.maximum(first, second, out=inside).relu_()


def _taps_forward(padded: torch.Tensor, taps: torch.Tensor, length: int) -> torch.Tensor:
    """(N, P + K - 1, F), (K * G, F) -> (N, P, G). Rows continue across sequences; those that overlap two sequences are
    dropped."""
    size = padded.shape[1] - length + 1
    every = (padded.flatten(0, 1) @ taps.T).view(*padded.shape[:2], size, -1)
    out = every[:, :length, 0]
    for tap in range(1, size):
        out = out + every[:, tap : tap + length, tap]
    return out


def _taps_backward(
    padded: torch.Tensor, taps: torch.Tensor, gradient: torch.Tensor, taps_gradient: torch.Tensor, size: int
) -> torch.Tensor:
    """Gradient (N, P, G) -> gradient of the unpadded input (N, P, F); adds to taps_gradient (K * G, F)."""
    length = gradient.shape[1]
    outer = functional.pad(gradient, (0, 0, 0, size - 1)).flatten(0, 1)
    shifted = torch.cat([outer.roll(tap, 0) for tap in range(size)], 1)
    taps_gradient += shifted.T @ padded.flatten(0, 1)
    left = (size - 1) // 2
    return (shifted @ taps).view(padded.shape)[:, left : left + length]


def _norm_relu_pool(hidden: torch.Tensor, norm: nn.BatchNorm1d, before: torch.Tensor) -> torch.Tensor:
    """before: a bias that is not in `hidden`. The norm would subtract it, so only the running mean includes it."""
    return _NormReluPool.apply(hidden, norm, before, norm.weight, norm.bias)


class _NormReluPool(torch.autograd.Function):
    """Batch norm over rows, ReLU and max-pool in few passes over memory; updates the running statistics."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        norm: nn.BatchNorm1d,
        before: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """(N, P, F) -> (N, P // 2, F)."""
        mean, variance = moments(hidden.flatten(0, 1))
        update_running(norm, mean + before, variance)
        inverse = torch.rsqrt(variance + norm.eps)
        normed = torch.addcmul(bias - mean * inverse * weight, hidden, inverse * weight)
        first, second = _halves(normed)
        pooled = torch.maximum(first, second).relu_()
        from_first = first - second
        ctx.save_for_backward(hidden, pooled, from_first, mean, inverse, weight)
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        hidden, pooled, from_first, mean, inverse, weight = ctx.saved_tensors
        gate = torch.ops.aten.threshold_backward(gradient, pooled, 0)
        outer = torch.zeros_like(hidden)
        first, second = _halves(outer)
        first.copy_(torch.ops.aten.threshold_backward(gate, from_first, JUST_BELOW_ZERO))
        torch.sub(gate, first, out=second)
        bias_gradient = gate.sum((0, 1))
        weight_gradient = ((outer * hidden).sum((0, 1)) - mean * bias_gradient) * inverse
        # terms that go through the statistics of the batch, averaged over all processes
        rows = hidden.shape[0] * hidden.shape[1]
        every = mean_over_processes(torch.stack([bias_gradient, weight_gradient]), rows)
        slope = -inverse * every[1] * inverse * weight
        outer.mul_(inverse * weight).addcmul_(hidden, slope).sub_(every[0] * inverse * weight + mean * slope)
        return outer, None, None, weight_gradient, bias_gradient


def _halves(hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First and second members of the pooled pairs of (N, P, F), views (N, P // 2, F), without an odd last position."""
    length = hidden.shape[1] // POOL_SIZE
    pairs = hidden[:, : length * POOL_SIZE].unflatten(1, (length, POOL_SIZE))
    return pairs[:, :, 0], pairs[:, :, 1]
