"""The text of a frame to fill in, for `zoo init-frame`: what the graph says is there, what it does not say is marked.

A line that must be said begins with OPEN.
"""

from __future__ import annotations

import json
from pathlib import Path

from zoo.frame import CODES, LETTERS
from zoo.weights.importers.graph_import import OPEN, layout_of, shown
from zoo.weights.importers.graphs.graph import ForeignGraph, Tensor

MOST_LISTED = 64
"""Targets that get a place for their name; more are shortened to the first."""


def template(graph: ForeignGraph, file: Path) -> tuple[str, int]:
    """The text of the file, and the number of lines that must be said."""
    lines = [
        f"# The frame of {file.name} ({graph.kind}): what the network expects and gives; see docs/import.md.",
        f'# Fill in the lines that begin with "{OPEN}" and remove the mark; the graph does not say them.',
        "",
        *_only_output(graph),
        *_input(graph),
        "",
        "[sequence]",
        *_length(graph),
        'left = ""                   # bases before each sequence, such as an adapter',
        'right = ""                  # bases after it',
        "",
        "[strand]",
        f'{OPEN} rule = "..."              # given, mean (of both strands) or graph (the graph itself sees both)',
        '# turns = "sequence"        # for the mean with flanks: sequence or construct (with the flanks) is turned',
        *_outputs(graph),
        *_profiles(graph),
        "",
        "[card]                      # what the network was trained on; each line may be left out",
        '# species = "human"',
        '# tissue = "K562"',
        '# assay = "lentiMPRA"',
        '# unit = "log2 fold change"',
    ]
    return "\n".join(lines) + "\n", sum(line.startswith(OPEN) for line in lines)


def _input(graph: ForeignGraph) -> list[str]:
    """The table of the input."""
    lines = ["[input]"]
    if len(graph.inputs) == 1:
        (dna,) = graph.inputs
        lines.append(f"name = {json.dumps(dna.name)}  # {shown(dna)}, {dna.dtype}")
    else:
        lines += [f"# input {json.dumps(one.name)}: {shown(one)}, {one.dtype}" for one in graph.inputs]
        lines.append(f'{OPEN} name = "..."                # the input for DNA')
        dna = graph.inputs[0]
    layout = layout_of(dna) if len(graph.inputs) == 1 else None
    axes = f"# N sequences, C channels, L positions, 1 an axis of that size; or {CODES} or {LETTERS}"
    lines.append(f"layout = {json.dumps(layout)}  {axes}" if layout else f'{OPEN} layout = "..."            {axes}')
    lines.append(f'{OPEN} alphabet = "..."          # order of the bases in the channels or codes, such as ACGT')
    lines.append("unknown = 0.0               # what the channels of an N hold: 0 or 0.25; for codes the code of an N")
    lines.append('# channels = [0.0, "reverse"] # channels after the bases: a constant, or 1 on the reverse strand')
    if len(graph.inputs) > 1:
        lines += ["", "[input.constants]           # the number that each further input gets; not the input for DNA"]
        lines += [f"# {json.dumps(one.name)} = 0.0" for one in graph.inputs]
    return lines


def _length(graph: ForeignGraph) -> list[str]:
    """The line of the length, which must be said if the network takes any."""
    free = any(not isinstance(size, int) for one in graph.inputs for size in one.shape[1:])
    about = "# bases that the user gives; the network sees them between the flanks"
    return [f"{OPEN} length = 249              {about}" if free else f"# length = 200              {about}"]


def _only_output(graph: ForeignGraph) -> list[str]:
    """The names of the targets, if they are the columns of one output."""
    if len(graph.outputs) != 1 or len(graph.outputs[0].shape) > 2:
        return []
    shape = graph.outputs[0].shape
    count = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else 1
    names = [f"name {number + 1}" for number in range(min(count, MOST_LISTED))]
    more = f"  # {count:,} names in all, or only those that are wanted" if count > MOST_LISTED else ""
    return [f"{OPEN} targets = {json.dumps(names)}{more}", ""]


def _outputs(graph: ForeignGraph) -> list[str]:
    """A target for each output, if there are several or they have positions."""
    if _only_output(graph):
        return []
    lines = ["", "# One table for each target; leave out those that are not wanted."]
    for one in graph.outputs:
        lines += ["", *_target(one)]
    return lines


def _target(output: Tensor) -> list[str]:
    lines = [
        f"[[targets]]                 # {shown(output)}",
        f"{OPEN} name = {json.dumps(output.name)}",
        f"output = {json.dumps(output.name)}",
        f"column = 0                  # {_columns(output)}",
        '# transform = "exp"         # identity, log, log2, log1p, exp, exp2, expm1, sigmoid, softmax',
    ]
    if len(output.shape) > 2:
        lines += [
            f'{OPEN} axes = "..."              # order of sequences N, targets T and positions P: NPT, NTP or NP',
            f'{OPEN} positions = "..."         # how the positions become one number: sum, mean or max',
        ]
    return lines


def _columns(output: Tensor) -> str:
    """What the column of a target is."""
    count = output.shape[1] if len(output.shape) == 2 else None
    every = f"of {count:,}; copy this table for the others" if isinstance(count, int) and count > 1 else "from 0"
    return f"number of the target in the output, {every}"


def _profiles(graph: ForeignGraph) -> list[str]:
    """A table of a profile, for a network whose output has positions."""
    deep = [one.name for one in graph.outputs if len(one.shape) > 2]
    if not deep:
        return []
    return [
        "",
        "# [[profiles]]              # numbers for each position, which zoo predict --profiles writes",
        '# name = "profile"',
        f"# output = {json.dumps(deep[0])}",
        '# axes = "NPT"',
        '# targets = ["plus", "minus"] # names of its targets, if there are several',
    ]
