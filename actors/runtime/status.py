"""What a host says of itself."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from actors.runtime.host import Host


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


def status_of(host: "Host") -> HostStatus:
    return HostStatus(
        name=host.name,
        epoch=host.lease.epoch,
        shards=len(host.shards.owned),
        map_version=host.shards.map.version,
        live=host.residents.live(),
        live_bytes_estimate=host.residents.cost(),
        queued_rows=len(host.writer),
        commits=host.writer.batches,
        rows=host.writer.rows,
        commit_failures=host.writer.failures,
        executed=host.turns.executed,
        rejected=host.turns.rejected,
        poisoned=host.turns.poisoned,
        repeated=host.repeats.answered,
        activations=host.loader.activations,
        timers_fired=host.timers.fired,
        timers_overdue_ms=host.timers.overdue_ms,
        watched=len(host.watches),
        running=host.running,
    )
