"""Keeps recurrent layers whole while PyTorch traces a network.

To find the shapes of an LSTM's outputs, PyTorch computes it step by step on arrays without numbers: 40 positions take a
minute, and the length becomes fixed. Their shapes are known without that. PyTorch has no public place for this rule; if
a later version moves the two tables, tracing takes its long way again, with the same result.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")

BIDIRECTIONAL = 7
"""Place among the arguments: input, states, parameters, biases, layers, dropout, training, bidirectional."""


@contextlib.contextmanager
def whole_layers() -> Iterator[None]:
    """Within this block, the shapes of recurrent layers are known."""
    import torch
    import torch._decomp

    operators = [getattr(torch.ops.aten, name).input for name in RECURRENT]
    kernel = torch._C.DispatchKey.CompositeImplicitAutograd
    try:
        tables = [(torch._decomp.decomposition_table, one) for one in operators]
        tables += [(one.py_kernels, kernel) for one in operators]
    except AttributeError:
        yield
        return
    before = [table.get(key) for table, key in tables]
    try:
        for table, key in tables:
            table[key] = _outputs
        yield
    finally:
        for (table, key), rule in zip(tables, before, strict=True):
            table.pop(key, None)
            if rule is not None:
                table[key] = rule


def _outputs(sequences: Any, states: Any, *options: Any) -> tuple[Any, ...]:
    """Arrays without numbers, of the shapes of the outputs: all positions, and the last states."""
    import torch

    last = states if isinstance(states, list | tuple) else [states]
    directions = 2 if options[BIDIRECTIONAL - 2] else 1
    every = sequences.new_empty(*sequences.shape[:-1], directions * last[0].shape[-1])
    return every, *(torch.empty_like(one) for one in last)
