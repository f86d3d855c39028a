"""Why a command could not do its work. Each reason has its own exit code, so that scripts can tell them apart.

0  done
1  the work was done and the result is bad (the demo's counts differ, something is not healthy)
2  wrong usage or settings
"""

from typing import ClassVar


class CommandError(Exception):
    """Ends the command with one line on standard error and `exit_code`."""

    exit_code: ClassVar[int] = 1


class BadSettingsError(CommandError):
    exit_code = 2


class AlreadyRunningError(CommandError):
    """Another `atrium up` owns the data folder."""

    exit_code = 10


class PortInUseError(CommandError):
    exit_code = 11


class DatabaseError(CommandError):
    """Wrong URL, not reachable, or refused."""

    exit_code = 12


class RedisError(CommandError):
    exit_code = 13


class DataTooNewError(CommandError):
    """A newer Atrium wrote this database; this one must not touch it."""

    exit_code = 14


class ClusterError(CommandError):
    """Ray or Serve did not come up."""

    exit_code = 15


class NotRunningError(CommandError):
    """The command needs a running installation and found none."""

    exit_code = 16


class NotFoundError(CommandError):
    """What the command was asked about does not exist."""

    exit_code = 17
