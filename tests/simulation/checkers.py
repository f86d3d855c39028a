"""Checks of what callers were told, against the journal: invariants 1, 3, 4, 5 and 9."""

from typing import Any

import msgspec

from actors.runtime.codec import KindCodec
from actors.runtime.wire import VIEW_JSON, VIEW_NONE
from domain.errors import Temporary
from storage.journal.interface import Row
from tests.simulation.record import Op, Record
from tests.simulation.reference import Reference
from tests.simulation.strand import STRAND, STRANGER, Bloat, Explode
from tests.simulation.workload import body_hash
from tests.simulation.world import World

_CODEC = KindCodec(STRAND)
_LIMIT_CODES = frozenset({"mailbox_full", "host_full", "client_full"})
_FELT_AFTER_S = 6.0
"""How long after a fault its consequences may still be felt: above every timeout on the way."""
_PAUSE_MAX_S = 1.0


def check_answers(world: World, references: dict[str, Reference]) -> None:
    by_entity: dict[str, list[Op]] = {}
    for op in world.record.ops:
        by_entity.setdefault(op.entity, []).append(op)
    for entity, ops in by_entity.items():
        _Entity(world, references[entity], ops).check()
    for op in world.record.ops:
        _check_promptness(world.record, op)


class _Entity:
    """All requests to one entity."""

    def __init__(self, world: World, reference: Reference, ops: list[Op]) -> None:
        self._world = world
        self._record = world.record
        self._reference = reference
        self._ops = ops
        self._cursed = reference.entity in world.weather.ever_cursed

    def check(self) -> None:
        floors = self._floors()
        firsts: dict[str, Op] = {}
        for op in self._ops:
            first = firsts.setdefault(op.identity, op)
            row = self._row(op)
            if op.answer is not None:
                self._check_answer(op, row, floors[op.index], first)
            elif op.error is not None:
                self._check_error(op, row, floors[op.index], first)
        self._check_repeats()
        self._check_rows()

    def _floors(self) -> dict[int, int]:
        """For each request: the newest version that anyone was told of before it was invoked."""
        moments: list[tuple[int, int, Op]] = []
        for op in self._ops:
            moments.append((op.invoked, 0, op))
            if op.done:
                moments.append((op.done, 1, op))
        floor, floors = 0, {}
        for _, what, op in sorted(moments, key=lambda one: one[:2]):
            if what == 0:
                floors[op.index] = floor
            else:
                floor = max(floor, _told(op))
        return floors

    def _row(self, op: Op) -> Row | None:
        """The row of this request's command id. (What is accepted and writes nothing does not use its id up.)"""
        if op.is_read:
            return None
        if op.command_id is None:
            return self._reference.by_correlation.get(f"op{op.index}")
        row = self._reference.by_command.get(op.command_id)
        if row is not None and _writes_nothing(op) and row.command_hash != body_hash(op.command):
            return None if op.answer is not None else row
        return row

    def _check_answer(self, op: Op, row: Row | None, floor: int, first: Op) -> None:
        answer = op.answer
        assert answer is not None
        version = answer.version
        if op.actor == STRANGER:
            self._record.violate("5 turns", f"{op}: a stranger was answered")
        if version > self._reference.version:
            self._record.violate("3 output gate", f"{op}: told v{version}, committed are {self._reference.version}")
            return
        self._committed_before(op, version)
        self._view_agrees(op, version)
        if row is None:
            if not op.is_read and not _writes_nothing(op):
                self._record.violate("3 output gate", f"{op}: acknowledged v{version} without a row")
            self._evidence_agrees(op, answer.data, floor)
            if version < floor:
                self._record.violate("1 linearizable", f"{op}: told v{version} after v{floor} was known")
            return
        if row.version != version:
            self._record.violate("4 exactly once", f"{op}: told v{version}, its row is v{row.version}")
        if row.command_hash != body_hash(op.command):
            self._record.violate("4 exactly once", f"{op}: accepted with another body than row v{row.version}")
        if answer.data != _CODEC.reply(row.id, row.version, row.payload):
            self._record.violate("4 exactly once", f"{op}: reply {answer.data} is not that of row v{row.version}")
        if op is first and version <= floor:
            self._record.violate("1 linearizable", f"{op}: got v{version} after v{floor} was known")
        if op.expect >= 0 and version != op.expect + 1:
            self._record.violate("5 turns", f"{op}: expected v{op.expect}, became v{version}")

    def _check_error(self, op: Op, row: Row | None, floor: int, first: Op) -> None:
        error = op.error
        assert error is not None
        failure = error.failure
        if failure.code == "idempotency_key_reused":
            if row is None or row.command_hash == body_hash(op.command):
                self._record.violate("4 exactly once", f"{op}: refused as reused, but it was not")
            return
        if isinstance(error, Temporary):
            if failure.status in (429, 503) and failure.retry_after_ms <= 0 and failure.code in _LIMIT_CODES:
                self._record.violate("9 bounded", f"{op}: {failure.code} does not say when to retry")
            return
        mine = row is not None and row.command_hash == body_hash(op.command)
        if row is not None and mine and not self._accepted_elsewhere(op):
            self._record.violate("4 exactly once", f"{op}: refused with {failure.code}, but it is row v{row.version}")
        if row is not None and self._record.commits[op.entity, row.version].order < op.invoked:
            self._record.violate("4 exactly once", f"{op}: refused with {failure.code} after row v{row.version}")
        self._check_refusal(op, floor)

    def _check_refusal(self, op: Op, floor: int) -> None:
        assert op.error is not None
        failure = op.error.failure
        if failure.code == "internal" and not isinstance(op.command, Explode):
            self._record.violate("5 turns", f"{op}: a healthy command was poison")
        elif failure.code == "too_large" and not isinstance(op.command, Bloat):
            self._record.violate("9 bounded", f"{op}: was called too large")
        elif failure.code == "commit_refused" and not self._cursed:
            self._record.violate("5 turns", f"{op}: refused by the database for the sake of another entity")
        elif failure.code == "precondition_failed":
            version = failure.extra["current_version"]
            if version == op.expect or version < floor:
                self._record.violate(
                    "1 linearizable", f"{op}: stale at v{version}, expected {op.expect}, known {floor}"
                )
            self._committed_before(op, version)
        elif failure.code == "not_found" and op.is_read and op.actor != STRANGER and floor > 0:
            self._record.violate("1 linearizable", f"{op}: not found after v{floor} was known")
        self._evidence_agrees(op, failure.extra, floor)

    def _accepted_elsewhere(self, op: Op) -> bool:
        """Another request under the same id may have been the one that was accepted."""
        return any(other is not op and other.identity == op.identity for other in self._ops)

    def _evidence_agrees(self, op: Op, said: dict[str, Any] | None, floor: int) -> None:
        """A decision that wrote nothing: it must rest on a committed state, and not on an outdated one."""
        if not said or "saw_version" not in said:
            return
        version = said["saw_version"]
        if version > self._reference.version or said["saw_chain"] != self._reference.chain(version):
            self._record.violate("3 output gate", f"{op}: rests on v{version}, which was never committed like that")
            return
        if version < floor:
            self._record.violate("1 linearizable", f"{op}: decided on v{version} after v{floor} was known")
        self._committed_before(op, version)

    def _committed_before(self, op: Op, version: int) -> None:
        fact = self._record.commits.get((op.entity, version))
        if version and (fact is None or fact.order > op.done):
            self._record.violate("3 output gate", f"{op}: told of v{version} before its commit")

    def _view_agrees(self, op: Op, version: int) -> None:
        answer = op.answer
        assert answer is not None
        if op.want == VIEW_NONE or version == 0:
            return
        try:
            shown = (msgspec.json if op.want == VIEW_JSON else msgspec.msgpack).decode(answer.view)
        except msgspec.DecodeError:
            shown = answer.view
        if shown != self._reference.views[version]:
            self._record.violate(
                "3 output gate", f"{op}: shown {shown}, v{version} is {self._reference.views[version]}"
            )

    def _check_repeats(self) -> None:
        """Whoever sent the same id and body and was answered, got the same answer."""
        firsts: dict[tuple[str, bytes], Op] = {}
        for op in self._ops:
            row = self._row(op)
            if op.answer is None or row is None:
                continue
            first = firsts.setdefault((op.identity, row.command_hash), op)
            assert first.answer is not None
            same = (first.answer.version, first.answer.data) == (op.answer.version, op.answer.data)
            same = same and (first.want != op.want or first.answer.view == op.answer.view)
            if not same:
                self._record.violate("4 exactly once", f"{op}: {op.answer}, the first answer was {first.answer}")
            if first is not op and first.done < op.invoked and not op.answer.duplicate:
                self._record.violate("4 exactly once", f"{op}: a repeat was not called one")

    def _check_rows(self) -> None:
        if len(self._reference.by_command) != len(self._reference.rows):
            self._record.violate("4 exactly once", f"{self._reference.entity}: a command id has two rows")


def _told(op: Op) -> int:
    """The newest version that this outcome gave away."""
    if op.answer is not None:
        seen = (op.answer.data or {}).get("saw_version", 0)
        return int(max(op.answer.version, seen))
    extra = op.error.failure.extra if op.error is not None else {}
    return int(max(extra.get("current_version", 0), extra.get("saw_version", 0)))


def _writes_nothing(op: Op) -> bool:
    return type(op.command).__name__ in {"Look", "Wave"}


def _check_promptness(record: Record, op: Op) -> None:
    """Where nothing is broken nobody waits, and nobody is sent away: a planned move is not felt (invariant 11)."""
    end = op.done_at if op.done else record.loop.time()
    if op.cancelled or record.disturbed(op.invoked_at - _FELT_AFTER_S, end):
        return
    if not op.done:
        record.violate("11 drain", f"{op}: never answered")
        return
    code = op.error.failure.code if op.error is not None else ""
    if isinstance(op.error, Temporary) and code not in _LIMIT_CODES:
        record.violate("11 drain", f"{op}: {code} though nothing was broken")
    if end - op.invoked_at > _PAUSE_MAX_S:
        record.violate("11 drain", f"{op}: took {end - op.invoked_at:.3f} s though nothing was broken")
