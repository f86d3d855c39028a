"""Figures of the runtime's processes, as they travel to the gateways that show them.

Every family is declared here, once: name, type and labels as Prometheus knows them (counters without `_total`).
Labels have bounded values: hosts, kinds, reactions, statuses, currencies. Times are seconds.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from actors.runtime.tallies import KindTally

if TYPE_CHECKING:
    from actors.runtime.host import Host

Type = Literal["gauge", "counter", "histogram"]


class Family(msgspec.Struct, frozen=True):
    """`confidential`: a figure of the business, shown to nobody without the metrics token."""

    type: Type
    help: str
    labels: tuple[str, ...] = ()
    confidential: bool = False


class Sample(msgspec.Struct, array_like=True):
    """One series. A histogram has the cumulative count of each `bound` and the `value` is its sum."""

    family: str
    labels: tuple[str, ...]
    value: float
    buckets: list[tuple[float, float]] = []
    """(upper bound, how many were at most that); the last bound is infinite."""


HOST_FAMILIES: Final[Mapping[str, Family]] = {
    "atrium_host_shards": Family("gauge", "Shards that this host owns."),
    "atrium_host_epoch": Family("gauge", "Epoch of its lease: it rises with each start, and after an unknown commit."),
    "atrium_host_live_entities": Family("gauge", "Entities in memory.", ("kind",)),
    "atrium_host_live_bytes": Family("gauge", "Estimated bytes of the entities in memory."),
    "atrium_host_queued": Family(
        "gauge", "Turns that wait for their commit, requests that wait for a load.", ("kind",)
    ),
    "atrium_host_commands": Family("counter", "Commands by what they came to.", ("kind", "outcome")),
    "atrium_host_activations": Family("counter", "Entities loaded into memory.", ("kind",)),
    "atrium_host_replayed_rows": Family("counter", "Journal rows folded to load entities.", ("kind",)),
    "atrium_host_rows": Family("counter", "Journal rows committed.", ("kind",)),
    "atrium_host_commit_duration_seconds": Family("histogram", "Commits that had rows of this kind.", ("kind",)),
    "atrium_host_commits": Family("counter", "Transactions, also those that only prove the fence."),
    "atrium_host_commit_failures": Family("counter", "Commits that failed or whose outcome was unknown."),
    "atrium_host_snapshots": Family("counter", "Snapshots written."),
    "atrium_host_timers_fired": Family("counter", "Reminders that rang."),
    "atrium_host_timers_overdue_seconds": Family("gauge", "How late the latest reminder is that has not rung."),
    "atrium_host_watched": Family("gauge", "Entities and groups that some gateway watches."),
}

STEWARD_FAMILIES: Final[Mapping[str, Family]] = {
    "atrium_steward_shards_moved": Family("counter", "Shards handed over as planned."),
    "atrium_steward_shards_seized": Family("counter", "Shards taken from hosts that did not answer."),
    "atrium_steward_rounds_failed": Family("counter", "Looks at the hosts that failed."),
}

REACTOR_FAMILIES: Final[Mapping[str, Family]] = {
    "atrium_reaction_running": Family("gauge", "Whether this reactor has the reaction's lease.", ("reaction",)),
    "atrium_reaction_handled": Family("counter", "Journal rows handled.", ("reaction",)),
    "atrium_reaction_lag_seconds": Family("gauge", "Age of the oldest row that is not handled.", ("reaction",)),
    "atrium_reaction_retries": Family("gauge", "Rows that wait for another try.", ("reaction",)),
    "atrium_dead_letters": Family("gauge", "Rows that a reaction gave up.", ("reaction",)),
    "atrium_reminders_overdue": Family("gauge", "Reminders more than a second late, all hosts."),
    "atrium_jobs": Family("gauge", "Jobs that wait, run, or ended in the last 24 hours.", ("kind", "status")),
    "atrium_jobs_waiting_seconds": Family("gauge", "How long the oldest job that is due waits."),
    "atrium_provider_sessions": Family("gauge", "Sessions of tablets.", ("status",)),
    "atrium_quarantined_commands": Family("gauge", "Commands of tablets that wait for somebody to decide."),
    "atrium_document_conflicts_open": Family(
        "gauge", "Fields of documents with two answers that nobody chose between."
    ),
    "atrium_rooms": Family("gauge", "Treatment rooms.", ("status",)),
    "atrium_orders_last_day": Family("gauge", "Orders placed in the last 24 hours.", ("status",), confidential=True),
    "atrium_revenue_last_day_minor_units": Family(
        "gauge",
        "Totals of those orders, without the unpaid, rejected, cancelled and expired ones.",
        ("currency",),
        confidential=True,
    ),
}

FAMILIES: Final[Mapping[str, Family]] = {**HOST_FAMILIES, **STEWARD_FAMILIES, **REACTOR_FAMILIES}

assert len(FAMILIES) == len(HOST_FAMILIES) + len(STEWARD_FAMILIES) + len(REACTOR_FAMILIES)  # noqa: S101 - each is one's

_OUTCOMES: Final[Mapping[str, Callable[[KindTally], int]]] = {
    "executed": lambda tally: tally.executed,
    "rejected": lambda tally: tally.rejected - tally.conflicts,
    "conflict": lambda tally: tally.conflicts,
    "repeated": lambda tally: tally.repeated,
    "failed": lambda tally: tally.poisoned,
}

_pack = msgspec.msgpack.Encoder()
_unpack = msgspec.msgpack.Decoder(list[Sample])


def packed(samples: Iterable[Sample]) -> bytes:
    return _pack.encode(list(samples))


def unpacked(raw: bytes) -> list[Sample]:
    return _unpack.decode(raw)


async def host_samples(host: "Host") -> list[Sample]:
    live, live_bytes = await host.residents.census()
    queued = host.queued()
    plain: dict[str, float] = {
        "atrium_host_shards": len(host.shards.owned),
        "atrium_host_epoch": host.lease.epoch,
        "atrium_host_live_bytes": live_bytes,
        "atrium_host_commits": host.writer.batches,
        "atrium_host_commit_failures": host.writer.failures,
        "atrium_host_snapshots": host.snapshots.written,
        "atrium_host_timers_fired": host.timers.fired,
        "atrium_host_timers_overdue_seconds": max(0, host.timers.overdue_ms) / 1000,
        "atrium_host_watched": len(host.watches),
    }
    samples = [Sample(family, (), value) for family, value in plain.items()]
    for kind, tally in host.tallies().items():
        by_kind = {
            "atrium_host_live_entities": live.get(kind, 0),
            "atrium_host_queued": queued.get(kind, 0),
            "atrium_host_activations": tally.activations,
            "atrium_host_replayed_rows": tally.replayed_rows,
            "atrium_host_rows": tally.rows,
        }
        samples += [Sample(family, (kind,), value) for family, value in by_kind.items()]
        samples += [
            Sample("atrium_host_commands", (kind, outcome), count(tally)) for outcome, count in _OUTCOMES.items()
        ]
        commits = tally.commits
        samples.append(Sample("atrium_host_commit_duration_seconds", (kind,), commits.total, commits.cumulative()))
    return samples
