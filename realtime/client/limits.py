"""Every bound of the Python client: a name, a unit, a default. How they relate is asserted below."""

from typing import Final

import msgspec

from realtime.limits import DEFAULTS as SERVER


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True):
    open_seconds_max: float = 10.0
    """For the TCP connection and the upgrade."""
    welcome_seconds_max: float = 10.0
    """Between the socket's opening and the welcome."""
    ping_seconds: float = 5.0
    """Between two pings, and for each answer: a half-open socket is found within twice this."""
    result_seconds_max: float = 60.0
    """Without any answer while commands are under way; then, at the server's next frame, the connection is given up
    and they are sent again."""
    steady_seconds: float = 5.0
    """A connection that lasted so long was a success: the next pause is short again."""
    frame_bytes_max: int = 16 * 1024 * 1024
    """One inbound frame."""
    frames_waiting_max: int = 256
    """Frames received and not yet looked at; past it the socket is not read."""
    commands_in_flight_max: int = 64
    """Commands without a result, of one connection."""
    ack_every_results: int = 32
    """Results between two acknowledgements, while more follow."""
    retry_seconds: float = 0.5
    """Before what was refused for now is tried again, unless the server says how long."""
    store_retry_seconds: float = 1.0
    """Before results that could not be written are written again."""
    states_seconds: float = 0.5
    """Between a change and the moment when it is on disk: what a crash in between costs is sent again."""
    notices_kept_max: int = 10_000
    """Notices that wait for one reader; beyond it the oldest go."""
    confirming_max: int = 256
    """Applied edits of one entity that wait for its confirmed state; beyond it the oldest is taken as confirmed."""
    results_kept: int = 128
    """Newest results that stay on disk. Refused commands that nobody has looked at stay in any case."""
    prune_results: int = 64
    """Results between two prunings of the store."""


DEFAULTS: Final = ClientLimits()

assert DEFAULTS.commands_in_flight_max <= SERVER.commands_in_flight_max  # noqa: S101 - the server would refuse more
assert DEFAULTS.ack_every_results <= DEFAULTS.commands_in_flight_max  # noqa: S101 - the server can prune during a replay
assert DEFAULTS.results_kept >= DEFAULTS.commands_in_flight_max  # noqa: S101 - what is not confirmed yet is kept
assert DEFAULTS.result_seconds_max > SERVER.ping_seconds  # noqa: S101 - a frame comes at least that often
assert DEFAULTS.ping_seconds < SERVER.pong_seconds  # noqa: S101 - the client finds a dead socket before the server does
