"""What a host says of itself."""

import msgspec


class HostStatus(msgspec.Struct, frozen=True):
    """Figures of one host for operators; times in milliseconds."""

    name: str
    epoch: int
    shards: int
    map_version: int
    live: dict[str, int]
    live_bytes_estimate: int
    queued_rows: int
    commits: int
    rows: int
    commit_failures: int
    executed: int
    rejected: int
    poisoned: int
    repeated: int
    activations: int
    timers_fired: int
    timers_overdue_ms: int
    watched: int
    running: bool
