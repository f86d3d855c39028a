"""The courier's position: told to whoever watches at once, journaled as a thin trail."""

from typing import Any

import msgspec

from actors.order_commands import ReportPosition
from actors.order_state import (
    CLOCK_AHEAD_MS_MAX,
    SAMPLE_EVERY_M,
    SAMPLE_EVERY_MS,
    OrderState,
    PositionSampled,
)
from actors.order_status import ON_THE_WAY
from actors.order_views import POSITION_SIGNAL, position_view
from actors.runtime.entity import NOTHING, Context, Decision, Signal
from domain.errors import Conflict, invalid_field
from domain.geo import check_position, distance_m


def report_position(state: OrderState, command: ReportPosition, ctx: Context) -> Decision:
    """A signal, plus a sample when the last one is old or far. A position older than that one changes nothing."""
    if state.status not in ON_THE_WAY:
        raise Conflict("The order is not on its way.", code="not_on_the_way", extra={"current": state.status.value})
    _check(command)
    at_ms = command.at_ms or ctx.now_ms
    if at_ms > ctx.now_ms + CLOCK_AHEAD_MS_MAX:
        at_ms = ctx.now_ms
    here = PositionSampled(
        lat=command.lat,
        lon=command.lon,
        at_ms=at_ms,
        accuracy_m=command.accuracy_m,
        heading=command.heading,
    )
    last = state.position
    if last is not None and at_ms <= last.at_ms:
        return NOTHING
    signals = (Signal(POSITION_SIGNAL, signal_args(here)),)
    return Decision((here,), signals=signals) if _is_due(last, here) else Decision(signals=signals)


def signal_args(here: PositionSampled) -> dict[str, Any]:
    """The signal carries what the view shows."""
    args: dict[str, Any] = msgspec.to_builtins(position_view(here))
    return args


def _is_due(last: PositionSampled | None, here: PositionSampled) -> bool:
    if last is None or here.at_ms >= last.at_ms + SAMPLE_EVERY_MS:
        return True
    return distance_m(last.lat, last.lon, here.lat, here.lon) >= SAMPLE_EVERY_M


def _check(command: ReportPosition) -> None:
    check_position(command.lat, command.lon)
    if command.accuracy_m is not None and not 0 <= command.accuracy_m < 1e6:
        raise invalid_field("accuracy_m", "out_of_range", "Must be metres, not negative.")
    if command.heading is not None and not 0 <= command.heading <= 360:
        raise invalid_field("heading", "out_of_range", "Must be from 0 to 360 degrees.")
    if command.at_ms < 0:
        raise invalid_field("at_ms", "out_of_range", "Must be milliseconds since the epoch.")
