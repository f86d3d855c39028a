"""Every bound of calls to others: a name, a unit, a default."""

import msgspec


class OutgoingLimits(msgspec.Struct, frozen=True, kw_only=True):
    connect_seconds: float = 3.0
    """Looking the name up, and the TCP and TLS handshakes."""
    read_seconds: float = 10.0
    """Without a byte from them, or without one taken by them."""
    total_seconds: float = 20.0
    """One call with its retries and redirects."""
    mail_seconds: float = 20.0
    """Each step of handing a mail over."""
    response_bytes_max: int = 1_048_576
    redirects_max: int = 3
    """Within one host."""
    attempts_max: int = 3
    """Of a call that may be repeated."""
    backoff_ms: int = 200
    """Before the first repetition at most, doubled each time; a random part of it."""
    connections_max: int = 50
    idle_connections_max: int = 10
    idle_seconds: float = 30.0
    failures_to_open: int = 5
    """Failures in a row until a host is no longer asked."""
    open_seconds: float = 15.0
    """For so long it is not asked; doubled each time that a trial fails."""
    open_seconds_max: float = 300.0
    successes_to_close: int = 2
    """Trials in a row that must do, one at a time, before all may ask again."""
    circuits_max: int = 500
    """Hosts remembered; the one heard of longest ago is forgotten first."""


DEFAULTS = OutgoingLimits()

assert DEFAULTS.connect_seconds <= DEFAULTS.total_seconds  # noqa: S101 - else the longer one would never end anything
assert DEFAULTS.open_seconds <= DEFAULTS.open_seconds_max  # noqa: S101 - it grows up to the longest
