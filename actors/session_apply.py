"""How a provider session's events change its state: the same live and on replay."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.runtime.entity import Meta
from actors.session_commands import Outcome
from actors.session_state import (
    DECIDED_KEPT,
    OFFERS_REMEMBERED,
    RESULTS_KEPT,
    Access,
    Acked,
    Count,
    DocumentClosed,
    DocumentOpened,
    Ended,
    EndedBy,
    Entered,
    Event,
    HandedOver,
    HandOffOffered,
    HandOffWithdrawn,
    Kept,
    Left,
    Offer,
    Opened,
    Quarantined,
    Recorded,
    Resolved,
    Restored,
    Revoked,
    SessionState,
    SessionStatus,
    TakenUp,
    Touched,
    WentAway,
    Work,
)

_pack = msgspec.msgpack.Encoder().encode


def opened(state: SessionState | None, event: Opened, meta: Meta) -> SessionState:
    if state is None:
        state = SessionState(
            session_id=event.session_id,
            subject=event.subject,
            device_id=event.device_id,
            organizations=event.organizations,
            generation=event.generation,
            conn_id=event.conn_id,
            epoch=event.epoch,
            counts={},
            created_ms=meta.time_ms,
            active_ms=meta.time_ms,
            changed_ms=meta.time_ms,
        )
    if event.epoch not in state.counts:
        state.counts[event.epoch] = Count(last_seq=event.adopted, acked=event.adopted)
    state.generation, state.conn_id = event.generation, event.conn_id
    state.organizations, state.location_id = event.organizations, event.location_id
    state.status, state.ended_by = SessionStatus.ACTIVE, None
    state.epoch = max(state.epoch, event.epoch)
    state.active_ms = state.changed_ms = meta.time_ms
    _acknowledge(state.counts[event.epoch], event.acked)
    _trim_older(state)
    return state


def shows(event: Event) -> bool:
    """Whether those who watch want to know at once: not of the count alone, only of what people act on.

    The count changes with each command, and the device has the result for it.
    """
    if isinstance(event, Recorded):
        return any(entry.command is not None for entry in event.entries)
    return type(event) not in _UNLISTED


def applied(state: SessionState, event: Event, meta: Meta) -> SessionState:
    if type(event) not in _UNLISTED:
        state.changed_ms = meta.time_ms
    _APPLY[type(event)](state, event, meta)
    return state


def _recorded(state: SessionState, event: Recorded, meta: Meta) -> None:
    state.active_ms = meta.time_ms
    older = False
    for entry in event.entries:
        older = older or entry.epoch < state.epoch
        count = state.counts.setdefault(entry.epoch, Count())
        packed = _pack(entry.result)
        if entry.seq > count.last_seq:
            count.last_seq = entry.seq
            count.results[entry.seq] = Kept(entry.hash, packed)
            _prune(count)
        if entry.command is not None:
            state.changed_ms = meta.time_ms
            _quarantine(state, entry, entry.command, packed, meta.time_ms)
    if older:
        _trim_older(state)


def _quarantine(state: SessionState, entry: Outcome, command: dict[str, Any], result: bytes, at_ms: int) -> None:
    packed = _pack(command)
    state.quarantine_bytes += len(packed)
    state.quarantine[entry.item_id] = Quarantined(
        epoch=entry.epoch,
        seq=entry.seq,
        hash=entry.hash,
        ent=str(command.get("ent", "")),
        op=str(command.get("op", "")),
        code=str(entry.result.get("code", "")),
        at_ms=at_ms,
        command=packed,
        result=result,
        organizations=state.organizations,
    )


def _acked(state: SessionState, event: Acked, meta: Meta) -> None:  # noqa: ARG001 - one shape for all events
    _acknowledge(state.counts[event.epoch], event.upto)


def _acknowledge(count: Count, upto: int) -> None:
    count.acked = max(count.acked, upto)
    _prune(count)


def _prune(count: Count) -> None:
    """What is acknowledged goes, but never the newest."""
    upto = min(count.acked, count.last_seq - RESULTS_KEPT)
    results = count.results
    if results and next(iter(results)) <= upto:
        for seq in [seq for seq in results if seq <= upto]:
            del results[seq]


def _trim_older(state: SessionState) -> None:
    """Epochs that are over keep their newest results together; their watermarks stay."""
    older = [count for epoch, count in sorted(state.counts.items()) if epoch < state.epoch and count.results]
    surplus = sum(len(count.results) for count in older) - RESULTS_KEPT
    for count in older:
        for seq in list(count.results)[: max(surplus, 0)]:
            del count.results[seq]
            surplus -= 1


def _touched(state: SessionState, event: Touched, meta: Meta) -> None:  # noqa: ARG001
    state.active_ms = meta.time_ms


def _went_away(state: SessionState, event: WentAway, meta: Meta) -> None:  # noqa: ARG001
    state.status = SessionStatus.AWAY


def _entered(state: SessionState, event: Entered, meta: Meta) -> None:
    state.active_ms = meta.time_ms
    state.work = msgspec.structs.replace(
        state.work,
        room_id=event.room_id,
        patient_id=event.patient_id,
        visit_id=event.visit_id,
        since_ms=event.at_ms,
    )


def _left(state: SessionState, event: Left, meta: Meta) -> None:  # noqa: ARG001
    state.active_ms = meta.time_ms
    state.work = Work(documents=state.work.documents)


def _document_opened(state: SessionState, event: DocumentOpened, meta: Meta) -> None:
    state.active_ms = meta.time_ms
    documents = {**state.work.documents, event.document_id: meta.time_ms}
    state.work = msgspec.structs.replace(state.work, documents=documents)


def _document_closed(state: SessionState, event: DocumentClosed, meta: Meta) -> None:
    state.active_ms = meta.time_ms
    documents = {id_: since for id_, since in state.work.documents.items() if id_ != event.document_id}
    state.work = msgspec.structs.replace(state.work, documents=documents)


def _ended(state: SessionState, event: Ended, meta: Meta) -> None:
    """Automatic logoff only locks the tablet; who signs out is done."""
    state.status, state.ended_by, state.ended_ms = SessionStatus.ENDED, event.by, meta.time_ms
    if event.by is not EndedBy.LOGGED_OFF:
        state.work, state.offers = Work(), {}


def _offered(state: SessionState, event: HandOffOffered, meta: Meta) -> None:
    state.active_ms = meta.time_ms
    state.offers[event.offer_id] = Offer(event.to, meta.time_ms, event.note)


def _withdrawn(state: SessionState, event: HandOffWithdrawn, meta: Meta) -> None:
    state.active_ms = meta.time_ms
    del state.offers[event.offer_id]


def _handed_over(state: SessionState, event: HandedOver, meta: Meta) -> None:
    """All offers were of the same work: it is gone for every one of them."""
    state.taken |= dict.fromkeys(state.offers, event.to)
    for offer_id in list(state.taken)[:-OFFERS_REMEMBERED]:
        del state.taken[offer_id]
    state.work, state.offers = Work(), {}
    if event.ended:
        state.status, state.ended_by, state.ended_ms = SessionStatus.ENDED, EndedBy.HANDED_OFF, meta.time_ms


def _taken_up(state: SessionState, event: TakenUp, meta: Meta) -> None:
    """Without a room the receiver stays where they are."""
    state.active_ms = meta.time_ms
    documents = {**state.work.documents, **dict.fromkeys(event.documents, meta.time_ms)}
    state.work = msgspec.structs.replace(state.work, documents=documents)
    if event.room_id:
        state.work = msgspec.structs.replace(
            state.work,
            room_id=event.room_id,
            patient_id=event.patient_id,
            visit_id=event.visit_id,
            since_ms=meta.time_ms,
        )


def _revoked(state: SessionState, event: Revoked, meta: Meta) -> None:  # noqa: ARG001
    state.access, state.access_reason = event.access, event.reason


def _restored(state: SessionState, event: Restored, meta: Meta) -> None:  # noqa: ARG001
    state.access, state.access_reason = Access.GRANTED, ""


def _resolved(state: SessionState, event: Resolved, meta: Meta) -> None:  # noqa: ARG001
    item = state.quarantine.pop(event.item_id)
    state.quarantine_bytes -= len(item.command)
    state.decided[event.item_id] = True
    if len(state.decided) > DECIDED_KEPT:
        del state.decided[next(iter(state.decided))]


_UNLISTED: Final = frozenset({Recorded, Acked, Touched})
"""Events that change nothing lists show, unless they say so themselves."""

_APPLY: Final[dict[type, Callable[[SessionState, Any, Meta], None]]] = {
    Recorded: _recorded,
    Acked: _acked,
    Touched: _touched,
    WentAway: _went_away,
    Entered: _entered,
    Left: _left,
    DocumentOpened: _document_opened,
    DocumentClosed: _document_closed,
    Ended: _ended,
    HandOffOffered: _offered,
    HandOffWithdrawn: _withdrawn,
    HandedOver: _handed_over,
    TakenUp: _taken_up,
    Revoked: _revoked,
    Restored: _restored,
    Resolved: _resolved,
}
