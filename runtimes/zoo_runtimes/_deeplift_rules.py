"""DeepLIFT rules that tangermeme lacks: products of two tensors that depend on the sequence, and adaptive max pooling.

The multipliers of y = a b are (b + b_reference) / 2 and (a + a_reference) / 2, with which the contributions of a and b
sum to the change of y exactly. Squeeze-and-excitation is such a product; attention has products of matrices, for which
the same holds. Needs PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

PRODUCTS = {torch.mul, torch.multiply, torch.Tensor.mul, torch.Tensor.multiply, torch.Tensor.__mul__}
PRODUCTS.add(torch.Tensor.__rmul__)
MATRIX_PRODUCTS = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm}


class MidpointProducts(TorchFunctionMode):
    """A context in which products of two tensors have the rule as their derivative.

    The first axis of both tensors is that of sequences, whose second half are the references. A product with anything
    else, such as a parameter, is linear and keeps its derivative.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        kinds: Sequence[type],
        given: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        rule = _Product if function in PRODUCTS else _MatrixProduct if function in MATRIX_PRODUCTS else None
        if rule and len(given) == 2 and not named and _both_vary(*given):
            return rule.apply(*given)
        return function(*given, **(named or {}))


def _both_vary(first: Any, second: Any) -> bool:
    """Whether these are two tensors computed from the same pairs of a sequence and a reference."""
    pair = (first, second)
    if not all(isinstance(one, torch.Tensor) and one.requires_grad and one.grad_fn is not None for one in pair):
        return False
    return first.ndim == second.ndim and first.shape[0] == second.shape[0] and first.shape[0] % 2 == 0


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(first, second)
        return first * second

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, second = context.saved_tensors
        return (
            (gradient * _midpoint(second)).sum_to_size(first.shape).to(first.dtype),
            (gradient * _midpoint(first)).sum_to_size(second.shape).to(second.dtype),
        )


class _MatrixProduct(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(first, second)
        return first @ second

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, second = context.saved_tensors
        return (
            (gradient @ _midpoint(second).mT).sum_to_size(first.shape).to(first.dtype),
            (_midpoint(first).mT @ gradient).sum_to_size(second.shape).to(second.dtype),
        )


def adaptive_max_pool(
    module: Any, gradient_in: Sequence[torch.Tensor], gradient_out: Sequence[torch.Tensor]
) -> tuple[torch.Tensor]:
    """The rule of max pooling for nn.AdaptiveMaxPool1d, in the form of tangermeme's `additional_nonlinear_ops`.

    The change of a maximum belongs to the positions where the sequence and its reference have it, up to the larger of
    the two maxima for the sequence, and the rest for the reference.
    """
    own, reference = module.output.chunk(2)
    larger = torch.maximum(own, reference)
    _, places = functional.adaptive_max_pool1d(module.input, module.output_size, return_indices=True)
    change = gradient_out[0] * torch.cat([larger - reference, own - larger])
    routed = torch.zeros_like(module.input).scatter_add(-1, places, change)
    difference = torch.sub(*module.input.chunk(2))
    multiplier = torch.where(
        difference == 0, gradient_in[0].chunk(2)[0], sum(routed.chunk(2)) / difference.masked_fill(difference == 0, 1)
    )
    return (multiplier.repeat(2, 1, 1),)


RULES = {torch.nn.AdaptiveMaxPool1d: adaptive_max_pool}


def _midpoint(values: torch.Tensor) -> torch.Tensor:
    """The mean of each sequence and its reference, for both: (2N, ...) -> (2N, ...)."""
    own, reference = values.chunk(2)
    return ((own + reference) / 2).repeat(2, *[1] * (values.ndim - 1))
