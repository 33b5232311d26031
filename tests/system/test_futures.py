"""Several results on their way are one: in order, with the first error, cancelled together."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future

import pytest

from zoo.system import futures


def parts(number: int) -> list[Future[int]]:
    return [Future() for _ in range(number)]


def test_results_are_joined_in_order_when_the_last_is_there() -> None:
    first, second = made = parts(2)
    whole = futures.joined(made, list)
    second.set_result(2)
    assert not whole.done()
    first.set_result(1)
    assert whole.result(0) == [1, 2]
    assert futures.joined([], list).result(0) == []
    assert futures.joined([futures.done(5)], sum).result(0) == 5


def test_the_first_error_is_the_error_of_all_and_cancels_the_rest() -> None:
    first, second, third = made = parts(3)
    whole = futures.joined(made, list)
    second.set_exception(OSError("second"))
    with pytest.raises(OSError, match="second"):
        whole.result(0)
    assert first.cancelled()
    assert third.cancelled()


def test_cancelling_the_whole_cancels_what_has_not_begun() -> None:
    first, second = made = parts(2)
    whole = futures.joined(made, list)
    first.set_running_or_notify_cancel()
    assert whole.cancel()
    assert second.cancelled()
    first.set_result(1)  # too late, and no matter
    with pytest.raises(CancelledError):
        whole.result(0)


def test_an_error_while_joining_is_raised_to_who_waits() -> None:
    with pytest.raises(ZeroDivisionError):
        futures.joined([futures.done(0)], lambda values: 1 / values[0]).result(0)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_parts_that_end_after_the_whole_leave_it_alone(number: int, caplog: pytest.LogCaptureFixture) -> None:
    made = parts(number)
    assert futures.joined(made, list).cancel()
    assert all(part.cancelled() for part in made)
    made = parts(number)
    whole = futures.joined(made, list)
    made[0].set_exception(OSError("first"))
    assert str(whole.exception(0)) == "first"
    # concurrent.futures logs what a callback raises
    assert not caplog.records
