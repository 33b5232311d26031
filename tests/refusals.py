"""What a test asks of an error: its class, and the facts in its message, never its sentence.

The sentences themselves are read as a whole in tests/messages.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from zoo.errors import ZooError


@contextmanager
def refuses(*facts: object, kind: type[BaseException] = ZooError) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """The block raises `kind`, in one line that holds every fact: a file, a line, a value, an option, a name."""
    with pytest.raises(kind) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    assert not [fact for fact in facts if str(fact) not in message], message
