"""What a command came to, as a `result` frame: made, kept as a plain map, and given again."""

from typing import Any, Final

import msgspec
from msgspec import UNSET

from domain.errors import AtriumError, Conflict, Failure
from realtime.frames import Command, Result
from services.entities import Answered

EXCLUSIVE: Final = frozenset({"taken", "fenced", "intent_expired"})
"""Codes of commands that only one can win: the others are `rejected`, however the entity calls it."""

_NOT_KEPT: Final = frozenset({"t", "epoch", "seq", "ent"})
CONFLICT_ID: Final = "conflict_id"


def accepted(command: Command, answer: Answered) -> Result:
    """`applied`, or `conflict` when the entity kept both values (its reply then names the conflict record)."""
    frame = Result(command.epoch, command.seq, "applied", command.ent, answer.version)
    reply = answer.data
    if reply is None:
        return frame
    conflict_id = reply.get(CONFLICT_ID)
    if isinstance(conflict_id, str):
        frame.status, frame.conflict_id = "conflict", conflict_id
        frame.current = reply.get("current", UNSET)
    else:
        frame.reply = reply
    return frame


def refused(command: Command, failure: Failure, *, conflict: bool = False, correlation: str = "") -> Result:
    code = "seq_reuse" if failure.code == "idempotency_key_reused" else failure.code
    frame = Result(
        command.epoch,
        command.seq,
        "conflict" if conflict and code not in EXCLUSIVE else "rejected",
        command.ent,
        code=code,
        detail=failure.detail,
        correlation=correlation or failure.extra.get("correlation_id", ""),
        by=failure.extra.get("by", ""),
    )
    if "current" in failure.extra:
        frame.current = failure.extra["current"]
    if failure.errors:
        frame.errors = [{"path": error.path, "code": error.code, "message": error.message} for error in failure.errors]
    return frame


def raised(command: Command, error: AtriumError) -> Result:
    """The final result of a command that was refused: a `conflict` with the `current` state, all else `rejected`."""
    conflict = isinstance(error, Conflict) and "current" in error.failure.extra
    return refused(command, error.failure, conflict=conflict)


def rejected(command: Command, code: str, detail: str = "") -> Result:
    return Result(command.epoch, command.seq, "rejected", command.ent, code=code, detail=detail)


def plain(frame: Result) -> dict[str, Any]:
    """What is kept of a result: everything but what the command itself says."""
    kept: dict[str, Any] = {name: value for name, value in msgspec.to_builtins(frame).items() if name not in _NOT_KEPT}
    return kept


def repeated(command: Command, original: dict[str, Any]) -> Result:
    """`duplicate`, with the first result in `original`."""
    frame = Result(command.epoch, command.seq, "duplicate", command.ent, original=original)
    frame.ver = original.get("ver", UNSET)
    frame.reply = original.get("reply", UNSET)
    frame.conflict_id = original.get(CONFLICT_ID, "")
    frame.code = original.get("code", "")
    return frame
