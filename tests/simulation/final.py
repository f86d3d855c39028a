"""Checks of what is left when all faults have ended: invariants 3, 5, 6, 7, 8 and what watchers were told."""

from typing import Any

import msgspec

from actors.runtime.cell import Cell, restore
from actors.runtime.client import EntityClient
from actors.runtime.codec import KindCodec
from actors.runtime.host import Host
from actors.runtime.recent import RecentCommands
from domain.merge_patch import apply as apply_patch
from storage.journal.interface import Loaded
from tests.simulation.loop import EPOCH_MS
from tests.simulation.record import Published, Record
from tests.simulation.reference import Alarm, Reference
from tests.simulation.strand import STRAND
from tests.simulation.world import World

_CODEC = KindCodec(STRAND)
_RING_WITHIN_S = 1.0
_RING_FELT_S = 2.0


def check_end(world: World, clients: list[EntityClient], references: dict[str, Reference]) -> None:
    _check_idle(world, clients)
    for reference in references.values():
        _check_timers(world, reference)
        _check_memory(world, reference)
        _check_snapshot(world, reference)
        _check_index(world, reference)
    check_published(world.record, references)


def busy(host: Host) -> bool:
    """Whether anything waits in this host."""
    queued = len(host.writer) or len(host._mailboxes)
    return bool(queued) or any(cell.pending for cell in host._cells.values())


def _check_idle(world: World, clients: list[EntityClient]) -> None:
    record = world.record
    for op in record.ops:
        if not op.done and not op.cancelled:
            record.violate("3 everyone is answered", f"{op}: never got an outcome")
    for client in clients:
        if client.pending:
            record.violate("3 everyone is answered", f"{client.name} still has {client.pending} requests pending")
        for lane in client._lanes.values():
            if lane._awaiting and lane.host in world.current:
                record.violate("9 bounded", f"{client.name} waits for {len(lane._awaiting)} replies of {lane.host}")
    for one in world.alive():
        host = one.host
        if busy(host):
            what = f"{len(host.writer)} entries, {host._mailboxes.queued} requests in {len(host._mailboxes)} mailboxes"
            record.violate("9 bounded", f"{one} is not idle: {what}")
    for context in world.loop.errors:
        if "never retrieved" not in context["message"]:
            record.violate("5 turns", f"the event loop caught: {context['message']} {context.get('exception')!r}")


def _check_timers(world: World, reference: Reference) -> None:
    """Every alarm rings unless it was ended before, within a second of its time, never before it."""
    record = world.record
    for alarm in reference.alarms:
        set_at = record.commits[reference.entity, alarm.armed].at
        due_at = max(set_at, (alarm.due_ms - EPOCH_MS) / 1000)
        ended = record.commits[reference.entity, alarm.ended] if alarm.ended else None
        ended_at = ended.at if ended is not None else record.loop.time()
        what = f"{reference.entity}: alarm {alarm.name} of v{alarm.armed}, due at {due_at:.3f}"
        if alarm.rang and ended_at < due_at:
            record.violate("6 timers", f"{what}, rang too early at {ended_at:.3f}")
        late = ended_at - due_at
        if late > _RING_WITHIN_S and not record.disturbed(due_at - _RING_FELT_S, ended_at):
            record.violate("6 timers", f"{what}, {'rang' if alarm.rang else 'had not rung'} at {ended_at:.3f}")
        if ended is None and late > _RING_WITHIN_S * 3:
            record.violate("6 timers", f"{what}, never rang")
    armed = {alarm.name: alarm for alarm in reference.alarms if not alarm.ended}
    stored = {one.name: one.due_ms for key, one in world.store.reminders.items() if key[1] == reference.entity}
    if set(stored) - set(armed):
        record.violate("6 timers", f"{reference.entity}: reminders {stored} are of nothing")
    for name, alarm in armed.items():
        _check_stored(record, reference, alarm, stored.get(name))


def _check_stored(record: Record, reference: Reference, alarm: Alarm, stored: int | None) -> None:
    if stored is None:
        record.violate("6 timers", f"{reference.entity}: alarm {alarm.name} of v{alarm.armed} has lost its reminder")
    elif stored < alarm.due_ms:
        record.violate("6 timers", f"{reference.entity}: alarm {alarm.name} is stored for too early a time")


def _check_memory(world: World, reference: Reference) -> None:
    """What the owner holds in memory is the journal's fold."""
    for one in world.alive():
        cell = one.host._cells.get(f"strand/{reference.entity}")
        if cell is None:
            continue
        if cell.shard not in one.host.shards.owned:
            world.record.violate("1 one writer", f"{one} keeps {reference.entity}, whose shard it does not own")
            continue
        if cell.version != reference.version or cell.durable != cell.version:
            what = f"v{cell.version} (durable {cell.durable}), the journal has v{reference.version}"
            world.record.violate("3 output gate", f"{one}: {reference.entity} is at {what}")
        elif cell.state != reference.states[-1]:
            world.record.violate("3 output gate", f"{one}: {reference.entity} is {cell.state}")


def _check_snapshot(world: World, reference: Reference) -> None:
    """Snapshot + rows after it = the journal alone, recent command ids included."""
    snapshot = world.store.snapshots.get(("strand", reference.entity))
    if snapshot is None:
        return
    record = world.record
    decoded = _CODEC.snapshot(snapshot.id, snapshot.version, snapshot.schema, snapshot.data)
    if decoded is None or snapshot.version > reference.version:
        record.violate("7 snapshots", f"{reference.entity}: the snapshot at v{snapshot.version} is unusable")
        return
    state, packed, complete = decoded
    if state != reference.states[snapshot.version]:
        record.violate("7 snapshots", f"{reference.entity}: v{snapshot.version} was snapshotted as {state}")
    recent = RecentCommands(packed, complete)
    known = [row for row in reference.rows[: snapshot.version] if recent.find(row.command_id)]
    wrong = [row for row in known if recent.find(row.command_id) != (row.version, row.command_hash)]
    if wrong or (complete and len(known) != snapshot.version):
        record.violate("4 exactly once", f"{reference.entity}: the snapshot forgot command ids")
    cell = Cell(_CODEC, reference.entity, snapshot.shard)
    rows = tuple(reference.rows[snapshot.version :])
    restore(cell, Loaded("strand", reference.entity, snapshot, rows), world.profile.limits.recent_commands_max)
    if cell.state != reference.states[-1] or cell.version != reference.version:
        record.violate("7 snapshots", f"{reference.entity}: snapshot and journal give {cell.state}")


def _check_index(world: World, reference: Reference) -> None:
    row = world.store.index["strands"].get(reference.entity)
    state = reference.states[-1]
    if state is None:
        return
    if row is None or (row["count"], row["chain"]) != (state.count, state.chain):
        world.record.violate("3 output gate", f"{reference.entity}: its index row is {row}")


def check_published(record: Record, references: dict[str, Reference]) -> None:
    """Watchers hear of committed versions only, in order, and of all in the life of one lease."""
    told: dict[tuple[str, int, str, str], int] = {}
    for one in record.published:
        change, reference = one.change, references[one.change.id]
        fact = record.commits.get((change.id, change.version))
        what = f"{one.gateway} was told {change.id} v{change.version} by {one.host}@{one.epoch}"
        if change.version and (fact is None or fact.order > one.order):
            record.violate("3 output gate", f"{what}, which is not committed")
            continue
        if change.signal:
            continue
        _check_patch(record, one, reference, what)
        key = (one.host, one.epoch, one.gateway, change.id)
        before = told.get(key)
        told[key] = change.version
        if before is None:
            continue
        if change.version <= before:
            record.violate("3 output gate", f"{what} after v{before}")
        missing = [
            version
            for version in range(before + 1, change.version)
            if (record.commits[change.id, version].host, record.commits[change.id, version].lease_epoch)
            == (one.host, one.epoch)
        ]
        if missing and one.gateway not in record.grouped:
            record.violate("3 output gate", f"{what} after v{before}, and never of {missing}")


def _check_patch(record: Record, one: Published, reference: Reference, what: str) -> None:
    before: Any = reference.views[one.change.version - 1] or {}
    patch = msgspec.msgpack.decode(one.change.patch)
    after = reference.views[one.change.version]
    if apply_patch(before, patch) != after and patch != after:
        record.violate("3 output gate", f"{what}: its patch gives {apply_patch(before, patch)}, v is {after}")
