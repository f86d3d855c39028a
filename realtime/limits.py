"""Every bound of the real-time protocol: a name, a unit, a default. How they relate is asserted below."""

from typing import Final

import msgspec

from actors.runtime.limits import DEFAULTS as RUNTIME
from actors.session_state import RECORD_ENTRIES_MAX, RESULTS_KEPT
from services.groups import MEMBERS_MAX


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    frame_bytes_max: int = 64 * 1024
    """One inbound frame; past it close code 4501."""
    snapshot_part_bytes_max: int = 256 * 1024
    """One snapshot frame, unless a single entity is larger."""
    channels_max: int = 128
    """Subscriptions of one connection."""
    commands_per_second: float = 100.0
    """Commands, signals and subscriptions of one connection, sustained; past it a temporary `error`."""
    commands_burst: float = 200.0
    frames_per_second: float = 400.0
    """Frames of any type, refused ones included, sustained; past it close code 4013."""
    frames_burst: float = 800.0
    commands_in_flight_max: int = 64
    """Commands of one connection accepted and not yet answered."""
    record_batch_max: int = 32
    """Outcomes of one device's commands that its session keeps in one commit, while more follow."""
    acks_gathered: int = 32
    """Results acknowledged by a device before its session is told."""
    results_kept: int = RESULTS_KEPT
    """Newest results of a device that are kept, acknowledged or not, to answer repeats."""
    touch_seconds: float = 300.0
    """How often signs of life without commands are told to the session, which logs off after some time without."""
    hello_seconds: float = 5.0
    """Until the first frame; past it close code 4502."""
    ping_seconds: float = 25.0
    pong_seconds: float = 8.0
    """Until the answer to a ping; past it close code 4012."""
    token_grace_seconds: float = 25.0
    """Between `auth_required` at expiry and close code 4003."""
    outbound_bytes_max: int = 1024 * 1024
    """Frames waiting for one socket; past it tracking channels coalesce, others close with 4008."""
    outbound_seconds_max: float = 5.0
    """Age of the oldest waiting frame; past it the same."""
    outbound_snapshot_bytes_max: int = 32 * 1024 * 1024
    """Snapshots waiting for one socket, beside other frames; past it close code 4008. Meanwhile no age counts."""
    reconnect_seconds_min: float = 0.5
    reconnect_seconds_max: float = 30.0
    """Full jitter of a client's reconnect, and the `backoff` of `goaway`."""
    connections_max: int = 10_000
    """Sockets of one gateway; past it close code 4504."""
    drain_seconds: float = 20.0
    """Over which a draining gateway spreads the closing of its sockets."""
    close_seconds_max: float = 2.0
    """For the last frames and the closing handshake of one socket."""
    tick_seconds: float = 1.0
    """How often deadlines of sockets and watches are looked at."""
    lease_seconds: float = float(RUNTIME.watch_lease_seconds)
    """A watch at a host ends unless renewed; renewed at a third of it."""
    unwatch_linger_seconds: float = 5.0
    """Between the last subscriber's leaving and the end of the watch."""
    group_catch_up_seconds: float = 60.0
    """How often the members of a watched group are compared with what was delivered."""
    group_members_max: int = 1_000
    """Entities of one group whose versions a gateway remembers; others are read again when they change."""
    group_listed_max: int = MEMBERS_MAX
    """Entities that the list of a group's members names at most; a list that is full proves nobody's absence."""
    pending_changes_max: int = 1_024
    """Changes held for one subscription, or one resynchronization, while the state is being read."""
    watch_concurrency_max: int = 64
    """Reads and renewals of watches in flight per gateway."""
    listing_concurrency_max: int = 16
    """Groups whose members are being asked for at once per gateway."""
    resync_seconds_min: float = 0.05
    resync_seconds_max: float = 5.0
    """Pause before a failed resynchronization is tried again, doubling."""
    origins_max: int = 8_192
    """Recent commands of this gateway whose device and sequence number its changes can name."""
    presence_per_second: float = 5.0
    """Presence frames of one connection, sustained; past it a temporary `error`."""
    presence_burst: float = 10.0
    presence_seconds: float = 30.0
    """Whoever is on another gateway is gone when that has not repeated it for so long; repeated at a third of it."""
    presence_pause_seconds: float = 0.2
    """Between two presence frames of one channel to its subscribers; what happens meanwhile goes together."""
    presence_state_bytes_max: int = 1_024
    """What one connection shows of itself on a channel, as JSON."""
    presence_people_max: int = 500
    """Connections that show themselves on one channel; more get a temporary `error`."""
    presence_lanes: int = 16
    """Bus channels that carry presence; a presence channel belongs to one of them by its hash. Same on all gateways."""
    presence_asked_max: int = 500
    """Channels that one question to the other gateways names."""


DEFAULTS: Final = Limits()

PROTOCOL_VERSION: Final = 1

assert DEFAULTS.outbound_bytes_max >= 2 * DEFAULTS.snapshot_part_bytes_max  # noqa: S101 - a snapshot part is not slowness
assert DEFAULTS.record_batch_max <= DEFAULTS.commands_in_flight_max <= RECORD_ENTRIES_MAX  # noqa: S101 - all that is unanswered fits one commit
assert DEFAULTS.commands_in_flight_max <= DEFAULTS.commands_burst  # noqa: S101 - a replay's window fits the bucket
assert DEFAULTS.frames_burst > DEFAULTS.commands_burst  # noqa: S101 - refusals are told before the socket is closed
assert DEFAULTS.tick_seconds * 3 <= DEFAULTS.lease_seconds / 3  # noqa: S101 - a renewal is never late by a tick
assert DEFAULTS.group_listed_max <= DEFAULTS.group_members_max  # noqa: S101 - who is listed is remembered
assert DEFAULTS.presence_seconds / 3 > DEFAULTS.tick_seconds  # noqa: S101 - an entry is repeated before it ends
assert DEFAULTS.presence_state_bytes_max < DEFAULTS.frame_bytes_max  # noqa: S101 - what is refused can be said why
assert DEFAULTS.pong_seconds < DEFAULTS.ping_seconds  # noqa: S101 - at most one ping is open
