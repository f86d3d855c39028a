"""Every bound of the runtime: a name, a unit, a default. How they relate is asserted below."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    mailbox_commands_max: int = 1_024
    """Commands waiting in or uncommitted on one entity; past it 429."""
    host_commands_max: int = 20_000
    """Commands in one host, all entities; past it 503."""
    commit_rows_max: int = 1_000
    """Journal rows in one transaction."""
    commit_bytes_max: int = 8 * 1024 * 1024
    """Payload bytes in one transaction, which must be written well within the commit's time-out."""
    payload_bytes_max: int = 256 * 1024
    """One journal row's events, encoded."""
    exchange_bytes_max: int = 80 * 1024
    """One call between gateway and host: below it Ray passes bytes inline."""
    exchange_calls_max: int = 2
    """Calls in flight per (gateway, host)."""
    exchange_wait_ms: int = 1_000
    """How long a host holds a call that has nothing to answer yet."""
    exchange_linger_ms: int = 4
    """How long a waiting call stays once a younger one of the same gateway waits too."""
    exchange_gather_ms: int = 2
    """How long ready replies wait for others that are expected, so that they share a call."""
    exchange_timeout_ms: int = 4_000
    """How long a gateway waits for a call before it takes the host for gone."""
    client_commands_max: int = 20_000
    """Requests waiting in one gateway, all hosts; past it 503."""
    command_deadline_ms: int = 15_000
    """Default time a caller gives a command."""
    recent_commands_max: int = 1_024
    """Command ids an entity remembers in memory; older ones are looked up in the journal."""
    snapshot_every_versions: int = 256
    """Commits of one entity between two snapshots."""
    snapshot_batch_max: int = 500
    """Snapshots written in one statement."""
    load_batch_max: int = 256
    """Entities activated by one query."""
    idle_seconds_max: int = 600
    """An entity untouched for so long leaves memory."""
    live_bytes_max: int = 1_500_000_000
    """Estimated bytes of live entities in one host; past it the least recently used leave memory."""
    timer_horizon_ms: int = 5_000
    """Reminders due within this are held in memory; the rest wait in Postgres."""
    timer_scan_ms: int = 500
    """How often due reminders are looked up."""
    timer_batch_max: int = 1_000
    """Reminders taken up at once."""
    watch_lease_seconds: int = 30
    """A gateway's interest in an entity ends unless renewed."""
    retry_backoff_ms: int = 25
    """First pause of a client before it sends a command again; doubles to `retry_backoff_ms_max`."""
    retry_backoff_ms_max: int = 500
    steward_round_ms: int = 500
    """Pause between two looks at the hosts."""
    host_down_ms: int = 3_000
    """A host silent for so long is fenced and its shards are seized; above the time a restart takes."""
    host_start_ms: int = 30_000
    """Time a host gets to answer for the first time."""
    handover_shards_max: int = 64
    """Shards moved in one planned step: the entities of so many pause together."""


DEFAULTS = Limits()

assert DEFAULTS.recent_commands_max >= DEFAULTS.mailbox_commands_max  # noqa: S101 - an id in flight is always remembered
assert DEFAULTS.exchange_wait_ms * 2 <= DEFAULTS.exchange_timeout_ms  # noqa: S101 - a quiet host is not a dead one
assert DEFAULTS.timer_scan_ms * 2 <= DEFAULTS.timer_horizon_ms  # noqa: S101 - nothing comes due between two scans unseen
