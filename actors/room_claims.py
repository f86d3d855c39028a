"""Claims of a room: exclusive leases with a fencing token that only rises."""

from typing import Final

from actors.parties import Party, is_oneself, parties
from actors.room_commands import Claim, Release, TakeOver
from actors.room_state import CLAIM_LEASE_MS, REASON_LENGTH_MAX, Claimed, ClaimEnded, Holder, RoomState
from actors.room_status import CLAIMABLE, CLAIMS
from actors.runtime.entity import NOTHING, Actor, CancelReminder, Context, Decision, SetReminder
from domain.errors import Conflict, Forbidden
from domain.text import check_text
from domain.times import MINUTE_MS, to_rfc3339

CLAIM_TIMER: Final = "claim"
INTENT_MS: Final = 2 * MINUTE_MS
"""An exclusive command that was given longer ago, on a device that was away, is only what somebody once intended."""


def holder_now(state: RoomState, now_ms: int) -> Holder | None:
    """Whose room it is: a lease that has run out is none, also before its timer has fired."""
    holder = state.holder
    return holder if holder is not None and now_ms < holder.until_ms else None


def acts_under_claim(state: RoomState, token: int, ctx: Context, *, exclusive: bool) -> bool:
    """Whether a command acts under the claim. From the tablet that has it, it does so without the token too: what
    it queued behind its own claim could not know it yet.

    Raises `Conflict`: `fenced` for a token that is not the claim's, `taken` for an exclusive command while
    another has the room.
    """
    holder = holder_now(state, ctx.now_ms)
    if token:
        if holder is None or holder.token != token or not is_oneself(ctx.actor, holder.by):
            raise _fenced(state, holder)
        return True
    if holder is not None and ctx.device and (holder.by, holder.device) == (ctx.actor.subject, ctx.device):
        return True
    if exclusive and holder is not None:
        raise _fenced(state, holder) if is_oneself(ctx.actor, holder.by) else _taken(state, holder)
    return False


def claim(state: RoomState, _command: Claim, ctx: Context) -> Decision:
    _check_may("claim", state, ctx.actor)
    _check_intent(ctx)
    _check_claimable(state)
    holder = holder_now(state, ctx.now_ms)
    if holder is None:
        return _taken_by_sender(state.last_token + 1, ctx)
    if is_oneself(ctx.actor, holder.by) and holder.device == ctx.device:
        return _taken_by_sender(holder.token, ctx)
    raise _taken(state, holder)


def take_over(state: RoomState, command: TakeOver, ctx: Context) -> Decision:
    _check_may("take_over", state, ctx.actor)
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True)
    _check_intent(ctx)
    _check_claimable(state)
    holder = holder_now(state, ctx.now_ms)
    instead_of = "" if holder is None else holder.by
    return _taken_by_sender(state.last_token + 1, ctx, instead_of, command.reason)


def release(state: RoomState, command: Release, ctx: Context) -> Decision:
    _check_may("release", state, ctx.actor)
    holder = holder_now(state, ctx.now_ms)
    if holder is None:
        return NOTHING
    acts_under_claim(state, command.token, ctx, exclusive=True)
    return Decision((ClaimEnded(holder.token),), reminders=(CancelReminder(CLAIM_TIMER),))


def claim_timer(state: RoomState, ctx: Context) -> Decision:
    """The lease's time is over. A reminder that came early is set again."""
    holder = state.holder
    if holder is None:
        return NOTHING
    if ctx.now_ms < holder.until_ms:
        return Decision(reminders=(SetReminder(CLAIM_TIMER, holder.until_ms),))
    return Decision((ClaimEnded(holder.token, expired=True),))


def claim_reminders(
    state: RoomState, *, kept: bool, renewed: bool, now_ms: int
) -> tuple[SetReminder | CancelReminder, ...]:
    """What a status change does to the lease: `kept` in the new status or not, `renewed` by acting under it."""
    if state.holder is None:
        return ()
    if not kept:
        return (CancelReminder(CLAIM_TIMER),)
    return (SetReminder(CLAIM_TIMER, now_ms + CLAIM_LEASE_MS),) if renewed else ()


def _taken_by_sender(token: int, ctx: Context, instead_of: str = "", reason: str = "") -> Decision:
    until_ms = ctx.now_ms + CLAIM_LEASE_MS
    return Decision(
        (Claimed(token=token, lease_ms=CLAIM_LEASE_MS, instead_of=instead_of, reason=reason),),
        {"token": token, "until": to_rfc3339(until_ms)},
        reminders=(SetReminder(CLAIM_TIMER, until_ms),),
    )


def _check_may(operation: str, state: RoomState, actor: Actor) -> None:
    allowed: frozenset[Party] = CLAIMS[operation]
    if not parties(actor, organization_id=state.organization_id) & allowed:
        raise Forbidden("Only a provider claims a room.")


def _check_intent(ctx: Context) -> None:
    if ctx.now_ms - ctx.occurred_ms > INTENT_MS:
        raise Conflict("This was asked for too long ago to be taken for granted.", code="intent_expired")


def _check_claimable(state: RoomState) -> None:
    if state.phase.status not in CLAIMABLE:
        raise Conflict("This room cannot be claimed now.", code="not_claimable", extra=_current(state))


def _taken(state: RoomState, holder: Holder) -> Conflict:
    return Conflict("Another has claimed the room.", code="taken", extra={**_current(state), "by": holder.by})


def _fenced(state: RoomState, holder: Holder | None) -> Conflict:
    by = {} if holder is None else {"by": holder.by}
    return Conflict("Not the token of the room's claim.", code="fenced", extra={**_current(state), **by})


def _current(state: RoomState) -> dict[str, str]:
    return {"current": state.phase.status.value}
