"""Every error that a user can cause. One line each: what was expected, what came, what to do.

The command line prints the line and ends with `exit_code`; nothing else decides exit codes.
"""


class ZooError(Exception):
    """Bad input or usage: exit status 2."""

    exit_code = 2


class CheckFailed(ZooError):  # noqa: N818
    """The input was fine and a check of the results was not (parity, export validation): exit status 1."""

    exit_code = 1


class MissingDependency(ZooError):  # noqa: N818
    """A library that an extra brings is not installed, or a device is not there: exit status 2."""


class OtherArchitecture(ZooError):  # noqa: N818
    """Imported arrays are not those of the architecture that was asked: exit status 2, or another one is asked."""


class BadPlugin(ZooError):  # noqa: N818
    """A plug-in cannot be imported or lacks what its contract asks for: exit status 2."""
