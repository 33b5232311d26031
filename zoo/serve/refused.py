"""Refused: why a request has no answer, as an HTTP status and one line."""

from __future__ import annotations

from zoo.errors import ZooError


class Refused(ZooError):  # noqa: N818
    """A request that is not answered. status: of HTTP.  retry_after: seconds after which it may be sent again."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def bad(message: str) -> Refused:
    """A request that is not as the protocol has it: status 400."""
    return Refused(400, message)
