"""Every bound and time of jobs: a name, a unit, a default."""

import msgspec


class JobLimits(msgspec.Struct, frozen=True, kw_only=True):
    lease_seconds: float = 30.0
    """A job whose process died is taken up again after this."""
    poll_seconds: float = 2.0
    """How often the reactor looks for jobs that are due."""
    running_max: int = 4
    """Jobs that one reactor runs at a time."""
    attempts_max: int = 5
    """A job that failed, or whose process died, so often is given up."""
    backoff_seconds: float = 5.0
    """Pause before a failed job is tried again; doubled each time."""


DEFAULTS = JobLimits()

assert DEFAULTS.poll_seconds < DEFAULTS.lease_seconds  # noqa: S101 - whoever runs jobs looks more often than they end
