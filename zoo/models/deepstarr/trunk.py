"""The convolutions of a training step in the compiled module _trunk, which uses a matrix unit or vector instructions
for bfloat16.

This file owns the statistics of the batch norms, the threads and the working memory; the C files (_trunk.c lists them)
own the arithmetic. If the module was not built, or the processor has neither unit, `pays` returns False and training.py
uses PyTorch.

Hidden layers are stored before their batch norm, float32 (N, P, C), with C padded with zeros to a multiple of 32.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zoo.layers.batch_norm import mean_over_processes, update_running
from zoo.models.deepstarr import POOL_SIZE
from zoo.system import machine
from zoo.system.machine import aligned

try:
    from zoo.models.deepstarr import _trunk
except ImportError:
    BUILT = False
else:
    BUILT = True

PARTS = {torch.bfloat16: 1, torch.float32: 3}
"""Number of bfloat16 numbers that represent an operand of a product; three have all bits of float32."""

STEP = 32
"""Channels of hidden layers are padded to a multiple of this; the same as STEP in _trunk.h."""

_working = threading.local()


def available() -> bool:
    """Whether `convolve` works here. Raises BadSetting for an unknown ZOO_INSTRUCTION_SET; a set below AVX-512 has no
    bfloat16."""
    machine.instruction_set()  # _trunk reads the same variable
    return BUILT and _trunk.available()


def pays(dtype: torch.dtype) -> bool:
    """Whether `convolve` works here with operands of dtype and is faster than PyTorch.

    A matrix unit is always faster. Vector instructions multiply bfloat16 twice as fast as float32, but float32 needs
    six products.
    """
    return available() and dtype in PARTS and (PARTS[dtype] == 1 or _trunk.matrix_unit())


def convolve(
    one_hot: torch.Tensor,
    kernel: torch.Tensor,
    shift: torch.Tensor,
    layers: Sequence[tuple[nn.Conv1d, nn.BatchNorm1d]],
    dtype: torch.dtype,
) -> torch.Tensor:
    """One-hot DNA, float32 (N, L, 4) -> pooled output of the last convolution, float32 (N, P, C).

    kernel (2 F, (K + 1) * 4), shift (F,): the first layer, folded (see training.py).  layers: the second and later
    ones; their running statistics are updated.  dtype: type of the operands of products, one of PARTS.
    """
    norms = [norm for _, norm in layers]
    biases = [conv.bias for conv, _ in layers]
    weights = [tensor for conv, norm in layers for tensor in (conv.weight, norm.weight, norm.bias)]
    return _Convolutions.apply(one_hot, norms, biases, PARTS[dtype], kernel, shift, *weights)


@dataclasses.dataclass(frozen=True)
class _Rows:
    """A hidden layer before its norm, (N, P, C), and its folded norm, (C,) each; or one-hot DNA, folded kernel and
    shift."""

    values: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor


@dataclasses.dataclass(frozen=True)
class _Convolved:
    """A computed convolution.  shape: Layer in _trunk.h.  mean, inverse: mean and 1 / deviation of `after`, (C,)
    each."""

    shape: tuple[int, ...]
    before: _Rows
    after: _Rows
    mean: torch.Tensor
    inverse: torch.Tensor


class _Convolutions(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        one_hot: torch.Tensor,
        norms: list[nn.BatchNorm1d],
        biases: list[torch.Tensor],
        parts: int,
        kernel: torch.Tensor,
        shift: torch.Tensor,
        *weights: torch.Tensor,
    ) -> torch.Tensor:
        rows = _Rows(one_hot.contiguous(), kernel.contiguous(), _filled(shift))
        ctx.layers = []
        for norm, bias, (weight, gain, offset) in zip(norms, biases, _threes(weights), strict=True):
            shape = _shape(parts, rows, weight, first=not ctx.layers)
            output, totals = _forward(shape, rows, weight)
            mean, square = mean_over_processes(totals, output.shape[0] * output.shape[1])
            variance = (square - mean.square()).clamp_(min=0)
            update_running(norm, mean[: len(bias)] + bias, variance[: len(bias)])
            mean, inverse = mean.float(), torch.rsqrt(variance + norm.eps).float()
            scale = _filled(gain) * inverse
            after = _Rows(output, scale, _filled(offset) - mean * scale)
            ctx.layers.append(_Convolved(shape, rows, after, mean, inverse))
            rows = after
        ctx.save_for_backward(*weights)
        return _pool(rows)[..., : len(biases[-1])]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        layers: list[_Convolved] = ctx.layers
        pooled, totals = _shut(layers[-1].after, _filled(gradient))
        gradients: list[torch.Tensor] = []
        for layer, (weight, _, _) in zip(reversed(layers), reversed(_threes(ctx.saved_tensors)), strict=True):
            scale, rows = layer.after.scale, layer.after.values.shape[0] * layer.after.values.shape[1]
            along = (totals[1] - layer.mean * totals[0]) * layer.inverse
            gradients[:0] = [values[: len(weight)].float() for values in (along, totals[0])]
            level, slope = mean_over_processes(torch.stack([totals[0], along]), rows)
            slope = -slope * layer.inverse * scale
            through = slope.float(), -(level * scale + layer.mean * slope).float()
            weight_gradient, pooled, totals = _backward(layer, weight, through, pooled)
            gradients.insert(0, weight_gradient)
        return None, None, None, None, pooled, totals[: len(pooled) // POOL_SIZE], *gradients


def _threes(tensors: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, ...]]:
    """Group a flat list into weight, gain and offset of each layer."""
    return [tuple(tensors[at : at + 3]) for at in range(0, len(tensors), 3)]


def _filled(values: torch.Tensor) -> torch.Tensor:
    """Pad (..., C) with zeros to a multiple of STEP."""
    return functional.pad(values, (0, -values.shape[-1] % STEP))


def _shape(parts: int, rows: _Rows, weight: torch.Tensor, first: bool) -> tuple[int, ...]:
    """The fields of a Layer in _trunk.h."""
    filters, channels, taps = weight.shape
    window = rows.scale.shape[1] // rows.values.shape[2] if first else 0
    return parts, rows.values.shape[1], channels, filters, taps, window


def _arrays(*tensors: torch.Tensor) -> list[np.ndarray]:
    """NumPy views of tensors. A tensor that is not contiguous is copied, so outputs must be contiguous."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _forward(shape: tuple[int, ...], rows: _Rows, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Output of a layer before its norm, (N, P, C), and its sums and sums of squares over positions, float64 (2, C)."""
    filters = shape[3] + -shape[3] % STEP
    output = torch.empty(len(rows.values), shape[1] // POOL_SIZE, filters)
    constant = _arrays(rows.scale, rows.shift, weight)

    def share(part: slice) -> np.ndarray:
        totals = np.zeros((2, filters))
        source, to = _arrays(rows.values[part], output[part])
        _trunk.forward(shape, len(source), _room(shape), source, *constant, to, totals)
        return totals

    return output, torch.from_numpy(sum(_shares(share, len(output))))


def _backward(
    layer: _Convolved, weight: torch.Tensor, through: tuple[torch.Tensor, torch.Tensor], pooled: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of the weight and of the pooled input, and the totals that the norm of the input needs.

    For the first layer, the last two are the gradients of the folded kernel and shift.
    through: terms that go through the statistics of the norm.  pooled: gradient of the pooled output, from `_shut`.
    """
    before, output = layer.before, layer.after.values
    first = layer.shape[-1] > 0
    inside = torch.empty(0 if first else (len(output), output.shape[1], before.values.shape[2]))
    constant = _arrays(before.scale, before.shift, weight)
    norm = _arrays(layer.after.scale, layer.after.shift, *through)

    def share(part: slice) -> tuple[np.ndarray, ...]:
        source, after, gradient = _arrays(before.values[part], output[part], pooled[part])
        weight_gradient = np.empty(weight.shape, np.float32)
        to = np.empty(before.scale.shape, np.float32) if first else inside[part].numpy()
        totals = np.zeros(len(before.shift), np.float32) if first else np.zeros((2, len(before.shift)))
        arrays = (source, *constant, after, *norm, gradient, weight_gradient, to, totals)
        _trunk.backward(layer.shape, len(source), _room(layer.shape), *arrays)
        return weight_gradient, to, totals

    weight_gradients, kernels, totals = zip(*_shares(share, len(output)), strict=True)
    to_input = torch.from_numpy(sum(kernels)) if first else inside
    return torch.from_numpy(sum(weight_gradients)), to_input, torch.from_numpy(sum(totals))


def _pool(rows: _Rows) -> torch.Tensor:
    """Batch norm, ReLU and max-pooling: (N, P, C) -> (N, P // 2, C)."""
    count, before, channels = rows.values.shape
    pooled = torch.empty(count, before // POOL_SIZE, channels)
    none = np.empty(0, np.float32)
    _trunk.pool(count, before, channels, *_arrays(rows.values, rows.scale, rows.shift, pooled), none, none)
    return pooled


def _shut(rows: _Rows, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Set the gradient of the pooled output, (N, P // 2, C), to zero where ReLU was zero.

    Also returns the totals that the norm needs: the sums of the gradient, and of its products with the members of the
    pairs that it goes to, float64 (2, C).
    """
    count, before, channels = rows.values.shape
    inside = torch.empty(gradient.shape)
    totals = torch.zeros(2, channels, dtype=torch.float64)
    arrays = _arrays(rows.values, rows.scale, rows.shift, inside, gradient, totals)
    _trunk.pool(count, before, channels, *arrays)
    return inside, totals


def _shares(work: Callable[[slice], Any], count: int) -> Iterator[Any]:
    """Equal parts of a batch, on PyTorch's number of threads; results are in order, which makes sums reproducible."""
    threads = min(torch.get_num_threads(), count)
    if threads == 1:
        yield work(slice(None))
        return
    edges = [count * i // threads for i in range(threads + 1)]
    yield from _workers(threads).map(work, map(slice, edges[:-1], edges[1:]))


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "trunk")


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """Working memory of this thread, with the size of its largest layer so far."""
    floats = -(-_trunk.room(shape) // 4)
    if not hasattr(_working, "room") or len(_working.room) < floats:
        _working.room = aligned(floats)
    return _working.room
