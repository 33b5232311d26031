"""Tables of predictions: every number comes back bit for bit, and what would not stay in its field is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zoo.errors import CheckFailed, ZooError
from zoo.formats import prediction_table

every_float32 = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 3)),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@pytest.mark.parametrize("letter", list("\t\n\r\v\f\0\x1b"))
def test_a_name_that_would_not_stay_in_its_field_is_an_error(letter: str) -> None:
    with pytest.raises(ZooError) as refused:
        prediction_table.rows(["x", f"y{letter}z"], np.zeros((2, 2), np.float32))
    shown = ascii(letter)[1:-1].replace("\\", "\\\\")
    assert str(refused.value) == (f"'y{shown}z': expected a name without tabs, line ends and other control characters")


@settings(deadline=None)
@given(every_float32)
def test_numbers_come_back_bit_for_bit(values: np.ndarray) -> None:
    names = [f"n{row}" for row in range(len(values))]
    lines = prediction_table.rows(names, values).decode().split("\n")
    assert lines.pop() == ""
    cells = [line.split("\t") for line in lines]
    assert [row[0] for row in cells] == names
    read = np.array([row[1:] for row in cells], np.float64).astype(np.float32)
    assert read.tobytes() == values.tobytes()


def test_numbers_are_as_short_as_they_can_be() -> None:
    values = np.array([[0.1, 1.0], [5.82522774, -1e-7]], np.float32)
    assert prediction_table.rows(["x", "y"], values) == b"x\t0.1\t1.0\ny\t5.8252277\t-1e-7\n"
    assert prediction_table.header(["dev", "hk"]) == b"name\tdev\thk\n"
    assert prediction_table.rows([], np.empty((0, 2), np.float32)) == b""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_result_that_is_no_number_is_an_error(value: float) -> None:
    with pytest.raises(CheckFailed, match=f"y: output 2 of the model came out as {value}"):
        prediction_table.rows(["x", "y"], np.array([[1, 2], [3, value]], np.float32))
