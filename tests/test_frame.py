"""A frame is checked when it is made, and reads back from JSON and TOML as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from refusals import refuses

from zoo.frame import Frame, InputFrame, Profile, SequenceFrame, StrandFrame, Target, frame_of
from zoo.spec import ModelSpec
from zoo.weights.importers import graph_import

WHOLE = Frame(
    InputFrame("dna", "NLC", "acgt", 0.25, (0.5, "reverse"), {"scale": 2}),
    StrandFrame("mean", "construct"),
    (Target("a", "y", 3, "NTP", "exp", "sum"), Target("b", "z")),
    SequenceFrame(200, "acgtn", "TTT"),
    members=3,
)

PLAIN: dict[str, Any] = {"input": {"alphabet": "ACGT"}, "strand": {"rule": "given"}, "targets": ["a", "b"]}

WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing": ({"input": None}, ("input", "None")),
    "missing": ({"strand": ...}, ("strand",)),
    "unknown name": ({"flank": "ACGT"}, ("flank",)),
    "unknown name inside": ({"input": {"alphabet": "ACGT", "axes": "NCL"}}, ("input", "axes")),
    "no alphabet": ({"input": {}}, ("--alphabet",)),
    "alphabet": ({"input": {"alphabet": "ACGU"}}, ("alphabet", "ACGU")),
    "layout": ({"input": {"alphabet": "ACGT", "layout": "CLN"}}, ("layout", "CLN")),
    "unknown base": ({"input": {"alphabet": "ACGT", "unknown": 0.5}}, ("unknown", "0.5")),
    "channels of codes": ({"input": {"alphabet": "ACGT", "layout": "codes", "channels": [1]}}, ("channels", "codes")),
    "channel": ({"input": {"alphabet": "ACGT", "channels": ["strand"]}}, ("channels", "strand")),
    "constant": ({"input": {"alphabet": "ACGT", "constants": {"t": "x"}}}, ("constants", "t", "x")),
    "no strand": ({"strand": {}}, ("strand", "given", "mean", "graph")),
    "strand": ({"strand": {"rule": "both"}}, ("rule", "both")),
    "turns without mean": ({"strand": {"rule": "given", "turns": "sequence"}}, ("turns", "given")),
    "flanks and mean": ({"strand": {"rule": "mean"}, "sequence": {"left": "AC"}}, ("turns",)),
    "flank": ({"sequence": {"left": "ACXT"}}, ("left", "X")),
    "length": ({"sequence": {"length": 0}}, ("length", "0")),
    "targets": ({"targets": "a"}, ("targets",)),
    "target": ({"targets": [{"name": "a", "column": -1}]}, ("column", "-1")),
    "transform": ({"targets": [{"name": "a", "transform": "cube"}]}, ("transform", "cube")),
    "positions": ({"targets": [{"name": "a", "axes": "NTP"}]}, ("positions", "NTP")),
    "profiles of both strands": (
        {"strand": {"rule": "mean"}, "profiles": [{"name": "p"}]},
        ("profiles", "strand"),
    ),
    "a name twice": ({"profiles": [{"name": "a"}]}, ("targets", "profiles", "a")),
    "version": ({"version": 2}, ("version", "2")),
    "reverse channel in the graph": (
        {"strand": {"rule": "graph"}, "input": {"alphabet": "ACGT", "channels": ["reverse"]}},
        ("reverse", "graph"),
    ),
}


def test_a_frame_survives_json() -> None:
    assert WHOLE.input.alphabet == "ACGT"
    assert WHOLE.sequence.left == "ACGTN"
    for frame in (WHOLE, frame_of(PLAIN), frame_of(PLAIN | {"profiles": [vars(Profile("p", "track"))]})):
        assert frame_of(json.loads(json.dumps(frame.to_dict()))) == frame


def test_a_spec_carries_its_frame() -> None:
    spec = ModelSpec("foreign_graph", {}, 200, ("a", "b"), "", frame=WHOLE)
    again = ModelSpec(**json.loads(spec.to_json()))
    assert again.frame == WHOLE
    assert "frame" not in ModelSpec("foreign_graph", {}, 200, ("a", "b"), "").to_dict()


@pytest.mark.parametrize("what", WRONG)
def test_a_frame_that_leaves_something_open_is_refused(what: str) -> None:
    changed, facts = WRONG[what]
    with refuses(*facts):
        frame_of({name: value for name, value in (PLAIN | changed).items() if value is not ...})


def test_names_of_targets_are_their_columns() -> None:
    assert [(one.name, one.column) for one in frame_of(PLAIN).targets] == [("a", 0), ("b", 1)]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("strand = ", ("TOML",)),
        ('[input]\n? alphabet = "ACGT"', ("?", "alphabet")),
        ('card = 3\ntargets = ["a"]', ("card", "3")),
        ("[card]\nplanet = 'Earth'", ("planet",)),
        ("\0", ("TOML",)),
        ("[" * 10_000, ("TOML",)),
        ("targets = [" * 3_000, ("TOML",)),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, facts: tuple[str, ...]) -> None:
    path = tmp_path / "frame.toml"
    path.write_text(text)
    with refuses(path.name, *facts):
        graph_import.read_frame(path)
