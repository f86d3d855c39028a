"""What an order forgets of a person (rule P1), in its state and in what its journal has of before.

The entity's event changes the state; `redacted` is what whoever rewrites the journal puts in place of each older
event. Both leave the same order.
"""

from typing import Final

import msgspec

from actors.order_commands import Erase, Whose
from actors.order_state import Erased, Event, OrderState, Placed, PositionSampled, StatusChanged
from actors.order_status import TERMINAL
from actors.parties import is_system
from actors.runtime.entity import NOTHING, Context, Decision
from domain.errors import Conflict, Forbidden
from domain.lines import Line

_NOWHERE: Final = 0.0
_replace = msgspec.structs.replace


def erase(state: OrderState, command: Erase, ctx: Context) -> Decision:
    if not is_system(ctx.actor):
        raise Forbidden("Only an erasure does this.")
    if state.status not in TERMINAL:
        raise Conflict("The order is not closed.", code="order_open", extra={"current": state.status.value})
    return NOTHING if _is_erased(state, command.whose) else Decision((Erased(command.whose),))


def erased(state: OrderState, event: Erased) -> None:
    if event.whose is Whose.CUSTOMER:
        state.placed = _without_customer(state.placed)
        state.reason = ""
    else:
        state.position = None


def redacted(event: Event, whose: Whose) -> Event:
    """The event without what it says of this person; the same one if that is nothing.

    A sampled position stays as a row of the journal, at 0/0.
    """
    if whose is Whose.CUSTOMER:
        if isinstance(event, Placed):
            return _without_customer(event)
        if isinstance(event, StatusChanged) and event.reason:
            return _replace(event, reason="")
    elif isinstance(event, PositionSampled):
        return PositionSampled(lat=_NOWHERE, lon=_NOWHERE, at_ms=event.at_ms)
    return event


def _is_erased(state: OrderState, whose: Whose) -> bool:
    if whose is Whose.COURIER:
        return state.position is None
    return not state.reason and _without_customer(state.placed) == state.placed


def _without_customer(placed: Placed) -> Placed:
    return _replace(placed, address=None, instructions="", lines=tuple(map(_plain, placed.lines)))


def _plain(line: Line) -> Line:
    return _replace(line, instructions="")
