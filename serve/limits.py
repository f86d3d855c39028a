"""Every bound of the HTTP side: a name, a unit, a default."""

import msgspec


class GatewayLimits(msgspec.Struct, frozen=True, kw_only=True):
    body_bytes_max: int = 1_048_576
    """One request's body; past it 413, announced or not."""
    body_seconds_max: float = 20.0
    """From the end of a request's headers to the end of its body; past it 408, and the connection ends."""
    requests_in_flight_max: int = 2_000
    """HTTP requests being worked on in one replica (sockets are bounded by the hub); past it 503."""
    page_rows_default: int = 50
    page_rows_max: int = 200
    """Entries of one list page."""
    idempotency_key_characters_max: int = 255
    idempotency_keep_seconds: int = 86_400
    """For so long a repeat has the first answer, where no entity's journal keeps it for ever (M9)."""
    idempotency_running_seconds_max: float = 60.0
    """A request that never answered, its gateway being gone, may be run again after this."""
    idempotency_answer_bytes_max: int = 262_144
    """A longer answer is not kept: its request is run again."""
    drain_poll_seconds: float = 1.0
    """How often a replica asks itself whether it is being drained."""


DEFAULTS = GatewayLimits()

assert DEFAULTS.page_rows_default <= DEFAULTS.page_rows_max  # noqa: S101 - the default page is a legal one
