"""The convolutions of a training step on a processor's matrix unit, by the compiled module _trunk.

Owns what _trunk.c does not: the statistics of the batch norms, the threads, the working memory. Without a compiler at
installation, or without a matrix unit, `available` says no, and training.py takes its PyTorch path.

Hidden layers are kept before their batch norm, float32 (N, P, C), with C filled up to a multiple of 32 by zeros.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zoo.batch_norm import mean_over_processes, update_running
from zoo.kmer.tables import aligned
from zoo.models.deepstarr import POOL_SIZE

try:
    from zoo.models.deepstarr import _trunk
except ImportError:
    BUILT = False
else:
    BUILT = True

STEP = 32
"""Channels of hidden layers are filled up to a multiple of this, as STEP in _trunk.c."""

_working = threading.local()


def available() -> bool:
    """Whether `convolve` works here."""
    return BUILT and _trunk.available()


def convolve(
    one_hot: torch.Tensor,
    kernel: torch.Tensor,
    shift: torch.Tensor,
    layers: Sequence[tuple[nn.Conv1d, nn.BatchNorm1d]],
    parts: int,
) -> torch.Tensor:
    """One-hot DNA, float32 (N, L, 4) -> what the last of the convolutions makes of it, float32 (N, P, C), pooled.

    kernel (2 F, (K + 1) * 4), shift (F,): the first layer, folded (see training.py).  layers: the second and later
    ones; their running statistics are updated.  parts: bfloat16 numbers that stand for an operand of a product, 1 or 2.
    """
    norms = [norm for _, norm in layers]
    biases = [conv.bias for conv, _ in layers]
    weights = [tensor for conv, norm in layers for tensor in (conv.weight, norm.weight, norm.bias)]
    return _Convolutions.apply(one_hot, norms, biases, parts, kernel, shift, *weights)


class _Convolutions(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        one_hot: torch.Tensor,
        norms: list[nn.BatchNorm1d],
        biases: list[torch.Tensor],
        parts: int,
        kernel: torch.Tensor,
        shift: torch.Tensor,
        *weights: torch.Tensor,
    ) -> torch.Tensor:
        # an input, and the two vectors that make rows of it: kernel and shift of the first layer, then of a norm
        inputs = [(one_hot.contiguous(), kernel.contiguous(), _filled(shift))]
        shapes, means, inverses = [], [], []
        for number, (norm, bias) in enumerate(zip(norms, biases, strict=True)):
            weight, gain, offset = weights[3 * number : 3 * number + 3]
            shape = _shape(parts, inputs[-1][0], weight, kernel if number == 0 else None)
            output, totals = _forward(shape, *inputs[-1], weight.contiguous())
            mean, square = mean_over_processes(totals, output.shape[0] * output.shape[1])
            variance = (square - mean.square()).clamp_(min=0)
            mean, inverse = mean.float(), torch.rsqrt(variance + norm.eps).float()
            update_running(norm, mean[: len(bias)] + bias, variance[: len(bias)])
            scale = _filled(gain) * inverse
            inputs.append((output, scale, _filled(offset) - mean * scale))
            shapes.append(shape)
            means.append(mean)
            inverses.append(inverse)
        hidden, scale, shift = inputs[-1]
        first, second = _members(hidden)
        chosen = torch.where(torch.addcmul(shift, first, scale) >= torch.addcmul(shift, second, scale), first, second)
        pooled = torch.addcmul(shift, chosen, scale).relu_()
        ctx.inputs, ctx.shapes, ctx.means, ctx.inverses = inputs, shapes, means, inverses
        ctx.save_for_backward(*weights, chosen, pooled)
        return pooled[..., : len(biases[-1])]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        *weights, chosen, pooled = ctx.saved_tensors
        gradients: list[torch.Tensor] = []
        inside = functional.pad(gradient, (0, pooled.shape[2] - gradient.shape[2])) * (pooled > 0)
        totals = torch.stack([inside.sum((0, 1)), (inside * chosen).sum((0, 1))])
        for number in reversed(range(len(ctx.shapes))):
            shape, mean, inverse = ctx.shapes[number], ctx.means[number], ctx.inverses[number]
            output, scale, shift = ctx.inputs[number + 1]
            along = (totals[1] - mean * totals[0]) * inverse
            weight = weights[3 * number]
            gradients[:0] = [along[: len(weight)].float(), totals[0, : len(weight)].float()]
            level, slope = mean_over_processes(torch.stack([totals[0], along]), output.shape[0] * output.shape[1])
            slope = -slope * inverse * scale
            norm = (scale, shift, slope.float(), -(level * scale + mean * slope).float())
            weight_gradient, inside, totals = _backward(
                shape, *ctx.inputs[number], weight.contiguous(), output, norm, inside
            )
            gradients.insert(0, weight_gradient)
        return None, None, None, None, inside, totals[: ctx.inputs[0][1].shape[0] // POOL_SIZE], *gradients


def _filled(vector: torch.Tensor) -> torch.Tensor:
    """(C,) -> with zeros behind, to a multiple of STEP."""
    return functional.pad(vector, (0, -len(vector) % STEP))


def _members(hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    length = hidden.shape[1] // POOL_SIZE * POOL_SIZE
    return hidden[:, 0:length:2], hidden[:, 1:length:2]


def _shape(parts: int, source: torch.Tensor, weight: torch.Tensor, kernel: torch.Tensor | None) -> tuple[int, ...]:
    """A Layer of _trunk.c."""
    filters, channels, taps = weight.shape
    window = 0 if kernel is None else kernel.shape[1] // source.shape[2]
    return parts, source.shape[1], channels, filters, taps, window


def _forward(shape: tuple[int, ...], source: torch.Tensor, *vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """-> the layer's output before its norm (N, P, C), its sums and sums of squares over positions, float64 (2, C)."""
    filters = shape[3] + -shape[3] % STEP
    output = torch.empty(len(source), shape[1] // POOL_SIZE, filters)
    constant = [vector.detach().numpy() for vector in vectors]

    def share(rows: slice) -> np.ndarray:
        totals = np.zeros((2, filters))
        part = source[rows].numpy()
        _trunk.forward(shape, len(part), _room(shape), part, *constant, output[rows].numpy(), totals)
        return totals

    return output, torch.from_numpy(sum(_shares(share, len(source))))


def _backward(
    shape: tuple[int, ...],
    source: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    weight: torch.Tensor,
    output: torch.Tensor,
    norm: tuple[torch.Tensor, ...],
    pooled: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """-> gradients of the weight, of the pooled input (of the folded kernel, for the first layer), and the totals that
    the norm of the input needs (the gradient of the folded shift)."""
    stem = shape[5] > 0
    inside = torch.empty(() if stem else (len(source), output.shape[1], source.shape[2]))
    constant = [vector.detach().numpy() for vector in (scale, shift, weight)]
    behind = [vector.numpy() for vector in norm]
    pooled = pooled.contiguous()

    def share(rows: slice) -> tuple[np.ndarray, ...]:
        part = source[rows].numpy()
        weight_gradient = np.empty(weight.shape, np.float32)
        gradient = np.empty(scale.shape, np.float32) if stem else inside[rows].numpy()
        totals = np.zeros(len(shift), np.float32) if stem else np.zeros((2, len(shift)))
        arrays = (part, *constant, output[rows].numpy(), *behind, pooled[rows].numpy())
        _trunk.backward(shape, len(part), _room(shape), *arrays, weight_gradient, gradient, totals)
        return weight_gradient, gradient, totals

    results = list(_shares(share, len(source)))
    weight_gradient, gradient, totals = (torch.from_numpy(sum(column)) if i != 1 or stem else inside
                                         for i, column in enumerate(zip(*results, strict=True)))
    return weight_gradient, gradient, totals


def _shares(work: Callable[[slice], Any], count: int) -> Iterator[Any]:
    """Equal parts of a batch on as many threads as PyTorch takes; results in order, so that sums are reproducible."""
    threads = min(torch.get_num_threads(), count)
    if threads == 1:
        yield work(slice(None))
        return
    edges = [count * i // threads for i in range(threads + 1)]
    yield from _pool(threads).map(work, map(slice, edges[:-1], edges[1:]))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "trunk")


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """This thread's working memory, as large as the largest layer so far needed."""
    floats = -(-_trunk.room(shape) // 4)
    if not hasattr(_working, "room") or len(_working.room) < floats:
        _working.room = aligned(floats)
    return _working.room
