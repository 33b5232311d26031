"""A frame compiled into a graph computes what the frame means in NumPy, for every kind of input, strand and output."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from foreign import LENGTH, Network, network
from refusals import refuses
from zoo_exporters.onnx import TENSORS, ensembles, framed

from zoo.dna.encoding import one_hot
from zoo.frame import Frame, InputFrame, Profile, SequenceFrame, StrandFrame, Target
from zoo.weights import test_tensors
from zoo.weights.importers import framed as meaning

LEFT, RIGHT = "ACGTN", "GGA"

GIVEN = StrandFrame("given")

TARGETS = (Target("a", "y"), Target("b", "y", 1), Target("c", "y", 2))

PLAIN = Frame(InputFrame(alphabet="ACGT"), GIVEN, TARGETS)

FRAMES = {
    "channels first": ({}, PLAIN),
    "channels last": ({"layout": "NLC"}, Frame(InputFrame(layout="NLC", alphabet="TGCA"), GIVEN, TARGETS)),
    "two dimensions": ({"layout": "NC1L"}, Frame(InputFrame(layout="NC1L", alphabet="ACTG"), GIVEN, TARGETS)),
    "positions first": ({"layout": "NL1C"}, Frame(InputFrame(layout="NL1C", alphabet="ACTG"), GIVEN, TARGETS)),
    "N of a quarter": ({}, Frame(InputFrame(alphabet="CGAT", unknown=0.25), GIVEN, TARGETS)),
    "codes": ({"layout": "codes"}, Frame(InputFrame(layout="codes", alphabet="CTAG", unknown=7), GIVEN, TARGETS)),
    "letters": ({"layout": "letters"}, Frame(InputFrame(layout="letters", alphabet="ACGT"), GIVEN, TARGETS)),
    "old operators": (
        {"opset": 9},
        Frame(
            InputFrame(alphabet="ACTG", unknown=0.25), StrandFrame("mean", "sequence"),
            (Target("p", "track", 1, "NTP", "softmax", "max"),), SequenceFrame(left=LEFT, right=RIGHT),
        ),
    ),
    "flanks": (
        {"channels": 6},
        Frame(
            InputFrame(alphabet="ACTG", unknown=0.25, channels=(0.5, "reverse")), GIVEN, TARGETS,
            SequenceFrame(LENGTH - 8, LEFT, RIGHT),
        ),
    ),
    "mean, sequence turned": (
        {"channels": 5, "layout": "NLC"},
        Frame(
            InputFrame(layout="NLC", alphabet="ACTG", channels=("reverse",)), StrandFrame("mean", "sequence"), TARGETS,
            SequenceFrame(left=LEFT, right=RIGHT),
        ),
    ),
    "mean, construct turned": (
        {},
        Frame(InputFrame(alphabet="GTAC"), StrandFrame("mean", "construct"), TARGETS, SequenceFrame(left=LEFT)),
    ),
    "constants": (
        {"constant": True},
        Frame(InputFrame("dna", alphabet="ACGT", constants={"scale": 2.5}), StrandFrame("mean"), TARGETS),
    ),
    "order of columns": ({}, Frame(InputFrame(alphabet="ACGT"), GIVEN, (TARGETS[2], TARGETS[0]))),
    "functions": (
        {},
        Frame(
            InputFrame(alphabet="ACGT"), GIVEN,
            tuple(
                Target(f"{transform}{column}", "y", column, None, transform)
                for transform in ("exp", "exp2", "expm1", "sigmoid", "softmax") for column in (0, 2)
            ),
        ),
    ),
    "logarithms": (
        {"positive": True},
        Frame(
            InputFrame(alphabet="ACGT"), GIVEN,
            tuple(Target(name, "y", transform=name) for name in ("log", "log2", "log1p")),
        ),
    ),
    "positions": (
        {},
        Frame(
            InputFrame(alphabet="ACGT"), GIVEN,
            tuple(
                Target(f"{how}{column}", "track", column, "NTP", "identity", how)
                for how in ("sum", "mean", "max") for column in (0, 1)
            ),
        ),
    ),
}  # fmt: skip


def compiled(members: list[Network], frame: Frame) -> onnxruntime.InferenceSession:
    model = framed.compile_frame([one.model for one in members], frame, members[0].inputs, members[0].outputs, TENSORS)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def channels_first(codes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(one_hot(codes).transpose(0, 2, 1))


@pytest.mark.parametrize("name", FRAMES)
def test_a_compiled_frame_means_the_same_as_in_numpy(name: str) -> None:
    settings, frame = FRAMES[name]
    foreign = network(**settings)
    length, seen = meaning.lengths(frame, meaning.dna_input(frame, foreign.inputs))
    assert seen == LENGTH == length + len(frame.sequence.left + frame.sequence.right)
    codes = test_tensors.random_codes(length, 1)
    session = compiled([foreign], frame)
    expected = meaning.predicted(foreign.run, codes, frame, foreign.inputs)
    assert expected.std(0).min() > 1e-3
    for batch in (1, 2, 7, 64):
        (actual,) = session.run(["activity"], {"one_hot": channels_first(codes[:batch])})
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, expected[:batch], rtol=0, atol=2e-6 * np.abs(expected).max())


def test_members_give_their_mean_and_its_standard_deviation() -> None:
    _, frame = FRAMES["mean, sequence turned"]
    members = [network("NLC", 5, seed=seed) for seed in range(3)]
    codes = test_tensors.random_codes(LENGTH - len(LEFT + RIGHT), 2)
    session = compiled(members, dataclasses.replace(frame, members=3))
    mean, spread = session.run(["activity", ensembles.SPREAD], {"one_hot": channels_first(codes)})
    each = np.stack([meaning.predicted(one.run, codes, frame, one.inputs) for one in members])
    np.testing.assert_allclose(mean, each.mean(0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(spread, each.std(0, ddof=1), rtol=0, atol=1e-5)


PROFILES = {
    "raw": Profile("raw", "track"),
    "shares": Profile("shares", "track", "NTP", "softmax"),
    "counts": Profile("counts", "track", "NTP", "softmax", "y", "exp"),
}


@pytest.mark.parametrize("name", ["raw", "shares"])
def test_profiles_keep_their_positions(name: str) -> None:
    foreign, one, codes = network(), PROFILES[name], test_tensors.random_codes(LENGTH, 3)
    frame = dataclasses.replace(PLAIN, profiles=(one,))
    (actual,) = compiled([foreign], frame).run([framed.PROFILE + name], {"one_hot": channels_first(codes)})
    expected = meaning.profile(foreign.run(meaning.feeds(codes, frame, foreign.inputs)), one)
    assert actual.shape == expected.shape == (len(codes), 2, LENGTH - 3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)
    assert name == "raw" or np.allclose(actual.sum(2), 1)


def test_profiles_of_another_number_than_the_counts_are_refused() -> None:
    frame = dataclasses.replace(PLAIN, profiles=(PROFILES["counts"],))
    with refuses("counts", "3", "2"):
        compiled([network()], frame)


WRONG = {
    "layout": ("NLC", PLAIN, ("layout", "NCL", "23")),
    "axes": ("NC1L", PLAIN, ("layout", "3", "4")),
    "channels": ("NCL", FRAMES["flanks"][1], ("channels", "6", "4")),
    "length": (
        "NCL",
        dataclasses.replace(PLAIN, sequence=SequenceFrame(20, "ACGT")),
        ("23", "20"),
    ),
    "input": ("NCL", Frame(InputFrame("rna", alphabet="ACGT"), GIVEN, TARGETS), ("dna", "rna")),
    "output": ("NCL", Frame(InputFrame(alphabet="ACGT"), GIVEN, (Target("a"),)), ("y", "track", "a")),
    "column": ("NCL", Frame(InputFrame(alphabet="ACGT"), GIVEN, (Target("a", "y", 3),)), ("3",)),
    "positions": ("NCL", Frame(InputFrame(alphabet="ACGT"), GIVEN, (Target("a", "track"),)), ("positions", "3")),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_frame_that_contradicts_the_graph_is_refused(what: str) -> None:
    layout, frame, facts = WRONG[what]
    with refuses(*facts):
        compiled([network(layout)], frame)
