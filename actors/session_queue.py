"""The count of a device's queue: where it stands, what came of each command, what waits for people.

A watermark only rises. What was counted is never asked for again; what could not be done is in quarantine.
"""

from typing import Any, Final

import msgspec

from actors.parties import is_oneself, parties
from actors.room_status import SEES
from actors.runtime.entity import NOTHING, Context, Decision, SetReminder
from actors.session_commands import Ack, Close, Open, Outcome, Recall, Record, Touch, session_id_of
from actors.session_state import (
    ACKS_GATHERED,
    AUTO_LOGOFF_MS,
    AWAY_LOGOFF_MS,
    EPOCHS_MAX,
    HASH_BYTES_MAX,
    ORGANIZATIONS_MAX,
    QUARANTINE_BYTES_MAX,
    QUARANTINE_ITEMS_MAX,
    RECALL_BYTES_MAX,
    RECORD_ENTRIES_MAX,
    RESULT_BYTES_MAX,
    TOUCH_STEP_MS,
    UNACKED_MAX,
    Access,
    Acked,
    Ended,
    EndedBy,
    Opened,
    Recorded,
    SessionState,
    SessionStatus,
    Touched,
    WentAway,
)
from domain.errors import Conflict, Forbidden, NotFound, TooMany, Unavailable, invalid_field
from domain.text import check_id
from domain.times import SECOND_MS

LOGOFF_TIMER: Final = "logoff"
NUMBER_MAX: Final = 2**53 - 1
"""Epochs and sequence numbers are whole numbers that JSON holds."""

_UNACKED_RETRY_MS: Final = 1_000
_QUARANTINE_RETRY_MS: Final = 30_000
_BULKY: Final = ("current", "reply", "errors", "detail")
_pack = msgspec.msgpack.Encoder().encode


def open_session(state: SessionState | None, command: Open, ctx: Context) -> Decision:
    if ctx.id != session_id_of(ctx.actor.subject, command.device_id):
        raise unknown()
    _check_open(command, ctx)
    if state is not None and state.access is Access.REVOKED_DEVICE:
        raise Forbidden("This device was revoked.", code="device_revoked")
    if state is not None and _is_over(state, command.login_ms):
        handed_off = state.ended_by is EndedBy.HANDED_OFF
        raise Conflict("The session has ended: log in again.", code="fenced" if handed_off else "logged_off")
    seen = None if state is None else state.counts.get(command.epoch)
    given, adopted = command.first_unacked - 1, 0
    if seen is not None:
        last_seq = seen.last_seq
    else:
        # A session that begins may follow on what went elsewhere before; a new epoch of one that exists begins at 0.
        last_seq = adopted = given if state is None else 0
        if state is not None and len(state.counts) >= EPOCHS_MAX:
            raise Forbidden("This device was reset too often.", code="epochs_max", extra={"limit": EPOCHS_MAX})
    if given > last_seq:
        extra = {"current": last_seq, "epoch": state.epoch if state is not None else command.epoch}
        raise Conflict("These results were never given.", code="insufficient_state", extra=extra)
    generation = 1 if state is None else state.generation + 1
    event = Opened(
        session_id=ctx.id,
        subject=ctx.actor.subject,
        device_id=command.device_id,
        generation=generation,
        epoch=command.epoch,
        conn_id=command.conn_id,
        organizations=command.organizations,
        location_id=command.location_id,
        adopted=adopted,
        acked=given,
    )
    reply = {
        "generation": generation,
        "epoch": command.epoch if state is None else max(state.epoch, command.epoch),
        "last_seq": last_seq,
        "refusal": "revoked" if state is not None and state.access is Access.REVOKED_PERSON else "",
    }
    return Decision((event,), reply, reminders=(SetReminder(LOGOFF_TIMER, ctx.now_ms + AUTO_LOGOFF_MS),))


def _is_over(state: SessionState, login_ms: int) -> bool:
    """Whether the session has ended since that login. Logins are told in whole seconds."""
    return state.status is SessionStatus.ENDED and 0 <= login_ms < state.ended_ms - SECOND_MS + 1


def recall(state: SessionState, command: Recall, ctx: Context) -> Decision:
    check_own(state, ctx)
    count = state.counts.get(command.epoch)
    page: list[tuple[int, bytes, bytes]] = []
    size, more = 0, False
    for seq, kept in (count.results if count is not None else {}).items():
        if seq <= command.after:
            continue
        size += len(kept.result)
        more = size > RECALL_BYTES_MAX
        if more:
            break
        page.append((seq, kept.hash, kept.result))
    return Decision(reply={"results": page, "more": more})


def record(state: SessionState, command: Record, ctx: Context) -> Decision:
    check_own(state, ctx)
    _check_connection(state, command.generation)
    if len(command.entries) > RECORD_ENTRIES_MAX:
        raise invalid_field("entries", "too_many", f"At most {RECORD_ENTRIES_MAX} at once.")
    entries = _new_entries(state, command.entries)
    if not entries:
        return NOTHING
    _check_unacked(state, entries)
    _check_quarantine(state, entries)
    return Decision((Recorded(entries=tuple(entries)),))


def ack(state: SessionState, command: Ack, ctx: Context) -> Decision:
    check_own(state, ctx)
    count = state.counts.get(command.epoch)
    upto = 0 if count is None else min(command.upto, count.last_seq)
    if count is None or upto - count.acked < ACKS_GATHERED:
        return NOTHING
    return Decision((Acked(epoch=command.epoch, upto=upto),))


def touch(state: SessionState, command: Touch, ctx: Context) -> Decision:
    check_own(state, ctx)
    _check_connection(state, command.generation)
    return Decision((Touched(),)) if ctx.now_ms >= state.active_ms + TOUCH_STEP_MS else NOTHING


def close(state: SessionState, command: Close, ctx: Context) -> Decision:
    check_own(state, ctx)
    if command.generation != state.generation or state.status is not SessionStatus.ACTIVE:
        return NOTHING
    return Decision((WentAway(),))


def logoff_timer(state: SessionState, ctx: Context) -> Decision:
    """Signs of life do not move the reminder: when it comes due too early, it is set again."""
    if state.status is SessionStatus.ENDED:
        return NOTHING
    due_ms = state.active_ms + (AUTO_LOGOFF_MS if state.status is SessionStatus.ACTIVE else AWAY_LOGOFF_MS)
    if ctx.now_ms < due_ms:
        return Decision(reminders=(SetReminder(LOGOFF_TIMER, due_ms),))
    return Decision((Ended(by=EndedBy.LOGGED_OFF),))


def check_own(state: SessionState, ctx: Context) -> None:
    if not is_oneself(ctx.actor, state.subject):
        raise Forbidden("Not your session.")


def unknown() -> NotFound:
    return NotFound("There is no such session.")


def _check_open(command: Open, ctx: Context) -> None:
    check_id(command.conn_id, "conn_id")
    check_id(command.location_id, "location_id", required=False)
    if not 0 <= command.epoch <= NUMBER_MAX:
        raise invalid_field("epoch", "out_of_range", "Must be a whole number, 0 or more.")
    if not 1 <= command.first_unacked <= NUMBER_MAX:
        raise invalid_field("first_unacked", "out_of_range", "Must be 1 or more.")
    if not 1 <= len(command.organizations) <= ORGANIZATIONS_MAX:
        raise invalid_field("organizations", "out_of_range", f"From 1 to {ORGANIZATIONS_MAX}.")
    if not all(parties(ctx.actor, organization_id=each) & SEES for each in command.organizations):
        raise Forbidden("Provider sessions are for the people of a clinic.")


def _check_connection(state: SessionState, generation: int) -> None:
    if state.access is Access.REVOKED_DEVICE:
        raise Conflict("This device was revoked.", code="revoked")
    if state.status is SessionStatus.ENDED:
        if state.ended_by is EndedBy.HANDED_OFF:
            raise Conflict("The session went to another device.", code="fenced")
        raise Conflict("The session has ended.", code="logged_off")
    if generation != state.generation:
        raise Conflict("A newer connection of this device has come.", code="replaced")


def _new_entries(state: SessionState, entries: tuple[Outcome, ...]) -> list[Outcome]:
    """Without what was recorded before. Raises `Invalid` for what does not follow on the watermark."""
    marks: dict[int, int] = {}
    hashes: dict[tuple[int, int], bytes] = {}
    items: set[str] = set()
    new: list[Outcome] = []
    for number, entry in enumerate(entries):
        _check_entry(state, entry, f"entries.{number}")
        count = state.counts.get(entry.epoch)
        last_seq = marks.get(entry.epoch, 0 if count is None else count.last_seq)
        if entry.seq > last_seq:
            if entry.epoch == state.epoch and entry.seq != last_seq + 1:
                raise invalid_field(f"entries.{number}.seq", "out_of_order", f"Must be {last_seq + 1}.")
            marks[entry.epoch] = entry.seq
            hashes[entry.epoch, entry.seq] = entry.hash
        else:
            kept = count.results.get(entry.seq) if count is not None else None
            known = hashes.get((entry.epoch, entry.seq), None if kept is None else kept.hash)
            if entry.command is None or known == entry.hash:
                continue  # a retry after a lost reply
        if entry.command is not None:
            known_item = entry.item_id in state.quarantine or entry.item_id in items
            if entry.seq <= last_seq and (known_item or entry.item_id in state.decided):
                continue
            if known_item:
                raise invalid_field(f"entries.{number}.item_id", "duplicate", "Another command is kept under this id.")
            items.add(entry.item_id)
        new.append(msgspec.structs.replace(entry, result=_shortened(entry.result)))
    return new


def _check_entry(state: SessionState, entry: Outcome, path: str) -> None:
    if not 0 <= entry.epoch <= state.epoch:
        raise invalid_field(f"{path}.epoch", "out_of_range", f"At most {state.epoch}, the session's own.")
    if entry.epoch not in state.counts and len(state.counts) >= EPOCHS_MAX:
        raise invalid_field(f"{path}.epoch", "out_of_range", "This device was reset too often.")
    if not 1 <= entry.seq <= NUMBER_MAX:
        raise invalid_field(f"{path}.seq", "out_of_range", "Must be 1 or more.")
    if len(entry.hash) > HASH_BYTES_MAX:
        raise invalid_field(f"{path}.hash", "too_long", f"At most {HASH_BYTES_MAX} bytes.")
    check_id(entry.item_id, f"{path}.item_id", required=entry.command is not None)


def _shortened(result: dict[str, Any]) -> dict[str, Any]:
    """What is kept to be given again: who lacks the bulky parts reads them from the entity."""
    left = list(_BULKY)
    while left and len(_pack(result)) > RESULT_BYTES_MAX:
        without = left.pop(0)
        result = {name: value for name, value in result.items() if name != without}
    return result


def _check_unacked(state: SessionState, entries: list[Outcome]) -> None:
    count = state.counts[state.epoch]
    last_seq = max((entry.seq for entry in entries if entry.epoch == state.epoch), default=0)
    if last_seq - count.acked > UNACKED_MAX:
        raise TooMany(
            "The device has to acknowledge results first.",
            code="unacked",
            extra={"limit": UNACKED_MAX},
            retry_after_ms=_UNACKED_RETRY_MS,
        )


def _check_quarantine(state: SessionState, entries: list[Outcome]) -> None:
    sizes = [len(_pack(entry.command)) for entry in entries if entry.command is not None]
    if not sizes:
        return
    items, size = len(state.quarantine) + len(sizes), state.quarantine_bytes + sum(sizes)
    if items > QUARANTINE_ITEMS_MAX or size > QUARANTINE_BYTES_MAX:
        raise Unavailable(
            "The quarantine is full: somebody has to look at it.",
            code="quarantine_full",
            retry_after_ms=_QUARANTINE_RETRY_MS,
        )
